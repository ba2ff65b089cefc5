"""The elder is called first: well, help, silence, no answer; and an elder about whom little is known."""

from __future__ import annotations

import pytest

from alarm_core.alarm import Phase
from alarm_core.commands import Purpose
from alarm_core.events import CallAnswered, CallEnded, CallOutcome, ElderReply
from tests.unit.alarm_core.story import CONTACTS, ELDER, Tell, gaps


def test_the_story_of_the_demo(tell: Tell) -> None:
    story = tell("smoke")
    story.expects_call_to(story.elder, Purpose.VERIFY)
    story.expects(Phase.VERIFYING)
    story.elder_does_not_answer()
    story.expects(Phase.ALERTING)
    story.contact(1).is_busy()
    story.contact(2).is_voicemail()
    assert story.alarm.helpers == {}
    story.contact(3).presses("going", minutes=5)
    story.expects_silence(minutes=5)
    story.wait(minutes=3)
    story.expects_call_to(story.contact(3), Purpose.ARRIVAL)
    story.contact(3).reports("arrived", stays=True)
    story.expects(Phase.ATTENDED)
    story.contact(3).says("safe")
    story.expects(Phase.RESOLVED, "helped")
    story.expects_silence(hours=23)
    story.wait(hours=2)
    story.expects(Phase.FOLLOW_UP, "helped")


def test_an_elder_who_is_well_ends_a_false_alarm(tell: Tell) -> None:
    story = tell("fall")
    story.elder.presses("well")
    story.expects(Phase.RESOLVED, "withdrawn")
    story.expects_silence(hours=20)
    assert len(story.world.placed) == 1


@pytest.mark.parametrize("kind", ["smoke", "gas", "co"])
def test_after_fire_and_gas_somebody_still_goes_and_looks(tell: Tell, kind: str) -> None:
    story = tell(kind)
    story.elder.presses("well")
    story.expects(Phase.ALERTING)
    story.expects_call_to(story.contact(1), Purpose.CONFIRM)
    assert not story.calls_to(story.duty())


def test_an_elder_who_asks_for_help_gets_contacts_and_duty_at_once(tell: Tell) -> None:
    story = tell("one_key")
    story.elder.presses("help")
    story.expects_call_to(story.contact(1), within=0)
    story.expects_call_to(story.duty(), within=0)
    story.contact(1).presses("going")
    story.expects_call_to(story.duty(), within=0)
    story.duty().presses("taken")
    story.expects(Phase.ATTENDED)


def test_duty_stays_called_for_an_elder_who_asked_even_when_everyone_was_tried_in_between(tell: Tell) -> None:
    story = tell("one_key", contacts=[CONTACTS[0]])
    story.elder.presses("help")
    for _ in range(2):
        story.contact(1).is_busy()
    story.wait(seconds=2)
    assert story.alarm.contacts.state == "resting"
    story.contact(1).calls_in()
    story.contact(1).presses("going")
    story.expects_call_to(story.duty())


def test_an_elder_who_says_nothing_is_asked_once_more_and_then_people_are_called(tell: Tell) -> None:
    story = tell("fall")
    story.elder.is_silent()
    story.expects(Phase.VERIFYING)
    story.elder.is_silent()
    story.expects(Phase.ALERTING)
    assert story.alarm.elder.result == "silent"
    story.expects_call_to(story.contact(1))


def test_the_plan_says_how_often_the_elder_is_called_and_with_what_pause(tell: Tell) -> None:
    story = tell("door")
    story.elder_does_not_answer()
    first, second = story.calls_to(story.elder)
    assert gaps([first, second]) == [30 + 20]
    story.expects_call_to(story.contact(1))


def test_several_phones_of_the_elder_are_tried_in_turn(tell: Tell) -> None:
    phones = [ELDER, "13900000009"]
    story = tell("fall", elder=phones, own={"verify": {"calls": 3}})
    story.elder_does_not_answer()
    assert [call.number for call in story.world.placed[:3]] == [ELDER, "13900000009", ELDER]


def test_contacts_at_once_ring_together_with_the_elder(tell: Tell) -> None:
    story = tell("co")
    story.expects(Phase.VERIFYING)
    story.expects_call_to(story.elder, within=0)
    story.expects_call_to(story.contact(1), within=0)
    story.contact(1).presses("going", minutes=10)
    story.elder_does_not_answer()
    story.expects(Phase.ALERTING)
    story.expects_silence(minutes=10)


def test_an_elder_who_is_well_while_contacts_ring_stops_them(tell: Tell) -> None:
    story = tell("fall", risk="high")
    story.contact(1).rings()
    story.elder.presses("well")
    story.expects(Phase.RESOLVED, "withdrawn")
    story.expects_no_call_to(story.contact(1))
    story.expects_silence(hours=1)


def test_the_key_is_heard_before_the_answer_is_reported(tell: Tell) -> None:
    """The conversation and the watch on the line are two connections: their reports may come in either order."""
    story = tell("fall", risk="high")
    story.elder.rings()
    call = story.elder.call
    story.happens(ElderReply(call_id=call.id, reply="well"))
    assert call.id not in story.world.hung_up, "the elder is cut off while speaking to us"
    story.happens(CallAnswered(call_id=call.id))
    story.happens(CallEnded(call_id=call.id, outcome=CallOutcome.COMPLETED))
    story.expects(Phase.RESOLVED, "withdrawn")


def test_the_elders_key_counts_when_the_end_of_the_call_was_reported_first(tell: Tell) -> None:
    story = tell("fall")
    story.elder.answers()
    call = story.elder.call
    story.elder.hangs_up()
    story.happens(ElderReply(call_id=call.id, reply="well"))
    story.expects(Phase.RESOLVED, "withdrawn")
    story.expects_silence(hours=1)


def test_an_elder_without_contacts_gets_the_duty_phone(tell: Tell) -> None:
    story = tell("smoke", contacts=[])
    story.elder_does_not_answer()
    story.expects_call_to(story.duty(), within=0)
    story.expects(Phase.ALERTING)


def test_an_elder_without_a_phone_gets_the_contacts_at_once(tell: Tell) -> None:
    story = tell("smoke", elder=[])
    story.expects(Phase.ALERTING)
    story.expects_call_to(story.contact(1), within=0)


def test_somebody_of_whom_nothing_is_known_gets_the_duty_phone_at_once(tell: Tell) -> None:
    story = tell("unknown", elder=[], contacts=[])
    story.expects_call_to(story.duty(), Purpose.DUTY, within=0)
    assert story.alarm.duty.reason == "unknown"


def test_a_plan_may_send_the_duty_phone_first(tell: Tell) -> None:
    story = tell("unknown", own={"duty": {"first": True}})
    story.expects_call_to(story.duty(), within=0)
    story.expects_no_call_to(story.elder, story.contact(1))


def test_an_elder_and_a_contact_who_share_one_phone_are_not_rung_on_top_of_each_other(tell: Tell) -> None:
    story = tell("co", contacts=[ELDER, CONTACTS[1]])
    story.expects_call_to(story.elder, within=0)
    story.expects_no_call_to(story.contact(1))
    story.expects_call_to(story.contact(2), within=0)
    story.contact(2).is_busy()
    story.elder.is_busy()
    story.expects_call_to(story.contact(1))


def test_an_elder_whose_phone_is_in_a_call_of_ours_is_called_after_it(tell: Tell) -> None:
    story = tell("co", contacts=[ELDER], own={"verify": {"calls": 2}})
    story.elder.is_busy()
    story.expects_call_to(story.elder, within=60)
