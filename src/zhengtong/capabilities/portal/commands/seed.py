"""The sites and columns a city begins with, the same on every node. Data, not decisions.

Column types are those of 国办发〔2017〕47号; the columns are those a prefecture's site usually has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zhengtong.capabilities.portal.commands.baking import touch
from zhengtong.capabilities.portal.domain.address import RESERVED
from zhengtong.capabilities.portal.domain.colour import stylesheet
from zhengtong.capabilities.portal.models import Ask, Column, Site
from zhengtong.kernel.commands import Act, command

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ColumnSeed:
    """One column: key, name, ColumnType, the question it answers, what it is about, keywords."""

    key: str
    name: str
    type: str
    ask: Ask
    description: str
    keywords: str
    on_home: bool = False


@dataclass(frozen=True, slots=True)
class SiteSeed:
    """One site and its columns in order."""

    key: str
    values: Values
    columns: tuple[ColumnSeed, ...] = field(default=())


CITY = "周口市人民政府办公室"
MAIN = SiteSeed(
    "zhoukou",
    {
        "name": "周口市政府信息网（演示）",
        "domain": "www.zhoukou.example",
        "id_code": "0000000000",
        "organisation": f"{CITY}（演示）",
        "contact": "演示站点，不设电话",
        "main": True,
    },
    (
        ColumnSeed(
            "zwyw",
            "政务要闻",
            "工作动态",
            Ask.NEW,
            "市政府重要会议、活动和工作部署",
            "要闻,会议,活动",
            True,
        ),
        ColumnSeed(
            "tzgg",
            "通知公告",
            "工作动态",
            Ask.NEW,
            "面向社会公众的通知、公告和通告",
            "通知,公告,通告",
            True,
        ),
        ColumnSeed(
            "zcwj",
            "政策文件",
            "政策文件",
            Ask.KNOW,
            "市政府及市政府办公室印发的文件",
            "文件,政策,规范性文件",
            True,
        ),
        ColumnSeed(
            "xxgk",
            "政府信息公开",
            "信息公开目录",
            Ask.KNOW,
            "主动公开的机构职能、规划、财政等信息",
            "公开,目录,指南",
            True,
        ),
        ColumnSeed(
            "zcjd",
            "政策解读",
            "政策解读",
            Ask.KNOW,
            "用平实的语言说明政策的来龙去脉和办理要点",
            "解读,问答",
        ),
        ColumnSeed(
            "bsfw",
            "办事服务",
            "办事服务",
            Ask.DO,
            "个人和企业办事的条件、材料、时限和流程",
            "办事,服务,指南",
        ),
        ColumnSeed(
            "bmts",
            "便民提示",
            "办事服务",
            Ask.DO,
            "停水停电、道路施工、出行和天气提示",
            "便民,提示",
        ),
        ColumnSeed(
            "hdjl",
            "互动交流",
            "咨询投诉",
            Ask.WHOM,
            "群众来信的答复和网上调查的结果",
            "来信,答复,调查",
        ),
        ColumnSeed(
            "yjzj",
            "意见征集",
            "征集调查",
            Ask.WHOM,
            "重大决策草案公开征求意见及采纳情况",
            "征求意见,草案",
        ),
    ),
)
WATER = SiteSeed(
    "shuili",
    {
        "name": "周口市水利局（演示子站）",
        "domain": "slj.zhoukou.example",
        "organisation": "周口市水利局（演示）",
        "contact": "演示站点，不设电话",
        "accent": "#0f5f7a",
        "order": 1,
    },
    (
        ColumnSeed("dongtai", "工作动态", "工作动态", Ask.NEW, "水利工作进展", "水利,动态", True),
        ColumnSeed(
            "wenjian", "部门文件", "政策文件", Ask.KNOW, "市水利局印发的文件", "水利,文件", True
        ),
        ColumnSeed(
            "zhineng", "机构职能", "机构职能", Ask.KNOW, "市水利局的职责和内设机构", "职能,机构"
        ),
    ),
)
EDUCATION = SiteSeed(
    "jiaoyu",
    {
        "name": "周口市教育局（演示子站）",
        "domain": "jyj.zhoukou.example",
        "organisation": "周口市教育局（演示）",
        "contact": "演示站点，不设电话",
        "accent": "#2b5d34",
        "order": 2,
    },
    (
        ColumnSeed("dongtai", "工作动态", "工作动态", Ask.NEW, "教育工作进展", "教育,动态", True),
        ColumnSeed(
            "wenjian", "部门文件", "政策文件", Ask.KNOW, "市教育局印发的文件", "教育,文件", True
        ),
        ColumnSeed(
            "zhaosheng", "招生入学", "办事服务", Ask.DO, "入学政策、划片范围和日程", "招生,入学"
        ),
    ),
)
SITES = (MAIN, WATER, EDUCATION)


@command("portal.seed", title="建立站点和栏目")
def seed(act: Act, wanted: tuple[SiteSeed, ...] = SITES) -> int:
    """Make the sites and columns as described, or bring them up to date; how many changed."""
    changed: set[str] = set()
    for item in wanted:
        if item.values.get("accent"):
            stylesheet(item.values["accent"])  # refuses a colour nobody could read
        site, new = _put(Site, {"key": item.key}, item.values)
        names = {column.key for column in item.columns} | {item.key}
        if names & RESERVED:
            raise ValueError(f"reserved for other pages: {', '.join(sorted(names & RESERVED))}")
        for order, column in enumerate(item.columns):
            values = {
                "name": column.name,
                "type": column.type,
                "ask": column.ask,
                "description": column.description,
                "keywords": column.keywords,
                "on_home": column.on_home,
                "order": order,
            }
            _, altered = _put(Column, {"site": site, "key": column.key}, values)
            new = new or altered
        changed |= {item.key} if new else set()
    if changed:  # every page names the other sites
        touch(f"site:{item.key}" for item in wanted)
    return len(changed)


def _put(model: Any, key: Values, values: Values) -> tuple[Any, bool]:
    """Create or update one row; whether anything changed."""
    found = model.objects.filter(**key).first()
    if found is None:
        return model.objects.create(**key, **values), True
    stale = {name: value for name, value in values.items() if getattr(found, name) != value}
    if stale:
        model.objects.filter(pk=found.pk).update(**stale)
        found.refresh_from_db()
    return found, bool(stale)
