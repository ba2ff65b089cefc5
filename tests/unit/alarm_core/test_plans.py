"""Plans: the shipped ones, errors that name file, line and field, risk levels, an elder's own changes, pace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alarm_core.plan import Plan
from alarm_core.planbook import RISK_LEVELS, PlanBook, PlanError

BOOK = PlanBook.load()
GOOD = "kind: smoke\nlabel: {zh: 烟雾, en: smoke}\nseverity: 5\nhead_start_seconds: 0\n"


def load(folder: Path, text: str, name: str = "smoke.yaml") -> PlanBook:
    (folder / name).write_text(text, "utf-8")
    return PlanBook.load(folder)


@pytest.mark.parametrize("risk", RISK_LEVELS)
@pytest.mark.parametrize("kind", BOOK.kinds)
def test_every_shipped_plan_holds_at_every_risk_level(kind: str, risk: str) -> None:
    plan = BOOK.for_alarm(kind, risk)
    assert plan.kind == kind
    assert plan.label.zh
    assert plan.label.en
    assert Plan.model_validate_json(plan.model_dump_json()) == plan, "a plan is frozen into the alarm as JSON"


def test_the_kinds_that_were_asked_for_are_there() -> None:
    asked = {
        "smoke",
        "gas",
        "co",
        "one_key",
        "fall",
        "vital_signs",
        "inactivity",
        "door",
        "device_fault",
        "heartbeat_lost",
        "low_battery",
        "unknown",
    }
    assert asked <= set(BOOK.kinds)


def test_dangers_to_life_go_before_devices_and_are_never_kept_for_the_morning() -> None:
    for danger in ("smoke", "gas", "co", "one_key", "fall", "vital_signs", "inactivity", "door", "unknown"):
        plan = BOOK.for_alarm(danger)
        assert plan.hours is None
        for matter in ("device_fault", "heartbeat_lost", "low_battery"):
            less = BOOK.for_alarm(matter)
            assert plan.severity > less.severity
            assert plan.head_start_seconds > less.head_start_seconds
            assert less.hours is not None


@pytest.mark.parametrize("kind", ["smoke", "gas", "co", "fall", "one_key", "vital_signs", "unknown"])
@pytest.mark.parametrize("risk", RISK_LEVELS)
def test_no_device_clears_a_danger_by_itself(kind: str, risk: str) -> None:
    assert not BOOK.for_alarm(kind, risk).clear_ends


@pytest.mark.parametrize("kind", ["smoke", "gas", "co"])
def test_after_fire_and_gas_somebody_is_sent_even_when_the_elder_is_well(kind: str) -> None:
    assert BOOK.for_alarm(kind).verify.still_send


def test_a_kind_without_a_plan_is_handled_as_unknown() -> None:
    assert BOOK.for_alarm("flood") == BOOK.for_alarm("unknown")


# The risk level and the elder's own changes


def test_the_risk_level_changes_what_it_names_and_nothing_else() -> None:
    medium, high = BOOK.for_alarm("smoke", "medium"), BOOK.for_alarm("smoke", "high")
    assert (medium.contacts.parallel, high.contacts.parallel) == (1, 2)
    assert (medium.verify.contacts_at_once, high.verify.contacts_at_once) == (False, True)
    assert high.verify.ring_seconds == medium.verify.ring_seconds == 25
    assert high.verify.still_send


def test_a_risk_level_may_lift_the_hours() -> None:
    assert BOOK.for_alarm("heartbeat_lost", "medium").hours is not None
    assert BOOK.for_alarm("heartbeat_lost", "high").hours is None


def test_an_elders_own_changes_go_over_kind_and_risk() -> None:
    own: dict[str, dict[str, Any]] = {
        "*": {"contacts": {"rounds": 5, "ring_seconds": 40}},
        "smoke": {"contacts": {"rounds": 3}},
    }
    smoke, fall = BOOK.for_alarm("smoke", "high", own), BOOK.for_alarm("fall", "high", own)
    assert (smoke.contacts.rounds, smoke.contacts.ring_seconds, smoke.contacts.parallel) == (3, 40, 2)
    assert (fall.contacts.rounds, fall.contacts.ring_seconds) == (5, 40)
    assert BOOK.for_alarm("smoke", "high").contacts.rounds == 2, "another elder's plan is untouched"


def test_an_override_cannot_make_a_kind_into_another() -> None:
    assert BOOK.for_alarm("smoke", "low", {"smoke": {"kind": "door"}}).kind == "smoke"


@pytest.mark.parametrize(
    ("own", "field"),
    [
        ({"smoke": {"verify": {"calls": 99}}}, "verify.calls"),
        ({"*": {"rounds": 2}}, "rounds"),
        ({"smoke": {"verify": 3}}, "verify"),
        ({"smoke": {"contacts": {"parallel": 0}}}, "contacts.parallel"),
    ],
)
def test_an_override_that_cannot_be_used_names_plan_risk_and_field(own: dict[str, Any], field: str) -> None:
    with pytest.raises(PlanError, match=rf"plan 'smoke' at risk 'high': '{field}'"):
        BOOK.for_alarm("smoke", "high", own)


def test_an_override_that_is_no_mapping_is_a_plan_error() -> None:
    own: Any = {"smoke": 3}
    with pytest.raises(PlanError):
        BOOK.for_alarm("smoke", "high", own)


# Files


def test_a_folder_replaces_a_shipped_plan_and_adds_new_kinds(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    book = load(tmp_path, GOOD.replace("smoke", "flood"), "flood.yaml")
    assert book.for_alarm("smoke").severity == 5
    assert book.for_alarm("flood").kind == "flood"
    assert book.for_alarm("gas") == BOOK.for_alarm("gas")
    assert book.severities["flood"] == 5


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("verify: {calls: -1}\n", 5, "'verify.calls'"),
        ("verfy: {}\n", 5, "'verfy'"),
        ("contacts:\n  rounds: 2\n  ring_seconds: 0\n", 7, "'contacts.ring_seconds'"),
        ("contacts: three\n", 5, "'contacts'"),
        ('hours: {start: "20:00", end: "08:00"}\n', 5, "'start' must be before 'end'"),
        ('hours:\n  start: "08:00"\n  end: "25:00"\n', 7, "'hours.end'"),
        ("risk:\n  high:\n    contacts:\n      parallel: 99\n", 8, "'contacts.parallel'"),
        ("risk: {extreme: {}}\n", 5, "'risk' has the levels high, medium, low"),
        ("risk:\n  low: {}\n  high: often\n", 7, "'risk.high' is a mapping"),
        ("duty:\n  pause_seconds: .nan\n", 6, "'duty.pause_seconds'"),
        ("help: {default_minutes: 2.5}\n", 5, "'help.default_minutes'"),
        ("clear_ends: perhaps\n", 5, "'clear_ends'"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, more: str, line: int, says: str) -> None:
    with pytest.raises(PlanError) as error:
        load(tmp_path, GOOD + more)
    text = str(error.value)
    assert text.startswith(f"smoke.yaml: line {line}: ")
    assert says in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: a plan is a mapping"),
        ("- smoke\n", "line 1: a plan is a mapping"),
        (GOOD.replace("kind: smoke\n", ""), "line 1: 'kind'"),
        (GOOD.replace("kind: smoke", "kind: Smoke Alarm"), "line 1: 'kind'"),
        (GOOD.replace(", en: smoke", ""), "line 2: 'label.en'"),
        (GOOD.replace("severity: 5", "severity: 101"), "line 3: 'severity'"),
        ("kind: [smoke\n", "not YAML"),
        ('kind: "smoke\n', "line 1"),
    ],
)
def test_a_file_that_is_no_plan_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PlanError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith("smoke.yaml: ")
    assert says in str(error.value)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "smoke.yaml").write_bytes(b"\xff\xfe\x00kind")
    with pytest.raises(PlanError, match=r"smoke\.yaml: not YAML"):
        PlanBook.load(tmp_path)


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"smoke\.yaml"):
        load(tmp_path, GOOD + "verify: !!python/object/apply:os.getcwd []\n")


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="CARELINE_PLANS"):
        PlanBook.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "field",
    [
        "contacts: {again_after_seconds: .inf}",
        "duty: {pause_seconds: .inf}",
        "duty: {check_seconds: .inf}",
        "help: {report_seconds: .inf}",
        "help: {minute_seconds: .inf}",
        "talk_seconds: 1.0e+15",
    ],
)
def test_a_delay_that_never_ends_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(PlanError):
        load(tmp_path, GOOD + field + "\n")


# Pace


@pytest.mark.parametrize("kind", BOOK.kinds)
def test_pace_scales_delays_and_leaves_counts_and_rules_alone(kind: str) -> None:
    plan = BOOK.for_alarm(kind)
    fast = plan.paced(0.1)
    assert fast.contacts.ring_seconds == pytest.approx(plan.contacts.ring_seconds / 10)
    assert fast.contacts.again_after_seconds == pytest.approx(plan.contacts.again_after_seconds / 10)
    assert fast.help.minute_seconds == pytest.approx(6)
    assert fast.duty.check_seconds == pytest.approx(plan.duty.check_seconds / 10)
    assert fast.contacts.rounds == plan.contacts.rounds
    assert fast.help.default_minutes == plan.help.default_minutes
    assert (fast.severity, fast.hours, fast.clear_ends) == (plan.severity, plan.hours, plan.clear_ends)
    assert fast.head_start_seconds == plan.head_start_seconds
    assert fast.talk_seconds == plan.talk_seconds
    assert plan == BOOK.for_alarm(kind), "the plan itself stays as it is"


def test_a_pace_of_one_is_the_plan_itself() -> None:
    plan = BOOK.for_alarm("smoke")
    assert plan.paced(1) is plan


@pytest.mark.parametrize("factor", [0.01, 0.1])
def test_a_paced_plan_is_still_valid(factor: float) -> None:
    for kind in BOOK.kinds:
        fast = BOOK.for_alarm(kind).paced(factor)
        assert Plan.model_validate(fast.model_dump()) == fast
