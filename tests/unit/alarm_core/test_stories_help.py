"""Help on the way: late, delayed, given up, arrived, reported on; and told when it is no longer needed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alarm_core.alarm import Phase
from alarm_core.commands import Purpose
from alarm_core.events import ArrivalReply, CallEnded, CallOutcome, HelperMinutes, Situation
from tests.unit.alarm_core.story import CONTACTS, Story, Tell, gaps


@pytest.fixture
def underway(tell: Tell) -> Story:
    """Contact 1 goes and said five minutes."""
    story = tell("fall", elder=[])
    story.contact(1).presses("going", minutes=5)
    return story


def test_without_minutes_the_plans_time_counts(tell: Tell) -> None:
    story = tell("fall", elder=[])
    story.contact(1).presses("going")
    story.expects_silence(minutes=20 + 2.9)
    story.wait(minutes=0.2)
    story.expects_call_to(story.contact(1), Purpose.ARRIVAL)


@pytest.mark.parametrize(("said", "counts"), [(0, 1), (-3, 1), (600, 90)])
def test_minutes_beyond_reason_are_bounded(underway: Story, said: int, counts: int) -> None:
    who = underway.contact(1).who
    underway.happens(HelperMinutes(call_id=underway.new_call_id(), who=who, minutes=said))
    underway.expects_silence(minutes=counts + 2.9)
    underway.wait(minutes=0.2)
    underway.expects_call_to(underway.contact(1), Purpose.ARRIVAL)


def test_late_help_brings_the_contact_line_back(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).does_not_answer()
    underway.expects_call_to(underway.contact(2), Purpose.CONFIRM)
    underway.wait(seconds=20)
    underway.expects_call_to(underway.contact(1), Purpose.ARRIVAL, within=0)
    assert underway.contact(1).who in underway.alarm.helpers


def test_late_help_that_stays_silent_is_no_longer_counted_on(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).does_not_answer()
    underway.wait(seconds=20)
    underway.contact(1).does_not_answer()
    assert underway.alarm.helpers == {}
    underway.nobody_answers(minutes=10)
    assert underway.calls_to(underway.duty())
    underway.expects(Phase.ALERTING)


def test_who_was_given_up_and_then_arrives_counts(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).does_not_answer()
    underway.wait(seconds=20)
    underway.contact(1).does_not_answer()
    underway.nobody_answers(minutes=10)
    assert underway.alarm.duty.state == "calling"
    underway.contact(1).calls_in()
    who = underway.contact(1).who
    underway.happens(ArrivalReply(call_id=underway.contact(1).call.id, who=who, reply="arrived"))
    underway.expects(Phase.ATTENDED)
    underway.contact(1).hangs_up()
    underway.expects_silence(minutes=9)


def test_a_helper_who_is_delayed_is_asked_again_later(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).reports("delayed")
    underway.expects_silence(minutes=20)
    underway.wait(minutes=3)
    underway.expects_call_to(underway.contact(1), Purpose.ARRIVAL)


def test_a_helper_who_gives_up_brings_the_contacts_back_but_is_not_asked_again(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).reports("cannot")
    assert underway.alarm.helpers == {}
    underway.expects_call_to(underway.contact(2), Purpose.CONFIRM)
    underway.contact(2).is_busy()
    underway.contact(3).is_busy()
    underway.expects_call_to(underway.contact(2))


def test_one_of_two_helpers_gives_up_and_the_other_is_still_awaited(tell: Tell) -> None:
    story = tell("fall", elder=[], own={"contacts": {"parallel": 2}})
    story.contact(2).answers()
    story.contact(1).presses("going", minutes=5)
    story.contact(2).presses("going", minutes=30)
    story.wait(minutes=8)
    story.contact(1).reports("cannot")
    story.expects_silence(minutes=20)


def test_somebody_who_is_no_helper_cannot_give_up_for_another(underway: Story) -> None:
    who = underway.contact(2).who
    underway.happens(ArrivalReply(call_id=underway.new_call_id(), who=who, reply="cannot"))
    underway.expects_silence(minutes=5)


def test_arrival_is_reported_by_a_call_back(underway: Story) -> None:
    underway.wait(minutes=4)
    underway.contact(1).calls_in()
    assert [leg.purpose for leg in underway.alarm.legs.values()] == [Purpose.ARRIVAL]
    underway.contact(1).reports("arrived", stays=True)
    underway.contact(1).says("safe")
    underway.expects(Phase.RESOLVED, "helped")


@pytest.mark.parametrize("arrived", [False, True])
def test_a_helper_without_a_number_cannot_be_asked_and_is_not_waited_for_in_silence(tell: Tell, arrived: bool) -> None:
    story = tell("fall", elder=[], contacts=[None, CONTACTS[1]])
    story.contact(1).calls_in()
    story.contact(1).presses("going", minutes=5, stays=True)
    if arrived:
        story.contact(1).reports("arrived", stays=True)
    story.contact(1).hangs_up()
    story.nobody_answers(minutes=30)
    assert story.calls_to(story.duty())
    assert (story.contact(1).who in story.alarm.helpers) == arrived


def test_that_the_elder_is_safe_is_heard_before_the_answer_is_reported(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).rings()
    call = underway.contact(1).call
    underway.happens(Situation(call_id=call.id, who=underway.contact(1).who, reply="safe"))
    underway.expects(Phase.RESOLVED, "helped")
    assert call.id not in underway.world.hung_up


def test_a_helper_who_calls_back_and_hangs_up_is_still_awaited_until_the_time(underway: Story) -> None:
    underway.contact(1).calls_in()
    underway.contact(1).hangs_up()
    underway.expects_silence(minutes=7)
    underway.wait(minutes=1)
    underway.expects_call_to(underway.contact(1), Purpose.ARRIVAL)


def test_a_late_helper_who_calls_back_just_when_we_ring_is_not_given_up(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).does_not_answer()
    underway.wait(seconds=20)
    underway.contact(1).rings()
    underway.contact(1).calls_in()
    assert underway.contact(1).who in underway.alarm.helpers
    underway.contact(1).reports("delayed")
    assert underway.contact(1).who in underway.alarm.helpers


def test_a_late_helper_who_shares_a_phone_with_the_next_contact_is_not_rung_twice(tell: Tell) -> None:
    story = tell("fall", elder=[], contacts=[CONTACTS[0], CONTACTS[0], CONTACTS[2]])
    story.contact(1).presses("going", minutes=5)
    story.wait(minutes=8)
    story.contact(1).rings()
    story.staff("take")  # the contact line stops, and comes back at the second call to the late helper
    story.contact(1).ends(CallOutcome.NO_ANSWER)
    story.staff("take")
    story.wait(seconds=20)
    story.expects_call_to(story.contact(1), Purpose.ARRIVAL)
    story.expects_no_call_to(story.contact(2))
    story.expects_call_to(story.contact(3), within=0)
    story.nobody_answers(minutes=10)  # the world checks at every call that no phone rings twice


def test_somebody_who_has_not_reported_is_asked_and_then_the_duty_phone_rings(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).reports("arrived")
    underway.expects_silence(minutes=9)
    underway.wait(minutes=1.1)
    underway.expects_call_to(underway.contact(1), Purpose.SITUATION)
    underway.contact(1).does_not_answer()
    underway.expects_no_call_to(underway.duty())
    underway.wait(seconds=20)
    underway.contact(1).does_not_answer()
    underway.expects_call_to(underway.duty())
    assert underway.alarm.duty.reason == "no_report"
    underway.expects(Phase.ATTENDED)


def test_more_help_is_asked_for_at_the_door(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).reports("arrived", stays=True)
    underway.contact(1).says("more_help")
    underway.expects_call_to(underway.duty(), within=0)
    assert underway.alarm.duty.reason == "more_help"
    underway.duty().presses("taken")
    underway.wait(minutes=10)
    underway.expects_call_to(underway.contact(1), Purpose.SITUATION)
    underway.contact(1).says("more_help")
    underway.duty().presses("taken")
    underway.wait(minutes=10)
    underway.expects_call_to(underway.contact(1), Purpose.SITUATION)


def test_more_help_is_asked_for_by_night_about_a_small_matter(tell: Tell) -> None:
    story = tell("low_battery", elder=[], at=datetime(2026, 11, 22, 11, 0, tzinfo=UTC))  # 19:00 in Shanghai
    story.contact(1).presses("going", minutes=10)
    story.wait(hours=2)
    story.contact(1).calls_in()
    story.contact(1).reports("arrived", stays=True)
    story.contact(1).says("more_help")
    story.expects_call_to(story.duty(), within=0)


def test_more_help_stays_asked_for_when_another_contact_accepts(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).reports("arrived", stays=True)
    underway.contact(1).says("more_help")
    underway.contact(2).calls_in()
    underway.contact(2).presses("person")
    underway.contact(3).calls_in()
    underway.contact(3).presses("going")
    underway.expects_call_to(underway.duty())


def test_a_helper_on_the_way_to_an_elder_who_is_well_is_told_by_phone(tell: Tell) -> None:
    story = tell("fall", risk="high")
    story.contact(1).presses("going", minutes=30)
    story.elder.presses("well")
    story.expects(Phase.RESOLVED, "withdrawn")
    story.expects_call_to(story.contact(1), Purpose.WITHDRAWN, within=0)
    story.contact(1).answers()
    story.contact(1).hangs_up()
    story.expects_silence(hours=2)


def test_telling_is_tried_a_few_times_and_then_left(tell: Tell) -> None:
    story = tell("fall", risk="high")
    story.contact(1).presses("going", minutes=30)
    story.staff("withdraw")
    story.nobody_answers(hours=3)
    calls = [call for call in story.world.placed if call.purpose is Purpose.WITHDRAWN]
    assert 1 < len(calls) <= 3
    assert min(gaps(calls)) >= 20


def test_telling_is_tried_as_often_when_the_helper_was_asked_before(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).does_not_answer()
    underway.staff("withdraw")
    underway.nobody_answers(hours=1)
    calls = [call for call in underway.world.placed if call.purpose is Purpose.WITHDRAWN]
    assert 1 < len(calls) <= 3


def test_a_helper_who_calls_back_after_the_end_hears_it_and_is_not_called_any_more(underway: Story) -> None:
    underway.staff("withdraw")
    underway.contact(1).rings()
    ours = underway.contact(1).call
    underway.contact(1).calls_in()
    assert underway.world.hung_up == [ours.id]
    (leg,) = underway.alarm.legs.values()
    assert leg.purpose is Purpose.WITHDRAWN
    underway.contact(1).hangs_up()
    underway.expects_silence(hours=3)


def test_a_helper_who_is_already_there_is_not_told(underway: Story) -> None:
    underway.wait(minutes=8)
    underway.contact(1).reports("arrived")
    underway.staff("withdraw")
    underway.expects_silence(hours=2)


def test_nobody_is_told_after_the_close(underway: Story) -> None:
    underway.staff("withdraw")
    underway.contact(1).rings()
    underway.staff("close")
    underway.expects_no_call_to(underway.contact(1))
    underway.expects_silence(hours=2)


def test_a_call_that_is_still_queued_at_the_close_is_forgotten(underway: Story) -> None:
    underway.world.obedient = False
    underway.staff("withdraw")
    call = underway.expects_call_to(underway.contact(1))
    underway.staff("close")
    underway.expects(Phase.CLOSED, "withdrawn")
    underway.happens(CallEnded(call_id=call.id, outcome=CallOutcome.CANCELLED))
    underway.expects_silence(hours=2)
