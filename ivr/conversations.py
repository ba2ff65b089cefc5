"""What is said on each call and what its keys mean. Each conversation is a generator of steps (ivr/steps.py)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, TypeVar
from uuid import UUID

from alarm_core.commands import Purpose
from alarm_core.events import ArrivalReply, DutyReply, ElderReply, Event, HelperMinutes, HelperReply, Situation
from ivr.sounds import SPOKEN_KINDS, Part, Prompt, Spoken
from ivr.steps import Answer, Ask, AskNumber, Conversation, Next, Report, Say, Step, Verdict

_REPEATS = 5
_MINUTE_DIGITS = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call:
    """What a conversation knows: the call, and the alarm as it stood when somebody picked up.

    `elder_said`: result of the elder line. `arrived`: this contact reported to be there. `returned`: the caller waited
    for a person and nobody was free. `duty_reason` as in `DutyLine.reason`. `device_id` for alarms without an elder.
    """

    id: UUID
    who: UUID | None
    kind: str
    elder_name: str = ""
    address: str = ""
    way_in: str = ""
    elder_said: Literal["", "well", "help", "silent", "no_answer"] = ""
    arrived: bool = False
    returned: bool = False
    duty_reason: str = ""
    device_id: str = ""
    over: bool = False

    @property
    def helper(self) -> UUID:
        if self.who is None:
            raise ValueError(f"call {self.id} is with a contact and does not say with which")
        return self.who


def verify(call: Call) -> Conversation:
    """To the elder: are you well? (Xuhui X2, X7)"""
    keys = Prompt("elder.keys")
    parts = (Prompt("elder.greeting"), Prompt("elder.verify"), _kind(call), keys)
    key = yield from _ask(Ask(parts, "12", again=(keys,), tries=3))
    if key == "1":
        verdict = yield from _report(ElderReply(call_id=call.id, reply="well"))
        yield Say((Prompt("elder.well_still_sent" if verdict.still_sent else "elder.well_thanks"),))
    elif key == "2":
        yield from _report(ElderReply(call_id=call.id, reply="help"))
        yield Say((Prompt("elder.help_coming"),))
    else:
        yield from _report(ElderReply(call_id=call.id, reply="silent"))
        yield Say((Prompt("elder.silence"),))
    return Next.HANGUP


def confirm(call: Call) -> Conversation:
    """To a contact: will you go? 1 I am going (then how many minutes), 2 I cannot, 3 again, 0 a person."""
    if call.over:
        yield Say((Prompt("contact.withdrawn"),))
        return Next.HANGUP
    keys = Prompt("contact.keys")
    story = (Prompt("contact.greeting"), *_story(call), keys)
    parts: tuple[Part, ...] = (Prompt("contact.nobody_free"), keys) if call.returned else story
    key: str | None = None
    for _ in range(_REPEATS):
        key = yield from _ask(Ask(parts, "1230", again=(keys,)))
        if key != "3":
            break
        parts = (Prompt("repeat_intro"), *_story(call), keys)
    match key:
        case "1":
            verdict = yield from _report(_helper(call, "going"))
            if not verdict.open:
                yield Say((Prompt("contact.withdrawn"),))
            elif verdict.others_going:
                yield Say((Prompt("contact.already"),))
            else:
                yield from _minutes(call)
                yield Say((Prompt("contact.thanks"),))
        case "2":
            yield from _report(_helper(call, "cannot"))
            yield Say((Prompt("contact.cannot_thanks"),))
        case "0":
            verdict = yield from _report(_helper(call, "person"))
            if verdict.open:
                yield Say((Prompt("contact.connecting"),))
                return Next.ROOM
            yield Say((Prompt("contact.withdrawn"),))
        case _:
            yield from _report(_helper(call, "none"))
            yield Say((Prompt("goodbye"),))
    return Next.HANGUP


def arrival(call: Call) -> Conversation:
    """To a contact who is going, or who calls back: are you there, and how is the elder?"""
    if call.over:
        yield Say((Prompt("contact.withdrawn"),))
        return Next.HANGUP
    about = (Prompt("arrival.greeting"), Spoken(call.elder_name))
    if not call.arrived:
        ask = Prompt("arrival.ask")
        key = yield from _ask(Ask((*about, ask), "123", again=(ask,)))
        if key == "2":
            yield from _report(_arrival(call, "delayed"))
            yield from _minutes(call)
            yield Say((Prompt("arrival.delayed_thanks"),))
            return Next.HANGUP
        if key == "3":
            yield from _report(_arrival(call, "cannot"))
            yield Say((Prompt("arrival.cannot"),))
            return Next.HANGUP
        if key != "1":
            yield Say((Prompt("goodbye"),))
            return Next.HANGUP
        yield from _report(_arrival(call, "arrived"))
    situation = Prompt("arrival.situation")
    parts = (*about, situation) if call.arrived else (situation,)
    key = yield from _ask(Ask(parts, "12", again=(situation,)))
    if key == "1":
        yield from _report(Situation(call_id=call.id, who=call.helper, reply="safe"))
        yield Say((Prompt("arrival.thanks"),))
    elif key == "2":
        yield from _report(Situation(call_id=call.id, who=call.helper, reply="more_help"))
        yield Say((Prompt("arrival.more_help"),))
    return Next.HANGUP


def withdrawn(call: Call) -> Conversation:
    """To a contact on the way: no longer needed."""
    yield Say((Prompt("contact.withdrawn"), Prompt("repeat_intro"), Prompt("contact.withdrawn")))
    return Next.HANGUP


def duty(call: Call) -> Conversation:
    """To the duty phone: an alarm needs a person."""
    story = _story(call) if call.elder_name else (_kind(call), Prompt("duty.device"), Spoken(call.device_id))
    keys = Prompt("duty.keys")
    parts: tuple[Part, ...] = (Prompt("duty.greeting"), *_reason(call), *story, keys)
    key: str | None = None
    for _ in range(_REPEATS):
        key = yield from _ask(Ask(parts, "123", again=(keys,)))
        if key != "3":
            break
        parts = (Prompt("repeat_intro"), *_reason(call), *story, keys)
    if key == "1":
        verdict = yield from _report(DutyReply(call_id=call.id, reply="taken"))
        yield Say((Prompt("duty.taken"),))
        return Next.ROOM if verdict.room else Next.HANGUP
    yield from _report(DutyReply(call_id=call.id, reply="cannot"))
    yield Say((Prompt("goodbye"),))
    return Next.HANGUP


def duty_check(call: Call) -> Conversation:
    """To the duty phone that took an alarm: is it settled?"""
    about = (Spoken(call.elder_name),) if call.elder_name else (Prompt("duty.device"), Spoken(call.device_id))
    key = yield from _ask(Ask((Prompt("duty.greeting"), *about, _kind(call), Prompt("duty.report_ask")), "123"))
    match key:
        case "1":
            yield from _report(DutyReply(call_id=call.id, reply="settled"))
            yield Say((Prompt("duty.done"),))
        case "2":
            yield from _report(DutyReply(call_id=call.id, reply="working"))
            yield Say((Prompt("duty.continue"),))
        case "3":
            yield from _report(DutyReply(call_id=call.id, reply="call_again"))
            yield Say((Prompt("duty.contacts_again"),))
        case _:
            yield Say((Prompt("goodbye"),))
    return Next.HANGUP


BY_PURPOSE: dict[Purpose, Callable[[Call], Conversation]] = {
    Purpose.VERIFY: verify,
    Purpose.CONFIRM: confirm,
    Purpose.ARRIVAL: arrival,
    Purpose.SITUATION: arrival,
    Purpose.WITHDRAWN: withdrawn,
    Purpose.DUTY: duty,
    Purpose.DUTY_CHECK: duty_check,
}


def _ask(step: Ask) -> Generator[Step, Answer, str | None]:
    answer = yield step
    return answer if isinstance(answer, str) else None


def _report(event: Event) -> Generator[Step, Answer, Verdict]:
    answer = yield Report(event)
    if not isinstance(answer, Verdict):
        raise TypeError("a report is answered with a verdict")
    return answer


def _minutes(call: Call) -> Generator[Step, Answer, None]:
    minutes = yield AskNumber((Prompt("contact.minutes"),), digits=_MINUTE_DIGITS)
    if isinstance(minutes, int) and minutes > 0:
        yield Report(HelperMinutes(call_id=call.id, who=call.helper, minutes=minutes))


def _helper(call: Call, reply: Literal["going", "cannot", "person", "none"]) -> HelperReply:
    return HelperReply(call_id=call.id, who=call.helper, reply=reply)


def _arrival(call: Call, reply: Literal["arrived", "delayed", "cannot"]) -> ArrivalReply:
    return ArrivalReply(call_id=call.id, who=call.helper, reply=reply)


def _kind(call: Call) -> Prompt:
    return Prompt(f"kind.{call.kind}" if call.kind in SPOKEN_KINDS else "kind.unknown")


_ELDER_SAID = {
    "no_answer": "contact.no_answer",
    "silent": "contact.elder_silent",
    "help": "contact.elder_needs_help",
    "well": "contact.elder_well_but_check",
}


def _story(call: Call) -> tuple[Part, ...]:
    """Who, what, how the elder answered, where, and how to get in (Beijing B2, B12)."""
    parts: list[Part] = [Prompt("contact.elder_is"), Spoken(call.elder_name), _kind(call)]
    if call.elder_said:
        parts.append(Prompt(_ELDER_SAID[call.elder_said]))
    if call.address:
        parts += [Prompt("contact.address"), Spoken(call.address)]
    if call.way_in:
        parts += [Prompt("contact.way_in"), Spoken(call.way_in)]
    return tuple(parts)


def _reason(call: Call) -> tuple[Part, ...]:
    known = {
        "nobody_reached": "duty.nobody_reached",
        "more_help": "duty.more_help",
        "person_wanted": "duty.person_waiting",
        "unknown": "duty.unknown_device",
    }
    return (Prompt(known[call.duty_reason]),) if call.duty_reason in known else ()
