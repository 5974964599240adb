"""Bench rows `label-list` and `label-list-postgres`: what the label costs a list.

The newest 20 of 200,000 documents with 800,000 grants, as a person reads them whose organisation
sees about a quarter of them, against the same query for no reader in particular. `ours` and
`reference` are milliseconds from the query's first line to the last object; the ratio is the
reference's time over ours. `rare_ms` is the same list for an organisation that sees one document
in a thousand, so that some 20,000 must be passed over.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.parts import Row, apart, row
from tests.postgres import PostgresServer, PostgresUnavailable

if TYPE_CHECKING:
    from uuid import UUID

    from zhengtong.kernel.directory.actors import Actor

NAMES = ("label-list", "label-list-postgres")
PAGE = 20
OFFICES = 20
GRANTS_EACH = 4
ROUNDS = 200
RARE_EVERY = 1000
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
NODE = """\
[node]
name = "bench"
zone = "private"
[engines]
database = "{database}"
"""


def rows(short: bool) -> list[Row]:
    """A row for each engine; with `short` a tenth of the records, which the row then says."""
    number = 20_000 if short else 200_000
    return [_on_sqlite(number), _on_postgres(number)]


def _on_sqlite(number: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name:
        return apart(_measure, NAMES[0], Path(name), "sqlite:///node.sqlite3", number)


def _on_postgres(number: int) -> Row:
    try:
        with (
            PostgresServer(durable=True) as server,
            tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name,
        ):
            return apart(_measure, NAMES[1], Path(name), server.url, number)
    except PostgresUnavailable as problem:
        return row(NAMES[1], None, None, None, "ms", why=str(problem))


def _measure(name: str, home: Path, database: str, number: int) -> Row:
    """Fill one database and time both queries in turn. Runs in a process of its own."""
    from zhengtong.faces.cli.init import prepare
    from zhengtong.faces.cli.start import enter

    (home / "node.toml").write_text(NODE.format(database=database))
    enter(home / "node.toml")
    prepare()
    usual, rare = _fill(number)
    from zhengtong.capabilities.documents.models import Document, State

    everything = Document.objects.unlabelled("the reference of a measurement")
    listed = {"state": State.RECEIVED}

    def page(found: Any) -> float:
        began = time.perf_counter()
        shown = list(found().filter(**listed).order_by("-created_at")[:PAGE])
        assert len(shown) == PAGE
        return (time.perf_counter() - began) * 1000

    times: dict[str, list[float]] = {"ours": [], "reference": [], "rare": []}
    for _ in range(ROUNDS):
        times["ours"].append(page(lambda: Document.objects.visible_to(usual)))
        times["reference"].append(page(lambda: everything.all()))
    times["rare"] = [page(lambda: Document.objects.visible_to(rare)) for _ in range(20)]
    ours, reference, seldom = (statistics.median(times[key]) for key in times)
    seen = Document.objects.visible_to(usual).count()
    return row(
        name,
        ours,
        reference,
        reference / ours,
        "ms",
        records=number,
        grants=number * GRANTS_EACH,
        share_seen=seen / number,
        rare_ms=seldom,
    )


def _fill(number: int) -> tuple[Actor, Actor]:
    """Documents in random hands, each opened to four offices; a usual reader and a rare one."""
    from django.db import connection

    from zhengtong.capabilities.documents.models import Document, State
    from zhengtong.kernel.ids import new_id
    from zhengtong.kernel.labels import Level, Share
    from zhengtong.kernel.records import Grant

    chance = random.Random(20260101)
    offices = [_office(place) for place in range(OFFICES)]
    seldom = _office(OFFICES)
    for start in range(0, number, 10_000):
        documents = [
            Document(
                id=new_id(),
                owner_id=chance.choice(offices),
                level=Level.INTERNAL,
                share=Share.CONDITIONAL,
                state=State.RECEIVED,
                document_kind="通知",
                title=f"关于做好第{place}项工作的通知",
                body="各单位要切实做好有关工作。" * 10,
                issuing_name="周口市人民政府办公室",
                created_at=FIRST + timedelta(minutes=place),
            )
            for place in range(start, start + 10_000)
        ]
        Document.objects.bulk_create(documents)
        grants = []
        for place, document in enumerate(documents):
            readers = chance.sample(offices, GRANTS_EACH)
            if place % RARE_EVERY == 0:
                readers[0] = seldom
            grants += [
                Grant(record=document.pk, organisation_id=reader, purpose="addressee")
                for reader in readers
            ]
        Grant.objects.bulk_create(grants)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # what its own housekeeping would do in a minute
    return _reader(offices[0]), _reader(seldom)


def _office(place: int) -> UUID:
    from zhengtong.kernel.directory.models import Organisation

    name = f"第{place}办公室"
    made = Organisation.objects.create(
        code=f"{place:06}", name=name, short_name=name, kind="department", node="bench"
    )
    return made.pk


def _reader(office: UUID) -> Actor:
    from zhengtong.kernel.directory.actors import Actor
    from zhengtong.kernel.ids import new_id
    from zhengtong.kernel.labels import Level

    person = new_id()
    return Actor(
        name="读者",
        urn=f"urn:zhengtong:person:{person}",
        organisations=(office,),
        clearance=Level.INTERNAL,
        ceiling=Level.WORK_SECRET,
        person=person,
    )
