"""A change is one named function: authorise → body → authorise the result → audit → tell → commit.

    @command("documents.dispatch", title="发送公文")
    def dispatch(act: Act, document: Document, *, to: Sequence[Organisation]) -> Document: ...

    dispatch(actor, document, to=counties)      # how everybody calls it

The name is the duty that permits it and the verb in the audit log. The caller passes an Actor,
the body receives an Act. Every labelled record among the arguments is read afresh, under lock,
through `visible_to(actor)`: that one query is its authorisation. Commands never call commands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet

from zhengtong.kernel import audit, moment
from zhengtong.kernel.bell import ring
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.engine import locked_for_update, plain_errors
from zhengtong.kernel.errors import AboveCeiling, Denied, NotFound
from zhengtong.kernel.labels import Level, may_enter
from zhengtong.kernel.messages import outbox, timers
from zhengtong.kernel.messages.facts import Fact
from zhengtong.kernel.records import Record
from zhengtong.kernel.search.queue import enqueue

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Model)

_running: ContextVar[str | None] = ContextVar("running_command", default=None)
cause: ContextVar[Callable[[], None] | None] = ContextVar("cause", default=None)
"""Set while a reaction runs: its bookkeeping, done inside the one command that it calls."""


class NestedCommand(RuntimeError):
    """A command was called inside another. Put the shared part in a plain function."""


@dataclass(slots=True)
class Act:
    """One run of a command: who, when, and what is to be told and recorded afterwards."""

    actor: Actor
    verb: str
    now: datetime
    records: list[Record] = field(default_factory=list)
    telling: list[outbox.Telling] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    effects: list[Callable[[], None]] = field(default_factory=list)

    def tell(
        self,
        fact: Fact,
        *,
        to: Iterable[Any] = (),
        about: Record | None = None,
        lane: outbox.Lane = outbox.Lane.NORMAL,
    ) -> None:
        """Let a fact be known here and at the nodes of `to` (organisations or node names).

        It travels under the label of `about`, by default that of the first record of the command:
        an argument, or else what it returns.
        """
        subject = about or (self.records[0] if self.records else None)
        self.telling.append(outbox.Telling(fact, tuple(to), subject, lane))

    def tell_at(self, due: datetime, fact: Fact, *, about: Record | None = None) -> None:
        """Let a fact be known here when `due` has come: a timer that a restart cannot lose."""
        timers.tell_at(due, fact, about or self.records[0])

    def touched(self, *records: Record) -> None:
        """Name further records this act made or changed: they are audited and re-indexed."""
        self.records.extend(records)

    def note(self, **detail: Any) -> None:
        """Add to the audit entry. Never titles or personal data: urns, numbers, reasons."""
        self.detail.update(detail)

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Something that may be lost without harm, such as waking a process."""
        self.effects.append(effect)


class Command(Generic[P, T]):
    """A registered command; calling it runs it in its own durable transaction."""

    def __init__(self, name: str, title: str, body: Callable[Concatenate[Act, P], T]) -> None:
        self.name, self.title, self.body = name, title, body
        update_wrapper(self, body)

    def __call__(self, actor: Actor, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run for this actor. Raises Denied, NotFound, Refused, Invalid or Unavailable."""
        if not isinstance(actor, Actor):
            raise TypeError(f"{self.name}: the first argument is the actor, not {actor!r}")
        if _running.get() is not None:
            raise NestedCommand(f"{self.name} was called inside {_running.get()}")
        act = Act(actor, self.name, moment.now())
        token = _running.set(self.name)
        try:
            with plain_errors(), transaction.atomic(durable=True):
                if not actor.has(self.name):
                    raise Denied(f"您的岗位没有“{self.title}”的职责。")
                claimed = [self._claim(act, value) for value in args]
                named = {key: self._claim(act, value) for key, value in kwargs.items()}
                result = self.body(act, *claimed, **named)
                self._authorise_result(act, result)
                outbox.write(act)
                enqueue(act.records)
                audit.record(act, "done")
                if (handled := cause.get()) is not None:
                    handled()
        except Denied as denial:
            with plain_errors():
                audit.denied(act, denial.message)
            raise
        finally:
            _running.reset(token)
        for effect in (*act.effects, ring):
            try:
                effect()
            except Exception:  # the command stands; saying otherwise would have it done twice
                log.exception("%s: what follows the commit failed", self.name)
        return result

    def _claim(self, act: Act, value: Any) -> Any:
        """Read a record argument afresh under lock, as far as the actor may see it."""
        if isinstance(value, Record):
            rows: QuerySet[Any] = type(value).objects.visible_to(act.actor).filter(pk=value.pk)
            fresh = locked_for_update(rows).first()
            if fresh is None:
                raise Denied("没有找到这条记录，或您无权办理。")
            act.records.append(fresh)
            return fresh
        if isinstance(value, (list, tuple)) and any(isinstance(item, Record) for item in value):
            return [self._claim(act, item) for item in value]
        if _holds_records(value):
            raise TypeError(f"{self.name}: pass a record by itself or in a list, not in {value!r}")
        return value

    def _authorise_result(self, act: Act, result: Any) -> None:
        """Nobody makes a record they could not read, and none above the node's ceiling."""
        made = [item for item in _listed(result) if isinstance(item, Record)]
        act.records[:0] = [item for item in made if item not in act.records]
        for record in act.records:
            refuse_above_ceiling(record.level, act.actor.ceiling)
        for model in {type(item) for item in made}:
            wanted = {item.pk for item in made if type(item) is model}
            seen = model.objects.visible_to(act.actor).filter(pk__in=wanted).count()
            if seen < len(wanted):
                raise Denied("操作的结果超出您的可见范围，未予保存。")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _holds_records(value: Any) -> bool:
    """Whether a container holds records that `_claim` would not find one by one."""
    if isinstance(value, QuerySet):
        return issubclass(value.model, Record)
    if isinstance(value, Mapping):
        return _holds_records(list(value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(isinstance(item, Record) or _holds_records(item) for item in value)
    return False


def refuse_above_ceiling(level: int, ceiling: int) -> None:
    """Refuse, never merely hide, what is too secret for this node (条例 art. 26)."""
    if not may_enter(level, ceiling):
        raise AboveCeiling(
            f"本节点最高只能处理“{Level(ceiling).word}”信息，"
            f"不能保存“{Level(level).word}”内容。请改用经批准的涉密渠道。"
        )


registry: dict[str, Command[..., Any]] = {}


def command(
    name: str, *, title: str
) -> Callable[[Callable[Concatenate[Act, P], T]], Command[P, T]]:
    """Register a command under its name, which is also the duty that permits it."""

    def wrap(body: Callable[Concatenate[Act, P], T]) -> Command[P, T]:
        if name in registry and registry[name].body.__qualname__ != body.__qualname__:
            raise ValueError(f"two commands are called {name}")
        registry[name] = made = Command(name, title, body)
        return made

    return wrap


def must_find(queryset: QuerySet[M], **lookup: Any) -> M:
    """The one row of an (already visible) queryset, or NotFound in words for people."""
    found = queryset.filter(**lookup).first()
    if found is None:
        raise NotFound("没有找到这条记录，或您无权查看。")
    return found
