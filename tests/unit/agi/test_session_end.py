"""However a call or its connection ends, the conversation is told at once and in one way."""

import io
import socket
import threading
import time
from typing import Any

import pytest
from asterisk.agi import AGI

from agi.session import AgiError, CallerGone, Session
from agi.wire import LONGEST_LINE, MOST_LINES

OK = "200 result=0\n"
DEAD = "511 Command Not Permitted on a dead channel or intercept routine\n"
USAGE = "520-Invalid command syntax.  Proper usage follows:\n Usage: X\n520 End of proper usage.\n"


@pytest.mark.parametrize("reply", ["HANGUP\n", DEAD, "200 result=-1\nHANGUP\n", "200 result=-1\n"])
def test_a_caller_who_hangs_up_is_gone_for_good(call: Any, reply: str) -> None:
    session, _ = call(reply, OK, OK)
    with pytest.raises(CallerGone):
        session.wait_key(5)
    if reply != "200 result=-1\n":  # where Asterisk's own word is final
        with pytest.raises(CallerGone):
            session.play("contact/alarm")


def test_a_hangup_between_two_commands_is_noticed_before_the_next(call: Any) -> None:
    session, asterisk = call("200 result=0\nHANGUP\n", OK)
    session.answer()
    with pytest.raises(CallerGone):
        session.play("contact/alarm")
    assert asterisk.commands == ["ANSWER"]


def test_a_connection_that_ends_is_a_caller_gone(call: Any) -> None:
    session, asterisk = call(OK)
    session.answer()
    asterisk.join()
    with pytest.raises(CallerGone):
        session.play("contact/alarm")


def test_a_connection_that_ends_without_an_answer_is_a_caller_gone(call: Any) -> None:
    session, _ = call("")
    with pytest.raises(CallerGone):
        session.answer()


@pytest.mark.parametrize("reply", [USAGE, "520 Invalid command syntax.\n", "510 Invalid\n"])
def test_a_refused_command_is_an_error_and_the_call_goes_on(call: Any, reply: str) -> None:
    session, _ = call(reply, "200 result=1 (still here)\n")
    with pytest.raises(AgiError):
        session.answer()
    assert session.get("A") == "still here"


@pytest.mark.timeout(5)
def test_a_usage_text_that_is_cut_off_ends_the_call(call: Any) -> None:
    session, _ = call("520-Invalid command syntax.\n Usage: X\n")
    with pytest.raises(CallerGone):  # pyst2 alone reads the end of input for ever
        session.answer()


def test_a_usage_text_without_an_end_ends_the_session(call: Any) -> None:
    session, _ = call("520-Invalid command syntax.\n" + "more\n" * (MOST_LINES + 1), OK)
    with pytest.raises(AgiError, match="without an end"):
        session.answer()


def test_a_line_without_an_end_ends_the_session(call: Any) -> None:
    session, _ = call("x" * (LONGEST_LINE + 10000))
    with pytest.raises(AgiError, match="without an end"):
        session.answer()


@pytest.mark.parametrize("result", ["1", "200", "x", ""])
def test_a_key_that_no_telephone_has_is_an_error(call: Any, result: str) -> None:
    session, _ = call(f"200 result={result}\n")
    with pytest.raises(AgiError, match="not a key"):
        session.wait_key(1)


@pytest.mark.parametrize("reply", ["nonsense\n", "\n", "200 nonsense\n", "\xff\xfe\n"])
def test_an_answer_that_is_not_agi_ends_the_session(call: Any, reply: str) -> None:
    session, _ = call(reply, OK)
    with pytest.raises(AgiError):
        session.answer()
    with pytest.raises(AgiError):
        session.answer()


@pytest.mark.timeout(5)
def test_an_asterisk_that_stops_answering_does_not_hold_the_thread() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"agi_network: yes\n\n")
    session = Session(ours, step_seconds=0.1)
    with pytest.raises(AgiError, match="in time"):
        session.play("contact/alarm")
    theirs.sendall(b"200 result=49 endpos=0\n")  # too late: whose answer would it be?
    with pytest.raises(AgiError, match="in time"):
        session.play("contact/alarm")
    theirs.close()


@pytest.mark.timeout(5)
def test_a_slow_environment_block_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()

    def drip() -> None:
        for _ in range(40):
            try:
                theirs.sendall(b"a")
            except OSError:
                return
            time.sleep(0.02)

    dripping = threading.Thread(target=drip)
    dripping.start()
    with pytest.raises(AgiError, match="in time"):
        Session(ours, greeting_seconds=0.2)
    ours.close()
    dripping.join()
    theirs.close()


@pytest.mark.parametrize("block", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\n", b"agi_x: 1\n" * (MOST_LINES + 1)])
def test_what_is_not_asterisk_is_not_talked_to(block: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(block)
    with pytest.raises(AgiError):
        Session(ours)
    theirs.close()


def test_a_session_can_be_ended_from_another_thread(call: Any) -> None:
    # No answer to the step; then, as Asterisk does for WAIT FOR DIGIT, a result that means nothing.
    session, asterisk = call("", "200 result=1\n")
    timer = threading.Timer(0.1, session.fail, ("the service is stopping",))
    timer.start()
    with pytest.raises(AgiError, match="the service is stopping"):
        session.wait_key(60)
    asterisk.join(5)
    assert asterisk.commands[1] == "failure"  # the word that makes AGISTATUS a FAILURE


def test_a_closed_session_answers_nothing(call: Any) -> None:
    session, _ = call(OK)
    session.close()
    session.close()
    with pytest.raises(CallerGone):
        session.answer()


# What pyst2 alone does, so that the tests above are known to bite.


class Plain(AGI):  # type: ignore[misc]  # pyst2 has no types
    def __init__(self, heard: str) -> None:
        self.stdin, self.stdout, self.stderr = io.StringIO(heard), io.StringIO(), io.StringIO()
        self._got_sighup = False
        self.env: dict[str, str] = {}


@pytest.mark.parametrize("heard", ["HANGUP\n", ""])
def test_pyst2_alone_takes_a_hangup_for_a_number(heard: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Plain(heard).answer()


def test_pyst2_alone_lets_a_name_become_a_command() -> None:
    plain = Plain("200 result=1\n")
    plain.set_variable("NAME", 'x"\nEXEC Dial PJSIP/120@trunk "')
    assert "\nEXEC Dial" in plain.stdout.getvalue()


def test_pyst2_alone_cannot_be_made_off_the_main_thread() -> None:
    errors: list[type[Exception]] = []

    def make() -> None:
        try:
            AGI(io.StringIO("\n"), io.StringIO(), io.StringIO())
        except ValueError as error:
            errors.append(type(error))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert errors == [ValueError]
