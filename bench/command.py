"""Bench row `command`: what authorising, auditing and telling cost over merely writing.

A clerk signs for a document from another office of the node: the case moves on, one task closes
and another opens, the sender is told, the act is audited, pages are notified. The reference writes
the very same rows with the captured INSERT statements, in one transaction on a copy of the
database. Both take turns on SQLite with synchronous FULL. `ours` and `reference` are median
milliseconds; the ratio is a bare insert over one command.

`statements` counts what a command sends to the database apart from BEGIN and COMMIT;
`statements_with_letter` is for a document whose sender is another node and is told by letter.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.parts import Row, apart, row

if TYPE_CHECKING:
    from zhengtong.capabilities.documents.models import Incoming
    from zhengtong.kernel.directory.actors import Actor
    from zhengtong.kernel.directory.models import Organisation

NAMES = ("command",)
WARM = 10
Statement = tuple[str, Any]


def rows(short: bool) -> list[Row]:
    """One row."""
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name:
        return [apart(_measure, Path(name), 100 if short else 400)]


def _measure(home: Path, number: int) -> Row:
    """Sign for `number` documents, each followed by its bare inserts. In a process of its own."""
    from zhengtong.faces.cli.init import prepare, write_node
    from zhengtong.faces.cli.start import enter

    write_node(home, name="county", title="县", zone="private", listen="127.0.0.1:8100")
    enter(home / "node.toml")
    prepare()
    clerk, waiting, from_afar = _received(number + WARM)
    from django.db import connection, connections

    from zhengtong.capabilities.documents.commands import incoming
    from zhengtong.kernel.engine import checkpoint

    checkpoint()
    copy = home / "reference.sqlite3"
    shutil.copyfile(home / "node.sqlite3", copy)
    connections.databases["reference"] = {**connections.databases["default"], "NAME": str(copy)}
    sent: list[Statement] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    ours, reference, counts, inserted = [], [], set(), set()
    for place, document in enumerate(waiting):
        sent.clear()
        with connection.execute_wrapper(note):
            began = time.perf_counter()
            incoming.sign_for(clerk, document)
            took = time.perf_counter() - began
        inserts = [item for item in sent if item[0].startswith("INSERT")]
        bare = _insert(inserts)
        if place >= WARM:
            ours.append(took * 1000)
            reference.append(bare * 1000)
            counts.add(_count(sent))
            inserted.add(len(inserts))
    sent.clear()
    with connection.execute_wrapper(note):
        incoming.sign_for(clerk, from_afar)
    mine, theirs = statistics.median(ours), statistics.median(reference)
    return row(
        NAMES[0],
        mine,
        theirs,
        theirs / mine,
        "ms",
        statements=max(counts),
        statements_with_letter=_count(sent),
        inserts=max(inserted),
        commands=number,
        command="documents.sign_for",
    )


def _count(statements: list[Statement]) -> int:
    return sum(not sql.startswith("BEGIN") for sql, _ in statements)


def _insert(statements: list[Statement]) -> float:
    """Seconds to run these INSERTs on the copy, in one durable transaction."""
    from django.db import connections, transaction

    began = time.perf_counter()
    with transaction.atomic(using="reference"), connections["reference"].cursor() as cursor:
        for sql, params in statements:
            cursor.execute(sql, params)
    return time.perf_counter() - began


def _received(number: int) -> tuple[Actor, list[Incoming], Incoming]:
    """A clerk, documents of another office here that wait to be signed for, one of another node."""
    from tests import build
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.messages.membership import admit
    from zhengtong.wire.keys import NodeCard, NodeKeys

    card = NodeCard.issue(
        NodeKeys.generate("city"),
        title="市",
        zone="private",
        ceiling=2,
        url="http://127.0.0.1:8101",
        issued_at=datetime.now(UTC),
    )
    admit(node_actor({"messages.admit"}), card)
    here, there = build.organisation(), build.organisation("周口市财政局", node="city")
    office = build.organisation("扶沟县人民政府")
    clerk = build.person(office, build.CLERK)
    waiting = [_receive(here, office, place) for place in range(number)]
    return clerk, waiting, _receive(there, office, number)


def _receive(issuer: Organisation, office: Organisation, place: int) -> Incoming:
    from zhengtong.capabilities.documents.commands import incoming
    from zhengtong.capabilities.documents.messages import Dispatched
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.ids import new_id

    fact = Dispatched(
        document=new_id(),
        issuing_office=issuer.pk,
        issuing_name=issuer.name,
        document_kind="通知",
        number=f"周政办〔2026〕{place}号",
        title="关于做好汛期防汛准备工作的通知",
        body="各单位：\n切实做好防汛准备。\n特此通知。",
        issuer="王远岑",
        issued_on=datetime.now(UTC).date(),
        urgency=0,
        level=1,
        share=1,
        due=None,
        note="",
        addressees=(office.name,),
        copy_to=(),
        files=(),
    )
    (received,) = incoming.receive(node_actor(), fact, [office])
    return received
