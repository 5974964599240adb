"""Signing in: the password, the throttle, and the place where a second factor will stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.http import HttpRequest

from zhengtong.kernel import moment
from zhengtong.kernel.directory.models import Person, SignInAttempt
from zhengtong.kernel.errors import Denied

WINDOW = timedelta(minutes=15)
TRIES_PER_NAME = 5
TRIES_PER_ADDRESS = 50
IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
SESSIONS_PER_PERSON = 3

WRONG = "用户名或密码不正确。"
TOO_MANY = "尝试次数过多，请 15 分钟后再试，或请管理员协助。"


class TooManyTries(Denied):
    """The name or the address has failed too often of late."""

    status = 429


def check(name: str, password: str, address: str) -> Person:
    """The person who signs in. Raises Denied alike for a wrong name and a wrong password.

    Failures are counted per name and per address over a sliding window; a locked-out name is
    refused even with the right password, so that guessing learns nothing.
    """
    name = name.strip()
    counted = name.replace("\x00", "")[:40]  # what the table can hold; nobody has another name
    _refuse_too_many(counted, address)
    # Counted before the slow check and counted again: of parallel guesses, whoever looks last
    # sees all the others, so no more than the limit ever reach the password.
    attempt = SignInAttempt.objects.create(
        sign_in_name=counted, address=address, at=moment.now(), succeeded=False
    )
    try:
        _refuse_too_many(counted, address, but=attempt)
    except TooManyTries:
        attempt.delete()  # it tried nothing, so it must not lengthen the lock
        raise
    known = Person.objects.filter(sign_in_name=counted, active=True)
    person = known.first() if counted == name else None
    if person is None:
        make_password(password)  # the same work, so that timing does not tell who exists
        raise Denied(WRONG)
    if not check_password(password, person.password):
        raise Denied(WRONG)
    attempt.succeeded = True
    attempt.save(update_fields=["succeeded"])
    return person


def _refuse_too_many(name: str, address: str, but: SignInAttempt | None = None) -> None:
    failed = SignInAttempt.objects.filter(at__gt=moment.now() - WINDOW, succeeded=False)
    if but is not None:
        failed = failed.exclude(pk=but.pk)
    if (
        failed.filter(sign_in_name=name).count() >= TRIES_PER_NAME
        or failed.filter(address=address).count() >= TRIES_PER_ADDRESS
    ):
        raise TooManyTries(TOO_MANY)


def factors_outstanding(person: Person, passed: frozenset[str]) -> tuple[str, ...]:
    """The factors still to be shown before the session opens; today a password is enough."""
    return tuple(factor for factor in ("password",) if factor not in passed)


def session_over(signed_in: datetime, last_seen: datetime) -> bool:
    """Whether a session has been idle too long or has lasted a whole watch."""
    now = moment.now()
    return now - last_seen > IDLE or now - signed_in > ABSOLUTE


class Backend:
    """Django's view of who is signed in; the check itself is `check`."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        return None

    def get_user(self, pk: Any) -> Person | None:
        return Person.objects.filter(pk=pk, active=True).first()
