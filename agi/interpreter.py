"""Carries a conversation out on a real call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from agi.session import Session
from alarm_core.events import Event
from ivr.sounds import Part, Prompt
from ivr.steps import Answer, Ask, AskNumber, Conversation, Next, Report, Say, Step, Verdict

log = logging.getLogger("careline.agi")

_ANY_KEY = "0123456789*#"
_WRONG_KEYS = 5
"""So many in one question are no answer any more: a pocket, a child, a machine."""

Resolve = Callable[[Sequence[Part]], list[str]]
Commit = Callable[[Event, str], Verdict]


class Interpreter:
    """One conversation on one call.

    `resolve` turns parts into the names of sounds that exist on the node; `commit` puts an event into the record and
    returns after the commit. `keys` holds what was pressed since the last report: it belongs to the call's record.
    """

    def __init__(self, session: Session, resolve: Resolve, commit: Commit) -> None:
        self._session = session
        self._resolve = resolve
        self._commit = commit
        self.keys = ""

    def run(self, conversation: Conversation) -> Next:
        """Raises CallerGone when the caller hangs up in the middle; what was reported until then stays."""
        answer: Answer = None
        try:
            step = next(conversation)
            while True:
                answer = self._step(step)
                step = conversation.send(answer)
        except StopIteration as end:
            return Next(end.value)
        finally:
            conversation.close()

    def _step(self, step: Step) -> Answer:
        match step:
            case Say(parts):
                self._session.play_all(self._resolve(parts))
                return None
            case Ask():
                return self._ask(step)
            case AskNumber():
                return self._number(step)
            case Report(event):
                keys, self.keys = self.keys, ""
                return self._commit(event, keys)

    def _ask(self, step: Ask) -> str | None:
        """A wrong key shows that somebody is there: it costs no try, only patience."""
        parts = step.parts
        silent = wrong = 0
        while silent < step.tries and wrong < _WRONG_KEYS:
            key = self._session.play_all(self._resolve(parts), _ANY_KEY) or self._session.wait_key(step.seconds)
            if key is not None:
                self.keys += key
                if key in step.keys:
                    return key
                wrong += 1
            else:
                silent += 1
            parts = (Prompt("no_key" if key is None else "wrong_key"), *(step.again or step.parts))
        return None

    def _number(self, step: AskNumber) -> int | None:
        for _ in range(step.tries):
            digits = self._session.read_number(self._resolve(step.parts), step.digits, step.seconds)
            self.keys += digits
            if digits.isdecimal():
                return int(digits)
        return None
