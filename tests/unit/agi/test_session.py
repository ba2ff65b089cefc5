"""What a conversation can do on a call, and what goes over the wire for it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agi.session import AgiError, CallerGone
from agi.wire import LONGEST_COMMAND, Wire

OK = "200 result=0\n"
NO_SOUND = "200 result=-1 endpos=0\n"


def key(character: str) -> str:
    return f"200 result={ord(character)} endpos=4000\n"


def test_the_session_knows_its_call(call: Any) -> None:
    session, _ = call(OK)
    assert session.channel == "PJSIP/trunk-00000001"
    assert session.unique_id == "0b2c"
    assert session.caller_id == "13912345678"
    assert session.path == "contact?call=0b2c"
    assert session.env["agi_calleridname"] == "张小明:"


def test_an_unknown_caller_has_no_number(call: Any) -> None:
    session, _ = call(OK)
    session.env["agi_callerid"] = "unknown"
    assert session.caller_id == ""


def test_a_sound_is_played_to_its_end_or_to_a_key(call: Any) -> None:
    session, asterisk = call("200 result=0 endpos=16000\n", key("1"))
    assert session.play("contact/alarm", "123") is None
    assert session.play("contact/alarm", "123") == "1"
    assert asterisk.commands == ['STREAM FILE "contact/alarm" "123"'] * 2


def test_sounds_stop_at_the_first_key(call: Any) -> None:
    session, asterisk = call(OK, key("3"))
    assert session.play_all(["one", "two", "three"], "123") == "3"
    assert len(asterisk.commands) == 2


def test_a_missing_sound_is_passed_over_and_reported(call: Any, caplog: pytest.LogCaptureFixture) -> None:
    session, _ = call(NO_SOUND, OK, key("1"))
    assert session.play_all(["not-there", "there"], "1") == "1"
    assert session.missing_sounds == ["not-there"]
    assert "no sound 'not-there'" in caplog.text


def test_a_caller_who_hangs_up_during_a_sound_is_gone_and_no_sound_is_missing(call: Any) -> None:
    session, _ = call(NO_SOUND, "511 Command Not Permitted on a dead channel\n")
    with pytest.raises(CallerGone):
        session.play("contact/alarm", "1")
    assert session.missing_sounds == []


@pytest.mark.parametrize(("seconds", "milliseconds"), [(2.5, "2500"), (0.0, "1"), (-1.0, "1"), (0.0001, "1")])
def test_waiting_for_a_key_always_ends(call: Any, seconds: float, milliseconds: str) -> None:
    session, asterisk = call(OK)
    assert session.wait_key(seconds) is None
    assert asterisk.commands == [f'WAIT FOR DIGIT "{milliseconds}"']


def test_keys_of_a_number_are_read_to_its_end(call: Any) -> None:
    session, asterisk = call(key("1"), key("5"), key("#"))
    assert session.read_number(["minutes"], 3, 4.0) == "15"
    assert asterisk.commands[0] == 'STREAM FILE "minutes" "0123456789#"'


def test_a_number_is_complete_with_its_last_digit(call: Any) -> None:
    session, asterisk = call(OK, key("1"), key("*"), key("5"))
    assert session.read_number(["minutes"], 2, 4.0) == "15"
    assert len(asterisk.commands) == 4


def test_a_number_ends_when_no_more_keys_come(call: Any) -> None:
    session, _ = call(key("9"), OK)
    assert session.read_number(["minutes"], 3, 4.0) == "9"


def test_no_key_is_an_empty_number(call: Any) -> None:
    session, _ = call(OK, OK)
    assert session.read_number(["minutes"], 3, 4.0) == ""


def test_a_hand_on_the_star_does_not_hold_the_call_for_ever(call: Any) -> None:
    session, _ = call(OK, *[key("*")] * 100)
    assert session.read_number(["minutes"], 3, 4.0) == ""


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("200 result=1 (room)\n", "room"),
        ("200 result=1 (hangup)\n", "hangup"),  # pyst2 alone: the caller has hung up
        ("200 result=1 ()\n", ""),
        ("200 result=1 (a (b) c=d)\n", "a (b) c=d"),
        ("200 result=1 (one\ntwo\n\nthree)\n", "one\ntwo\n\nthree"),
        ("200 result=1 (张小明)\n", "张小明"),
        ("200 result=0\n", None),
    ],
)
def test_a_variable_is_read_as_it_is(call: Any, reply: str, value: str | None) -> None:
    session, _ = call(reply, "200 result=1 (next)\n")
    assert session.get("NEXT") == value
    assert session.get("OTHER") == "next"  # and the answers have not shifted


@pytest.mark.parametrize("name", ["", "A B", 'A"', "A\nHANGUP", "1A", "A)"])
def test_only_a_variables_name_is_taken_for_one(call: Any, name: str) -> None:
    session, asterisk = call(OK)
    with pytest.raises(ValueError, match="name"):
        session.get(name)
    with pytest.raises(ValueError, match="name"):
        session.set(name, "x")
    assert asterisk.commands == []


@given(st.text(max_size=60) | st.text('\\" \n\r\t,a', max_size=30))
def test_asterisk_reads_back_exactly_the_text_that_was_meant(text: str) -> None:
    wire = Wire.__new__(Wire)
    line = f"SET VARIABLE {wire._quote('NAME')} {wire._quote(text)}"
    assert "\n" not in line
    meant = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text)
    assert words_as_asterisk_reads_them(line) == ["SET", "VARIABLE", "NAME", meant]


def words_as_asterisk_reads_them(line: str) -> list[str]:
    """parse_args of res/res_agi.c."""
    words: list[str] = []
    quoted = escaped = False
    between = True
    for character in line:
        if character == '"' and not escaped:
            quoted = not quoted
            if quoted and between:
                words.append("")
                between = False
        elif character in " \t" and not quoted and not escaped:
            between = True
        elif character == "\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                words.append("")
                between = False
            words[-1] += character
        escaped = False
    return words


def test_a_command_cannot_be_smuggled_into_any_argument(call: Any) -> None:
    evil = 'x" "\r\nEXEC Dial PJSIP/120@trunk\n'
    session, asterisk = call(*[OK] * 4)
    session.play(evil, evil)
    session.set("NAME", evil)
    with pytest.raises(ValueError, match="Wait"):
        session.exec("Wait", evil)
    with pytest.raises(ValueError, match="application"):
        session.exec(evil)
    assert len(asterisk.commands) == 2
    assert not any(command.startswith("EXEC") for command in asterisk.commands)


def test_what_asterisk_would_read_as_two_commands_is_refused(call: Any) -> None:
    session, asterisk = call(OK)
    with pytest.raises(AgiError, match="longer than"):
        session.set("NAME", "x" * LONGEST_COMMAND)
    session.set("NAME", "fine")
    assert asterisk.commands == ['SET VARIABLE "NAME" "fine"']


def test_an_application_runs_with_its_arguments(call: Any) -> None:
    session, asterisk = call("200 result=0\n", "200 result=-1\n")
    assert session.exec("AudioSocket", "0b2c", "127.0.0.1:9092") == 0
    assert session.exec("Playback", "tone") == -1
    assert asterisk.commands[0] == 'EXEC "AudioSocket" "0b2c,127.0.0.1:9092"'


def test_an_application_that_does_not_exist_is_an_error(call: Any) -> None:
    session, _ = call("200 result=-2\n")
    with pytest.raises(AgiError, match="no application Nosuch"):
        session.exec("Nosuch")


def test_the_usage_text_behind_a_result_of_one_shifts_nothing(call: Any) -> None:
    usage = "520-Invalid command syntax.  Proper usage follows:\nEXEC\n520 End of proper usage.\n"
    session, _ = call("200 result=1\n" + usage, "200 result=1 (next)\n")
    assert session.exec("Odd") == 1
    assert session.get("A") == "next"


@pytest.mark.parametrize("field", ["a,b", 'a"b', "a\\b", "a\nb"])
def test_an_argument_that_would_become_two_is_refused(call: Any, field: str) -> None:
    session, asterisk = call(OK)
    with pytest.raises(ValueError, match="Dial"):
        session.exec("Dial", field)
    assert asterisk.commands == []


def test_an_answer_to_nothing_is_not_taken_for_the_next(call: Any) -> None:
    session, asterisk = call("200 result=0\n200 result=1 (stray)\n", "200 result=1 (mine)\n")
    session.set("A", "x")
    assert session.get("B") == "mine"
    assert len(asterisk.commands) == 2


def test_trying_is_not_the_answer(call: Any) -> None:
    session, _ = call("100 result=0 Trying...\n200 result=0\n")
    session.answer()


def test_nothing_is_printed(call: Any, capfd: pytest.CaptureFixture[str]) -> None:
    session, _ = call(OK, "200 result=1 (x)\n", "510 Invalid or unknown command\n")
    session.answer()
    session.get("A")
    with pytest.raises(AgiError):
        session.hangup()
    assert capfd.readouterr() == ("", "")
