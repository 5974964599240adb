"""Going out: everything that waits for a neighbour is loaded on the volumes of one voyage."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import HouseError, Refused
from zhengtong.kernel.messages import sealing
from zhengtong.kernel.messages.exchange import compose, rewind, to_say
from zhengtong.kernel.messages.identity import card_of, own_card, own_keys
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import commands, hold
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.kernel.messages.roads.places import FULL, Progress, alone, discard, folder_of, quiet
from zhengtong.wire.batch import Batch, decode_batch
from zhengtong.wire.envelope import read_header
from zhengtong.wire.errors import WireError
from zhengtong.wire.ferry import MAX_VOLUMES
from zhengtong.wire.ferry import Voyage as Statement
from zhengtong.wire.suite import Rng

log = logging.getLogger(__name__)


@dataclass
class Load:
    """What has been loaded so far."""

    level: int = 0
    cargo: dict[str, list[int]] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    withheld: list[int] = field(default_factory=list)

    @property
    def letters(self) -> int:
        return sum(letters for letters, _ in self.cargo.values())

    def add(self, batch: Batch) -> None:
        """Count a batch's letters; what may not go there is aboard as a mere hash, of no level."""
        for letter in batch.letters:
            if letter.withheld:
                self.withheld.append(letter.sequence)
            else:
                self.level = max(self.level, read_header(letter.envelope).level)
            counted = self.cargo.setdefault(str(batch.standing.lane), [0, 0])
            counted[0] += 1
            counted[1] += letter.size
            self.marks[str(batch.standing.lane)] = letter.sequence


def make(
    voyage: Voyage,
    progress: Progress = quiet,
    *,
    volumes: int = MAX_VOLUMES,
    rng: Rng = os.urandom,
) -> Voyage:
    """Load an ordered voyage on at most so many volumes and write them, all or none.

    Raises Refused (nothing to say, disc full or unwritable); then the voyage is void and everything
    it would have carried is loaded next time.
    """
    with alone(voyage, progress) as moving:
        return _make(voyage, moving, volumes, rng) if voyage.state == State.MAKING else voyage


def _make(voyage: Voyage, progress: Progress, volumes: int, rng: Rng) -> Voyage:
    folder = folder_of(voyage)
    target: hold.Hold | None = None
    try:
        if voyage.done:  # begun once by a process that died
            hold.remove_parts(folder, voyage.voyage)
            rewind(voyage.neighbour.name)
        voyage.done = 1
        voyage.save(update_fields=["done"])
        target = hold.Hold(
            folder,
            _empty_statement(voyage),
            own_keys(),
            [card_of(voyage.neighbour)],
            voyage.limit,
            rng,
        )
        load = _fill(voyage, target, volumes, progress)
        target.voyage = _empty_statement(voyage, load.level)
        return commands.made(
            node_actor({"ferry.made"}),
            voyage.pk,
            statement=target.finish(),
            cargo=load.cargo,
            marks=load.marks,
            withheld=load.withheld,
        )
    except BaseException as error:
        if target:
            target.abandon()
        refusal = _in_words(error, voyage, target)
        _give_up(voyage, refusal.message)
        if isinstance(error, (OSError, WireError)):
            raise refusal from error
        raise


def _empty_statement(voyage: Voyage, level: int = 0) -> Statement:
    return Statement(
        id=bytes.fromhex(voyage.voyage),
        number=voyage.number,
        sender=settings.NODE.name,
        receiver=voyage.neighbour.name,
        at=voyage.at,
        level=level,
        volumes=(),
    )


def _fill(voyage: Voyage, target: hold.Hold, volumes: int, progress: Progress) -> Load:
    """Put aboard what every lane has to say, most urgent first, while there is room."""
    neighbour, load, own = voyage.neighbour, Load(), own_card()
    saved = 0
    lanes = _lanes(neighbour, set())
    if not lanes and voyage.number == 1:
        lanes = (Lane.NORMAL,)  # the first voyage to a new neighbour says who we are
    if not lanes:
        raise commands.nothing_for(neighbour)
    silent: set[int] = set()
    while lanes and (target.number < volumes or target.has_room()):
        data = compose(neighbour.name, lanes[0])
        batch = decode_batch(data, {own.signing_kid: own}.get, receiver=neighbour.name)
        load.add(batch)
        target.put(data)
        if not (batch.letters or batch.receipts):
            silent.add(lanes[0])
        if target.size - saved > 8 << 20:
            saved = voyage.done = target.size
            voyage.letters = load.letters
            voyage.save(update_fields=["done", "letters"])
        progress(target.size, 0)
        lanes = _lanes(neighbour, silent)
    return load


def _lanes(neighbour: Neighbour, silent: set[int]) -> tuple[int, ...]:
    """The lanes with something to say, most urgent first; seals what waits."""
    while sealing.seal_waiting():
        pass
    return tuple(lane for lane in to_say(neighbour.name) if lane not in silent)


def _in_words(error: BaseException, voyage: Voyage, target: hold.Hold | None) -> HouseError:
    where = f"第 {target.number} 卷" if target else "光盘文件"
    if isinstance(error, HouseError):
        return error
    if isinstance(error, OSError):
        full = Refused(
            f"写{where}时磁盘已满：“{folder_of(voyage)}”。没有留下不完整的文件，信件未丢失。"
            "请换用更大的介质或清理空间后重新制作。"
        )
        other = f"不能写入“{folder_of(voyage)}”（{error.strerror}）。请检查介质后重新制作。"
        return full if error.errno in FULL else Refused(other)
    if isinstance(error, WireError):
        return Refused(error.zh)
    return Refused("制作中断，请重新制作。")


def _give_up(voyage: Voyage, why: str) -> None:
    """Void a voyage that could not be made. Should even this fail, the next order does it."""
    try:
        if Voyage.objects.filter(pk=voyage.pk, state=State.MAKING).exists():
            commands.lose(node_actor({"ferry.lose"}), voyage.pk, why)
    except Exception:
        log.exception("voyage %s could not be given up", voyage.name)


def settle() -> int:
    """Note the voyages whose receipts are all in; how many there were."""
    returned = 0
    for voyage in Voyage.objects.filter(state=State.MADE, letters__gt=0).select_related(
        "neighbour"
    ):
        lanes = LinkLane.objects.filter(neighbour=voyage.neighbour)
        held = dict(lanes.values_list("lane", "receipted"))
        if all(held.get(int(lane), 0) >= mark for lane, mark in voyage.marks.items()):
            Voyage.objects.filter(pk=voyage.pk, state=State.MADE).update(
                state=State.RETURNED, returned_at=moment.now()
            )
            discard(voyage)
            returned += 1
    return returned
