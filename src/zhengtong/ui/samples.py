"""Plainly fictional data for the style guide's pages."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.core.paginator import Paginator

from zhengtong.ui.pieces import Cell, Entry, MatrixRow, NavItem, Site

NOW = datetime(2026, 11, 23, 1, 20, tzinfo=UTC)
NUMBER = "周演政办〔2026〕17号"
TITLE = "关于做好今冬明春农田水利设施检修工作的通知"
FILES = [("水利设施检修清单.xlsx", 38_700), ("检修技术要点.pdf", 2_411_000)]

OFFICE = Site(name="周口市政通（演示）", demo=True)
PORTAL = Site(
    name="周口信息网（演示）",
    demo=True,
    organisation="演示市人民政府办公室",
    domain="portal.example",
    id_code="0000000000",
    contact="0000-0000000",
    footer=(("网站地图", "#"), ("无障碍说明", "#"), ("网站年度报表", "#"), ("联系我们", "#")),
)


class OpinionForm(forms.Form):
    """One of every control, three of them wrong."""

    use_required_attribute = False

    title = forms.CharField(label="标题", help_text="事由加文种，如“关于……的通知”")
    due = forms.DateField(
        label="办结期限",
        error_messages={"required": "请填写办结期限"},
        help_text="可直接输入，如 2026-12-01",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    decision = forms.ChoiceField(
        label="处理意见",
        error_messages={"required": "请选择同意或者退回"},
        choices=[("agree", "同意，转承办单位办理"), ("back", "退回拟稿人修改")],
        widget=forms.RadioSelect,
        help_text="选定后将立即通知下一环节的办理人",
    )
    units = forms.MultipleChoiceField(
        label="抄送",
        choices=[("fg", "市发展改革委"), ("sl", "市水利局"), ("ny", "市农业农村局")],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    urgency = forms.ChoiceField(
        label="紧急程度", choices=[("plain", "平件"), ("fast", "加急"), ("top", "特急")]
    )
    opinion = forms.CharField(
        label="意见", widget=forms.Textarea, required=False, help_text="自动保存在本机"
    )
    attachment = forms.FileField(
        label="附件", required=False, help_text="PDF、OFD 或表格，不超过 50 MB"
    )
    remind = forms.BooleanField(label="到期前一个工作日提醒我", required=False)

    def clean_opinion(self) -> str:
        opinion = str(self.cleaned_data["opinion"])
        if opinion == "阅":
            raise forms.ValidationError("批示意见请写明要求，不能只写一个“阅”字")
        return opinion


def office() -> dict[str, Any]:
    """The context that the office layout needs on every page."""
    nav = [
        NavItem("待办中心", "?sample=list", active=True, count=12, group="我的工作"),
        NavItem("日程与会议", "#", group="我的工作"),
        NavItem("收文", "#", count=5, group="公文"),
        NavItem("发文", "#", group="公文"),
        NavItem("督办", "#", count=2, group="公文"),
        NavItem("信息报送", "#", group="上传下达"),
        NavItem("应急直报", "#", group="上传下达"),
        NavItem("节点", "#", group="管理"),
        NavItem("审计", "#", group="管理"),
    ]
    return {
        "site": OFFICE,
        "nav": nav,
        "todo_count": 12,
        "todo_url": "?sample=list",
        "search_url": "#",
        "sign_out_url": "#",
        "organisation": "演示市人民政府办公室 · 秘书科",
        "person": {"name": "张演示", "post": "主任科员", "key": "demo"},
    }


def portal() -> dict[str, Any]:
    """The context that the portal layout needs on every page; nothing in it is a visitor's."""
    titles = ["首页", "政务要闻", "政务公开", "办事服务", "互动交流", "信息资源", "县市区", "专题"]
    return {
        "site": PORTAL,
        "search_url": "#",
        "columns": [NavItem(t, "?sample=home", active=n == 0) for n, t in enumerate(titles)],
    }


def todo_list() -> dict[str, Any]:
    """Eight tasks of four kinds: title, number, sender, action, tone, word."""
    letter = "关于报送2026年第三季度重点项目进展情况的函"
    lines = [
        (TITLE, NUMBER, "省水利厅（演示）", "签收", "wait", "待签收"),
        (letter, "豫演发改〔2026〕208号", "省发展改革委（演示）", "登记", "info", "待登记"),
        (
            "关于调整市区公交线路的请示",
            "周演交〔2026〕56号",
            "市交通运输局（演示）",
            "批示",
            "bad",
            "已超期",
        ),
        (
            "市政府常务会议纪要",
            "周演政纪〔2026〕21号",
            "市政府办公室（演示）",
            "阅读",
            "idle",
            "待阅",
        ),
    ]
    keys = ("title", "number", "sender", "action", "tone", "word")
    tasks = [
        {
            **dict(zip(keys, line, strict=True)),
            "urgent": line[4] == "wait",
            "at": NOW - timedelta(hours=3 * n),
            "due": date(2026, 11, 23) + timedelta(days=n),
        }
        for n, line in enumerate(lines * 2)
    ]
    return {"tasks": tasks, "page": Paginator(range(236), 20).page(4)}


def timeline() -> list[Entry]:
    """From a draft sent back once to its issue, newest first."""
    hour = timedelta(hours=1)
    order = "同意。请各县市区于12月10日前完成检修，有困难及时报告。"
    return [
        Entry(NOW, "李演示", "签发", "市政府办公室", order, "ok"),
        Entry(NOW - 2 * hour, "王演示", "会签", "市水利局", "无不同意见。", "ok"),
        Entry(NOW - 20 * hour, "赵演示", "退回修改", "法制科", "第三条的依据请写明条款。", "bad"),
        Entry(NOW - 24 * hour, "张演示", "拟稿", "秘书科"),
    ]


def rows() -> list[MatrixRow]:
    """Three units that have finished, and one each returned, still being sent, and overdue."""
    sent, signed = Cell("ok", "已送达", NOW), Cell("ok", "已签收", NOW)
    unread, undone = Cell("idle", "未阅"), Cell("idle", "未办")
    finished = [sent, signed, Cell("ok", "已阅", NOW), Cell("ok", "已办结", NOW)]
    return [
        MatrixRow("川汇区", finished),
        MatrixRow("淮阳区", finished),
        MatrixRow("扶沟县", finished),
        MatrixRow("西华县", [sent, Cell("bad", "已退回", NOW), unread, undone]),
        MatrixRow("沈丘县", [Cell("info", "发送中"), Cell("idle", "未签收"), unread, undone]),
        MatrixRow("项城市", [sent, Cell("wait", "催办中", NOW), unread, Cell("bad", "已超期")]),
    ]


def document() -> dict[str, Any]:
    return {
        "title": TITLE,
        "number": NUMBER,
        "facts": [
            ("来文机关", "演示市人民政府办公室"),
            ("发文字号", NUMBER),
            ("紧急程度", "加急"),
            ("成文日期", "2026年11月23日"),
            ("签发人", "李演示"),
            ("份号", None),
        ],
        "files": FILES,
        "entries": timeline(),
        "columns": ["送达", "签收", "阅读", "办理"],
        "rows": rows(),
        "form": OpinionForm(initial={"urgency": "fast"}),
    }


def news() -> list[dict[str, Any]]:
    repair = "12月10日前完成沟渠、泵站和机井检修，困难地区可申请市级维修资金。"
    buses = "新增高铁站、市民中心两站，首末班时间不变。"
    course = "面向各县市区和市直部门，可在线参加。"
    lines = [
        (TITLE, "演示市人民政府办公室", repair),
        ("市区公交6路、11路自12月1日起调整走向", "市交通运输局（演示）", buses),
        ("2026年第四季度政府信息公开培训安排", "市政务公开办（演示）", course),
    ]
    return [
        {"title": t, "url": "#", "source": s, "summary": w, "on": date(2026, 11, 23 - n)}
        for n, (t, s, w) in enumerate(lines)
    ]


def home() -> dict[str, Any]:
    asks = [
        ("最近有什么新的", ["政务要闻", "通知公告", "新出台的政策"]),
        ("我能办什么", ["个人办事", "企业办事", "查办理进度"]),
        ("我能知道什么", ["政策文件与解读", "依申请公开", "统计数据"]),
        ("我能问谁", ["市长信箱", "部门电话", "意见征集"]),
    ]
    hot = ["农机补贴", "公积金提取", "冬季供暖", "医保缴费"]
    return {"asks": asks, "hot": hot, "news": news(), "notices": list(reversed(news()))}


def article() -> dict[str, Any]:
    titles = [("首页", "?sample=home"), ("政务公开", "#"), ("政策文件", "#"), ("正文", "")]
    return {
        "title": TITLE,
        "number": NUMBER,
        "files": FILES,
        "crumbs": [{"title": title, "url": url} for title, url in titles],
    }


def patterns() -> dict[str, Any]:
    form = OpinionForm({"decision": "", "opinion": "阅", "urgency": "fast", "title": TITLE})
    months = [("7月", 61.0), ("8月", 74.0), ("9月", None), ("10月", 82.0), ("11月", 91.5)]
    counties = [("川汇区", 128.0), ("扶沟县", 96.0), ("沈丘县", 81.0), ("项城市", 40.0)]
    tones = [
        ("已办结", "ok"),
        ("待签收", "wait"),
        ("已超期", "bad"),
        ("办理中", "info"),
        ("未开始", "idle"),
    ]
    return {
        **document(),
        "form": form,
        "months": months,
        "counties": counties,
        "tones": tones,
        "levels": ["公开", "内部", "工作秘密", "秘密", "机密", "绝密"],
        "now": NOW,
        "page": Paginator(range(236), 20).page(4),
        "tasks": todo_list()["tasks"][:2],
    }
