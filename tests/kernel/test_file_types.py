"""What may enter a node: content decides, and a refusal tells the clerk what would be taken."""

import io
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.kernel.file_types import (
    ALLOWED,
    DOCX,
    MAX_ENTRIES,
    OFD,
    XLSX,
    FileRefused,
    FileType,
    UndecodableText,
    decode_text,
    inspect,
    sniff,
)

PDF_HEAD = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
PNG_HEAD = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def archive(*names: str, content: bytes = b"<x/>", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as out:
        for name in names:
            out.writestr(name, content)
    return packed.getvalue()


WORD = archive("[Content_Types].xml", "word/document.xml")


def admit(data: bytes, name: str) -> FileType:
    return inspect(io.BytesIO(data), name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("通知.pdf", PDF_HEAD),
        ("通知.PDF", PDF_HEAD),
        ("通知.docx", WORD),
        ("清单.xlsx", archive("[Content_Types].xml", "xl/workbook.xml")),
        ("通知.ofd", archive("OFD.xml", "Doc_0/Document.xml")),
        ("图.png", PNG_HEAD),
        ("图.jpg", JPEG_HEAD),
        ("图.jpeg", JPEG_HEAD),
        ("说明.txt", "防汛准备".encode()),
        ("说明.txt", "防汛准备".encode("gb18030")),
        ("说明.txt", "防汛准备".encode("utf-16")),
        ("清单.csv", "县,物资\n扶沟,编织袋\n".encode("utf-8-sig")),
    ],
)
def test_honest_files_enter(name: str, data: bytes) -> None:
    assert admit(data, name).extension == name.rsplit(".", 1)[1].lower().replace("jpeg", "jpg")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("木马.exe", b"MZ\x90\x00"),
        ("木马.pdf", b"MZ\x90\x00"),
        ("木马.txt", b"MZ\x90\x00\x03"),
        ("图.png", JPEG_HEAD),
        ("通知.txt", PDF_HEAD),
        ("通知.pdf", b"\n" + PDF_HEAD),
        ("通知.docx", PDF_HEAD),
        ("通知.docx", archive("xl/workbook.xml")),
        ("通知.ofd", WORD),
        ("旧文.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("打包.zip", WORD),
        ("页.svg", b"<svg/>"),
        ("页.html", b"<p>x</p>"),
        ("无扩展名", PDF_HEAD),
        ("说明.txt", b"\xff\xff\xfd\x80\x81"),
    ],
)
def test_files_that_are_not_what_they_say_are_told_what_is_admitted(name: str, data: bytes) -> None:
    with pytest.raises(FileRefused) as refusal:
        admit(data, name)
    for kind in ALLOWED:
        assert f".{kind.extension}" in str(refusal.value)


def test_the_name_in_the_message_is_bare() -> None:
    with pytest.raises(FileRefused, match=r"“b\.exe”"):
        admit(b"MZ", "/tmp/a/b.exe")


def test_an_empty_file_is_named_as_such() -> None:
    with pytest.raises(FileRefused, match="空"):
        admit(b"", "a.txt")


@pytest.mark.parametrize(
    ("member", "word"),
    [
        ("/etc/passwd", "越界"),
        ("../../up.xml", "越界"),
        ("a\\..\\b.xml", "越界"),
        ("C:/windows.xml", "越界"),
        ("word/vbaProject.bin", "宏"),
    ],
)
def test_archives_with_dangerous_members_are_refused(member: str, word: str) -> None:
    with pytest.raises(FileRefused, match=word):
        admit(archive("word/document.xml", member), "a.docx")


def test_links_encryption_and_duplicates_are_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("word/document.xml", "<x/>")
        link = zipfile.ZipInfo("word/link")
        link.external_attr = 0o120777 << 16
        out.writestr(link, "/etc/passwd")
    with pytest.raises(FileRefused, match="链接"):
        admit(packed.getvalue(), "a.docx")
    locked = bytearray(WORD)
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        locked[locked.find(mark) + flags] |= 1
    with pytest.raises(FileRefused, match="加密"):
        admit(bytes(locked), "a.docx")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive("word/document.xml", "word/document.xml")
    with pytest.raises(FileRefused, match="重名"):
        admit(twice, "a.docx")


def test_bombs_are_refused_without_unpacking() -> None:
    with pytest.raises(FileRefused, match="压缩"):
        admit(archive("word/document.xml", content=bytes(20_000_000)), "a.docx")
    huge = bytearray(WORD)
    at = huge.find(b"PK\x01\x02")
    huge[at + 24 : at + 28] = struct.pack("<I", 1 << 30)
    with pytest.raises(FileRefused, match="MB"):
        admit(bytes(huge), "a.docx")
    many = archive(*(f"{n}" for n in range(MAX_ENTRIES + 1)), method=zipfile.ZIP_STORED)
    with pytest.raises(FileRefused, match="部分"):
        admit(many, "a.docx")


def test_overlapping_members_are_refused() -> None:
    """The flat bomb: many directory entries that all point at one block of data."""
    names = ["word/document.xml", *(f"p{n:03}" for n in range(300))]
    honest = archive(*names, content=bytes(range(256)) * 40, method=zipfile.ZIP_STORED)
    with zipfile.ZipFile(io.BytesIO(honest)) as opened:
        start = opened.start_dir
    directory = honest[start:]
    shrunk = bytearray(honest[: 10_240 + 47] + directory)
    end = shrunk.rfind(b"PK\x05\x06")
    shrunk[end + 16 : end + 20] = struct.pack("<I", 10_240 + 47)
    with pytest.raises(FileRefused, match="重叠"):
        admit(bytes(shrunk), "a.docx")


@given(data=st.binary(max_size=400), kind=st.sampled_from(ALLOWED))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_admitted_or_refused_and_nothing_else(data: bytes, kind: FileType) -> None:
    with suppress(FileRefused):
        assert admit(data, f"a.{kind.extension}") == kind


@given(
    cut=st.integers(0, len(WORD) - 1),
    flip=st.integers(0, len(WORD) - 1),
    to=st.binary(min_size=1, max_size=1),
)
@settings(max_examples=200, deadline=None)
def test_broken_archives_are_refused_or_still_word(cut: int, flip: int, to: bytes) -> None:
    for data in (WORD[:cut], WORD[:flip] + to + WORD[flip + 1 :]):
        with suppress(FileRefused):
            assert admit(data, "a.docx") == DOCX


def test_zip_types_share_a_signature_and_only_the_name_tells_them_apart_at_first() -> None:
    assert sniff(WORD, "a.docx") == DOCX
    assert sniff(WORD, "a.xlsx") == XLSX
    assert sniff(WORD, "a.ofd") == OFD
    assert sniff(WORD, "a.pdf") is None


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_utf8_text_is_read_back(text: str) -> None:
    assert decode_text(text.encode()) == text.removeprefix("\ufeff")


@pytest.mark.parametrize("text", ["汉", "防汛", "扶沟县人民政府关于防汛工作的通知", "喆翀祎堃"])
def test_short_gb18030_text_is_chinese_not_korean(text: str) -> None:
    assert decode_text(text.encode("gb18030")) == text


def test_a_cut_character_is_dropped_only_when_told() -> None:
    cut = "防汛".encode()[:-1]
    assert decode_text(cut, complete=False) == "防"
    with pytest.raises(UndecodableText, match="GB18030"):
        decode_text(b"\xff\xff")
