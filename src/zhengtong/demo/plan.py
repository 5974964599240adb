"""The demo city on paper: its nodes, organisations, posts and people.

Places and their codes are real (GB/T 2260, 2026). People, posts and documents are fictional.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

FIRST_PORT = 8100


def organisation_id(code: str) -> UUID:
    """The same identifier for an organisation on every demo node."""
    return uuid5(NAMESPACE_URL, f"zhengtong-demo:{code}")


@dataclass(frozen=True, slots=True)
class Unit:
    """An organisation of the demo. `key` also names its node, when it has one of its own."""

    code: str
    key: str
    name: str
    short_name: str
    kind: str
    symbol: str
    parent: str | None = None

    @property
    def id(self) -> UUID:
        return organisation_id(self.code)


PROVINCE = Unit("410000", "henan", "河南省人民政府办公厅", "省政府办公厅", "province", "豫政办")
CITY = Unit("411600", "zhoukou", "周口市人民政府办公室", "市政府办公室", "city", "周政办", "410000")

COUNTIES = tuple(
    Unit(code, key, f"{name}人民政府", name, "county", symbol, "411600")
    for code, key, name, symbol in (
        ("411602", "chuanhui", "川汇区", "川政"),
        ("411603", "huaiyang", "淮阳区", "淮政"),
        ("411621", "fugou", "扶沟县", "扶政"),
        ("411622", "xihua", "西华县", "西政"),
        ("411623", "shangshui", "商水县", "商政"),
        ("411624", "shenqiu", "沈丘县", "沈政"),
        ("411625", "dancheng", "郸城县", "郸政"),
        ("411627", "taikang", "太康县", "太政"),
        ("411628", "luyi", "鹿邑县", "鹿政"),
        ("411681", "xiangcheng", "项城市", "项政"),
    )
)
DEPARTMENTS = tuple(
    Unit(f"411600-{number:02}", key, f"周口市{name}", f"市{name}", "department", symbol, "411600")
    for number, (key, name, symbol) in enumerate(
        (
            ("fagai", "发展和改革委员会", "周发改"),
            ("jiaoyu", "教育局", "周教"),
            ("minzheng", "民政局", "周民"),
            ("caizheng", "财政局", "周财"),
            ("shuili", "水利局", "周水"),
            ("nongye", "农业农村局", "周农"),
            ("weijian", "卫生健康委员会", "周卫"),
            ("yingji", "应急管理局", "周应急"),
        ),
        start=1,
    )
)
UNITS = (*COUNTIES, *DEPARTMENTS)
ALL = (PROVINCE, CITY, *UNITS)
OWN_NODE = ("fugou", "shenqiu")


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its name, zone, port, parent and the organisations it hosts."""

    name: str
    title: str
    zone: str
    port: int
    parent: str | None
    units: tuple[Unit, ...]

    @property
    def url(self) -> str:
        """Where people go: plain, since no browser knows the demo's own authority."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def exchange_port(self) -> int:
        """Where the neighbours are received, over TLS."""
        return self.port + 100


def nodes(wanted: int, first_port: int = FIRST_PORT) -> tuple[NodePlan, ...]:
    """The nodes of the demo: 5 by default; 18 gives each of the 18 units a node of its own.

    Raises ValueError for any other number.
    """
    if wanted not in (5, 18):
        raise ValueError("NODES is 5 (default) or 18 (every unit on a node of its own)")
    apart = UNITS if wanted == 18 else tuple(unit for unit in UNITS if unit.key in OWN_NODE)
    hosted = tuple(unit for unit in UNITS if unit not in apart)
    ports = iter(range(first_port, first_port + 100))
    return (
        NodePlan("henan", "河南省节点", "private", next(ports), None, (PROVINCE,)),
        NodePlan("zhoukou", "周口市中心节点", "private", next(ports), "henan", (CITY, *hosted)),
        NodePlan("zhoukou-portal", "周口市门户节点", "public", next(ports), "zhoukou", ()),
        *(
            NodePlan(unit.key, f"{unit.short_name}节点", "private", next(ports), "zhoukou", (unit,))
            for unit in apart
        ),
    )


CLERK = (
    "documents.draft documents.revise documents.submit documents.drop documents.dispatch "
    "documents.remind documents.recall documents.resend_to documents.answer_recall "
    "documents.sign_for documents.register documents.return documents.read "
    "documents.close documents.offer documents.export_evidence"
).split()
LEADER = (
    "documents.issue documents.instruct documents.read documents.countersign documents.review"
).split()
REVIEWER = "documents.review documents.read".split()
RELEASER = (
    "portal.release portal.confirm_release portal.revise portal.reject portal.withdraw".split()
)
AUDITOR = "audit.read documents.export_evidence".split()
KEEPER = (
    "links.read links.clear links.export_evidence messages.resend messages.retry nodes.read "
    "membership.invite membership.withdraw membership.approve membership.refuse "
    "membership.suspend membership.resume membership.expel ferry.export ferry.import ferry.lose"
).split()


@dataclass(frozen=True, slots=True)
class PersonPlan:
    """Somebody in a post: sign-in name, name, post title, division, duties, clearance."""

    sign_in_name: str
    name: str
    title: str
    division: str
    duties: tuple[str, ...]
    clearance: int = 2


def people(unit: Unit) -> Iterator[PersonPlan]:
    """The people of one organisation: a clerk and a leader everywhere, more at the city.

    Where nobody else keeps the network, in a county or department, the clerk does.
    """
    names = _names(unit)
    keeps = () if unit.kind in ("city", "province") else KEEPER
    yield PersonPlan(f"{unit.key}-clerk", next(names), "机要文书", "秘书科", (*CLERK, *keeps))
    if unit.kind == "city":
        yield PersonPlan(f"{unit.key}-reviewer", next(names), "核稿员", "综合科", tuple(REVIEWER))
    yield PersonPlan(f"{unit.key}-leader", next(names), "分管领导", "", tuple(LEADER))
    if unit.kind in ("city", "province"):
        yield PersonPlan(f"{unit.key}-auditor", next(names), "安全审计员", "", tuple(AUDITOR))
    if unit.kind == "city":
        yield PersonPlan(f"{unit.key}-release", next(names), "信息公开审核", "", tuple(RELEASER))
        yield PersonPlan(f"{unit.key}-release2", next(names), "信息公开复核", "", tuple(RELEASER))
    if unit.kind in ("city", "province"):
        yield PersonPlan(f"{unit.key}-keeper", next(names), "网络管理员", "", tuple(KEEPER))
        yield PersonPlan(f"{unit.key}-keeper2", next(names), "网络管理员", "", tuple(KEEPER))


SURNAMES = "陈林郑沈许顾江陆叶苏程傅夏方石姚谭邹熊孟秦"
GIVEN = "知远 若谷 明禾 听雪 望舒 清和 予安 景行 思齐 怀瑾 以宁 书言".split()


def _names(unit: Unit) -> Iterator[str]:
    """Fictional names, different for neighbouring organisations, the same at every start."""
    start = sum(map(ord, unit.key))
    for number in range(len(GIVEN)):
        surname = SURNAMES[(start + 7 * number) % len(SURNAMES)]
        yield surname + GIVEN[(start + 5 * number) % len(GIVEN)]
