"""The ferry: batches on discs and sticks that a person carries over an air gap.

Going out: `make` loads a voyage that was ordered. Coming in: `land` copies a volume from its disc,
`unload` takes in what has landed, in order. Every one can be killed at any moment and called again.
The link knows nothing of all this: a voyage that never arrives is a road that lost its batches.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from zhengtong.kernel import leases, moment
from zhengtong.kernel.directory.actors import Actor, node_actor
from zhengtong.kernel.errors import AboveCeiling, HouseError, Refused, Unavailable
from zhengtong.kernel.labels import Level, may_enter
from zhengtong.kernel.messages import sealing
from zhengtong.kernel.messages.exchange import accept, compose, rewind, to_say
from zhengtong.kernel.messages.identity import card_of, finder, own_card, own_keys
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import commands, hold
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.wire import ferry as heads
from zhengtong.wire.batch import Batch, decode_batch
from zhengtong.wire.envelope import read_header
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.ferry import MAX_VOLUMES, FerryError, Head
from zhengtong.wire.ferry import Voyage as Statement
from zhengtong.wire.suite import Rng

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Hears what is done and what there is in all; 0 in all: not known yet."""
LEASE = 60.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


# ── where the files are ──


def folder_of(voyage: Voyage) -> Path:
    """Where the volumes of a voyage are: one that leaves, or what has landed of one that comes."""
    if voyage.folder:
        return Path(voyage.folder)
    way = "out" if voyage.leaving else "in"
    return settings.NODE.home / "ferry" / way / voyage.voyage


def landed(voyage: Voyage, number: int) -> Path:
    """The file of a volume that has been copied from its disc and not been unloaded yet."""
    return folder_of(voyage) / f"{number:04}{hold.ENDING}"


def absent(voyage: Voyage) -> list[int]:
    """The volumes of an arriving voyage that have not come yet."""
    if voyage.state != State.ARRIVING:
        return []
    numbers = range(voyage.volume, len(voyage.volumes) + 1)
    return [number for number in numbers if not landed(voyage, number).exists()]


def take_lease(neighbour: Neighbour) -> bool:
    """Only one process at a time loads or unloads for a neighbour."""
    return leases.take(_lease(neighbour), leases.holder(), LEASE)


def _lease(neighbour: Neighbour) -> str:
    return f"ferry-{neighbour.pk}"


@contextmanager
def _alone(voyage: Voyage, progress: Progress) -> Iterator[Callable[[], None]]:
    """Wait until nobody else works for this neighbour; `voyage` then is as it stands.

    What is given is to be called now and then, to remain alone.
    """
    while not take_lease(voyage.neighbour):
        time.sleep(0.3)
        voyage.refresh_from_db()
        progress(voyage.done, voyage.size)
    renew_at = time.monotonic() + LEASE / 3

    def renew() -> None:
        nonlocal renew_at
        if time.monotonic() > renew_at:
            take_lease(voyage.neighbour)
            renew_at = time.monotonic() + LEASE / 3

    try:
        voyage.refresh_from_db()
        yield renew
    finally:
        leases.give_back(_lease(voyage.neighbour), leases.holder())


# ── going out ──


@dataclass
class Load:
    """What has been loaded so far."""

    level: int = 0
    cargo: dict[str, list[int]] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)

    @property
    def letters(self) -> int:
        return sum(letters for letters, _ in self.cargo.values())

    def add(self, batch: Batch, ceiling: int, title: str) -> None:
        """Count a batch's letters. Raises AboveCeiling for what may not go there."""
        for letter in batch.letters:
            header = read_header(letter.envelope)
            if not may_enter(header.level, ceiling):
                raise AboveCeiling(
                    f"第 {letter.sequence} 号信件密级为“{Level(header.level).word}”，"
                    f"“{title}”最高只能接收“{Level(ceiling).word}”信息。本航次未制作。"
                )
            self.level = max(self.level, header.level)
            counted = self.cargo.setdefault(str(batch.standing.lane), [0, 0])
            counted[0] += 1
            counted[1] += len(letter.envelope)
            self.marks[str(batch.standing.lane)] = letter.sequence


def make(
    voyage: Voyage,
    progress: Progress = quiet,
    *,
    volumes: int = MAX_VOLUMES,
    rng: Rng = os.urandom,
) -> Voyage:
    """Load an ordered voyage on at most so many volumes and write them, all or none.

    Raises Refused (nothing to say, disc full or unwritable), AboveCeiling; then the voyage is void
    and everything it would have carried is loaded next time.
    """
    with _alone(voyage, progress) as still:

        def noted(done: int, total: int) -> None:
            still()
            progress(done, total)

        return _make(voyage, noted, volumes, rng) if voyage.state == State.MAKING else voyage


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
    ceiling, saved = commands.ceiling_of(neighbour), 0
    lanes = _lanes(neighbour, set())
    if not lanes and voyage.number == 1:
        lanes = (Lane.NORMAL,)  # the first voyage to a new neighbour says who we are
    if not lanes:
        raise Refused(f"没有要送往“{neighbour.title}”的信件和回执，不必制作。")
    silent: set[int] = set()
    while lanes and (target.number < volumes or target.has_room()):
        data = compose(neighbour.name, lanes[0])
        batch = decode_batch(data, {own.signing_kid: own}.get, receiver=neighbour.name)
        load.add(batch, ceiling, neighbour.title)
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


def full_or(error: Exception, other: HouseError) -> HouseError:
    """The words for a full disk of ours, if that is what it was."""
    full = isinstance(error, OSError) and error.errno in FULL
    return Unavailable("full") if full else other


def _give_up(voyage: Voyage, why: str) -> None:
    """Void a voyage that could not be made. Should even this fail, the next order does it."""
    try:
        if Voyage.objects.filter(pk=voyage.pk, state=State.MAKING).exists():
            commands.lose(node_actor({"ferry.lose"}), voyage.pk, why)
    except Exception:
        log.exception("voyage %s could not be given up", voyage.name)


def discard(voyage: Voyage) -> None:
    """Remove the files this node keeps of a voyage."""
    if not voyage.folder:
        shutil.rmtree(folder_of(voyage), ignore_errors=True)


# ── coming in ──


def read_head(data: bytes) -> Head:
    """The head of a volume that a neighbour sent us, from its first bytes. Raises WireError."""
    return heads.read_head(
        data,
        finder(*Neighbour.objects.all()),
        receiver=settings.NODE.name,
        ceiling=int(settings.NODE.ceiling),
    )


def read_head_of(path: Path) -> Head:
    """The head of the volume in a file. Raises WireError, OSError."""
    with path.open("rb") as file:
        return read_head(file.read(heads.HEAD))


def land(actor: Actor, source: Path, progress: Progress = quiet) -> tuple[Voyage, Head]:
    """Copy one volume from its medium, checking every byte; again and in any order without harm.

    Raises WireError (a FerryError names volume and bytes), Denied, Refused, OSError.
    """
    head = read_head_of(source)
    voyage = commands.bring(actor, head)
    if needs(voyage, head.volume):
        size = head.extent.size
        hold.land(source, head, landed(voyage, head.volume), lambda done: progress(done, size))
    return voyage, head


def needs(voyage: Voyage, number: int) -> bool:
    """Whether a volume has neither landed nor been unloaded."""
    arriving = voyage.state == State.ARRIVING and number >= voyage.volume
    return arriving and not landed(voyage, number).exists()


def unload(voyage: Voyage, progress: Progress = quiet) -> Voyage:
    """Take in what has landed, from where it was left, up to the first volume that is missing.

    Raises WireError when the link refuses a whole batch; the volume stays, to be tried again.
    """
    with _alone(voyage, progress) as still:

        def noted(done: int, total: int) -> None:
            still()
            progress(done, total)

        return _unload(voyage, noted) if voyage.state == State.ARRIVING else voyage


def _unload(voyage: Voyage, progress: Progress) -> Voyage:
    for number in range(1, voyage.volume):
        landed(voyage, number).unlink(missing_ok=True)
    while (path := landed(voyage, voyage.volume)).exists():
        try:
            _unload_volume(voyage, path, progress)
        except WireError as error:
            if isinstance(error, FerryError):  # damaged on our own disk: bring it once more
                path.unlink()
            voyage.problem = error.zh[:500]
            voyage.save(update_fields=["problem"])
            raise
        voyage.volume, voyage.place = voyage.volume + 1, 0
        voyage.save(update_fields=["volume", "place", "done"])
        path.unlink()
    if voyage.volume > len(voyage.volumes):
        voyage = commands.imported(node_actor({"ferry.imported"}), voyage.pk)
        discard(voyage)
        settle()
    return voyage


def _unload_volume(voyage: Voyage, path: Path, progress: Progress) -> None:
    before = sum(size for size, _, _ in voyage.volumes[: voyage.volume - 1])
    size, batches, _ = voyage.volumes[voyage.volume - 1]
    with hold.opened(path, read_head_of(path)) as volume:
        for batch in volume.batches(own_keys(), skip=voyage.place):
            _take(voyage, batch)
            voyage.place += 1
            voyage.done = before + size * voyage.place // batches
            voyage.save(update_fields=["place", "done"])
            progress(voyage.done, voyage.size)


def _take(voyage: Voyage, batch: bytes) -> None:
    """Hand a batch to the link. One that a later batch has overtaken is left out.

    Either it was taken before, or a later voyage has come first: then the link asks for all that
    we lack, and offers again what they may not have.
    """
    try:
        accept(batch)
    except WireError as error:
        if error.code is not Refusal.REPLAYED:
            raise
        ours = Voyage.objects.filter(neighbour=voyage.neighbour, leaving=False)
        if ours.filter(number__gt=voyage.number, state=State.IMPORTED).exists():
            rewind(voyage.neighbour.name)


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


# ── by itself ──


def work() -> bool:
    """The worker's part: make what was ordered on a page, unload what has landed."""
    worked = False
    for voyage in Voyage.objects.filter(state__in=(State.MAKING, State.ARRIVING), problem=""):
        making = voyage.state == State.MAKING and not voyage.folder
        arriving = voyage.state == State.ARRIVING and landed(voyage, voyage.volume).exists()
        if (making or arriving) and take_lease(voyage.neighbour):
            try:
                make(voyage) if making else unload(voyage)
            except (HouseError, WireError) as error:  # noted with the voyage
                log.warning("voyage %s: %s", voyage.name, error)
            worked = True
    return bool(settle()) or worked
