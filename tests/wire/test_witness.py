"""Two neighbours watch each other's logs: growth is cosigned, rewriting is found and named."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from tests.wire.builders import CITY, CITY_CARD, FUGOU, FUGOU_CARD, NOW, SHENQIU, batch
from zhengtong.wire import witness
from zhengtong.wire.batch import Batch
from zhengtong.wire.checkpoint import (
    Checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    witnessed_at,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeKeys
from zhengtong.wire.link import REMEMBERED, Lane, Peer
from zhengtong.wire.log import Log
from zhengtong.wire.memory import MemoryTiles
from zhengtong.wire.receipts import log_name
from zhengtong.wire.standing import Witnessed
from zhengtong.wire.store import Store

pytestmark = pytest.mark.usefixtures("suite")


class Watcher:
    """zhoukou, who watches the log of fugou; keeps what a store would keep."""

    def __init__(self) -> None:
        self.peer = Peer("fugou", FUGOU_CARD)
        self.alarms: list[str] = []
        self.cosignatures: list[tuple[int, int]] = []

    def alarm(self, peer: str, code: str, detail: str, proof: bytes) -> None:
        assert peer == "fugou"
        self.alarms.append(code)

    def keep_cosignature(self, peer: str, epoch: int, size: int, line: bytes) -> None:
        self.cosignatures.append((epoch, size))

    def lanes(self, peer: str) -> list[Lane]:
        return []

    def watch(self, shown: Any, at: datetime = NOW, epoch: int = 1) -> None:
        quiet: dict[str, Any] = {"checkpoint": None, "base": 0, "consistency": ()}
        seen = batch(**(quiet | {"cosignature": None} | shown), epoch=epoch)
        self.peer = witness.present(cast(Store, self), self.peer, seen)
        self.peer = witness.watch(cast(Store, self), self.peer, seen, CITY, at)


class Watched:
    """fugou, whose log grows; `of_us` is what it knows of zhoukou."""

    def __init__(self, name: str = "entry") -> None:
        self.log = Log(MemoryTiles(), 0, FUGOU.suite.hash)
        self.of_us = Peer("zhoukou", FUGOU_CARD)
        self.name = name

    def grow(self, number: int) -> Watched:
        self.log.append([f"{self.name} {self.log.size + at}".encode() for at in range(number)])
        return self

    def show(self, epoch: int = 1) -> Any:
        return witness.show(epoch, self.log, self.of_us, FUGOU)

    def cosigned_by(self, watcher: Watcher, keys: NodeKeys = CITY) -> None:
        """The watcher's line comes back."""
        from tests.wire.builders import CITY_CARD

        answer = batch(checkpoint=None, cosignature=watcher.peer.cosigned)
        peer = Peer("zhoukou", CITY_CARD, witnessed=self.of_us.witnessed)
        self.of_us = witness.witnessed(cast(Store, watcher), peer, answer, 1, self.log, "fugou")


def met() -> tuple[Watched, Watcher]:
    watched, watcher = Watched().grow(5), Watcher()
    watcher.watch(watched.show())
    watched.cosigned_by(watcher)
    return watched, watcher


def test_a_log_that_only_grows_is_cosigned_every_time() -> None:
    watched, watcher = met()
    for number in (1, 100, 300):
        watcher.watch(watched.grow(number).show())
        watched.cosigned_by(watcher)
        assert watcher.peer.seen.mark == Witnessed(1, watched.log.size)
        assert watched.of_us.witnessed == Witnessed(1, watched.log.size)
    assert watcher.alarms == []
    assert watched.show() == {}, "nothing new to show"


def test_the_cosignature_says_when_and_holds_for_that_checkpoint_only() -> None:
    watched, watcher = met()
    assert watcher.peer.cosigned is not None
    note, line = watcher.peer.cosigned.split(b"\xe2\x80\x94 zhoukou ")
    line = b"\xe2\x80\x94 zhoukou " + line
    head = verify_checkpoint(note, FUGOU_CARD)
    assert head == Checkpoint(log_name("fugou"), 5, watched.log.root(5))
    assert witnessed_at(head, line, CITY_CARD) == NOW.replace(microsecond=0)
    other = Checkpoint(log_name("fugou"), 5, bytes(32))
    with pytest.raises(WireError) as refused:
        witnessed_at(other, line, CITY_CARD)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_lost_cosignature_costs_one_turn() -> None:
    """The proof then sets out from an older size, until the cosignature has come after all."""
    watched, watcher = met()
    for _ in range(REMEMBERED - 1):
        watcher.watch(watched.grow(3).show())
    assert watcher.peer.seen.mark.size == 8
    watched.cosigned_by(watcher)
    watcher.watch(watched.grow(3).show())
    assert watcher.peer.seen.mark.size == watched.log.size
    assert watcher.alarms == []


def test_what_was_rewritten_behind_an_older_cosignature_is_never_believed() -> None:
    """Both logs extend the five entries cosigned first; the watcher has seen one of them."""
    watched, watcher = met()
    forged = Watched()
    forged.grow(5).of_us = watched.of_us
    watcher.watch(watched.grow(5).show())
    forged.name = "forged"
    for days in range(4):
        watcher.watch(forged.grow(7).show(), NOW + days * witness.PATIENCE)
        assert watcher.peer.seen.mark == Witnessed(1, 10)
    assert watcher.alarms == [witness.UNVERIFIED] * 2


@pytest.mark.parametrize("grown", [0, 1, 60])
def test_a_rewritten_log_is_found(grown: int) -> None:
    """Same name, other entries: as long as the old one, or longer."""
    watched, watcher = met()
    forged = Watched("forged").grow(5 + grown)
    forged.of_us = watched.of_us if grown else forged.of_us
    with pytest.raises(WireError) as refused:
        watcher.watch(forged.show())
    assert refused.value.code is Refusal.FORKED_LOG


def test_a_log_that_became_shorter_raises_an_alarm() -> None:
    _, watcher = met()
    watcher.watch(Watched().grow(4).show())
    assert watcher.alarms == [], "an earlier batch may have been overtaken"
    watcher.watch(Watched().grow(4).show(), NOW + 2 * witness.PATIENCE)
    assert watcher.alarms == [witness.ROLLED_BACK]
    assert watcher.peer.seen.mark == Witnessed(1, 5), "what is known stays known"


def test_a_log_begun_anew_is_taken_up_and_told() -> None:
    _, watcher = met()
    watcher.watch(Watched("anew").grow(2).show(epoch=2), epoch=2)
    assert watcher.alarms == [witness.RESTARTED]
    assert watcher.peer.seen.mark == Witnessed(2, 2)


def test_an_empty_log_is_cosigned_too_so_that_its_name_is_proven() -> None:
    watched, watcher = Watched(), Watcher()
    watcher.watch(watched.show())
    watched.cosigned_by(watcher)
    assert watcher.peer.seen.mark == watched.of_us.witnessed == Witnessed(1, 0)
    assert watched.show(), "its watcher may forget, and would say the same that it says now"


def test_to_show_the_log_of_another_epoch_than_the_batch_is_a_contradiction() -> None:
    """The node has signed both: that it lives in this epoch, and that this is its log."""
    with pytest.raises(WireError) as refused:
        Watcher().watch(Watched().grow(9).show(epoch=1), epoch=2)
    assert refused.value.code is Refusal.FORKED_LOG


def test_a_node_that_never_proves_its_growth_is_told_after_a_while() -> None:
    watched, watcher = met()
    watched.of_us = Peer("zhoukou", FUGOU_CARD)  # it claims to have no cosignature, for ever
    watcher.watch(watched.grow(3).show())
    assert watcher.alarms == []
    watcher.watch(watched.grow(3).show(), NOW + witness.PATIENCE + timedelta(seconds=1))
    assert watcher.alarms == [witness.UNVERIFIED]


def test_the_log_of_another_node_is_refused() -> None:
    watcher = Watcher()
    head = sign_checkpoint(Checkpoint(log_name("shenqiu"), 1, bytes(32)), SHENQIU)
    with pytest.raises(WireError) as refused:
        watcher.watch({"checkpoint": head})
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_forged_cosignature_is_refused() -> None:
    watched, watcher = Watched().grow(5), Watcher()
    watcher.watch(watched.show())
    line = bytearray(watcher.peer.cosigned or b"")
    line[-6] ^= 1
    answer: Batch = batch(cosignature=bytes(line))
    with pytest.raises(WireError):
        witness.witnessed(
            cast(Store, watcher), Peer("zhoukou", CITY_CARD), answer, 1, watched.log, "fugou"
        )
