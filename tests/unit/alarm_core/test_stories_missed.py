"""What does not count: a contact who was not asked by a fault of ours, an all-clear from before the danger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alarm_core.alarm import Phase
from alarm_core.events import CallOutcome, SignalCleared
from tests.unit.alarm_core.story import Tell
from tests.unit.alarm_core.world import signal


@pytest.mark.parametrize("outcome", [CallOutcome.ENGAGED, CallOutcome.LOST])
def test_a_contact_who_could_not_be_asked_is_asked_again_in_the_same_round(tell: Tell, outcome: CallOutcome) -> None:
    story = tell("smoke", contacts=["13800000001"])
    story.elder_does_not_answer()
    daughter = story.contact(1)
    for _ in range(3):
        story.expects_call_to(daughter, within=20)
        daughter.ends(outcome)
    # Nobody knows how long that lasts: the duty phone rings meanwhile.
    story.expects_call_to(story.duty())
    assert (story.alarm.contacts.state, story.alarm.contacts.round) == ("calling", 1)


def test_the_next_contact_has_the_turn_at_once_when_a_phone_is_taken(tell: Tell) -> None:
    story = tell("smoke")
    story.elder_does_not_answer()
    story.expects_call_to(story.contact(1))
    story.contact(1).ends(CallOutcome.ENGAGED)
    story.expects_call_to(story.contact(2), within=story.alarm.brief.plan.contacts.pause_seconds)


def test_an_all_clear_from_before_the_danger_that_arrives_after_it_ends_nothing(tell: Tell) -> None:
    story = tell("door")
    opened = story.world.now
    story.wait(seconds=2)
    for seconds in (-5, 1):
        story.expects(Phase.VERIFYING)
        at = opened + timedelta(seconds=seconds)
        story.happens(SignalCleared(signal=signal("door", at, f"clear {seconds}")))
    story.expects(Phase.RESOLVED, "cleared")
