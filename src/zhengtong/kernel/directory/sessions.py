"""Open sessions: how many a person may hold at once, and signing in and out in the audit log."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from django.conf import settings
from django.db import models, transaction

from zhengtong.kernel import audit, moment
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.actors import Actor, anonymous
from zhengtong.kernel.directory.models import Person
from zhengtong.kernel.directory.signin import SESSIONS_PER_PERSON

SIGN_IN, SIGN_OUT = "directory.sign_in", "directory.sign_out"
TITLES = {SIGN_IN: "登录", SIGN_OUT: "退出登录"}


class OpenSession(models.Model):
    """One open session of a person; `key` names its row in the session store."""

    key = models.CharField(max_length=40, primary_key=True)
    person = models.ForeignKey(Person, models.CASCADE, related_name="+")
    opened_at = models.DateTimeField(default=moment.now)

    class Meta:
        indexes = [models.Index(fields=["person", "opened_at"], name="session_of_person")]


def opened(actor: Actor, key: str) -> int:
    """Enter a new session of a person; the oldest beyond the limit end. How many were ended."""
    if actor.person is None:
        raise ValueError("only a person has sessions")
    with transaction.atomic():
        OpenSession.objects.create(key=key, person_id=actor.person)
        mine = OpenSession.objects.filter(person_id=actor.person).order_by("-opened_at", "-key")
        surplus = list(mine.values_list("key", flat=True)[SESSIONS_PER_PERSON:])
        for old in surplus:
            _forget(old)
        _record(actor, SIGN_IN, "done", ended=len(surplus))
    return len(surplus)


def closed(actor: Actor, key: str) -> None:
    """End a session at its holder's wish."""
    with transaction.atomic():
        _forget(key)
        _record(actor, SIGN_OUT, "done")


def failed(name: str, address: str, reason: str) -> None:
    """Note a failed try. What was typed is not kept (it may be a password): only whom it met."""
    met = Person.objects.filter(sign_in_name=name.strip()).values_list("pk", flat=True).first()
    nobody = replace(anonymous(), name="未登录者", address=address)
    _record(nobody, SIGN_IN, "denied", reason, **({"person": str(met)} if met else {}))


def _forget(key: str) -> None:
    import_module(settings.SESSION_ENGINE).SessionStore(key).delete()
    OpenSession.objects.filter(key=key).delete()


def _record(actor: Actor, verb: str, outcome: str, reason: str = "", **detail: object) -> None:
    audit.record(Act(actor, verb, moment.now(), detail=dict(detail)), outcome, reason)
