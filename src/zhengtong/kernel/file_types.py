"""Which files may enter a node, told by their content and not by what they call themselves.

An own table of six signatures: general detectors take an OFD for a Word file, since both are zip
archives, so what tells them apart here is the part each format must contain.
"""

import codecs
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO, Final

HEAD_BYTES: Final = 8192
"""How much of a file `sniff` wants to see; more is welcome."""


@dataclass(frozen=True, slots=True)
class FileType:
    """One admitted format. `part` is the archive member that proves a zip-based format."""

    extension: str
    media_type: str
    label: str
    part: str | None = None


_OOXML = "application/vnd.openxmlformats-officedocument"
PDF: Final = FileType("pdf", "application/pdf", "PDF 文档")
DOCX: Final = FileType(
    "docx", f"{_OOXML}.wordprocessingml.document", "Word 文档", "word/document.xml"
)
XLSX: Final = FileType("xlsx", f"{_OOXML}.spreadsheetml.sheet", "Excel 表格", "xl/workbook.xml")
OFD: Final = FileType("ofd", "application/ofd", "OFD 版式文件", "OFD.xml")
PNG: Final = FileType("png", "image/png", "PNG 图片")
JPEG: Final = FileType("jpg", "image/jpeg", "JPEG 图片")
TEXT: Final = FileType("txt", "text/plain", "纯文本")
CSV: Final = FileType("csv", "text/csv", "CSV 表格")

ALLOWED: Final = (PDF, DOCX, XLSX, OFD, PNG, JPEG, TEXT, CSV)
_BY_EXTENSION: Final = {kind.extension: kind for kind in ALLOWED} | {"jpeg": JPEG}
_SIGNATURES: Final = (
    (b"%PDF-", (PDF,)),
    (b"PK\x03\x04", (DOCX, XLSX, OFD)),
    (b"\x89PNG\r\n\x1a\n", (PNG,)),
    (b"\xff\xd8\xff", (JPEG,)),
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class FileRefused(ValueError):
    """The file may not enter; the message is Chinese and says what would be admitted."""


class UndecodableText(ValueError):
    """Bytes that are neither UTF-8, UTF-16 with a byte order mark, nor GB18030."""


def sniff(first_bytes: bytes, name: str) -> FileType | None:
    """The admitted type that extension and signature agree on, or None.

    `first_bytes` is the file's beginning (`HEAD_BYTES` or the whole of a shorter file). For the
    zip-based types this proves only the container: `inspect` looks inside.
    """
    claimed = _BY_EXTENSION.get(PurePath(name).suffix.lower().removeprefix("."))
    if claimed is None:
        return None
    for signature, kinds in _SIGNATURES:
        if first_bytes.startswith(signature):
            return claimed if claimed in kinds else None
    return claimed if claimed in (TEXT, CSV) and _is_text(first_bytes) else None


def inspect(file: BinaryIO, name: str) -> FileType:
    """Admit a seekable file or raise `FileRefused`. Reads the head and a zip's
    directory only, and leaves the file at its beginning.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise FileRefused("文件是空的，请重新选择")
    kind = sniff(head, name)
    if kind is None:
        raise FileRefused(f"不能接收“{PurePath(name).name}”：{_what_is_allowed()}")
    file.seek(0)
    if kind.part is not None:
        check_archive(file, must_contain=kind.part)
    return kind


def decode_text(data: bytes, *, complete: bool = True) -> str:
    """Byte order mark, else strict UTF-8, else strict GB18030, else `UndecodableText`.

    Statistical guessing is wrong on short Chinese texts (it finds Korean), so there is none.
    With `complete=False` a character cut off at the end is dropped instead of refused.
    """
    for encoding in _encodings(data):
        try:
            return codecs.getincrementaldecoder(encoding)().decode(data, complete)
        except UnicodeDecodeError:
            continue
    raise UndecodableText("文本编码无法识别，请另存为 UTF-8 或 GB18030 后再上传")


def _encodings(data: bytes) -> tuple[str, ...]:
    if data.startswith(codecs.BOM_UTF8):
        return ("utf-8-sig",)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    return ("utf-8", "gb18030")


def _is_text(head: bytes) -> bool:
    try:
        text = decode_text(head, complete=False)
    except UndecodableText:
        return False
    return _CONTROL.search(text) is None


def _what_is_allowed() -> str:
    labels = "、".join(f"{kind.label}（.{kind.extension}）" for kind in ALLOWED)
    return f"内容与扩展名须一致，只接收{labels}。.doc、.wps 请先另存为 .docx 或 .pdf"


# ── archives ─────────────────────────────────────────────────────────────────

MAX_ENTRIES: Final = 10_000
MAX_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 512 * 1024 * 1024
MAX_RATIO: Final = 200
_SMALL_ENOUGH: Final = 8 * 1024 * 1024  # tiny repetitive files pack well and harm nobody
_END_RECORD: Final = b"PK\x05\x06"
_END_SEARCH: Final = 22 + 65_535  # the end record and the longest comment behind it


def check_archive(file: BinaryIO, *, must_contain: str) -> None:
    """Refuse a zip that could exhaust, escape or surprise whoever unpacks it.

    Nothing is unpacked: entry count, declared sizes, ratio, overlap, names, encryption, links and
    macros are read from the directory, whose own size is bounded before it is parsed. Declared
    sizes may lie, so whoever unpacks still works under limits (`extraction`). Leaves the file at
    its beginning.
    """
    size = _bound_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise FileRefused("文件已损坏，无法打开其中的内容") from error
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > MAX_UNPACKED_BYTES:
        raise FileRefused(f"文件解开后超过 {MAX_UNPACKED_BYTES // 1024 // 1024} MB，不能接收")
    if unpacked > _SMALL_ENOUGH and unpacked > MAX_RATIO * max(packed, 1):
        raise FileRefused("文件压缩比异常，疑似压缩炸弹，不能接收")
    if packed > size:
        raise FileRefused("文件内部各部分互相重叠，疑似压缩炸弹，不能接收")
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise FileRefused("文件内部有重名的部分，不能接收")
    for entry in entries:
        _check_entry(entry)
    if must_contain not in names:
        raise FileRefused(f"文件内容与扩展名不符：{_what_is_allowed()}")
    file.seek(0)


def _bound_directory(file: BinaryIO) -> int:
    """Check entry count and directory size before `zipfile` builds objects; return file size."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_SEARCH))
    tail = file.read(_END_SEARCH)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) < at + 22:
        raise FileRefused("文件不完整，请重新上传")
    entries = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    # ZIP64 writes all ones here; an office file needs none of it and is refused by the same test.
    if entries > MAX_ENTRIES or directory > MAX_DIRECTORY_BYTES:
        raise FileRefused(f"文件内部超过 {MAX_ENTRIES} 个部分，不能接收")
    return size


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or "\\" in name or ".." in parts or ":" in parts[0]:
        raise FileRefused("文件内部含有越界路径，不能接收")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise FileRefused("文件内部含有链接，不能接收")
    if entry.flag_bits & 0x1:
        raise FileRefused("文件已加密，请取消密码后再上传")
    if parts[-1].lower() == "vbaproject.bin":
        raise FileRefused("文件含有宏，请另存为不含宏的格式后再上传")
