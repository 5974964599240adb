"""No way to the rows of a labelled table before the query has named its reader or its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import (
    Count,
    Exists,
    OuterRef,
    Prefetch,
    QuerySet,
    Subquery,
    prefetch_related_objects,
)
from django.db.models.functions import TruncDay
from django.db.transaction import atomic
from django.test.utils import CaptureQueriesContext

from tests import build
from tests.kernel.probes import clerk_of, saved_task
from zhengtong.capabilities.documents.models import Delivery, Document
from zhengtong.kernel import moment
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.labels import Level
from zhengtong.kernel.records import Record, RecordQuerySet, Unlabelled
from zhengtong.kernel.tasks import Task

pytestmark = pytest.mark.django_db

Rows = QuerySet[Any]


async def _drain(rows: Any) -> list[Any]:
    return [row async for row in rows]


def _wait(awaitable: Any) -> Any:
    async def run() -> Any:
        return await awaitable

    return asyncio.run(run())


def _as_async(use: Callable[[Rows], Any]) -> Callable[[Rows], Any]:
    """Django runs these in a thread; the seal must break before the database is reached."""
    return lambda rows: _wait(use(rows))


PLAIN = Organisation.objects.all

# Every way to learn something about the rows, or to change them.
WAYS: dict[str, Callable[[Any], Any]] = {
    "for": lambda rows: [row.title for row in rows],
    "list": list,
    "len": len,
    "bool": bool,
    "in": lambda rows: "x" in rows,
    "repr": repr,
    "get": lambda rows: rows.get(title="核对值班表"),
    "first": lambda rows: rows.first(),
    "last": lambda rows: rows.last(),
    "earliest": lambda rows: rows.earliest("created_at"),
    "latest": lambda rows: rows.latest("created_at"),
    "index": lambda rows: rows.order_by("pk")[0],
    "slice": lambda rows: list(rows[:1]),
    "step": lambda rows: rows[0:2:2],
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "contains": lambda rows: rows.contains(Task(title="x")),
    "aggregate": lambda rows: rows.aggregate(Count("pk")),
    "aggregate of a slice": lambda rows: rows[:3].aggregate(Count("pk")),
    "in_bulk": lambda rows: rows.in_bulk(),
    "iterator": lambda rows: list(rows.iterator()),
    "values": lambda rows: list(rows.values("title")),
    "values_list": lambda rows: list(rows.values_list("title", flat=True)),
    "annotate values": lambda rows: list(rows.values("level").annotate(n=Count("pk"))),
    "dates": lambda rows: list(rows.dates("created_at", "day")),
    "datetimes": lambda rows: list(rows.datetimes("created_at", "day")),
    "distinct": lambda rows: list(rows.annotate(d=TruncDay("created_at")).distinct()),
    "only": lambda rows: list(rows.only("title")),
    "select_related": lambda rows: list(rows.select_related("owner")),
    "prefetch": lambda rows: list(rows.prefetch_related("owner")),
    "explain": lambda rows: rows.explain(),
    "sql": lambda rows: str(rows.query),
    "update": lambda rows: rows.update(title="改"),
    "delete": lambda rows: rows.delete(),
    "bulk_update": lambda rows: rows.bulk_update([Task(title="改")], ["title"]),
    "get_or_create": lambda rows: rows.get_or_create(title="x"),
    "update_or_create": lambda rows: rows.update_or_create(title="x"),
    "select_for_update": lambda rows: list(rows.select_for_update()),
    "raw": lambda rows: list(rows.raw("SELECT * FROM kernel_task")),
    "union": lambda rows: list(rows.union(rows.filter(level=1))),
    "union into plain": lambda rows: list(
        PLAIN().values_list("name").union(rows.values_list("title"))
    ),
    "union into labelled": lambda rows: list(rows.model.objects.unlabelled("test").union(rows)),
    "difference": lambda rows: list(rows.model.objects.unlabelled("test").difference(rows)),
    "or": lambda rows: list(rows.model.objects.unlabelled("test") | rows),
    "and": lambda rows: list(rows.model.objects.unlabelled("test") & rows),
    "xor": lambda rows: list(rows.model.objects.unlabelled("test") ^ rows),
    "__in": lambda rows: list(PLAIN().filter(pk__in=rows.values("owner"))),
    "Exists": lambda rows: list(PLAIN().filter(Exists(rows.filter(owner=OuterRef("pk"))))),
    "Subquery": lambda rows: list(PLAIN().annotate(t=Subquery(rows.values("title")[:1]))),
    "aiterator": lambda rows: asyncio.run(_drain(rows.aiterator())),
    "async for": lambda rows: asyncio.run(_drain(rows)),
    "aget": _as_async(lambda rows: rows.aget(title="x")),
    "afirst": _as_async(lambda rows: rows.afirst()),
    "acount": _as_async(lambda rows: rows.acount()),
    "aexists": _as_async(lambda rows: rows.aexists()),
    "aaggregate": _as_async(lambda rows: rows.aaggregate(Count("pk"))),
    "ain_bulk": _as_async(lambda rows: rows.ain_bulk()),
    "aupdate": _as_async(lambda rows: rows.aupdate(title="改")),
    "adelete": _as_async(lambda rows: rows.adelete()),
    "aexplain": _as_async(lambda rows: rows.aexplain()),
}


@pytest.fixture
def owner() -> Organisation:
    return build.organisation()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("start", ["objects", "_base_manager", "_default_manager"])
def test_no_way_to_the_rows_before_a_reader_is_named(
    way: str, start: str, owner: Organisation
) -> None:
    saved_task(owner)
    rows = getattr(Task, start).all()
    with CaptureQueriesContext(connection) as asked, pytest.raises(Unlabelled), atomic():
        WAYS[way](rows)
    assert not [query for query in asked.captured_queries if "kernel_task" in query["sql"]]
    assert Task.objects.unlabelled("test").get().title == "核对值班表"


def test_a_named_reader_gets_his_rows_by_every_way(owner: Organisation) -> None:
    saved_task(owner)
    saved_task(owner, title="涉密事项", level=Level.SECRET)
    mine = Task.objects.visible_to(clerk_of(owner))
    assert mine.get() == mine.first() == next(mine.iterator()) == mine[:1][0]
    assert len(mine) == mine.count() == mine.aggregate(n=Count("pk"))["n"] == 1
    assert mine.exists() and mine.contains(mine.get()) and len(mine.in_bulk()) == 1
    assert list(mine.values_list("title", flat=True)) == ["核对值班表"]
    assert len(mine.union(mine)) == len(mine | mine) == len(mine & mine) == 1
    assert PLAIN().filter(Exists(mine.filter(owner=OuterRef("pk")))).get() == owner
    assert PLAIN().filter(pk__in=mine.values("owner")).get() == owner
    assert "SEARCH" in mine.explain() or "Scan" in mine.explain()
    assert mine.update(title="已改") == 1
    assert mine.delete()[0] == 1
    assert Task.objects.unlabelled("a test counts").get().title == "涉密事项"


def test_a_reason_in_words_is_a_reason_and_an_empty_one_is_not(owner: Organisation) -> None:
    saved_task(owner, level=Level.SECRET)
    assert Task.objects.unlabelled("indexing").count() == 1
    for reason in ("", "  "):
        with pytest.raises(Unlabelled):
            Task.objects.unlabelled(reason)


def test_naming_a_reader_opens_that_query_alone(owner: Organisation) -> None:
    saved_task(owner)
    sealed = Task.objects.filter(kind="probe")
    assert sealed.unlabelled("indexing").count() == 1
    with pytest.raises(Unlabelled):
        list(sealed)


# ── from one record to another ──


@pytest.fixture
def delivery(owner: Organisation) -> Delivery:
    """A delivery its clerk may see, of a document that nobody here may."""
    document = Document.objects.create(
        owner=owner,
        level=Level.SECRET,
        document_kind="通知",
        title="涉密公文",
        issuing_name="某机关",
    )
    return Delivery.objects.create(
        owner=owner, document=document, organisation=owner, dispatched_at=moment.now()
    )


FORWARD: dict[str, Callable[[Delivery], object]] = {
    "the foreign key": lambda delivery: delivery.document.title,
    "a prefetch": lambda delivery: prefetch_related_objects([delivery], "document"),
    "a prefetch by queryset": lambda delivery: prefetch_related_objects(
        [delivery], Prefetch("document", queryset=Document.objects.all())
    ),
    "a reload": lambda delivery: delivery.refresh_from_db(),
    "a deferred column": lambda delivery: (
        Delivery.objects.unlabelled("test").only("pk").get(pk=delivery.pk).return_reason
    ),
}


@pytest.mark.parametrize("way", FORWARD)
def test_a_row_in_hand_does_not_lead_to_another(way: str, delivery: Delivery) -> None:
    found = Delivery.objects.unlabelled("test").get(pk=delivery.pk)
    with pytest.raises(Unlabelled):
        FORWARD[way](found)


def test_a_record_can_still_be_saved(owner: Organisation) -> None:
    task = saved_task(owner)
    task.title = "改过的"
    task.save(update_fields=["title"])
    task.save()
    assert Task.objects.unlabelled("test").get().title == "改过的"


def test_every_labelled_table_is_sealed_at_every_door() -> None:
    records = [model for model in apps.get_models() if issubclass(model, Record)]
    assert {Task, Document, Delivery} <= set(records)
    for model in records:
        for manager in (model._default_manager, model._base_manager, *model._meta.managers):
            assert isinstance(manager.all(), RecordQuerySet), model
    for other in apps.get_models():
        for field in other._meta.get_fields(include_hidden=False):
            target = getattr(field, "related_model", None)
            if field.auto_created and field.is_relation and isinstance(target, type):
                opened = f"{other.__name__}.{field.name}: its related_name must be '+'"
                assert not issubclass(target, Record), opened
