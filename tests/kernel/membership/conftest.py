"""A node with a keys folder of its own for each test, and its two administrators."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import build
from tests.federation.neighbour import Poser, dial
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.membership.commands import joining
from zhengtong.kernel.membership.models import Invitation
from zhengtong.kernel.messages import exchange
from zhengtong.kernel.messages.identity import own_card
from zhengtong.kernel.messages.keyfile import create_keys
from zhengtong.wire.batch import Letter
from zhengtong.wire.certificates import create_request
from zhengtong.wire.directory import Hosted
from zhengtong.wire.joining import JoinRequest, ask, new_token
from zhengtong.wire.keys import NodeCard, NodeKeys

DUTIES = [
    "membership.invite",
    "membership.withdraw",
    "membership.approve",
    "membership.refuse",
    "membership.suspend",
    "membership.resume",
    "membership.expel",
]


@dataclass
class House:
    """The node under test and two of its administrators."""

    first: Actor
    second: Actor

    def invite(self, node: str = "xihua", **given: Any) -> tuple[Invitation, bytes]:
        token = new_token()
        values: dict[str, Any] = {
            "title": "西华县节点",
            "zone": "private",
            "ceiling": 2,
            "life": timedelta(days=7),
        }
        made = joining.invite(self.first, node=node, token=token, **(values | given))
        return made, token

    def admit(self, applicant: Applicant) -> Invitation:
        """The whole way in."""
        made, token = self.invite(applicant.name)
        status, _, _ = applicant.knock(token)
        assert status == 202
        joining.approve(self.first, made.pk)
        return joining.approve(self.second, made.pk)


@dataclass
class Applicant:
    """A node that wants to join, made of keys."""

    name: str = "xihua"
    zone: str = "private"
    ceiling: int = 2
    url: str = "https://xihua.example"
    organisations: tuple[Hosted, ...] = ()
    recovery: NodeCard | None = None
    certify: bool = True
    keys: NodeKeys = field(init=False)
    tls_key: bytes = b""
    csr: bytes = b""

    def __post_init__(self) -> None:
        self.keys = NodeKeys.generate(self.name)
        if self.certify:
            self.tls_key, self.csr = create_request(self.name, "intl")

    @property
    def card(self) -> NodeCard:
        return NodeCard.issue(
            self.keys,
            title=f"{self.name}节点",
            zone=self.zone,
            ceiling=self.ceiling,
            url=self.url,
            issued_at=moment.now(),
        )

    def request(self, token: bytes) -> JoinRequest:
        return ask(
            self.keys,
            self.card,
            token=token,
            csr=self.csr,
            recovery=self.recovery,
            organisations=self.organisations,
            at=moment.now(),
        )

    def knock(self, token: bytes) -> tuple[int, str, bytes]:
        """Ask at the node's door: status, refusal code (or ""), the body."""
        return knock(self.request(token).signed)

    def poser(self) -> Peer:
        """This node on the link, once it is admitted."""
        made = Peer(own_card(), self.name)
        made.keys, made.card = self.keys, self.card
        return made


@dataclass
class Peer(Poser):
    """A neighbour that keeps every lane of its link in order: what it sent and what it took."""

    taken: dict[int, int] = field(default_factory=dict)
    ours: dict[int, dict[int, bytes]] = field(default_factory=dict)
    theirs: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def batch(self, *letters: Letter, lane: int = 2, **changes: Any) -> bytes:
        self._turn_to(lane)
        known = {"acknowledged": self.taken.get(lane, 0)}
        return super().batch(*letters, lane=lane, **(known | changes))

    def _turn_to(self, lane: int) -> None:
        self.chains = self.ours.setdefault(lane, {0: bytes(32)})
        self.told = self.theirs.setdefault(lane, {})

    def next(self, *envelopes: bytes) -> list[Letter]:
        """Envelopes under the numbers that come next in the normal lane."""
        self._turn_to(2)
        return self.letters(*envelopes, first=max(self.chains) + 1)

    def send(self, *envelopes: bytes) -> list[Letter]:
        """Hand letters over, which the node takes; the letters."""
        letters = self.next(*envelopes)
        status, code, _ = dial(self.batch(*letters))
        assert (status, code) == (200, "")
        return letters

    def fetch(self, lane: int) -> list[Letter]:
        """What the node has to say in a lane, from the first letter we have not taken."""
        exchange.rewind(self.name)
        return list(self.read(exchange.compose(self.name, lane)).letters)

    def take(self, lane: int, letters: Sequence[Letter], **changes: Any) -> None:
        """Receipt letters of the node under test."""
        self._turn_to(lane)
        self.hears(letters)
        self.taken[lane] = letters[-1].sequence
        receipts = {"receipts": self.receipt(letters, changes.pop("events", None), lane=lane)}
        status, code, _ = dial(self.batch(lane=lane, **(receipts | changes)))
        assert (status, code) == (200, "")

    def changed(self) -> Peer:
        """The same neighbour, at the same place in every lane, with new keys."""
        made = Peer(own_card(), self.name, counter=self.counter)
        made.taken, made.ours, made.theirs = self.taken, self.ours, self.theirs
        made.card = NodeCard.issue(
            made.keys,
            title=self.card.title,
            zone=self.card.zone,
            ceiling=self.card.ceiling,
            url=self.card.url,
            issued_at=moment.now(),
        )
        return made


def knock(data: bytes, path: str = "/exchange/join") -> tuple[int, str, bytes]:
    response = Client().post(path, data, content_type="application/cbor")
    plain = response.status_code not in (200, 202, 204)
    code = json.loads(response.content)["refused"] if plain else ""
    return response.status_code, code, response.content


@pytest.fixture
def house(settings: Any, tmp_path: Path, transactional_db: None) -> House:
    settings.NODE = replace(settings.NODE, home=tmp_path)
    settings.NODE.run.mkdir()
    create_keys(settings.NODE.keys, settings.NODE.name)
    office = build.organisation()
    return House(
        build.person(office, DUTIES, name="李明禾"),
        build.person(office, DUTIES, name="王远岑"),
    )
