"""The elders' file: every fault is named by row and column, with what to do."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarm_core.elders_csv import ImportFileError, ImportRow, read_elders

EXAMPLE = Path(__file__).parents[3] / "docs/examples/elders.csv"


def _read(text: str) -> list[ImportRow]:
    return read_elders(text.encode())


def _faults(content: str | bytes) -> list[str]:
    with pytest.raises(ImportFileError) as refused:
        read_elders(content.encode() if isinstance(content, str) else content)
    return [str(fault) for fault in refused.value.faults]


def test_the_example_reads_the_same_in_every_encoding_that_spreadsheets_write() -> None:
    text = EXAMPLE.read_text("utf-8")
    rows = read_elders(text.encode())

    assert rows == read_elders(text.encode("utf-8-sig")) == read_elders(text.encode("gb18030"))
    assert rows == read_elders(text.replace("\n", "\r\n").encode())
    assert [row.reference for row in rows] == ["XH-0001", "XH-0002"]
    assert rows[0].given["risk"] == "high"
    assert rows[0].phones == ["02162345678", "13800000001"]
    assert [(d.id, d.kind, d.heartbeat_seconds) for d in rows[0].devices] == [
        ("smoke-0001", "smoke", 86400),
        ("button-0001", "one_key", 86400),
    ]
    assert rows[1].contacts is not None
    assert [(c.name, c.number) for c in rows[1].contacts] == [("王芳", "13800000012"), ("陈师傅", None)]


def test_english_headers_in_any_order_and_spelling() -> None:
    (row,) = _read("Contact1 Phone,NAME,contact1-name,reference,,Way In\n13800000012,王,芳,A-1,,key\n")

    assert (row.reference, row.given["name"], row.given["way_in"]) == ("A-1", "王", "key")
    assert row.contacts is not None
    assert [c.number for c in row.contacts] == ["13800000012"]
    assert row.phones is None


def test_empty_rows_count_but_hold_nobody() -> None:
    rows = _read("\n,,\nreference,name\n\nA-1,王\n , \nA-2,李\n")

    assert [(row.row, row.reference) for row in rows] == [(5, "A-1"), (7, "A-2")]


def test_every_fault_of_the_file_is_told_at_once() -> None:
    assert _faults(
        "编号,姓名,风险等级,电话,电话2,联系人1姓名,联系人1电话,设备1编号,设备1类型,设备1心跳秒数\n"
        "A-1,王,高,1.38E+10,13800000001,李,119,d-1,烟感,60\n"
        "A-1,王,,,,,,,,\n"
        "A-1,王,很高,,13800000002,,13800000003,d/2,Gas!,5\n"
        ",李,,,12,,,,,\n"
    ) == [
        "row 2, column 电话: the spreadsheet has shortened the number: format the column as text and enter it again",
        "row 2, column 联系人1电话: an emergency number (110, 119, 120 …) is never called by a machine: "
        "a person at a seat does it",
        "row 4, column 风险等级: write high, medium or low (高、中、低)",
        "row 4, column 联系人1姓名: is empty: fill it in",
        "row 4, column 设备1类型: no kind of device: write smoke, gas, co, one_key, fall … or "
        "烟感、烟雾、燃气、一氧化碳、一键呼、一键呼叫、跌倒、生命体征、活动、门磁",
        "row 4, column 设备1心跳秒数: Input should be greater than or equal to 60",
        "row 4, column 设备1编号: has printable characters only, and none of / + #",
        "row 5, column 编号: is empty: fill it in",
        "row 5, column 电话2: not a number that exists in the numbering plan: check the digits",
    ]


def test_an_elder_and_a_device_stand_in_one_row_only() -> None:
    header = "reference,name,device1_id,device1_kind\n"
    assert _faults(header + "A-1,王,d-1,smoke\nA-1,李,,\nA-2,张,d-1,gas\n") == [
        "row 3, column reference: stands in row 2 already: one row for one elder",
        "row 4, column device1_id: the device stands in row 2 already",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the first row must hold the headers"),
        ("reference,name,colour\n", "row 1, column colour: no such column"),
        ("reference,name,姓名\n", "row 1, column 姓名: stands twice"),
        ("name\n王\n", "row 1, column reference (编号): is missing"),
        ("reference;name\nA;王\n", "separated by commas"),
        ("reference\tname\nA\t王\n", "separated by commas"),
        ('reference,name\nA-1,"王\n', "row 2: not CSV"),
        ("reference,name\nA-1,王,more\n", "row 2: cell 3 has no header"),
        (b"reference,name\nA-1,\xff\xff\xff\n", "neither UTF-8 nor GB18030"),
        ('reference,name\nA-1,"a\nb"\n', "row 2, column name: holds a line break"),
        ("reference,name\nA-1,a\0b\n", "row 2, column name: holds a line break or another control"),
    ],
)
def test_a_file_that_is_no_such_file(content: str | bytes, says: str) -> None:
    assert says in _faults(content)[0]


@given(st.binary(max_size=300) | st.text(st.sampled_from('编号,姓名"\n\r\x00;A1'), max_size=60).map(str.encode))
def test_whatever_the_file_is_it_is_read_or_refused(content: bytes) -> None:
    rows: list[ImportRow] = []
    with contextlib.suppress(ImportFileError):
        rows = read_elders(b"reference,name,phone\n" + content)
    assert all(row.reference and row.given["name"] for row in rows)
