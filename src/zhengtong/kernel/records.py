"""Labelled records and the sealed queryset: the one rule of `labels.decide`, as SQL.

`Record.objects` answers nothing until the query has said for whom (`visible_to(actor)`) or why
not (`unlabelled("reason")`). Everything that could reveal a row, a count or a title is sealed;
forward foreign keys too, because the model's base manager is the sealed one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models
from django.db.models import sql

from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.labels import STATE_SECRET, Label, Level, Share

if TYPE_CHECKING:
    from zhengtong.kernel.directory.actors import Actor

R = TypeVar("R", bound="Record")


class Unlabelled(RuntimeError):
    """A query was about to run without having named its reader. A programming error."""


class Grant(models.Model):
    """A record opened to another organisation, for a purpose, perhaps until a day."""

    record = models.UUIDField()
    organisation = models.ForeignKey("kernel.Organisation", models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=80)
    granted_at = models.DateTimeField(default=moment.now)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["record", "organisation", "purpose"], name="grant_once")
        ]


class Named(models.Model):
    """One person in a record's 知悉范围 (保密法 art. 31): who may read a state secret."""

    record = models.UUIDField()
    person = models.ForeignKey("kernel.Person", models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["record", "person"], name="named_once")]


class Visible(models.Func):
    """`labels.decide(...).permits` as one condition on a labelled table's rows.

    It is written as SQL because every list asks it: putting it together from Q objects took Django
    longer than the database needs for its answer.
    """

    output_field = models.BooleanField()

    def __init__(self, actor: Actor) -> None:
        super().__init__("level", "share", "open", "owner", "pk")
        self.actor = actor

    def as_sql(  # type: ignore[override]  # none of the template's options apply here
        self, compiler: Any, connection: Any, **_: Any
    ) -> tuple[str, list[Any]]:
        """The condition, and the identifiers and the moment it compares with."""
        actor, parts = self.actor, self.get_source_expressions()
        level, share, released, owner, pk = (compiler.compile(part)[0] for part in parts)
        offices = [_UUID.get_db_prep_value(item, connection) for item in actor.organisations]
        marks = ", ".join(["%s"] * len(offices))
        public = f"({level} = {Level.PUBLIC:d} AND {released})"
        readers = f"({share} = {Share.UNCONDITIONAL:d} AND {level} <= {Level.INTERNAL:d})"
        params: list[Any] = []
        if offices:
            granted = _GRANTED.format(pk=pk, offices=marks)
            readers += f" OR {owner} IN ({marks}) OR ({share} < {Share.REFUSED:d} AND {granted})"
            params = [*offices, *offices, _MOMENT.get_db_prep_value(moment.now(), connection)]
        top = min(actor.ceiling, actor.clearance)
        if actor.anonymous:
            return f"({level} <= {top:d} AND {public})", []
        if top < STATE_SECRET:
            return f"({level} <= {top:d} AND ({public} OR {readers}))", params
        named = f"({level} >= {STATE_SECRET:d} AND {_NAMED.format(pk=pk)})"
        readers = f"({level} < {STATE_SECRET:d} AND ({readers}))"
        person = _UUID.get_db_prep_value(actor.person, connection)
        return f"({level} <= {top:d} AND ({public} OR {named} OR {readers}))", [person, *params]


# A list walks its own index and looks each row up here, until its page is full. OFFSET 0 keeps
# PostgreSQL from reading all that an office was ever granted into a hash table instead.
_GRANTED = (
    "EXISTS (SELECT 1 FROM kernel_grant held WHERE held.record = {pk}"
    " AND held.organisation_id IN ({offices})"
    " AND (held.expires_at IS NULL OR held.expires_at > %s) LIMIT 1 OFFSET 0)"
)
_NAMED = (
    "EXISTS (SELECT 1 FROM kernel_named known WHERE known.record = {pk}"
    " AND known.person_id = %s LIMIT 1 OFFSET 0)"
)
_UUID, _MOMENT = models.UUIDField(), models.DateTimeField()


class RecordQuery(sql.Query):
    """The SQL of a labelled query. It cannot be compiled, wherever it stands, while it is sealed.

    Whatever runs a query compiles it: lists, counts, Exists, subqueries, unions, EXPLAIN, async
    iteration. So this one place closes them all, and copies carry the state along.
    """

    unsealed = False

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        self.require()
        return super().get_compiler(*args, **kwargs)

    def combine(self, rhs: sql.Query, connector: str) -> None:
        """`visible | all` would let every row through: both sides must name their reader."""
        if isinstance(rhs, RecordQuery):
            rhs.require()
        super().combine(rhs, connector)

    def require(self) -> None:
        if not self.unsealed:
            name = self.model.__name__ if self.model else "Record"
            raise Unlabelled(f"{name}: say visible_to(actor) or unlabelled('reason') first")


class RecordQuerySet(models.QuerySet[R]):
    """A queryset that runs only after `visible_to` or `unlabelled`."""

    query: RecordQuery

    def __init__(self, model: Any = None, query: Any = None, **kwargs: Any) -> None:
        super().__init__(model, RecordQuery(model) if query is None and model else query, **kwargs)

    def visible_to(self, actor: Actor) -> Self:
        """Only the rows this actor may read."""
        return self.filter(Visible(actor))._unseal()

    def unlabelled(self, reason: str) -> Self:
        """All rows, for work that serves no reader (indexing, sealing); `reason` says which."""
        if not reason.strip():
            raise Unlabelled("unlabelled() needs a reason in words")
        return self.all()._unseal()

    def _unseal(self) -> Self:
        self.query.unsealed = True
        return self

    # The three below do not compile this query itself, so they ask for the seal on their own.

    def update(self, **kwargs: Any) -> int:
        self.query.require()
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        self.query.require()
        return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        raise Unlabelled("raw SQL on labelled records is not allowed")


class Record(models.Model):
    """What every labelled thing is: an owner, a level, a sharing type, a public release."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey("kernel.Organisation", models.PROTECT, related_name="+")
    level = models.PositiveSmallIntegerField(default=Level.INTERNAL)
    share = models.PositiveSmallIntegerField(default=Share.CONDITIONAL)
    open = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=moment.now)

    objects = RecordQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    @property
    def label(self) -> Label:
        return Label(Level(self.level), Share(self.share), self.open)

    @property
    def urn(self) -> str:
        """The record's name everywhere: in messages, audit, search and on other nodes."""
        return f"urn:zhengtong:{self._meta.model_name}:{self.pk}"


def pk_of(urn: str) -> str:
    """The identifier inside a urn."""
    return urn.rpartition(":")[2]


def grant(record: Record, organisations: Any, purpose: str) -> None:
    """Open a record to organisations (idempotent)."""
    Grant.objects.bulk_create(
        [Grant(record=record.pk, organisation=org, purpose=purpose) for org in organisations],
        ignore_conflicts=True,
    )
