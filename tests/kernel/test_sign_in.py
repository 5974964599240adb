"""Signing in: the right person gets in, and guessing gets nowhere, alone or in parallel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, make_password

import zhengtong.settings as production
from tests import build
from tests.kernel.probes import at_once
from zhengtong.kernel import moment
from zhengtong.kernel.directory import commands as directory
from zhengtong.kernel.directory import signin
from zhengtong.kernel.directory.models import Person, SignInAttempt
from zhengtong.kernel.directory.signin import (
    TRIES_PER_ADDRESS,
    TRIES_PER_NAME,
    WINDOW,
    WRONG,
    Backend,
    TooManyTries,
    check,
    factors_outstanding,
    session_over,
)
from zhengtong.kernel.errors import Denied

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 7, 1, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HERE = "10.0.0.8"


@pytest.fixture
def li() -> Iterator[Person]:
    with moment.fixed(NOW):
        yield directory.add_person(
            build.administrator(), sign_in_name="li", name="李明禾", password=build.PASSWORD
        )


def fails(name: str = "li", address: str = HERE, password: str = "wrong-password") -> Denied:
    with pytest.raises(Denied) as caught:
        check(name, password, address)
    return caught.value


def test_the_right_password_lets_in(li: Person) -> None:
    assert check("li", build.PASSWORD, HERE) == li
    assert check(" li ", build.PASSWORD, HERE) == li


def test_a_wrong_name_and_a_wrong_password_are_told_alike(li: Person) -> None:
    told = [fails(), fails("nobody"), fails(""), fails("l" * 500), fails("李"), fails("li\x00")]
    assert {(type(error), error.message) for error in told} == {(Denied, WRONG)}


def test_so_is_a_person_who_has_been_disabled(li: Person) -> None:
    Person.objects.update(active=False)
    assert fails(password=build.PASSWORD).message == WRONG
    assert Backend().get_user(li.pk) is None
    Person.objects.update(active=True)
    assert Backend().get_user(li.pk) == li


def test_both_cost_the_same_work(li: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def spy_check(password: str, encoded: str) -> bool:
        hashed.append("check")
        return check_password(password, encoded)

    def spy_make(password: str) -> str:
        hashed.append("make")
        return make_password(password)

    monkeypatch.setattr(signin, "check_password", spy_check)
    monkeypatch.setattr(signin, "make_password", spy_make)
    fails()
    fails("nobody")
    assert hashed == ["check", "make"]


def test_passwords_are_kept_as_argon2id_at_the_promised_cost(li: Person, settings: Any) -> None:
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS  # the suite's own costs less
    directory.set_password(build.administrator(), li, build.PASSWORD)
    assert re.fullmatch(
        r"argon2\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22,}\$[\w+/]{43,}", li.password
    )
    assert check("li", build.PASSWORD, HERE) == li
    assert build.PASSWORD not in li.password


def test_a_new_password_replaces_the_old_one(li: Person) -> None:
    directory.set_password(build.administrator(), li, "another-password")
    fails(password=build.PASSWORD)
    assert check("li", "another-password", HERE) == li


# ── guessing ──


def test_a_name_that_failed_too_often_is_refused_even_with_the_right_password(li: Person) -> None:
    for _ in range(TRIES_PER_NAME):
        assert type(fails()) is Denied
    refused = fails(password=build.PASSWORD, address="10.9.9.9")
    assert isinstance(refused, TooManyTries)
    assert (refused.status, refused.message) == (
        429,
        "尝试次数过多，请 15 分钟后再试，或请管理员协助。",
    )


def test_the_lock_ends_when_the_failures_are_old_enough(li: Person) -> None:
    for _ in range(TRIES_PER_NAME):
        fails()
    with moment.fixed(NOW + WINDOW - SECOND):
        assert isinstance(fails(password=build.PASSWORD), TooManyTries)
    with moment.fixed(NOW + WINDOW):
        assert check("li", build.PASSWORD, HERE) == li


def test_refused_tries_do_not_lengthen_the_lock(li: Person) -> None:
    for _ in range(TRIES_PER_NAME):
        fails()
    with moment.fixed(NOW + WINDOW / 2):
        for _ in range(3 * TRIES_PER_NAME):
            fails()
    with moment.fixed(NOW + WINDOW):
        assert check("li", build.PASSWORD, HERE) == li


def test_success_does_not_wipe_out_failures_but_does_not_count_as_one(li: Person) -> None:
    for _ in range(TRIES_PER_NAME - 1):
        fails()
    for _ in range(3):
        check("li", build.PASSWORD, HERE)
    fails()
    assert isinstance(fails(), TooManyTries)


def test_one_name_locked_leaves_the_others_free(li: Person) -> None:
    for _ in range(TRIES_PER_NAME):
        fails("wang")
    assert check("li", build.PASSWORD, HERE) == li


def test_an_address_that_tries_many_names_is_refused_but_not_its_neighbours(li: Person) -> None:
    for number in range(TRIES_PER_ADDRESS):
        assert type(fails(f"name{number}")) is Denied
    assert isinstance(fails(password=build.PASSWORD), TooManyTries)
    assert check("li", build.PASSWORD, "10.0.0.9") == li


@pytest.mark.django_db(transaction=True)
def test_guessing_in_parallel_gains_no_more_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    directory.add_person(
        build.administrator(), sign_in_name="li", name="李明禾", password=build.PASSWORD
    )
    guesses = count(1)
    checked: list[int] = []

    def slow_check(password: str, encoded: str) -> bool:
        checked.append(next(guesses))
        return False

    monkeypatch.setattr(signin, "check_password", slow_check)
    outcomes = at_once(*[lambda: check("li", "guess-guess", HERE)] * 16)
    assert {type(outcome.error) for outcome in outcomes} <= {Denied, TooManyTries}
    assert len(checked) <= TRIES_PER_NAME
    while len(checked) < TRIES_PER_NAME:  # who was refused in the rush may come again, no more
        with pytest.raises(Denied):
            check("li", "guess-guess", HERE)
    with pytest.raises(TooManyTries):
        check("li", "guess-guess", HERE)
    assert SignInAttempt.objects.filter(succeeded=False).count() == TRIES_PER_NAME


# ── the session ──


def test_a_password_is_today_the_only_factor(li: Person) -> None:
    assert factors_outstanding(li, frozenset()) == ("password",)
    assert factors_outstanding(li, frozenset({"password"})) == ()


@pytest.mark.parametrize(
    ("since_sign_in", "since_seen", "over"),
    [
        (timedelta(hours=1), timedelta(minutes=30), False),
        (timedelta(hours=1), timedelta(minutes=30, seconds=1), True),
        (timedelta(hours=12), SECOND, False),
        (timedelta(hours=12, seconds=1), SECOND, True),
    ],
)
def test_a_session_ends_when_idle_or_after_a_watch(
    since_sign_in: timedelta, since_seen: timedelta, over: bool
) -> None:
    with moment.fixed(NOW):
        assert session_over(NOW - since_sign_in, NOW - since_seen) is over
