"""What waits for the ferry, and what is to be done about each voyage."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Length

from zhengtong.kernel.messages.models import Letter, LinkLane, Neighbour, Sent
from zhengtong.kernel.messages.pieces import PIECE, FilePiece
from zhengtong.kernel.messages.roads import ferry
from zhengtong.kernel.messages.roads.commands import ROAD
from zhengtong.kernel.messages.roads.models import State, Voyage


@dataclass
class Waiting:
    """What a neighbour would get with the next voyage: [letters, bytes (about)] by lane."""

    neighbour: Neighbour
    lanes: dict[int, list[int]] = field(default_factory=dict)
    newest: Voyage | None = None

    @property
    def letters(self) -> int:
        return sum(letters for letters, _ in self.lanes.values())

    @property
    def size(self) -> int:
        return sum(size for _, size in self.lanes.values())


def waiting() -> list[Waiting]:
    """Every neighbour that no line leads to, those first for whom something waits."""
    found = []
    for neighbour in Neighbour.objects.filter(suspended=False, road=ROAD).order_by("name"):
        row = Waiting(neighbour)
        for lane, number, size in (*_unsealed(neighbour), *_sealed(neighbour)):
            counted = row.lanes.setdefault(lane, [0, 0])
            counted[0] += number
            counted[1] += size or 0
        row.lanes = dict(sorted(row.lanes.items()))
        row.newest = voyages().filter(neighbour=neighbour, leaving=True).first()
        found.append(row)
    return sorted(found, key=lambda row: not row.letters)


def _unsealed(neighbour: Neighbour) -> list[tuple[int, int, int]]:
    rows = Letter.objects.filter(neighbour=neighbour, waiting=True).order_by()
    found = []
    for kind in (True, False):
        part = (
            rows.filter(message__kind=FilePiece.kind)
            if kind
            else rows.exclude(message__kind=FilePiece.kind)
        )
        for lane, number, size in part.values_list("lane").annotate(
            number=Count("pk"), size=Sum(Length("message__body"))
        ):
            found.append((lane, number, number * PIECE if kind else size))
    return found


def _sealed(neighbour: Neighbour) -> list[tuple[int, int, int]]:
    """Numbered letters that no road has been given since it last lost something."""
    found = []
    for lane in LinkLane.objects.filter(neighbour=neighbour):
        handed = max(lane.offered, lane.receipted)
        rows = Sent.objects.filter(neighbour=neighbour, lane=lane.lane, sequence__gt=handed)
        counted = rows.aggregate(number=Count("pk"), size=Sum(Length("envelope")))
        if counted["number"]:
            beside = rows.filter(bulk=True).count() * PIECE
            found.append((lane.lane, counted["number"], counted["size"] + beside))
    return found


def waiting_letters(neighbour: Neighbour) -> int:
    """How many letters a voyage has left behind for the next one."""
    sealed = sum(number for _, number, _ in _sealed(neighbour))
    return sealed + Letter.objects.filter(neighbour=neighbour, waiting=True).count()


def voyages() -> QuerySet[Voyage]:
    """The log, newest first."""
    return Voyage.objects.select_related("neighbour").order_by("-at", "-pk")


def under_way(node: str) -> QuerySet[Voyage]:
    """The voyages to a node whose receipts are not in."""
    return voyages().filter(
        neighbour__name=node, leaving=True, state__in=(State.MAKING, State.MADE)
    )


def arriving() -> list[Voyage]:
    """The voyages of which something may be unloaded, in the order in which they were made."""
    rows = Voyage.objects.filter(state=State.ARRIVING).select_related("neighbour")
    return list(rows.order_by("neighbour", "number"))


def next_step(voyage: Voyage) -> str:
    """What is to be done about a voyage, in plain words."""
    peer = voyage.neighbour.title
    if voyage.problem:
        return voyage.problem
    match voyage.state:
        case State.MAKING:
            return "正在写入，请稍候。"
        case State.MADE if voyage.letters == 0:
            return f"只带回执：请送到“{peer}”导入，不必等回盘。"
        case State.MADE:
            return f"请将全部各卷送到“{peer}”导入，并把对方的回盘带回。"
        case State.RETURNED:
            return "全部信件已有回执，光盘可按规定销毁。"
        case State.ARRIVING:
            absent = ferry.absent(voyage)
            if absent:
                names = "、".join(str(number) for number in absent)
                return f"还缺第 {names} 卷（共 {len(voyage.volumes)} 卷），请接着导入。"
            return "各卷已齐，正在导入。"
        case State.IMPORTED if voyage.letters == 0:
            return "只带来回执，不必作答。"
        case State.IMPORTED:
            return f"请为“{peer}”制作回盘，回执随下一航次带回。"
    return "其中的信件会随下一航次重新装载。"
