"""Questions on a call: silence costs a try, a wrong key only patience."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from agi.interpreter import Interpreter
from agi.session import Session
from alarm_core.events import Event
from ivr.sounds import Part, Prompt, sound_name
from ivr.steps import Ask, Conversation, Next, Verdict


class Caller:
    """Stands for the session: presses these keys, one for each question; "" is silence."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)
        self.heard: list[str] = []

    def play_all(self, sounds: Sequence[str], keys: str = "") -> str | None:
        self.heard += sounds
        return self._keys.pop(0) or None

    def wait_key(self, seconds: float) -> str | None:
        return None


def _question(answers: list[object], tries: int) -> Conversation:
    answers.append((yield Ask((Prompt("contact.keys"),), "12", tries=tries)))
    return Next.HANGUP


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["1"], "1"),
        (["", "2"], "2"),
        (["", ""], None),
        (["7", "9", "1"], "1"),
        (["7", "", "9", "2"], "2"),
        (["7", "9", "8", "9", "7"], None),
    ],
)
def test_a_question_is_asked_again_until_it_is_answered_or_given_up(keys: list[str], answer: str | None) -> None:
    caller = Caller(*keys)
    answers: list[object] = []

    def resolve(parts: Sequence[Part]) -> list[str]:
        return [sound_name(part) for part in parts if isinstance(part, Prompt)]

    def commit(event: Event, pressed: str) -> Verdict:
        raise AssertionError("nothing is reported")

    interpreter = Interpreter(cast("Session", caller), resolve, commit)
    interpreter.run(_question(answers, tries=2))
    assert answers == [answer]
    assert interpreter.keys == "".join(keys)
    again = {sound_name(Prompt("no_key" if key == "" else "wrong_key")) for key in keys[:-1]}
    assert again <= set(caller.heard)
