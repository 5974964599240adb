"""Two real files for the demo's documents: a PDF and a spreadsheet on flood-season preparation.

The places exist; every figure, name and site is invented, and both files say so. Same input, same
bytes, so that the content-addressed store keeps one copy however often a demo is set up.
"""

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from zhengtong.capabilities.documents.domain.typeset import press

NOTICE: Final = "演示数据，内容为虚构"
PLAN_NAME: Final = "防汛准备工作要点.pdf"
STORES_NAME: Final = "防汛物资储备清单.xlsx"
STORES_HEADER: Final = (
    "行政区划代码", "县（市、区）", "编织袋（条）", "救生衣（件）", "橡皮艇（艘）", "排涝泵（台）",
    "应急发电机（台）", "备注",
)  # fmt: skip
STORES: Final[tuple[tuple[str | int, ...], ...]] = (
    ("411602", "川汇区", 42000, 860, 12, 38, 9, "含城区易涝点物资"),
    ("411603", "淮阳区", 36000, 720, 16, 24, 7, ""),
    ("411621", "扶沟县", 51000, 940, 18, 31, 8, "贾鲁河沿线"),
    ("411622", "西华县", 57000, 980, 22, 33, 8, "沙颍河沿线"),
    ("411623", "商水县", 48000, 810, 15, 27, 6, ""),
    ("411624", "沈丘县", 46000, 790, 17, 26, 7, "沙颍河出境段"),
    ("411625", "郸城县", 33000, 610, 11, 21, 5, ""),
    ("411627", "太康县", 35000, 640, 12, 22, 6, "涡河沿线"),
    ("411628", "鹿邑县", 32000, 600, 13, 20, 5, "涡河沿线"),
    ("411681", "项城市", 44000, 770, 14, 25, 7, ""),
)

_PLAN: Final[dict[str, object]] = {
    "title": "防汛准备工作要点",
    "notice": NOTICE,
    "sections": [
        {
            "heading": "一、时间安排",
            "items": [
                "防汛责任人公示和预案修订，5月15日前完成。",
                "河道、涵闸、易涝点排查，5月31日前完成，建立问题、责任、整改三张清单。",
                "物资清点和设备试运行，6月10日前完成，结果填入防汛物资储备清单。",
            ],
        },
        {
            "heading": "二、报送要求",
            "items": [
                "汛期每日17时报送水情、工情和值班情况，无事报平安。",
                "出现险情立即电话报告，30分钟内书面报告；续报不超过2小时一次。",
            ],
        },
    ],
    "table": {
        "caption": "重点部位和巡查频次",
        "header": ["河流", "所在县（市、区）", "重点部位", "巡查频次"],
        "rows": [
            ["沙颍河", "西华县", "示范一号险工", "每日两次"],
            ["沙颍河", "沈丘县", "示范二号涵闸", "每日两次"],
            ["贾鲁河", "扶沟县", "示范三号堤段", "每日一次"],
            ["涡河", "太康县", "示范四号堤段", "每日一次"],
            ["涡河", "鹿邑县", "示范五号涵闸", "每日一次"],
            ["汾泉河", "项城市", "示范六号险工", "每日一次"],
        ],
    },
}


def plan_pdf(*, timestamp: datetime) -> bytes:
    """`PLAN_NAME`: one page, PDF/A-2u, created at the zone-aware `timestamp`."""
    template = Path(__file__).with_name("attachment.typ")
    return press.to_pdf(template, _PLAN, timestamp=timestamp)


def stores_xlsx() -> bytes:
    """`STORES_NAME`: one sheet, header row, the ten county-level units, totals and a notice."""
    sums = [sum(int(row[column]) for row in STORES) for column in range(2, 7)]
    rows: list[Sequence[str | int]] = [STORES_HEADER, *STORES, ("", "合计", *sums), ("", NOTICE)]
    return _workbook("防汛物资", rows)


# ── a minimal OOXML workbook (ECMA-376): strings inline, one bold style for the header ──

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def _workbook(name: str, rows: Sequence[Sequence[str | int]]) -> bytes:
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
        "_rels/.rels": _relations(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        f'<sheet name="{escape(name)}" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(
            ("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml")
        ),
        "xl/styles.xml": _STYLES,
        "xl/worksheets/sheet1.xml": _sheet(rows),
    }
    packed = io.BytesIO()
    # Stored, with one fixed date: compressed bytes would differ from one zlib to another.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as out:
        for path, content in parts.items():
            out.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), _XML + content)
    return packed.getvalue()


def _relations(*targets: tuple[str, str]) -> str:
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>'


_STYLES: Final = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="宋体"/></font>'
    '<font><b/><sz val="11"/><name val="宋体"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)


def _sheet(rows: Sequence[Sequence[str | int]]) -> str:
    lines = "".join(
        f'<row r="{number}">'
        + "".join(
            _cell(f"{chr(65 + column)}{number}", value, bold=number == 1)
            for column, value in enumerate(row)
        )
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    return (
        f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        '</sheetView></sheetViews><cols><col min="1" max="8" width="18" customWidth="1"/></cols>'
        f"<sheetData>{lines}</sheetData></worksheet>"
    )


def _cell(place: str, value: str | int, *, bold: bool) -> str:
    """Numbers as numbers; text, codes included, as inline strings; nothing for the empty."""
    style = ' s="1"' if bold else ""
    if isinstance(value, int):
        return f'<c r="{place}"{style}><v>{value}</v></c>'
    if not value:
        return ""
    return f'<c r="{place}"{style} t="inlineStr"><is><t>{escape(value)}</t></is></c>'
