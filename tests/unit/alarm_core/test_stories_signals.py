"""Signals that join an alarm, the device's all-clear, hours of the day, and the last net below the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alarm_core.alarm import Phase
from alarm_core.commands import Purpose
from alarm_core.events import CallEnded, CallOutcome, CallPlaced, WakeDue
from alarm_core.rules import rules
from tests.unit.alarm_core.story import CONTACTS, Tell

SHANGHAI = ZoneInfo("Asia/Shanghai")
EVENING = datetime(2026, 11, 22, 21, 15, tzinfo=SHANGHAI).astimezone(UTC)


def local(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SHANGHAI)


def test_a_silent_device_waits_for_the_morning(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=EVENING)
    story.expects(Phase.RECEIVED)
    story.expects_silence(hours=11)
    story.wait(minutes=15)
    story.expects_call_to(story.elder, within=0)
    assert story.world.placed[0].since == local(2026, 11, 23, 8, 30)


def test_in_the_small_hours_the_same_morning_counts(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=local(2026, 11, 22, 5))
    story.wait(hours=3.5)
    story.expects_call_to(story.elder, within=0)


def test_within_the_hours_it_begins_at_once(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=local(2026, 11, 22, 8, 30))
    story.expects_call_to(story.elder, within=0)


def test_a_high_risk_elder_is_looked_after_at_any_hour(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=EVENING, risk="high")
    story.expects_call_to(story.elder, within=0)


def test_what_began_by_day_rests_by_night_and_goes_on_in_the_morning(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=local(2026, 11, 22, 19))
    story.nobody_answers(hours=24)
    hours = {call.since.astimezone(SHANGHAI).strftime("%H:%M") for call in story.world.placed}
    assert min(hours) >= "08:30"
    assert max(hours) < "20:00"
    assert [call for call in story.world.placed if call.since >= local(2026, 11, 23, 8, 30)]


def test_an_elder_who_asks_for_help_gets_it_by_night_too(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=local(2026, 11, 22, 19, 59))
    story.elder.answers()
    story.wait(minutes=2)
    story.elder.presses("help")
    story.expects_call_to(story.contact(1), within=0)
    story.expects_call_to(story.duty(), within=0)
    story.nobody_answers(hours=1)
    story.expects_call_to(story.duty(), within=600)


def test_who_calls_back_by_night_and_asks_for_a_person_does_not_wait_for_the_morning(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=local(2026, 11, 22, 19, 50))
    story.staff("take")
    story.staff("arrived")
    story.wait(hours=13)
    story.duty().does_not_answer()
    story.nobody_answers(hours=12)
    story.contact(1).calls_in()
    story.contact(1).presses("person")
    story.expects_call_to(story.duty(), within=0)


def test_what_staff_took_by_night_does_not_begin_anew_in_the_morning(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=EVENING)
    story.staff("take")
    story.wait(hours=12)
    story.expects(Phase.ATTENDED)
    assert not story.calls_to(story.elder)


def test_smoke_while_a_silent_device_waits_for_the_morning_is_acted_on_at_once(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=EVENING)
    story.signal_joins("smoke")
    assert story.alarm.kind == "smoke"
    story.expects(Phase.VERIFYING)
    story.expects_call_to(story.elder, within=0)
    assert "hours" not in story.alarm.wakes


def test_a_slightly_more_serious_matter_of_the_day_waits_too(tell: Tell) -> None:
    story = tell("low_battery", at=EVENING)
    story.signal_joins("heartbeat_lost")
    story.expects_silence(hours=11)
    story.wait(minutes=15)
    story.expects_call_to(story.elder, within=0)


def test_a_repeat_of_the_same_kind_is_recorded_and_changes_nothing(tell: Tell) -> None:
    story = tell("smoke")
    story.wait(seconds=7)
    before = story.alarm.model_dump(exclude={"seq", "last_signal_at", "danger_at"})
    for _ in range(100):
        story.signal_joins("smoke")
    assert story.alarm.model_dump(exclude={"seq", "last_signal_at", "danger_at"}) == before
    assert story.alarm.last_signal_at == story.world.now
    assert len(story.world.placed) == 1


def test_a_less_serious_kind_does_not_take_the_lead(tell: Tell) -> None:
    story = tell("smoke")
    story.signal_joins("door")
    assert story.alarm.kind == story.alarm.brief.plan.kind == "smoke"


def test_a_gas_that_becomes_poison_calls_the_contacts_together_with_the_elder(tell: Tell) -> None:
    story = tell("gas")
    story.expects_no_call_to(story.contact(1))
    story.signal_joins("co")
    story.expects_call_to(story.contact(1), within=0)
    assert story.calls_to(story.contact(1))[0].ring_seconds == 25


def test_a_gas_that_becomes_a_fire_leaves_the_contacts_until_the_elder_was_asked(tell: Tell) -> None:
    story = tell("gas")
    story.signal_joins("smoke")
    story.expects_no_call_to(story.contact(1))
    story.elder_does_not_answer()
    story.expects_call_to(story.contact(1))


def test_smoke_while_somebody_is_on_the_way_because_of_a_door_calls_more_people(tell: Tell) -> None:
    story = tell("door", elder=[])
    story.contact(1).presses("going", minutes=30)
    story.signal_joins("smoke")
    story.expects_call_to(story.contact(2), within=0)
    story.expects_no_call_to(story.contact(1))


def test_smoke_does_not_wait_for_the_long_pauses_of_a_low_battery(tell: Tell) -> None:
    story = tell("low_battery", elder=[], contacts=[CONTACTS[0]], duty=["8001"])
    story.contact(1).is_busy()
    story.wait(seconds=11)
    story.duty().does_not_answer()
    story.signal_joins("smoke")
    story.expects_call_to(story.contact(1), within=0)
    story.expects_call_to(story.duty(), within=0)


def test_smoke_does_not_wait_until_the_morning_for_which_the_lines_wait(tell: Tell) -> None:
    by_night = tell("heartbeat_lost", at=local(2026, 11, 22, 19, 59))
    by_night.wait(minutes=2)
    by_night.elder.is_busy()
    by_night.expects_silence(minutes=10)
    by_night.signal_joins("smoke")
    by_night.expects_call_to(by_night.elder, within=0)
    later = tell("heartbeat_lost", at=local(2026, 11, 22, 19))
    later.nobody_answers(hours=4)
    later.signal_joins("smoke")
    later.expects_call_to(later.contact(1), within=0)
    later.expects_call_to(later.duty(1), within=0)


def test_smoke_while_somebody_is_already_there_reaches_the_duty_phone(tell: Tell) -> None:
    story = tell("door", elder=[])
    story.staff("take")
    story.signal_joins("smoke")
    story.expects_call_to(story.duty(), Purpose.DUTY, within=0)
    assert story.alarm.duty.reason == "worse"


def test_a_signal_after_the_end_is_recorded_only(tell: Tell) -> None:
    story = tell("door")
    story.elder.presses("well")
    story.signal_joins("smoke")
    story.expects(Phase.RESOLVED, "withdrawn")
    assert story.alarm.kind == "door"


def test_a_door_that_is_closed_again_ends_its_alarm(tell: Tell) -> None:
    story = tell("door")
    story.elder.rings()
    story.device_clears("door")
    story.expects(Phase.RESOLVED, "cleared")
    story.expects_no_call_to(story.elder)
    story.expects_silence(hours=10)


@pytest.mark.parametrize("kind", ["smoke", "gas", "co", "fall", "one_key", "vital_signs"])
def test_a_cleared_device_does_not_end_what_may_be_danger(tell: Tell, kind: str) -> None:
    story = tell(kind)
    story.device_clears(kind)
    story.expects(Phase.VERIFYING)


def test_a_closed_door_does_not_end_a_fire(tell: Tell) -> None:
    story = tell("door")
    story.signal_joins("smoke")
    story.device_clears("door")
    assert story.alarm.open


def test_a_closed_door_does_not_send_a_helper_home(tell: Tell) -> None:
    story = tell("door", elder=[])
    story.contact(1).presses("going")
    story.device_clears("door")
    assert story.alarm.open


def test_a_closed_door_does_not_silence_an_elder_who_asked_for_help(tell: Tell) -> None:
    story = tell("door")
    story.elder.presses("help")
    story.device_clears("door")
    assert story.alarm.open


def test_a_device_that_speaks_again_in_the_night_ends_its_alarm_before_anybody_is_called(tell: Tell) -> None:
    story = tell("heartbeat_lost", at=EVENING)
    story.device_clears("heartbeat_lost")
    story.expects(Phase.RESOLVED, "cleared")
    story.expects_silence(hours=20)
    assert story.world.placed == []


# The last net


def test_a_call_whose_end_was_never_heard_is_given_up(tell: Tell) -> None:
    story = tell("smoke", elder=[])
    story.contact(1).answers()
    story.wait(minutes=31)
    story.expects_call_to(story.contact(2))


def test_a_call_that_waits_for_a_free_line_is_not_given_up(tell: Tell) -> None:
    story = tell("smoke", elder=[])
    story.wait(hours=2)
    story.expects_call_to(story.contact(1), within=0)
    assert len(story.world.placed) == 1


@pytest.mark.parametrize("lines", ["stopped", "calling"])
def test_an_alarm_that_stands_still_is_set_going_again(tell: Tell, lines: str) -> None:
    """No history leads there: the state is made by hand, as a fault of ours might leave it."""
    story = tell("smoke")
    stuck = story.alarm.model_copy(
        update={
            "phase": Phase.ALERTING,
            "legs": {},
            "wakes": {"watchdog": story.alarm.wakes["watchdog"]},
            "elder": story.alarm.elder.model_copy(update={"state": "done"}),
            "contacts": story.alarm.contacts.model_copy(update={"state": lines}),
            "duty": story.alarm.duty.model_copy(update={"state": "calling" if lines == "calling" else "idle"}),
        }
    )
    decision = rules(stuck, WakeDue(name="watchdog", key=stuck.wakes["watchdog"]), story.world.now)
    numbers = {leg.number for leg in decision.alarm.legs.values()}
    assert numbers == {CONTACTS[0], story.alarm.brief.duty[0]}


def test_the_net_stays_up_for_the_calls_that_tell_helpers(tell: Tell) -> None:
    story = tell("fall", elder=[])
    story.contact(1).presses("going", minutes=60)
    story.staff("withdraw")
    story.contact(1).answers()
    story.wait(hours=1)
    assert story.alarm.legs == {}, "a call whose end was never heard stays in an ended alarm"
    assert set(story.alarm.wakes) == {"follow_up"}


def test_a_wake_that_was_replaced_is_not_an_event(tell: Tell) -> None:
    story = tell("fall")
    story.elder.presses("help")
    seq = story.alarm.seq
    decision = story.happens(WakeDue(name="elder_again", key="long ago"))
    assert not decision.applied
    assert story.alarm.seq == seq


def test_states_of_a_call_go_forward_only(tell: Tell) -> None:
    story = tell("fall")
    story.elder.answers()
    call = story.elder.call
    story.happens(CallPlaced(call_id=call.id))
    assert story.alarm.legs[call.id].state == "answered"


def test_words_about_calls_that_nobody_knows_change_nothing(tell: Tell) -> None:
    story = tell("fall")
    before = story.alarm.model_dump(exclude={"seq"})
    story.happens(CallPlaced(call_id=story.new_call_id()))
    story.happens(CallEnded(call_id=story.new_call_id(), outcome=CallOutcome.FAILED))
    assert story.alarm.model_dump(exclude={"seq"}) == before


def test_ids_and_times_come_from_the_alarm_alone(tell: Tell) -> None:
    one, two = tell("smoke"), tell("smoke")
    one.elder_does_not_answer()
    two.elder_does_not_answer()
    assert [call.id for call in one.world.placed] == [call.id for call in two.world.placed]
    assert one.world.now - two.world.now == timedelta(0)
