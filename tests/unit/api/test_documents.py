"""What is shown: no phone number whole, the person's word before the network's."""

from __future__ import annotations

from typing import Any

import pytest

from alarm_core.documents import call_outcome, readable, shown


def test_numbers_are_masked_wherever_an_event_holds_them() -> None:
    brief: dict[str, Any] = {
        "numbers": ["13800000001"],
        "contacts": [{"name": "李", "number": "13800000002"}, {"name": "王", "number": None}],
        "duty": ["13900001701", "601"],
        "plan": {"duty": {"ring_seconds": 40, "first": False}},
    }

    seen = shown({"brief": brief, "note": "打了13800000003，没人接；房间301"})

    assert seen["brief"]["plan"] == brief["plan"]
    assert seen["brief"]["contacts"][1]["number"] is None
    assert seen["brief"]["duty"][1] == "*01"
    for digits in ("13800000001", "13800000002", "13800000003", "13900001701"):
        assert digits not in str(seen)
    assert "房间301" in seen["note"]


@pytest.mark.parametrize(
    ("reply", "network", "outcome"),
    [
        ("going", "completed", "going"),
        ("none", "completed", "no_key"),
        ("silent", "completed", "silent"),
        (None, "busy", "busy"),
        (None, "completed", "no_key"),
        ("going", None, "going"),
        (None, None, None),
    ],
)
def test_a_calls_outcome_in_one_word(reply: str | None, network: str | None, outcome: str | None) -> None:
    assert call_outcome(reply, network, "confirm") == outcome


def test_who_is_only_told_something_is_not_asked_for_a_key() -> None:
    assert call_outcome(None, "completed", "withdrawn") == "completed"


def test_a_payload_is_shown_without_what_moves_the_cursor() -> None:
    assert readable(b"\x1b[2J\xff ok\n\xe6\x8a\xa5") == "�[2J� ok�报"
