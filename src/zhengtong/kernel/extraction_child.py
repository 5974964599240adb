"""The process behind `extraction`: one file on standard input, one JSON object on standard output.

Started as `python -m zhengtong.kernel.extraction_child MEDIA_TYPE SECONDS MEMORY_MB CHARACTERS`.
It binds itself before it loads any parser, and reports what went wrong as a `Problem` value.
"""

import io
import json
import math
import os
import re
import resource
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from typing import BinaryIO, Final

from .file_types import (
    CSV,
    DOCX,
    OFD,
    PDF,
    TEXT,
    XLSX,
    FileRefused,
    UndecodableText,
    check_archive,
    decode_text,
)

Reader = Callable[[BinaryIO, int], Iterable[str]]

# Control characters, lone surrogates and non-characters: databases and XML refuse them.
_UNWANTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS: Final = re.compile(r"\r\n?|\u2028|\u2029")


def pdf(file: BinaryIO, _characters: int) -> Iterator[str]:
    import pypdfium2

    document = pypdfium2.PdfDocument(file)
    for index in range(len(document)):
        page = document[index]
        text = page.get_textpage()
        yield text.get_text_range() + "\n"
        text.close()
        page.close()


def docx(file: BinaryIO, _characters: int) -> Iterator[str]:
    import docx2txt

    check_archive(file, must_contain=str(DOCX.part))
    yield docx2txt.process(file)


def xlsx(file: BinaryIO, _characters: int) -> Iterator[str]:
    import python_calamine

    check_archive(file, must_contain=str(XLSX.part))
    workbook = python_calamine.CalamineWorkbook.from_filelike(file)
    for name in workbook.sheet_names:
        yield f"{name}\n"
        for row in workbook.get_sheet_by_name(name).iter_rows():
            yield "\t".join(_cell(value) for value in row).rstrip("\t") + "\n"


def ofd(file: BinaryIO, _characters: int) -> Iterator[str]:
    import ofdkit

    check_archive(file, must_contain=str(OFD.part))
    yield ofdkit.extract_text(file)


def plain(file: BinaryIO, characters: int) -> Iterator[str]:
    """At most four bytes make a character, so this many bytes always suffice."""
    most = characters * 4 + 4
    data = file.read(most + 1)
    yield decode_text(data[:most], complete=len(data) <= most)


def html(file: BinaryIO, characters: int) -> Iterator[str]:
    stripper = _Stripper()
    for text in plain(file, characters):
        stripper.feed(text)
        stripper.close()
    yield from stripper.pieces


READERS: Final[dict[str, Reader]] = {
    PDF.media_type: pdf,
    DOCX.media_type: docx,
    XLSX.media_type: xlsx,
    OFD.media_type: ofd,
    TEXT.media_type: plain,
    CSV.media_type: plain,
    "text/html": html,
}


class _Stripper(HTMLParser):
    """Keeps what a reader of the page sees: no scripts, styles or tags; blocks end a line."""

    HIDDEN: Final = frozenset({"script", "style", "template", "noscript"})
    INLINE: Final = frozenset({"a", "b", "em", "i", "span", "strong", "sub", "sup", "u", "font"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self.HIDDEN
        if tag not in self.INLINE:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(" ".join(data.split()) if data.isspace() else data)


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _collect(pieces: Iterable[str], characters: int) -> tuple[str, bool]:
    """Join cleaned pieces up to `characters`; the flag tells whether any were left over."""
    out = io.StringIO()
    room = characters
    for piece in pieces:
        text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", piece))
        out.write(text[:room])
        if len(text) > room:
            return out.getvalue(), True
        room -= len(text)
    return out.getvalue(), False


def _extract(file: BinaryIO, media_type: str, characters: int) -> dict[str, object]:
    reader = READERS.get(media_type)
    if reader is None:
        return _failed("unsupported")
    try:
        text, truncated = _collect(reader(file, characters), characters)
        return {"text": text, "truncated": truncated, "problem": None}
    except MemoryError:
        return _failed("too_much_memory")
    except FileRefused:
        return _failed("refused")
    except (UndecodableText, zipfile.BadZipFile, EOFError):
        return _failed("unreadable")
    except Exception as error:  # a parser may raise anything on a hostile file
        locked = re.search("password|encrypt", f"{type(error).__name__} {error}", re.IGNORECASE)
        return _failed("encrypted" if locked else "unreadable")


def _failed(problem: str) -> dict[str, object]:
    return {"text": "", "truncated": False, "problem": problem}


def _bind(seconds: float, memory_mb: int) -> None:
    """Give up, for good, the means to hog the machine or to leave anything behind."""
    memory = memory_mb * 1024 * 1024
    for what, most in (
        (resource.RLIMIT_CPU, math.ceil(seconds)),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    os.nice(10)


def main(media_type: str, seconds: str, memory_mb: str, characters: str) -> None:
    _bind(float(seconds), int(memory_mb))
    answer = _extract(sys.stdin.buffer, media_type, int(characters))
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())
    sys.stdout.buffer.flush()
    os._exit(0)  # parsers' own clean-up has nothing to add and may crash on a broken file


if __name__ == "__main__":
    main(*sys.argv[1:])
