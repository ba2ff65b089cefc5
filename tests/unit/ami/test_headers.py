"""Nothing that a name, an address or a payload holds can become a header or an action."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.link import AmiAddress, Link
from ami.protocol import (
    LONGEST_LINE,
    MOST_HEADERS,
    AmiError,
    AmiInvalid,
    Waiting,
    checked,
    variable,
)

EVIL = "x\r\nAction: Originate\r\nChannel: PJSIP/120@trunk\r\n\r\n"
TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.text('\\",()[]=; a', max_size=30)


@pytest.mark.parametrize("value", [EVIL, "a\rb", "a\nb", "a\0b"])
async def test_a_line_break_in_any_value_is_refused_before_anything_is_sent(fake: Any, value: str) -> None:
    link = await Link.open(AmiAddress("127.0.0.1", fake.port, "a", "b"), lambda event: None)
    call: dict[str, Any] = {
        "channel": "PJSIP/1@trunk",
        "context": "door",
        "exten": "contact",
        "caller_id": "1",
        "timeout_ms": 1000,
        "channel_id": "0b2c",
    }
    attempts = [
        link.action(value),
        link.action("Ping", {"Name": value}),
        link.action("Ping", {f"Name{value}": "x"}),
        link.action("Ping", {"Variable": ["fine", value]}),
        link.action("Ping", action_id=value),
        link.collect("DBGet", {"Family": value}, until="DBGetComplete"),
        *(link.originate(**{**call, name: value}) for name in call if name != "timeout_ms"),
        link.originate(**call, variables={"NAME": value}),
        link.originate(**call, variables={value: "x"}),
        link.redirect(value, "door", "contact"),
        link.redirect("PJSIP/1", value, "contact"),
        link.redirect("PJSIP/1", "door", value),
        link.hangup(value),
        link.db_get(value, "key"),
        link.db_get("family", value),
        link.db_put("family", "key", value),
        link.db_del("family", value),
    ]
    for attempt in attempts:
        with pytest.raises(AmiInvalid):
            await attempt
    await asyncio.sleep(0.05)
    assert fake.names() == ["Login"]
    await link.close()


async def test_a_pattern_cannot_end_all_calls(fake: Any) -> None:
    link = await Link.open(AmiAddress("127.0.0.1", fake.port, "a", "b"), lambda event: None)
    with pytest.raises(AmiInvalid, match="pattern"):
        await link.hangup("/^.*$/")
    await link.close()


def test_what_asterisk_would_cut_is_refused() -> None:
    checked({"A": "x" * (LONGEST_LINE - 3)})
    with pytest.raises(AmiInvalid, match="1001 bytes"):
        checked({"A": "x" * (LONGEST_LINE - 2)})
    with pytest.raises(AmiInvalid, match="at most"):
        checked({"A": "张" * 400})
    with pytest.raises(AmiInvalid, match="headers"):
        checked({"Variable": ["a=b"] * (MOST_HEADERS + 1)})


def test_the_error_does_not_show_the_value() -> None:
    with pytest.raises(AmiInvalid) as error:
        checked({"Channel": "13912345678\n"})
    assert "139" not in str(error.value)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(AmiInvalid, match="Unicode"):
        checked({"A": "\udcff"})


@pytest.mark.parametrize("name", ["", "A B", "A=B", "A,B", "1A", "A(", "CHANNEL(a)(b)", "${A}"])
def test_only_a_variables_name_is_taken_for_one(name: str) -> None:
    with pytest.raises(AmiInvalid):
        variable(name, "x")


def test_functions_and_inherited_variables_can_be_set() -> None:
    handler = variable("CHANNEL(hangup_handler_push)", "hangup-record,s,1")
    assert handler == r"CHANNEL(hangup_handler_push)=hangup-record\,s\,1"
    assert variable("__CALL", "a") == "__CALL=a"


@given(TEXT)
def test_asterisk_reads_back_exactly_the_variable_that_was_meant(value: str) -> None:
    assert split_as_asterisk_does(variable("NAME", value)) == [f"NAME={value}"]


@given(st.dictionaries(st.sampled_from(["Channel", "Exten", "Name"]), st.text(max_size=40)))
async def test_whatever_is_sent_has_the_headers_that_were_meant(headers: dict[str, str]) -> None:
    try:
        text = str(Waiting({**headers, "Action": "Ping", "ActionID": "1"}, None))
    except AmiError:
        assert any(set("\r\n\0") & set(value) for value in headers.values())
        return
    assert text.endswith("\r\n\r\n")
    lines = text.removesuffix("\r\n\r\n").split("\r\n")
    meant = {**headers, "Action": "Ping", "ActionID": "1"}
    assert sorted(lines) == sorted(f"{name}: {value}" for name, value in meant.items())


def split_as_asterisk_does(text: str) -> list[str]:
    """__ast_app_separate_args of main/app.c, which cuts a Variable header into pairs."""
    parts, depth, brackets, quoted = [""], 0, 0, False
    characters = iter(text)
    for character in characters:
        if character == "\\":
            parts[-1] += next(characters, "")
            continue
        if character == '"':
            quoted = not quoted
            continue
        if character == "," and not (depth or brackets or quoted):
            parts.append("")
            continue
        depth = max(0, depth + {"(": 1, ")": -1}.get(character, 0))
        brackets = max(0, brackets + {"[": 1, "]": -1}.get(character, 0))
        parts[-1] += character
    return parts
