"""`zhengtong node card|admit|list`: nodes come to know each other, and no false card gets in."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.cli.inside import Inside, Said
from tests.federation.neighbour import Poser
from zhengtong.wire.keys import NodeCard

pytestmark = pytest.mark.django_db


@pytest.fixture
def fugou(inside: Inside) -> Poser:
    """A neighbour to be, which has got our card."""
    return Poser(NodeCard.from_json(json.loads(inside("node", "card").out)))


def _admit(inside: Inside, card: object, folder: Path, *words: str) -> Said:
    path = folder / "card.json"
    path.write_text(card if isinstance(card, str) else json.dumps(card, ensure_ascii=False))
    return inside("node", "admit", path, *words)


def test_cards_are_given_admitted_and_listed(inside: Inside, fugou: Poser, tmp_path: Path) -> None:
    assert (fugou.node.node, fugou.node.title) == ("test", "测试节点")
    card = fugou.card.to_json()
    done = _admit(inside, card, tmp_path)
    assert done.code == 0
    assert fugou.card.signing_kid.hex() in done.out, "to be compared by telephone"
    assert _admit(inside, card, tmp_path).code == 0, "again, without harm"
    listed = inside("node", "list")
    assert (listed.code, listed.out.count("fugou"), "never" in listed.out) == (0, 1, True)


def test_a_false_card_is_refused(inside: Inside, fugou: Poser, tmp_path: Path) -> None:
    card = fugou.card.to_json()
    signed = bytearray(base64.urlsafe_b64decode(str(card["card"])))
    signed[-1] ^= 1
    false = {
        "a title that was edited": card | {"title": "省节点"},
        "a ceiling that was raised": card | {"ceiling": 5},
        "an altered signature": card | {"card": base64.urlsafe_b64encode(signed).decode()},
        "no card inside": {"node": "fugou"},
        "a list": [1, 2],
        "no JSON": "card",
    }
    for name, text in false.items():
        done = _admit(inside, text, tmp_path)
        assert (done.code, "card" in done.err) == (1, True), name
    missing = inside("node", "admit", tmp_path / "none.json")
    assert (missing.code, "cannot read" in missing.err) == (1, True)
    assert inside("node", "list").out == ""


def test_a_node_does_not_admit_itself(inside: Inside, tmp_path: Path) -> None:
    done = _admit(inside, inside("node", "card").out, tmp_path)
    assert (done.code, "itself" in done.err) == (1, True)


def test_other_keys_replace_those_admitted_only_when_told(
    inside: Inside, fugou: Poser, tmp_path: Path
) -> None:
    """Somebody else may call himself fugou; and an old card of the true one may turn up."""
    older = fugou.card.to_json()
    assert _admit(inside, fugou.card_of(fugou.keys).to_json(), tmp_path).code == 0
    stranger = Poser(fugou.node).card.to_json()
    done = _admit(inside, stranger, tmp_path)
    assert (done.code, "another key" in done.err, "--replace" in done.err) == (1, True, True)
    done = _admit(inside, older, tmp_path)
    assert (done.code, "older" in done.err) == (1, True)
    assert _admit(inside, stranger, tmp_path, "--replace").code == 0
