"""The demo's files are real: strangers' programs open them and find what stands in them."""

import io
from datetime import UTC, datetime

import openpyxl
import pdfplumber
import python_calamine

from zhengtong.demo.attachments import (
    NOTICE,
    PLAN_NAME,
    STORES,
    STORES_HEADER,
    STORES_NAME,
    plan_pdf,
    stores_xlsx,
)
from zhengtong.kernel.file_types import PDF, XLSX, inspect

STAMP = datetime(2026, 5, 6, tzinfo=UTC)


def test_the_spreadsheet_reads_the_same_in_openpyxl_and_calamine() -> None:
    book = openpyxl.load_workbook(io.BytesIO(stores_xlsx()))
    assert book.sheetnames == ["防汛物资"]
    header, *rows = [
        ["" if value is None else value for value in row]
        for row in book.worksheets[0].iter_rows(values_only=True)
    ]
    assert header == list(STORES_HEADER)
    assert rows[: len(STORES)] == [list(row) for row in STORES]
    assert rows[-2][1:3] == ["合计", sum(int(row[2]) for row in STORES)]
    assert rows[-1][1] == NOTICE
    assert book.worksheets[0]["A1"].font.bold and not book.worksheets[0]["A2"].font.bold
    again = python_calamine.load_workbook(io.BytesIO(stores_xlsx())).get_sheet_by_index(0)
    assert again.to_python() == [header, *rows]


def test_the_pdf_is_one_page_that_says_it_is_invented() -> None:
    with pdfplumber.open(io.BytesIO(plan_pdf(timestamp=STAMP))) as pdf:
        (page,) = pdf.pages
        text = page.extract_text()
        assert text.startswith("防汛准备工作要点")
        assert NOTICE in text
        (table,) = page.extract_tables()
    assert table[0] == ["河流", "所在县（市、区）", "重点部位", "巡查频次"]
    assert ["贾鲁河", "扶沟县", "示范三号堤段", "每日一次"] in table


def test_both_are_the_same_bytes_every_time_and_may_enter_a_node() -> None:
    assert plan_pdf(timestamp=STAMP) == plan_pdf(timestamp=STAMP)
    assert stores_xlsx() == stores_xlsx()
    assert inspect(io.BytesIO(plan_pdf(timestamp=STAMP)), PLAN_NAME) == PDF
    assert inspect(io.BytesIO(stores_xlsx()), STORES_NAME) == XLSX
