"""What may be entered about people and devices."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alarm_core.people import ContactFields, ElderFields, NewDevice, address_of


@pytest.mark.parametrize(
    "name",
    ["O'Brien", 'the "old" one', "阿布都拉·买买提", "نورا", "क्षत्रिय", "A, B; C", "${EXTEN}", "\N{GRINNING FACE}"],
)
def test_names_hold_quotes_and_any_script(name: str) -> None:
    assert ElderFields(reference="1", name=name).name == name


@pytest.mark.parametrize(
    "name", ["", "   ", "a\nb", "a\rb", "a\tb", "a\0b", "a\u2028b", "a\u202eb", "\x1b[31mred", "x" * 65]
)
def test_names_break_no_line_and_turn_no_screen(name: str) -> None:
    with pytest.raises(ValidationError):
        ElderFields(reference="1", name=name)


def test_a_note_may_have_several_lines() -> None:
    assert ElderFields(reference="1", name="王", note=" one\r\ntwo ").note == "one\ntwo"
    with pytest.raises(ValidationError):
        ElderFields(reference="1", name="王", note="one\0two")


@given(st.text(max_size=80))
def test_what_is_taken_is_one_line_and_taken_again_unchanged(text: str) -> None:
    try:
        name = ContactFields(name=text).name
    except ValidationError:
        return
    assert len(name.splitlines()) == 1
    assert name == name.strip()
    assert ContactFields(name=name).name == name


def test_numbers_are_kept_as_they_are_dialled_and_each_once() -> None:
    assert ElderFields(reference="1", name="王", phones=["010-6555 1234"]).phones == ["01065551234"]
    with pytest.raises(ValidationError, match="twice"):
        ElderFields(reference="1", name="王", phones=["13800000011", "+86 138 0000 0011"])
    with pytest.raises(ValidationError, match="at most 5"):
        ElderFields(reference="1", name="王", phones=[f"1380000001{n}" for n in range(6)])


@pytest.mark.parametrize("device_id", ["a/b", "+", "#", ".", "..", "", "a\nb", "x" * 129])
def test_a_devices_id_fits_into_a_topic_and_an_address(device_id: str) -> None:
    with pytest.raises(ValidationError):
        NewDevice(id=device_id, elder_id=uuid4(), kind="smoke")


@pytest.mark.parametrize(
    "plan",
    [
        {"*": {"talk_seconds": float("inf")}},
        {"*": {"talk_seconds": float("nan")}},
        {"*": {"talk_seconds": 10**400}},
        {"*": {"label": {"zh": "a\0b", "en": "x"}}},
        {"a\0b": {}},
        {"*": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}},
        {"*": 3},
    ],
)
def test_a_plan_holds_nothing_that_cannot_be_stored_or_waited_for(plan: object) -> None:
    with pytest.raises(ValidationError):
        ElderFields.model_validate({"reference": "1", "name": "王", "plan": plan})


def test_the_address_reads_as_one_line() -> None:
    elder = ElderFields(
        reference="1",
        name="王",
        district="徐汇区",
        street="田林街道",
        building="5号楼",
        room="301室",
        landmark="菜场旁",
    )
    assert address_of(elder.model_dump()) == "徐汇区田林街道5号楼301室，菜场旁"
