"""The contact line: order, rounds, phones that cannot be reached, keys that count and keys that do not."""

from __future__ import annotations

from uuid import uuid4

import pytest

from alarm_core.alarm import Phase
from alarm_core.commands import PlaceCall, Purpose
from alarm_core.events import CallEnded, CallOutcome, HelperReply
from tests.unit.alarm_core.story import CONTACTS, ELDER, Story, Tell, gaps


def alerting(tell: Tell, kind: str = "smoke", **people: object) -> Story:
    """The elder has no phone: the contacts are called at once."""
    return tell(kind, elder=[], **people)


def test_hanging_up_in_the_middle_gives_the_next_contact_the_turn(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).answers()
    story.contact(1).hangs_up()
    story.expects_call_to(story.contact(2), within=1)
    assert story.alarm.helpers == {}


def test_who_cannot_come_is_not_asked_again_in_these_rounds(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).presses("cannot")
    story.expects_call_to(story.contact(2), within=0)
    story.contact(2).is_busy()
    story.contact(3).is_busy()
    story.expects_call_to(story.contact(2))
    assert len(story.calls_to(story.contact(1))) == 1


@pytest.mark.parametrize("outcome", [o for o in CallOutcome if o is not CallOutcome.FAILED])
def test_whatever_becomes_of_a_call_the_next_contact_is_called(tell: Tell, outcome: CallOutcome) -> None:
    story = alerting(tell)
    story.contact(1).ends(outcome)
    story.expects_call_to(story.contact(2), within=1)
    assert story.alarm.helpers == {}


def test_nobody_in_all_rounds_then_duty_for_hours_and_the_contacts_again(tell: Tell) -> None:
    story = alerting(tell)
    story.nobody_answers(hours=6)
    duty = [call for call in story.world.placed if call.purpose is Purpose.DUTY]
    both_ring_and_pause = 2 * 40 + 15
    assert max(gaps(duty)) <= both_ring_and_pause
    assert (story.world.now - duty[-1].since).total_seconds() <= both_ring_and_pause
    assert {call.number for call in duty} == set(story.alarm.brief.duty)
    first = story.calls_to(story.contact(1))
    two_rounds = 2 * 3 * (25 + 1)
    assert len(first) >= 2 * int(6 * 3600 / (two_rounds + 300))
    assert max(gaps(first)) <= two_rounds + 300
    story.expects(Phase.ALERTING)


def test_the_first_duty_call_comes_right_after_the_last_round(tell: Tell) -> None:
    story = alerting(tell)
    for _ in range(2):
        for place in (1, 2, 3):
            assert not story.calls_to(story.duty())
            story.contact(place).is_busy()
    story.expects_call_to(story.duty())
    assert story.alarm.duty.reason == "nobody_reached"
    story.expects_no_call_to(*(story.contact(place) for place in (1, 2, 3)))


def test_a_contact_without_a_number_is_passed_over(tell: Tell) -> None:
    story = alerting(tell, contacts=[None, CONTACTS[1]])
    story.expects_call_to(story.contact(2), within=0)


def test_contacts_without_any_number_lead_to_the_duty_phone(tell: Tell) -> None:
    story = alerting(tell, contacts=[None, None])
    story.expects_call_to(story.duty(), within=0)


def test_two_contacts_who_share_one_phone_are_asked_one_after_the_other(tell: Tell) -> None:
    story = alerting(tell, contacts=[CONTACTS[0], CONTACTS[0]], own={"contacts": {"parallel": 2}})
    story.contact(1).rings()
    story.expects_no_call_to(story.contact(2))
    story.contact(1).presses("cannot")
    story.expects_call_to(story.contact(2))


def test_no_duty_phone_at_all_still_leaves_a_next_step_at_every_moment(tell: Tell) -> None:
    story = alerting(tell, contacts=[CONTACTS[0]], duty=[])
    story.nobody_answers(hours=2)
    assert len(story.calls_to(story.contact(1))) >= 20
    nobody = alerting(tell, contacts=[], duty=[])
    nobody.nobody_answers(hours=2)
    nobody.expects(Phase.ALERTING)


def test_two_ring_at_once_and_the_other_is_taken_back_when_one_goes(tell: Tell) -> None:
    story = alerting(tell, own={"contacts": {"parallel": 2}})
    story.contact(1).rings()
    story.contact(2).rings()
    story.expects_no_call_to(story.contact(3))
    other = story.contact(2).call
    story.contact(1).presses("going", stays=True)
    assert story.world.hung_up == [other.id]
    assert story.contact(1).is_live


def test_a_contact_who_is_listening_is_not_cut_off_when_another_goes(tell: Tell) -> None:
    story = alerting(tell, own={"contacts": {"parallel": 2}})
    story.contact(2).answers()
    story.contact(1).presses("going")
    assert story.contact(2).is_live
    story.contact(2).presses("going")
    assert len(story.alarm.helpers) == 2


def test_the_key_is_heard_before_the_answer_is_reported(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).rings()
    call = story.contact(1).call
    story.happens(HelperReply(call_id=call.id, who=story.contact(1).who, reply="going"))
    assert call.id not in story.world.hung_up, "who has just said yes is cut off"
    assert story.contact(1).who in story.alarm.helpers


def test_twice_in_a_row_passes_do_not_disturb(tell: Tell) -> None:
    story = alerting(tell, own={"contacts": {"calls_in_a_row": 2}})
    for place in (1, 1, 2, 2, 3, 3, 1):
        story.expects_call_to(story.contact(place))
        story.contact(place).does_not_answer()
    first, second = story.calls_to(story.contact(1))[:2]
    assert gaps([first, second])[0] < 180


def test_twice_in_a_row_holds_for_two_at_once(tell: Tell) -> None:
    story = alerting(tell, own={"contacts": {"calls_in_a_row": 2, "parallel": 2}})
    story.nobody_answers(minutes=2)
    for place in (1, 2):
        first, second = story.calls_to(story.contact(place))[:2]
        assert gaps([first, second])[0] < 40


def test_who_cannot_come_is_not_called_the_second_time_in_a_row(tell: Tell) -> None:
    story = alerting(tell, own={"contacts": {"calls_in_a_row": 2}})
    story.contact(1).presses("cannot")
    story.expects_call_to(story.contact(2), within=0)


def test_a_yes_counts_when_the_end_of_the_call_was_reported_first(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).answers()
    call = story.contact(1).call
    story.contact(1).hangs_up()
    story.contact(2).rings()
    story.happens(HelperReply(call_id=call.id, who=story.contact(1).who, reply="going"))
    assert list(story.alarm.helpers) == [story.contact(1).who]
    story.expects_no_call_to(story.contact(2))
    story.expects_silence(minutes=20)


def test_a_yes_after_the_end_of_the_alarm_counts_nothing(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).answers()
    call = story.contact(1).call
    story.staff("resolve")
    story.happens(HelperReply(call_id=call.id, who=story.contact(1).who, reply="going"))
    assert story.alarm.helpers == {}
    story.expects(Phase.RESOLVED, "handled")


def test_a_yes_of_somebody_whom_the_alarm_does_not_know_counts_nothing(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).answers()
    story.happens(HelperReply(call_id=uuid4(), who=uuid4(), reply="going"))
    assert story.alarm.helpers == {}
    assert story.contact(1).is_live


def test_a_trunk_that_fails_uses_no_round_up_and_pauses_longer_and_longer(tell: Tell) -> None:
    story = alerting(tell)
    story.trunk_is_down(minutes=60)
    tries = [call for call in story.world.placed if call.purpose is Purpose.CONFIRM]
    assert story.alarm.contacts.round == 1
    pauses = gaps(tries)
    assert pauses[0] < pauses[3] < pauses[-1] <= 60
    assert len(tries) < 150, "a trunk that refuses everything is not hammered"
    assert story.alarm.duty.state == "calling"
    story.wait(minutes=1)
    reached = next(place for place in (1, 2, 3) if story.contact(place).is_live)
    story.contact(reached).presses("going", minutes=10)
    story.expects_no_call_to(*(story.duty(place) for place in (1, 2)))
    story.expects_silence(minutes=10)


def test_after_the_trunk_recovers_the_pauses_are_short_again(tell: Tell) -> None:
    story = alerting(tell)
    story.trunk_is_down(minutes=10)
    story.wait(minutes=1)
    reached = next(place for place in (1, 2, 3) if story.contact(place).is_live)
    story.contact(reached).is_busy()
    story.expects_call_to(story.contact(reached % 3 + 1), within=1)


def test_a_contact_asks_for_a_person_duty_rings_and_the_contacts_go_on(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).presses("person")
    assert story.contact(1).is_live
    story.expects_call_to(story.duty(), within=0)
    story.expects_call_to(story.contact(2), within=0)
    story.duty().presses("taken")
    story.expects(Phase.ATTENDED)
    story.expects_no_call_to(story.contact(2))
    assert story.contact(1).is_live


def test_who_waits_for_a_person_returns_to_the_question_when_nobody_is_free(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).presses("person")
    waiting = story.contact(1).call
    story.duty(1).does_not_answer()
    assert story.world.redirected == []
    story.duty(2).does_not_answer()
    assert story.world.redirected == [waiting.id]
    story.contact(1).presses("going")
    assert story.contact(1).who in story.alarm.helpers


def test_who_asks_for_a_person_does_not_wait_for_the_end_of_the_duty_lines_pause(tell: Tell) -> None:
    """The pause of a plan for small matters is half an hour: nobody waits that long in a room."""
    story = alerting(tell, "low_battery", duty=["8001"])
    for place in (1, 2, 3):
        story.wait(seconds=20)
        story.contact(place).is_busy()
    story.wait(seconds=20)
    story.duty().does_not_answer()
    story.contact(1).calls_in()
    story.contact(1).presses("person")
    story.expects_call_to(story.duty(), within=0)


def test_a_contact_calls_back_and_the_call_of_ours_is_taken_back(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).rings()
    ours = story.contact(1).call
    story.contact(1).calls_in()
    assert story.world.hung_up == [ours.id]
    assert [leg.purpose for leg in story.alarm.legs.values()] == [Purpose.CONFIRM]
    story.wait(seconds=20)
    story.expects_no_call_to(story.contact(2))
    story.contact(1).presses("going", minutes=5)
    story.expects_silence(minutes=5)


def test_who_picks_up_and_presses_nothing_does_not_keep_the_next_contact_waiting(tell: Tell) -> None:
    """A voicemail may listen for minutes; a person who takes long can still say yes."""
    story = alerting(tell)
    story.contact(1).answers()
    story.wait(seconds=20)
    story.expects_no_call_to(story.contact(2))
    story.wait(seconds=10)
    story.contact(2).rings()
    story.contact(1).presses("going", minutes=5)
    assert story.contact(1).who in story.alarm.helpers
    assert story.world.hung_up


def test_nobody_is_called_a_second_time_while_the_last_contacts_voicemail_listens(tell: Tell) -> None:
    story = alerting(tell)
    last = len(story.alarm.brief.contacts)
    for place in range(1, last):
        story.contact(place).is_busy()
    story.contact(last).answers()
    story.wait(seconds=60)
    story.expects_no_call_to(story.contact(1))


def test_a_contact_calls_back_while_our_call_speaks_to_the_voicemail(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).answers()
    story.contact(1).calls_in()
    assert len([leg for leg in story.alarm.legs.values() if leg.who == story.contact(1).who]) == 1
    story.contact(1).presses("going", minutes=5)
    assert story.contact(1).who in story.alarm.helpers


def test_a_contact_calls_back_between_the_calls_to_others(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).does_not_answer()
    story.contact(2).rings()
    story.contact(1).calls_in()
    story.contact(1).presses("going")
    story.expects_no_call_to(story.contact(2))


def test_a_call_back_from_the_elders_own_phone_does_not_end_the_call_to_the_elder(tell: Tell) -> None:
    story = tell("fall", contacts=[ELDER])
    story.elder.rings()
    story.contact(1).calls_in()
    assert story.world.hung_up == []
    story.elder.presses("help")
    story.expects_call_to(story.duty())


def test_two_contacts_call_back_from_one_phone_and_the_one_who_goes_is_not_rung_while_on_it(tell: Tell) -> None:
    story = alerting(tell, contacts=[CONTACTS[0], CONTACTS[0]])
    story.contact(1).answers()
    story.contact(2).calls_in()
    assert story.world.hung_up == [], "two lines behind one number: who listens is not cut off"
    story.contact(2).presses("going", minutes=5, stays=True)
    story.contact(1).hangs_up()
    story.wait(minutes=8)
    assert len(story.world.placed) == 1
    story.contact(2).hangs_up()
    story.expects_call_to(story.contact(2), Purpose.ARRIVAL, within=20)


def test_who_calls_back_and_hangs_up_is_no_helper_and_the_line_goes_on(tell: Tell) -> None:
    story = alerting(tell)
    story.contact(1).rings()
    story.contact(1).calls_in()
    story.contact(1).hangs_up()
    story.expects_call_to(story.contact(2), within=2)


def test_urgency_and_what_to_do_with_an_engaged_phone_stand_in_the_command(tell: Tell) -> None:
    story = alerting(tell)
    commands = story.world.log[0].decision.commands
    (command,) = [command for command in commands if isinstance(command, PlaceCall)]
    assert (command.head_start_seconds, command.if_engaged, command.ring_seconds) == (7200, "skip", 25)


def test_the_same_end_reported_twice_changes_nothing(tell: Tell) -> None:
    story = alerting(tell)
    call = story.contact(1).call
    story.contact(1).is_busy()
    story.expects_call_to(story.contact(2))
    before = story.alarm.model_dump(exclude={"seq"})
    story.happens(CallEnded(call_id=call.id, outcome=CallOutcome.COMPLETED))
    assert story.alarm.model_dump(exclude={"seq"}) == before
