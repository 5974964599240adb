"""Officers at their desks: people signed in through the real form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests import build
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Person

Desk = Callable[[Actor], Client]


def sign_in(actor: Actor) -> Client:
    """A browser in which this person has signed in, with CSRF checks on as in life."""
    client = Client(enforce_csrf_checks=True)
    form = client.get("/sign-in")
    assert actor.person is not None
    person = Person.objects.get(pk=actor.person)
    answer = client.post(
        "/sign-in",
        {
            "name": person.sign_in_name,
            "password": build.PASSWORD,
            "csrfmiddlewaretoken": token(form.content.decode()),
        },
    )
    assert answer.status_code == 302, answer.content.decode()
    return client


def token(page: str) -> str:
    """The CSRF token of a page's form."""
    return page.split('name="csrfmiddlewaretoken" value="', 1)[1].split('"', 1)[0]


@pytest.fixture
def desk() -> Desk:
    return sign_in
