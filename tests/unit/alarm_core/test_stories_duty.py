"""The duty phone takes it, settles it, works on it, wants the contacts again, or says nothing; staff at a screen."""

from __future__ import annotations

import pytest

from alarm_core.alarm import Outcome, Phase
from alarm_core.commands import Purpose
from alarm_core.events import CallAnswered, CallEnded, CallOutcome, DutyReply
from tests.unit.alarm_core.story import CONTACTS, Action, Story, Tell


@pytest.fixture
def rung(tell: Tell) -> Story:
    """Everyone was tried; the first duty phone is called."""
    story = tell("fall", elder=[], contacts=[CONTACTS[0]])
    story.contact(1).is_busy()
    story.contact(1).is_busy()
    story.expects_call_to(story.duty(1), Purpose.DUTY)
    return story


def test_who_takes_it_has_it_and_is_asked_later(rung: Story) -> None:
    rung.duty(1).presses("taken")
    rung.expects(Phase.ATTENDED)
    rung.expects_silence(minutes=14)
    rung.wait(minutes=1.1)
    rung.expects_call_to(rung.duty(1), Purpose.DUTY_CHECK)
    rung.duty(1).presses("settled")
    rung.expects(Phase.RESOLVED, "handled")
    rung.expects_silence(hours=20)


def test_the_second_duty_phone_takes_it_and_is_the_one_who_is_asked(rung: Story) -> None:
    rung.duty(1).presses("cannot")
    rung.duty(2).presses("taken")
    rung.wait(minutes=16)
    rung.expects_call_to(rung.duty(2), Purpose.DUTY_CHECK)


def test_still_working_is_asked_again(rung: Story) -> None:
    rung.duty(1).presses("taken")
    for _ in range(3):
        rung.wait(minutes=15.1)
        rung.expects_call_to(rung.duty(1), Purpose.DUTY_CHECK)
        rung.duty(1).presses("working")
        rung.expects(Phase.ATTENDED)


def test_duty_wants_the_contacts_called_again(rung: Story) -> None:
    rung.duty(1).presses("taken")
    rung.wait(minutes=15.1)
    rung.duty(1).presses("call_again")
    rung.expects(Phase.ALERTING)
    rung.expects_call_to(rung.contact(1), Purpose.CONFIRM)
    rung.contact(1).presses("going", minutes=60)
    rung.wait(minutes=15.1)
    rung.expects_call_to(rung.duty(1), Purpose.DUTY_CHECK)


@pytest.mark.parametrize("answers", [False, True])
def test_no_word_at_the_check_and_all_duty_phones_ring_again(rung: Story, answers: bool) -> None:
    rung.duty(1).presses("taken")
    rung.wait(minutes=15.1)
    if answers:
        rung.duty(1).presses("cannot")
    else:
        rung.duty(1).does_not_answer()
    assert rung.alarm.duty.reason == "no_report"
    rung.nobody_answers(hours=1)
    assert len(rung.calls_to(rung.duty(2))) > 30


def test_a_caught_duty_call_that_hangs_up_without_a_key_is_no_taking(rung: Story) -> None:
    rung.duty(1).answers()
    rung.duty(1).hangs_up()
    rung.expects(Phase.ALERTING)
    rung.expects_call_to(rung.duty(2))


def test_the_key_is_heard_before_the_answer_is_reported(rung: Story) -> None:
    rung.duty(1).rings()
    call = rung.duty(1).call
    rung.happens(DutyReply(call_id=call.id, reply="taken"))
    assert call.id not in rung.world.hung_up
    rung.happens(CallAnswered(call_id=call.id))
    rung.happens(CallEnded(call_id=call.id, outcome=CallOutcome.COMPLETED))
    rung.expects(Phase.ATTENDED)


def test_taken_counts_when_the_end_was_reported_first_and_the_next_phone_stops_ringing(rung: Story) -> None:
    rung.duty(1).answers()
    call = rung.duty(1).call
    rung.duty(1).hangs_up()
    rung.duty(2).rings()
    rung.happens(DutyReply(call_id=call.id, reply="taken"))
    rung.expects(Phase.ATTENDED)
    rung.expects_no_call_to(rung.duty(2))
    rung.expects_silence(minutes=14)


def test_a_contact_who_cannot_come_does_not_take_it_from_duty(tell: Tell) -> None:
    story = tell("one_key")
    story.elder.presses("help")
    story.contact(1).answers()
    story.duty(1).presses("taken")
    story.contact(1).presses("cannot")
    story.expects(Phase.ATTENDED)
    story.expects_silence(minutes=14)


def test_help_that_is_found_while_duty_rings_stops_the_duty_phone(rung: Story) -> None:
    rung.duty(1).rings()
    rung.contact(1).calls_in()
    rung.contact(1).presses("going", minutes=10)
    rung.expects_no_call_to(rung.duty(1), rung.duty(2))
    rung.expects_silence(minutes=10)


def test_duty_takes_it_while_a_contact_rings(tell: Tell) -> None:
    story = tell("one_key")
    story.elder.presses("help")
    story.contact(1).rings()
    story.duty(1).presses("taken")
    story.expects_no_call_to(story.contact(1))
    story.expects_silence(minutes=14)


# A person at a screen


def test_staff_takes_an_alarm_while_the_elder_is_called_and_the_contacts_stay_quiet(tell: Tell) -> None:
    story = tell("fall")
    story.elder.rings()
    story.staff("take")
    story.elder_does_not_answer()
    story.expects(Phase.ATTENDED)
    story.expects_silence(minutes=13)
    story.wait(minutes=3)
    story.expects_call_to(story.duty(1), Purpose.DUTY_CHECK)


def test_an_elder_who_asks_for_help_after_staff_took_it_still_gets_the_contacts(tell: Tell) -> None:
    story = tell("fall")
    story.elder.rings()
    story.staff("take")
    story.elder.presses("help")
    story.expects_call_to(story.contact(1))
    story.expects_call_to(story.duty(1))


def test_staff_takes_it_while_a_contact_waits_for_a_person(tell: Tell) -> None:
    story = tell("fall", elder=[])
    story.contact(1).presses("person")
    waiting = story.contact(1).call
    story.staff("take")
    assert story.world.redirected == [waiting.id]
    story.expects_no_call_to(story.duty(1), story.contact(2))


def test_staff_says_that_help_arrived_and_is_asked_how_it_ended(tell: Tell) -> None:
    story = tell("fall", elder=[])
    story.contact(1).rings()
    story.staff("arrived")
    story.expects(Phase.ATTENDED)
    story.expects_no_call_to(story.contact(1))
    story.wait(minutes=10.1)
    story.expects_call_to(story.duty(1), Purpose.DUTY_CHECK)
    story.duty(1).does_not_answer()
    story.expects_call_to(story.duty(1), Purpose.DUTY, within=60)


@pytest.mark.parametrize(("action", "outcome"), [("resolve", "handled"), ("withdraw", "withdrawn")])
def test_staff_ends_it_and_whatever_rings_is_taken_back(tell: Tell, action: Action, outcome: Outcome) -> None:
    story = tell("one_key")
    story.elder.presses("help")
    story.contact(1).rings()
    story.duty(1).rings()
    story.staff(action)
    story.expects(Phase.RESOLVED, outcome)
    story.expects_no_call_to(story.contact(1), story.duty(1))
    story.expects_silence(hours=12)


def test_staff_wants_the_contacts_again(tell: Tell) -> None:
    story = tell("fall", elder=[])
    story.contact(1).presses("going", minutes=60)
    story.staff("call_again")
    story.expects_call_to(story.contact(2))


def test_a_note_changes_nothing_but_the_log(tell: Tell) -> None:
    story = tell("fall")
    before = story.alarm.model_dump(exclude={"seq"})
    story.staff("note")
    assert story.alarm.model_dump(exclude={"seq"}) == before
    assert story.alarm.seq == 2


def test_an_open_alarm_cannot_be_closed(tell: Tell) -> None:
    story = tell("fall")
    story.staff("close")
    story.expects(Phase.VERIFYING)


def test_nothing_happens_after_the_close(tell: Tell) -> None:
    story = tell("one_key")
    story.elder.presses("help")
    story.contact(1).answers()
    late = story.contact(1).call
    story.staff("resolve")
    story.staff("close")
    story.expects(Phase.CLOSED, "handled")
    assert late.id in story.world.hung_up
    story.signal_joins("smoke")
    story.contact(2).calls_in()
    actions: tuple[Action, ...] = ("take", "arrived", "withdraw", "call_again", "close")
    for action in actions:
        story.staff(action)
    story.happens(DutyReply(call_id=story.new_call_id(), reply="call_again"))
    story.expects_silence(hours=100)
    story.expects(Phase.CLOSED, "handled")


def test_the_check_waits_while_the_duty_phone_speaks_with_us(tell: Tell) -> None:
    story = tell("fall", elder=[], contacts=["8001"], duty=["8001"])
    story.staff("take")
    story.wait(minutes=14.5)
    story.staff("call_again")
    story.contact(1).answers()
    story.wait(minutes=2)
    assert not story.calls_to(story.duty(1))
    story.contact(1).presses("cannot")
    story.expects_call_to(story.duty(1), within=20)


def test_without_a_duty_phone_an_alarm_that_staff_took_keeps_its_next_step(tell: Tell) -> None:
    story = tell("fall", duty=[])
    story.staff("take")
    story.nobody_answers(hours=3)
    assert "duty_check" in story.alarm.wakes
