"""An NB-IoT platform's push, modelled on China Telecom's CTWing (AEP).

The shapes follow pushes seen in public projects, not a maker's test bench: check the properties of your product in the
platform's console, and add what is missing to `SENSORS`. What the platform's own wrapping means:

- `dataReport`: properties at their usual times, flat or under `serviceData`. A normal value is a sign of life.
- `eventReport`: something changed. A normal value means that the danger is over.
- `deviceOnlineOfflineReport`: `eventType` 1 came online, 0 went offline.
- `commandResponse`: an answer to the platform's command; it says nothing about an elder.
- `upPacketSN` is -1 on most products, so the message id is made of the time and a hash of the whole push: the
  platform's own repetition of a push gives the same id.
- `APPdata` (base64) is the maker's own binary. Without a decoder of that maker it stays in the quarantine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alarm_core.signal import Signal, SignalState
from ingest.adapters.fields import (
    JsonObject,
    read_battery,
    read_name,
    read_object,
    read_time,
    read_value,
)
from ingest.adapters.unreadable import Unreadable


@dataclass(frozen=True, slots=True)
class Sensor:
    """What one property of a product means: its kind, and its values that say alarm, normal or fault."""

    kind: str
    alarm: frozenset[int]
    normal: frozenset[int] = frozenset({0})
    fault: frozenset[int] = frozenset()


SENSORS: Mapping[str, Sensor] = {
    "smoke_state": Sensor("smoke", alarm=frozenset({1})),
    "gas_sensor_state": Sensor("gas", alarm=frozenset({1, 2})),  # 1 low, 2 high concentration
    "co_state": Sensor("co", alarm=frozenset({1, 2})),
    "sos_state": Sensor("one_key", alarm=frozenset({1})),
    "fall_state": Sensor("fall", alarm=frozenset({1})),
    "error_code": Sensor("device_fault", alarm=frozenset(), fault=frozenset(range(1, 256))),
}

BATTERY_PERCENT = ("battery_value", "Battery_Level")
_CONTENTS = {"dataReport": "payload", "eventReport": "eventContent"}


def parse(payload: bytes, *, device_id: str | None, source: str, received_at: datetime) -> list[Signal]:
    """One signal for each known property; none for an answer to a command.

    The topic's `device_id` wins over the platform's `deviceId`: it is the name under which the device was entered.
    """
    push = read_object(payload)
    kind = push.get("messageType")
    if kind == "commandResponse":
        return []
    device = device_id if device_id is not None else read_name(push.get("deviceId"), "deviceId")
    at = received_at if push.get("timestamp") is None else read_time(push["timestamp"], "timestamp")
    message_id = f"{int(at.timestamp() * 1000)}-{_fingerprint(push)}"
    if kind == "deviceOnlineOfflineReport":
        return [_online(push, device, message_id, at, source)]
    if not isinstance(kind, str) or kind not in _CONTENTS:
        raise Unreadable("not_understood", "messageType: is not known", field="messageType")
    properties = _properties(push, _CONTENTS[kind])
    known = {name: value for name, value in properties.items() if name in SENSORS}
    if not known:
        # eventType 2 is an alert: the platform itself calls it urgent, whatever the property means.
        raise Unreadable(
            "not_understood",
            f"{_CONTENTS[kind]}: holds no property that this adapter knows",
            field=_CONTENTS[kind],
            dangerous=kind == "eventReport" and push.get("eventType") == 2,
        )
    battery = _battery(properties)
    quiet = SignalState.CLEAR if kind == "eventReport" else SignalState.HEARTBEAT
    return [
        Signal(
            device_id=device,
            message_id=f"{message_id}-{name}",
            kind=SENSORS[name].kind,
            state=_state(name, value, quiet),
            at=at,
            source=source,
            value=read_value(dict(properties), _CONTENTS[kind]),
            battery=battery,
        )
        for name, value in known.items()
    ]


def _fingerprint(push: JsonObject) -> str:
    # ensure_ascii (the default) writes lone surrogates as escapes, so this cannot fail.
    return hashlib.sha256(json.dumps(push, sort_keys=True).encode()).hexdigest()[:16]


def _online(push: JsonObject, device: str, message_id: str, at: datetime, source: str) -> Signal:
    event = push.get("eventType")
    if event not in (0, 1) or isinstance(event, bool):
        raise Unreadable("bad_field", "eventType: must be 0 or 1", field="eventType")
    online = event == 1
    return Signal(
        device_id=device,
        message_id=message_id,
        kind="device_fault",
        state=SignalState.HEARTBEAT if online else SignalState.FAULT,
        at=at,
        source=source,
        value={"online": online},
    )


def _properties(push: JsonObject, field: str) -> JsonObject:
    content = push.get(field)
    if isinstance(content, dict) and "serviceData" in content:
        content = content["serviceData"]
    if not isinstance(content, dict):
        raise Unreadable("bad_field", f"{field}: must be an object", field=field)
    return content


def _battery(properties: JsonObject) -> float | None:
    for name in BATTERY_PERCENT:
        if name in properties:
            return read_battery(properties[name], name, full=100)
    return None


def _state(name: str, value: object, quiet: SignalState) -> SignalState:
    sensor = SENSORS[name]
    # Some products send numbers as text.
    number = int(value) if isinstance(value, str) and value in _SMALL_NUMBERS else value
    if isinstance(number, int) and not isinstance(number, bool):
        if number in sensor.alarm:
            return SignalState.ALARM
        if number in sensor.fault:
            return SignalState.FAULT
        if number in sensor.normal:
            return quiet
    # A value nobody has told us about, from a sensor that warns of danger: a person must look at it.
    raise Unreadable("bad_field", f"{name}: value is not known", field=name, dangerous=True)


_SMALL_NUMBERS = frozenset(str(number) for number in range(256))
