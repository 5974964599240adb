"""Text comes out of honest files; hostile ones yield a problem and leave the parent unharmed."""

import io
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openpyxl
import pytest

from zhengtong.kernel import extraction
from zhengtong.kernel.extraction import Extracted, Limits, Problem, extract_text
from zhengtong.kernel.file_types import CSV, DOCX, OFD, PDF, TEXT, XLSX

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
O_NS = "http://www.ofdspec.org/2016"


def zipped(parts: dict[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in parts.items():
            out.writestr(name, content)
    return packed.getvalue()


def word(paragraphs: str) -> bytes:
    body = f'<w:document xmlns:w="{W}"><w:body>{paragraphs}</w:body></w:document>'
    return zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": body})


def one_page_pdf(text: str) -> bytes:
    """A hand-made PDF with Latin text: what matters here is the reader, not the typography."""
    stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % at for at in offsets)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n"
        + table
        + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    )


def ofd(text: str) -> bytes:
    return zipped({
        "OFD.xml": f'<ofd:OFD xmlns:ofd="{O_NS}" Version="1.0" DocType="OFD"><ofd:DocBody>'
        "<ofd:DocInfo><ofd:DocID>1</ofd:DocID></ofd:DocInfo>"
        "<ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>",
        "Doc_0/Document.xml": f'<ofd:Document xmlns:ofd="{O_NS}"><ofd:CommonData>'
        "<ofd:MaxUnitID>9</ofd:MaxUnitID><ofd:PageArea><ofd:PhysicalBox>0 0 210 297"
        "</ofd:PhysicalBox></ofd:PageArea></ofd:CommonData><ofd:Pages>"
        '<ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/></ofd:Pages></ofd:Document>',
        "Doc_0/Pages/Page_0/Content.xml": f'<ofd:Page xmlns:ofd="{O_NS}"><ofd:Content>'
        '<ofd:Layer ID="2"><ofd:TextObject ID="3" Boundary="20 20 100 10" Font="4" Size="5">'
        f'<ofd:TextCode X="0" Y="5">{text}</ofd:TextCode></ofd:TextObject></ofd:Layer>'
        "</ofd:Content></ofd:Page>",
    })  # fmt: skip


def read(
    folder: Path, content: bytes, media_type: str, limits: Limits = extraction.DEFAULT_LIMITS
) -> Extracted:
    path = folder / "upload"
    path.write_bytes(content)
    return extract_text(path, media_type, limits=limits)


def test_pdf(tmp_path: Path) -> None:
    found = read(tmp_path, one_page_pdf("Flood season 2026"), PDF.media_type)
    assert found == Extracted("Flood season 2026\n")


def test_docx_keeps_tracked_insertions_and_drops_deletions(tmp_path: Path) -> None:
    paragraph = (
        '<w:p><w:r><w:t>同意按</w:t></w:r><w:ins w:id="1"><w:r><w:t>十五日内</w:t></w:r></w:ins>'
        '<w:del w:id="2"><w:r><w:delText>月底</w:delText></w:r></w:del>'
        "<w:r><w:t>办结</w:t></w:r></w:p>"
    )
    assert read(tmp_path, word(paragraph), DOCX.media_type) == Extracted("同意按十五日内办结")


def test_xlsx_gives_sheet_names_and_tabbed_rows_with_whole_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "防汛物资"
    sheet.append(["县", "编织袋", "单价"])
    sheet.append(["扶沟", 12000, 1.5])
    packed = io.BytesIO()
    book.save(packed)
    found = read(tmp_path, packed.getvalue(), XLSX.media_type)
    assert found == Extracted("防汛物资\n县\t编织袋\t单价\n扶沟\t12000\t1.5\n")


def test_ofd(tmp_path: Path) -> None:
    found = read(tmp_path, ofd("关于防汛工作的通知"), OFD.media_type)
    assert (found.text.strip(), found.problem) == ("关于防汛工作的通知", None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("media_type", [TEXT.media_type, CSV.media_type])
def test_plain_text_in_every_admitted_encoding(
    tmp_path: Path, encoding: str, media_type: str
) -> None:
    text = "防汛\r\n喆翀,祎堃\x00\x07"
    assert read(tmp_path, text.encode(encoding), media_type) == Extracted("防汛\n喆翀,祎堃")


def test_html_shows_what_a_reader_sees(tmp_path: Path) -> None:
    hidden = "<style>p{}</style><script>x='<p>藏'</script>"
    page = f"<title>通知</title>{hidden}<p>防<b>汛</b>&amp;抗旱<p>二"
    found = read(tmp_path, page.encode(), "text/html")
    assert [line for line in found.text.split("\n") if line] == ["通知", "防汛&抗旱", "二"]


def test_text_beyond_the_limit_is_cut_and_said_so(tmp_path: Path) -> None:
    short = Limits(characters=10)
    for content in ("汛" * 50, "a" * 11):
        found = read(tmp_path, content.encode(), TEXT.media_type, short)
        assert found == Extracted(content[:10], truncated=True)
    assert read(tmp_path, b"0123456789", TEXT.media_type, short) == Extracted("0123456789")


def test_text_full_of_quotes_is_not_mistaken_for_babble(tmp_path: Path) -> None:
    found = read(tmp_path, b'"' * 10_000, TEXT.media_type, Limits(characters=10_000))
    assert found == Extracted('"' * 10_000)


@pytest.mark.parametrize("media_type", [k.media_type for k in (PDF, DOCX, XLSX, OFD, TEXT)])
@pytest.mark.parametrize("content", [b"", b"\xff\xff\x00junk", b"PK\x03\x04", b"%PDF-1.7"])
def test_junk_yields_a_problem_or_nothing(tmp_path: Path, media_type: str, content: bytes) -> None:
    found = read(tmp_path, content, media_type)
    assert found.text.strip() in ("", "PK\x03\x04".strip("\x03\x04"), "%PDF-1.7")
    if media_type != TEXT.media_type:
        assert found.problem in (Problem.UNREADABLE, Problem.REFUSED)
        assert found.problem.message


def test_a_truncated_pdf_is_unreadable_or_partly_read(tmp_path: Path) -> None:
    whole = one_page_pdf("Flood")
    assert read(tmp_path, whole[:60], PDF.media_type).problem is Problem.UNREADABLE


def test_a_pdf_behind_a_password_is_named_as_such(tmp_path: Path) -> None:
    key = b"41" * 32
    lock = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (key, key)
    locked = one_page_pdf("Flood").replace(b"/Root 1 0 R", b"/Root 1 0 R" + lock)
    assert read(tmp_path, locked, PDF.media_type).problem is Problem.ENCRYPTED


def test_an_unknown_type_is_unsupported(tmp_path: Path) -> None:
    assert read(tmp_path, b"x", "image/png").problem is Problem.UNSUPPORTED


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = word("<w:p/>" * 5_000_000)
    assert len(bomb) < 200_000
    assert read(tmp_path, bomb, DOCX.media_type).problem is Problem.REFUSED


def test_entities_that_multiply_are_stopped(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    head = f'<!DOCTYPE d [<!ENTITY e0 "汛汛汛汛">{levels}]>'
    xml = f'{head}<w:document xmlns:w="{W}">&e8;</w:document>'
    bomb = zipped({"word/document.xml": xml})
    found = read(tmp_path, bomb, DOCX.media_type, Limits(seconds=8, memory_mb=300))
    assert found.text == ""
    assert found.problem is not None


def test_a_sheet_that_claims_all_cells_costs_only_the_child(tmp_path: Path) -> None:
    """Two cells in opposite corners: a dense table of them would take hundreds of gigabytes."""
    ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    hostile = zipped({
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r0" '
        f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{ns}" xmlns:r="{rel}"><sheets>'
        '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
        f'Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{ns}"><sheetData>'
        '<row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row></sheetData></worksheet>',
    })  # fmt: skip
    found = read(tmp_path, hostile, XLSX.media_type, Limits(memory_mb=300))
    assert found.problem in (Problem.CRASHED, Problem.TOO_MUCH_MEMORY)


def test_memory_has_a_ceiling(tmp_path: Path) -> None:
    large = ("汛" * 40_000_000).encode()
    found = read(tmp_path, large, TEXT.media_type, Limits(memory_mb=150, characters=50_000_000))
    assert found.problem is Problem.TOO_MUCH_MEMORY


def test_work_without_end_is_cut_off(tmp_path: Path) -> None:
    endless = b"<p><b>" * 3_000_000
    found = read(tmp_path, endless, "text/html", Limits(seconds=1))
    assert found == Extracted("", problem=Problem.TOO_SLOW)


def test_a_child_that_never_stops_talking_is_cut_off() -> None:
    script = "import os\nwhile 1: os.write(1, b'x' * 65536)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert extraction._listen(child, Limits(seconds=30, characters=100_000)) is None
        child.kill()


def test_the_child_knows_nothing_of_its_parents_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "geheim")
    (tmp_path / "f").write_bytes(b"x" * 10)
    with (tmp_path / "f").open("rb") as file:
        child = extraction._start(file, TEXT.media_type, extraction.DEFAULT_LIMITS)
        environment = Path(f"/proc/{child.pid}/environ").read_bytes()
        child.communicate()
    assert b"A_SECRET" not in environment


def test_many_at_once_and_nothing_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes("防汛".encode())
    before = set(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: extract_text(path, TEXT.media_type), range(8)))
    assert {item.text for item in found} == {"防汛"}
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        extract_text(tmp_path / "none", TEXT.media_type)
