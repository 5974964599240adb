"""`zhengtong node road|nats-config`: the road to a neighbour, and the files of its server."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from tests.cli.inside import Inside
from tests.federation.neighbour import Poser
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.messages.identity import own_card
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.roads.links import on_road
from zhengtong.kernel.messages.roads.nkeys import make_seed, public_of
from zhengtong.kernel.node import Nats, Parent

pytestmark = pytest.mark.django_db
HUB = Nats("127.0.0.1:4222", leaves="127.0.0.1:7422")
LEAF = Nats("127.0.0.1:4222", above="127.0.0.1:7422")


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Path:
    """The node under test in a folder of its own, with a child, and a NATS server to be."""
    Poser(own_card()).admitted()
    shutil.copytree(settings.NODE.keys, tmp_path / "keys")
    settings.NODE = replace(settings.NODE, home=tmp_path, nats=HUB)
    return tmp_path


def test_a_child_is_reached_over_nats_once_its_key_is_known(inside: Inside, home: Path) -> None:
    assert inside("node", "road", "fugou", "nats").code == 0
    assert on_road("nats") == ["fugou"] and on_road("https") == []
    assert AuditEntry.objects.filter(verb="messages.choose_road").count() == 1
    before = inside("node", "nats-config", "--hub")
    assert (before.code, "Left out: fugou" in before.out) == (0, True)

    key = public_of(make_seed(os.urandom))
    assert inside("node", "road", "fugou", "nats", "--key", key).code == 0
    after = inside("node", "nats-config", "--hub")
    assert (after.code, "Left out" in after.out) == (0, False)
    assert key in (home / "nats" / "server.conf").read_text()
    assert inside("node", "road", "fugou", "https").code == 0
    assert on_road("https") == ["fugou"]


def test_what_cannot_be_is_refused_with_the_remedy(
    inside: Inside, home: Path, settings: Settings
) -> None:
    slip = inside("node", "road", "fugou", "nats", "--key", "UABC")
    assert (slip.code, "nats-config" in slip.err) == (1, True)
    assert inside("node", "road", "xihua", "nats").code == 1
    assert Neighbour.objects.get().road == "https"
    assert "[parent]" in inside("node", "nats-config", "--leaf").err
    settings.NODE = replace(settings.NODE, nats=LEAF)
    assert "leaves" in inside("node", "nats-config", "--hub").err
    settings.NODE = replace(settings.NODE, nats=None)
    for words in (("nats-config",), ("road", "fugou", "nats")):
        said = inside("node", *words)
        assert (said.code, "[nats]" in said.err) == (1, True)
    parent = Parent("fugou", "http://127.0.0.1:1", "nats")
    settings.NODE = replace(settings.NODE, nats=LEAF, parent=parent)
    assert "`[parent] road`" in inside("node", "road", "fugou", "https").err


def test_a_leaf_prints_the_key_its_parent_needs(
    inside: Inside, home: Path, settings: Settings
) -> None:
    parent = Parent("fugou", "http://127.0.0.1:1", "nats")
    settings.NODE = replace(settings.NODE, nats=LEAF, parent=parent)
    said = inside("node", "nats-config", "--leaf")
    found = re.search(r"zhengtong node road test nats --key (U\w+)", said.out)
    assert found and said.code == 0
    assert public_of((home / "keys" / "nats-leaf.seed").read_text()) == found[1]
    assert on_road("nats") == ["fugou"], "node.toml decides about the parent"
    assert Neighbour.objects.get().road == "nats", "and the page of links shows it"
