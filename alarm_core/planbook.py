"""The plans on disk: `plans/*.yaml`, one file a kind, read and checked as a whole when the service starts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alarm_core.plan import Plan

RISK_LEVELS = ("high", "medium", "low")
UNKNOWN_KIND = "unknown"
"""The plan of signals whose kind has no plan of its own, of unknown devices and of unreadable messages."""
Override = Mapping[str, Mapping[str, Any]]
"""An elder's own changes: kind (or "*" for every kind) → fields of the plan that differ."""


class PlanError(ValueError):
    """A plan that cannot be used; the text names file, line and field."""


class PlanBook:
    """All plans, by kind. `for_alarm` is pure."""

    def __init__(self, kinds: Mapping[str, Mapping[str, Any]]) -> None:
        self._kinds = dict(kinds)

    @classmethod
    def load(cls, folder: Path | None = None) -> PlanBook:
        """Read the shipped plans, then those of `folder`, which replace shipped ones of the same kind.

        Raises PlanError naming file, line and field.
        """
        shipped = Path(str(files("alarm_core") / "plans"))
        kinds: dict[str, Mapping[str, Any]] = {}
        for place in (shipped, folder):
            if place is None:
                continue
            if not place.is_dir():
                raise PlanError(f"{place}: no such folder of plans; set CARELINE_PLANS to one that exists, or unset it")
            for file in sorted(place.glob("*.yaml")):
                document = _read(file)
                kinds[document["kind"]] = document
        if UNKNOWN_KIND not in kinds:
            raise PlanError(f"no plan of kind '{UNKNOWN_KIND}': signals without a plan of their own need it")
        return cls(kinds)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._kinds)

    @cached_property
    def severities(self) -> dict[str, int]:
        return {kind: self.for_alarm(kind).severity for kind in self._kinds}

    def for_alarm(self, kind: str, risk: str = "medium", override: Override | None = None) -> Plan:
        """The plan for one alarm: kind, then risk level, then the elder's own changes. Raises PlanError."""
        base = dict(self._kinds.get(kind, self._kinds[UNKNOWN_KIND]))
        levels = base.pop("risk", {})
        merged = _merged(base, levels.get(risk, {}))
        for own in ("*", kind):
            change = (override or {}).get(own, {})
            if not isinstance(change, Mapping):
                raise PlanError(f"own change of plan '{own}': wants fields of the plan, not {change!r}")
            merged = _merged(merged, change)
        merged["kind"] = base["kind"]
        try:
            return Plan.model_validate(merged)
        except ValidationError as error:
            raise PlanError(f"plan '{kind}' at risk '{risk}': {_first(error)}") from error


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        below = result.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = _merged(below, value) if both and isinstance(below, Mapping) else value
    return result


def _read(file: Path) -> dict[str, Any]:
    try:
        node = yaml.compose(file.read_text("utf-8"), yaml.SafeLoader)
        document = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{file.name}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise PlanError(f"{file.name}: line 1: a plan is a mapping with 'kind', 'label', 'severity' …")
    levels = document.get("risk", {})
    if not isinstance(levels, dict) or not set(levels) <= set(RISK_LEVELS):
        raise PlanError(f"{file.name}: line {_line(node, ('risk',))}: 'risk' has the levels {', '.join(RISK_LEVELS)}")
    base = {key: value for key, value in document.items() if key != "risk"}
    for level, change in {"": {}, **levels}.items():
        if not isinstance(change, dict):
            raise PlanError(f"{file.name}: line {_line(node, ('risk', level))}: 'risk.{level}' is a mapping of changes")
        try:
            Plan.model_validate(_merged(base, change))
        except ValidationError as error:
            loc = error.errors()[0]["loc"]
            line = (level and _line(node, ("risk", level, *loc))) or _line(node, loc)
            raise PlanError(f"{file.name}: line {line}: {_first(error)}") from error
    return document


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"'{'.'.join(map(str, first['loc']))}': {first['msg']}"


def _line(node: yaml.Node | None, loc: tuple[object, ...]) -> int:
    """The line of the deepest part of `loc` that stands in the file."""
    line = 1
    for part in loc:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((k, v) for k, v in node.value if k.value == part), None)
        if found is None:
            break
        line = found[0].start_mark.line + 1
        node = found[1]
    return line
