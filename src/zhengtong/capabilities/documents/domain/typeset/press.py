"""One warm Typst press per process: template and data in, PDF/A-2u out.

Typefaces. GB/T 9704 asks for 小标宋, 仿宋, 黑体 and 楷体. The office's own licensed fonts are
used where they are installed; otherwise free fonts stand in: Noto Serif SC for 小标宋 (thickened
by an outline), 仿宋 and 楷体, Noto Sans SC for 黑体. The stand-ins keep every measure of the
layout, but the letterforms are not those of the standard, and anyone who knows them sees it.
"""

import json
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typst

# Role in the template → families in order of preference; the last one ships with the product.
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "mark": ("FZXiaoBiaoSong-B05S", "FZXiaoBiaoSong-B05", "方正小标宋简体", "Noto Serif SC"),
    "body": ("FangSong_GB2312", "仿宋_GB2312", "FangSong", "FandolFang", "Noto Serif SC"),
    "hei": ("SimHei", "黑体", "FandolHei", "Noto Sans SC"),
    "kai": ("KaiTi_GB2312", "楷体_GB2312", "KaiTi", "FandolKai", "LXGW WenKai", "Noto Serif SC"),
    "song": ("SimSun", "宋体", "FandolSong", "Noto Serif SC"),
}
# Complete for the 20,902 unified hanzi: catches the names that office fonts lack (堃 犇 祎).
RESCUE: Final = ("Noto Serif SC", "Noto Sans SC")

# How Typst reports a character that would print as an empty box under PDF/A-2u.
_MISSING_GLYPH: Final = re.compile(r'the text `"(.+?)"` could not be displayed')
_RUST_ESCAPE: Final = re.compile(r"\\u\{([0-9a-f]+)\}")

# The compiler holds the template's memoised layout and is not made for two threads at once.
_busy = threading.Lock()


class TypesetError(ValueError):
    """The document cannot be printed as given; the message is Chinese and names the cause."""


def to_pdf(template: Path, data: Mapping[str, object], *, timestamp: datetime) -> bytes:
    """Print `template` with `data` (JSON values, read there as `sys.inputs.data`).

    Data never becomes template source, so no text can smuggle in markup. Output is PDF/A-2u and
    byte-identical for the same template, data, fonts and `timestamp`.
    """
    import typst

    stamp = _stamp(timestamp)
    inputs = {"data": json.dumps(dict(data), ensure_ascii=False), "fonts": json.dumps(_fonts())}
    with _busy:
        try:
            pdf = _compiler().compile(
                str(template),
                root=str(template.parent),
                sys_inputs=inputs,
                format="pdf",
                pdf_standards="a-2u",
                timestamp=stamp,
            )
        except typst.TypstError as error:
            raise TypesetError(_explain(error)) from error
    assert isinstance(pdf, bytes)
    return pdf


def _stamp(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise TypesetError("排版时间必须带时区")
    return int(moment.astimezone(UTC).timestamp())


def _explain(error: "typst.TypstError") -> str:
    missing = _MISSING_GLYPH.search(error.message)
    if missing is None:
        return f"排版失败：{error.message}"
    text = _RUST_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), missing[1])
    named = "、".join(f"“{c if c.isprintable() else '□'}”（U+{ord(c):04X}）" for c in text)
    return f"字体中没有以下字符，不能印制：{named}。请改正或换一种写法"


def _fonts() -> dict[str, object]:
    families = _families()
    return {**families, "thicken": families["mark"][0] in RESCUE}


@cache
def _families() -> dict[str, list[str]]:
    """For every role the preferred installed family, then the complete ones."""
    installed = set(_library().families())
    return {
        role: list(dict.fromkeys([*(f for f in wanted if f in installed), *RESCUE]))
        for role, wanted in ROLES.items()
    }


@cache
def _library() -> "typst.Fonts":
    import pylopdf_fonts_zh_cn as shipped
    import typst

    return typst.Fonts(
        include_system_fonts=True,
        include_embedded_fonts=False,
        font_paths=[str(shipped.serif_path().parent)],
    )


@cache
def _compiler() -> "typst.Compiler":
    import typst

    return typst.Compiler(font_paths=_library(), ignore_system_fonts=True)
