"""Any plan, any people, any order of events: what must always hold, holds.

The world checks after every event: the invariants, that a call id is new, that no phone in a live call is dialled, that
only keypads and staff bring help or end an alarm, that the given alarm is not changed, that a closed alarm is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarm_core.alarm import Phase
from alarm_core.commands import Party, Purpose
from alarm_core.events import (
    ArrivalReply,
    Brief,
    CallAnswered,
    CalledIn,
    CallEnded,
    CallOutcome,
    CallPlaced,
    CallRinging,
    DutyReply,
    ElderReply,
    Event,
    HelperMinutes,
    HelperReply,
    SignalCleared,
    SignalJoined,
    Situation,
    StaffEntry,
    WakeDue,
)
from tests.unit.alarm_core.story import BOOK, Story, brief, gaps
from tests.unit.alarm_core.world import ALARM_ID, MORNING, World, contact_id, signal

PHONES = ("02164370001", "13900000009", "13800000001", "13800000002", "13800000003")
"""Few, so that elders and contacts often share one."""
DUTY = ("8001", "8002", "13800000003")

_LATELY = settings(deadline=None, suppress_health_check=list(HealthCheck))

# The replies that end an alarm stand last: they are rare, so that most histories are long.
elder_replies: tuple[Literal["well", "help", "silent"], ...] = ("help", "silent", "well")
helper_replies: tuple[Literal["going", "cannot", "person", "none"], ...] = ("going", "cannot", "person", "none")
arrival_replies: tuple[Literal["arrived", "delayed", "cannot"], ...] = ("arrived", "delayed", "cannot")
situations: tuple[Literal["safe", "more_help"], ...] = ("more_help", "safe")
duty_replies: tuple[Literal["taken", "cannot", "settled", "working", "call_again"], ...] = (
    "taken",
    "cannot",
    "working",
    "call_again",
    "settled",
)
staff_actions: tuple[Literal["take", "arrived", "resolve", "withdraw", "close", "call_again", "note"], ...] = (
    "note",
    "take",
    "arrived",
    "call_again",
    "withdraw",
    "resolve",
    "close",
)


@st.composite
def plans(draw: st.DrawFn, hours: bool = True) -> dict[str, Any]:
    """An elder's own changes to a plan, within what is valid."""
    flag = st.booleans()
    own: dict[str, Any] = {
        "verify": {
            "calls": draw(st.integers(0, 3)),
            "pause_seconds": draw(st.sampled_from([0, 3, 60])),
            "contacts_at_once": draw(flag),
            "still_send": draw(flag),
        },
        "contacts": {
            "rounds": draw(st.integers(1, 3)),
            "pause_seconds": draw(st.sampled_from([0, 1, 10])),
            "parallel": draw(st.integers(1, 3)),
            "calls_in_a_row": draw(st.integers(1, 3)),
            "again_after_seconds": draw(st.sampled_from([30, 300, 900])),
        },
        "help": {
            "default_minutes": draw(st.sampled_from([1, 20])),
            "max_minutes": draw(st.sampled_from([1, 40])),
            "grace_seconds": draw(st.sampled_from([0, 180])),
            "arrival_calls": draw(st.integers(1, 3)),
            "pause_seconds": draw(st.sampled_from([0, 20])),
            "report_seconds": draw(st.sampled_from([60, 600])),
        },
        "duty": {
            "pause_seconds": draw(st.sampled_from([5, 15, 120])),
            "check_seconds": draw(st.sampled_from([60, 900])),
            "when_help": draw(flag),
            "first": draw(st.sampled_from([False, False, False, True])),
        },
        "clear_ends": draw(flag),
    }
    if hours and draw(flag):
        own["hours"] = {"start": "08:30", "end": "20:00"}
    return own


@st.composite
def briefs(draw: st.DrawFn, hours: bool = True, somebody_on_duty: bool = False) -> Brief:
    return brief(
        draw(st.sampled_from(["fall", "door", "smoke"])),
        elder=draw(st.lists(st.sampled_from(PHONES[:3]), max_size=2, unique=True)),
        contacts=draw(st.lists(st.sampled_from([*PHONES[1:], None]), max_size=3)),
        duty=draw(st.lists(st.sampled_from(DUTY), min_size=int(somebody_on_duty), max_size=2, unique=True)),
        own=draw(plans(hours)),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What happens next: `what` chooses among the kinds of things, `a` and `b` among what is there."""

    what: int
    a: int
    b: int


steps = st.lists(st.builds(Step, st.integers(0, 99), st.integers(0, 11), st.integers(0, 11)), min_size=10, max_size=80)
at_any_hour = st.integers(0, 23).map(lambda hour: MORNING + timedelta(hours=hour))


def take(world: World, step: Step) -> None:
    """Mostly what a sane world does next; sometimes what only a broken one would say."""
    wake = world.next_wake()
    if step.what < 25 and wake is not None:
        world.fire(wake)
    elif step.what < 35:
        world.wait((0.5, 5, 30, 60, 300, 1200)[step.a % 6])
    elif step.what < 50 and (hung_up := [call for call in world.calls.values() if call.hung_up]):
        world.happens(CallEnded(call_id=hung_up[0].id, outcome=CallOutcome.CANCELLED))
    elif step.what < 88 and world.calls:
        call = list(world.calls.values())[step.a % len(world.calls)]
        world.happens(_of_a_call(step.what, step.b, call.id, call.party, call.purpose, call.who))
        call.answered = call.answered or step.what >= 68
    else:
        world.happens(_out_of_the_blue(world, step))


def _of_a_call(what: int, b: int, call: UUID, party: Party, purpose: Purpose | None, who: UUID | None) -> Event:
    """Something that this call may bring: its states, its end, its keys, in whatever order."""
    if what < 56:
        return (CallPlaced(call_id=call), CallRinging(call_id=call), CallAnswered(call_id=call))[b % 3]
    rarely = int(what % 4 == 0)
    if what < 68:
        outcomes = tuple(CallOutcome)
        return CallEnded(call_id=call, outcome=outcomes[b % len(outcomes)])
    if party is Party.ELDER:
        return ElderReply(call_id=call, reply=elder_replies[b % (2 + rarely)])
    if party is Party.DUTY:
        return DutyReply(call_id=call, reply=duty_replies[b % (4 + rarely)])
    assert who is not None
    if purpose is Purpose.CONFIRM and b < 8:
        return HelperReply(call_id=call, who=who, reply=helper_replies[b % 4])
    if b < 8:
        return ArrivalReply(call_id=call, who=who, reply=arrival_replies[b % 3])
    return Situation(call_id=call, who=who, reply=situations[b % (1 + rarely)])


def _out_of_the_blue(world: World, step: Step) -> Event:
    """Duplicates, late and stale words, unknown calls and people, signals, staff."""
    over = [call.id for call in world.placed if call.id not in world.calls]
    call = over[step.a % len(over)] if over and step.a % 3 else uuid5(ALARM_ID, f"unknown {step.a}")
    who = contact_id(1 + step.a % 4)  # the fourth is nobody
    kinds = ("low_battery", "door", "fall", "smoke", "co")
    kind = kinds[step.a % len(kinds)]
    ref = signal(kind, world.now, str(len(world.log)))
    match step.b:
        case 0 | 1:
            return HelperReply(call_id=call, who=who, reply=helper_replies[step.a % 4])
        case 2:
            return ArrivalReply(call_id=call, who=who, reply=arrival_replies[step.a % 3])
        case 3:
            return CallEnded(call_id=call, outcome=CallOutcome.LOST)
        case 4:
            return WakeDue(name="duty_next", key=f"stale {step.a}")
        case 5 | 6:
            return CalledIn(call_id=uuid5(ALARM_ID, f"in {len(world.log) if step.a % 4 else 0}"), who=who)
        case 7:
            return SignalJoined(signal=ref, plan=BOOK.for_alarm(kind))
        case 8:
            return SignalCleared(signal=signal(world.alarm.kind, world.now, ref.message_id))
        case 9:
            return HelperMinutes(call_id=call, who=who, minutes=(-1, 0, 5, 30, 100000)[step.a % 5])
        case 10:
            return (DutyReply(call_id=call, reply=duty_replies[step.a % 4]), ElderReply(call_id=call, reply="help"))[
                step.what % 2
            ]
        case _:
            actions = staff_actions if step.what % 4 == 0 else staff_actions[:4]
            return StaffEntry(action=actions[step.a % len(actions)], by="operator")


def history(people: Brief, told: list[Step], hour: Any = MORNING) -> World:
    world = World(people, hour, obedient=False)
    for step in told:
        take(world, step)
    return world


@settings(_LATELY, max_examples=6000)
@given(briefs(), steps, at_any_hour)
def test_any_history_keeps_what_is_guaranteed_and_can_be_replayed(people: Brief, told: list[Step], hour: Any) -> None:
    history(people, told, hour).replayed()


@settings(_LATELY, max_examples=600)
@given(briefs(hours=False, somebody_on_duty=True), steps)
def test_whatever_happened_an_open_alarm_reaches_the_duty_phones_again_and_again(
    people: Brief, told: list[Step]
) -> None:
    """From wherever a history ended: if nobody ever answers any more, a duty phone is soon called without end."""
    world = history(people, told)
    if not world.alarm.open:
        return
    plan = world.alarm.brief.plan
    help_at_most = max(plan.help.max_minutes, plan.help.default_minutes) * plan.help.minute_seconds
    asked = plan.help.arrival_calls * (plan.help.ring_seconds + plan.help.pause_seconds)
    one_round = (plan.contacts.ring_seconds + plan.contacts.pause_seconds) * 3 * plan.contacts.calls_in_a_row
    # The longest ways there: late help, then everyone in every round; or a duty phone that said it has it.
    longest = help_at_most + plan.help.grace_seconds + asked + one_round * plan.contacts.rounds
    longest += plan.duty.check_seconds + plan.help.report_seconds + plan.talk_seconds
    world.everyone(CallOutcome.NO_ANSWER, longest)
    since = world.now
    every = 2 * len(people.duty) * (plan.duty.ring_seconds + plan.duty.pause_seconds) + one_round
    world.everyone(CallOutcome.NO_ANSWER, 3 * every)
    numbers = set(people.duty)
    calls = [call for call in world.placed if call.number in numbers and call.since >= since]
    assert calls, "no duty phone was called"
    assert max([*gaps(calls), (calls[0].since - since).total_seconds()]) <= every
    assert world.alarm.open


@settings(_LATELY, max_examples=600)
@given(briefs(), steps)
def test_after_the_close_of_any_history_nothing_rings(people: Brief, told: list[Step]) -> None:
    world = history(people, told)
    for action in ("resolve", "close"):
        world.happens(StaffEntry(action=action, by="operator"))
    placed = len(world.placed)
    for step in told:
        take(world, step)
    world.wait(3 * 86400)
    assert len(world.placed) == placed
    assert world.alarm.phase is Phase.CLOSED


@settings(_LATELY, max_examples=600)
@given(briefs(), steps)
def test_after_the_end_of_any_history_few_calls_follow_and_they_tell_helpers_only(
    people: Brief, told: list[Step]
) -> None:
    world = history(people, told)
    world.happens(StaffEntry(action="withdraw", by="operator"))
    world.obedient = True
    before = len(world.placed)
    told_before = sum(call.purpose is Purpose.WITHDRAWN for call in world.placed)
    world.everyone(CallOutcome.NO_ANSWER, 2 * 86400)
    most = len(world.alarm.helpers) * world.alarm.brief.plan.help.arrival_calls
    assert told_before + len(world.placed) - before <= most
    assert world.alarm.legs == {}
    assert world.alarm.phase is not Phase.RESOLVED


@pytest.mark.parametrize(("kind", "risk"), [("smoke", "high"), ("one_key", "medium"), ("door", "low")])
def test_nobody_answers_for_a_whole_day(kind: str, risk: str) -> None:
    story = Story(kind, risk=risk)
    story.nobody_answers(hours=24)
    plan = story.alarm.brief.plan
    duty = [call for call in story.world.placed if call.purpose is Purpose.DUTY]
    assert max(gaps(duty)) <= 2 * plan.duty.ring_seconds + plan.duty.pause_seconds
    assert (story.world.now - duty[-1].since).total_seconds() <= 2 * plan.duty.ring_seconds + plan.duty.pause_seconds
    rounds = plan.contacts.rounds * 3 * (plan.contacts.ring_seconds + plan.contacts.pause_seconds)
    for place in (1, 2, 3):
        assert max(gaps(story.calls_to(story.contact(place)))) <= rounds + plan.contacts.again_after_seconds
    assert story.alarm.open
    assert story.alarm.helpers == {}


@pytest.mark.parametrize("kind", BOOK.kinds)
def test_nobody_answers_two_days_of_any_shipped_plan_by_its_own_hours(kind: str) -> None:
    """Ten times as fast, so that a day of calls is two hours of them; the hours of the day stay those of the clock."""
    people = brief(kind)
    world = World(people.model_copy(update={"plan": people.plan.paced(0.1 if people.plan.hours is None else 1)}))
    world.everyone(CallOutcome.NO_ANSWER, 1800 if people.plan.hours is None else 2 * 86400)
    duty = [call for call in world.placed if call.party is Party.DUTY]
    assert len(duty) >= 10
    night = 13 * 3600
    assert max(gaps(duty)) <= world.alarm.brief.plan.duty.pause_seconds + 100 + (night if people.plan.hours else 0)
