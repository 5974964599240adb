"""Coming in: volumes are copied from their media one by one, then unloaded in their order."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from zhengtong.kernel.directory.actors import Actor, node_actor
from zhengtong.kernel.messages.exchange import accept, rewind
from zhengtong.kernel.messages.identity import finder, own_keys
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.roads import commands, hold
from zhengtong.kernel.messages.roads.loading import settle
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.kernel.messages.roads.places import Progress, alone, discard, landed, needs, quiet
from zhengtong.wire import ferry as heads
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.ferry import FerryError, Head


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


def unload(voyage: Voyage, progress: Progress = quiet) -> Voyage:
    """Take in what has landed, from where it was left, up to the first volume that is missing.

    Raises WireError when the link refuses a whole batch; the volume stays, to be tried again.
    """
    with alone(voyage, progress) as moving:
        return _unload(voyage, moving) if voyage.state == State.ARRIVING else voyage


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
