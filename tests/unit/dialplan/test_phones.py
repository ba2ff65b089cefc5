"""The phones' log and the hangup record, as text that was really written by Asterisk."""

from pathlib import Path

import pytest

from dialplan.phones import PhoneLog
from dialplan.records import HangupRecord


def line(at: float, call: str, number: str, event: str, detail: str = "") -> str:
    return (
        f'{{"at":"{at:.3f}","call":"{call}","number":"{number}","event":"{event}",'
        f'"detail":"{detail}","other":"4008001234"}}\n'
    )


def log(tmp_path: Path, *lines: str) -> PhoneLog:
    path = tmp_path / "phones.log"
    path.write_text("".join(lines))
    return PhoneLog(path)


def test_a_call_is_gathered_from_its_lines(tmp_path: Path) -> None:
    phones = log(
        tmp_path,
        line(1.0, "c1", "139", "call"),
        line(1.1, "c2", "138", "call"),
        line(2.0, "c1", "139", "answer"),
        line(3.0, "c1", "139", "press", "1"),
        line(4.0, "c1", "139", "press", "15#"),
        line(5.0, "c1", "139", "end", "16"),
    )
    first, second = phones.calls()
    assert (first.number, first.began_at, first.answered_at, first.ended_at) == ("139", 1.0, 2.0, 5.0)
    assert (first.keys, first.cause) == ("115#", 16)
    assert (second.number, second.answered_at, second.ended_at) == ("138", None, None)
    assert phones.calls("138") == [second]


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    phones = log(tmp_path, line(1.0, "c1", "139", "call"), '{"at":"2.0","ca')
    assert len(phones.events()) == 1


def test_no_log_means_no_calls(tmp_path: Path) -> None:
    assert PhoneLog(tmp_path / "none").calls() == []
    assert PhoneLog(tmp_path / "none").ringing_twice() == []


def test_a_phone_that_rings_twice_at_the_same_moment_is_found(tmp_path: Path) -> None:
    phones = log(
        tmp_path,
        line(1.0, "long", "139", "call"),
        line(2.0, "short", "139", "call"),
        line(3.0, "short", "139", "end", "16"),
        line(4.0, "late", "139", "call"),
        line(5.0, "late", "139", "end", "16"),
        line(9.0, "long", "139", "end", "16"),
    )
    assert [(a.call, b.call) for a, b in phones.ringing_twice()] == [("long", "short"), ("long", "late")]


def test_calls_one_after_the_other_or_at_other_phones_are_no_fault(tmp_path: Path) -> None:
    phones = log(
        tmp_path,
        line(1.0, "a", "139", "call"),
        line(1.0, "b", "138", "call"),
        line(2.0, "a", "139", "end", "16"),
        line(2.0, "c", "139", "call"),
        line(3.0, "c", "139", "end", "16"),
        line(3.0, "b", "138", "end", "16"),
    )
    assert phones.ringing_twice() == []


def test_a_call_without_an_end_lasts_for_ever(tmp_path: Path) -> None:
    phones = log(
        tmp_path,
        line(1.0, "a", "139", "call"),
        line(900.0, "b", "139", "call"),
        line(901.0, "b", "139", "end", "16"),
    )
    assert len(phones.ringing_twice()) == 1


BUSY = (
    '{"cause":"17","sip":"486","state":"Down","door":"","started":"1795394199.811","answered":"",'
    '"ended":"1795394199.817","agi":"","next":"","duty":"","note":""}'
)


def test_a_record_of_a_busy_phone_is_read() -> None:
    record = HangupRecord.parse(BUSY)
    assert (record.cause, record.sip, record.up, record.answered) == (17, 486, False, None)
    assert record.started == 1795394199.811
    assert record.duty == 0


def test_a_phone_that_only_rang_refused_nothing() -> None:
    assert HangupRecord.parse(BUSY.replace('"486"', '"180"')).sip is None


@pytest.mark.parametrize("value", ["", "hello", "{}", "[]", BUSY.replace('"17"', '"x"')])
def test_what_is_no_record_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="not a hangup record"):
        HangupRecord.parse(value)
