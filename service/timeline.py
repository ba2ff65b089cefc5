"""What happened, in words: one line of Chinese and one of English for each event of an alarm document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One event in words. `at` is aware; `since_opening` in seconds."""

    at: datetime
    since_opening: float
    zh: str
    en: str


_PARTY = {"elder": ("老人", "the elder"), "contact": ("联系人", "contact"), "duty": ("值班电话", "the duty phone")}
_OUTCOME = {
    "no_answer": ("无人接听", "no answer"),
    "busy": ("占线", "busy"),
    "rejected": ("拒接", "rejected"),
    "invalid": ("号码无效", "number does not exist"),
    "failed": ("线路未接通", "the line failed"),
    "blocked": ("紧急号码，禁止自动拨打", "emergency number, never dialled by a machine"),
    "engaged": ("正在另一通话中", "engaged on another alarm"),
    "cancelled": ("已撤回", "taken back"),
    "lost": ("结果不明", "outcome unknown"),
}
_REPLY = {
    "elder_reply:well": ("按1：平安", "pressed 1: all is well"),
    "elder_reply:help": ("按2：需要帮助", "pressed 2: needs help"),
    "elder_reply:silent": ("接通但没有按键", "answered, pressed nothing"),
    "helper_reply:going": ("按1：现在就去", "pressed 1: is going"),
    "helper_reply:cannot": ("按2：去不了", "pressed 2: cannot go"),
    "helper_reply:person": ("按0：要和工作人员说话", "pressed 0: wants to speak to a person"),
    "helper_reply:none": ("没有按键，不算答应", "no key pressed: not taken for a yes"),
    "arrival_reply:arrived": ("已到达", "has arrived"),
    "arrival_reply:delayed": ("还在路上", "is still on the way"),
    "arrival_reply:cannot": ("来不了了", "cannot come after all"),
    "situation:safe": ("报告：老人平安", "reports: the elder is safe"),
    "situation:more_help": ("报告：还需要帮助", "reports: more help is needed"),
    "duty_reply:taken": ("接手处理", "takes the alarm"),
    "duty_reply:cannot": ("不能处理", "cannot take it"),
    "duty_reply:settled": ("报告：已处理好", "reports: settled"),
    "duty_reply:working": ("报告：还在处理", "reports: still working on it"),
    "duty_reply:call_again": ("要求重新联系", "asks to call the contacts again"),
}
_WAKE = {
    "hours": ("到了可以打电话的时间", "the hours for calling begin"),
    "elder_again": ("再次呼叫老人", "the elder is called again"),
    "contacts_again": ("重新开始联系", "the contacts are called again"),
    "duty_next": ("再次呼叫值班电话", "the duty phones are called again"),
    "duty_check": ("询问处理情况", "time to ask whether it is settled"),
    "arrival": ("询问是否到达", "time to ask about the arrival"),
    "follow_up": ("应当回访", "a follow-up is due"),
}
_QUIET_WAKES = ("contact_next", "patience", "watchdog", "tell")
_STAFF = {
    "take": ("接手", "takes the alarm"),
    "arrived": ("记录到达", "records an arrival"),
    "resolve": ("记录已解决", "records that it is resolved"),
    "withdraw": ("撤销", "withdraws it"),
    "close": ("关闭", "closes it"),
    "call_again": ("要求重新联系", "asks to call the contacts again"),
    "note": ("备注", "notes"),
}


def lines(document: Document) -> list[Line]:
    """The alarm document (docs/api.md) as a story. Events that only turn the wheels are left out."""
    opened_at = datetime.fromisoformat(str(document["opened_at"]))
    calls = {str(call["id"]): call for call in document["calls"]}
    found = []
    for event in document["events"]:
        said = _sentence(event, calls, document)
        if said is not None:
            at = datetime.fromisoformat(str(event["at"]))
            found.append(Line(at, (at - opened_at).total_seconds(), *said))
    return found


def _sentence(
    event: Mapping[str, Any], calls: Mapping[str, Mapping[str, Any]], document: Document
) -> tuple[str, str] | None:
    data = event["data"]
    who_zh, who_en = _who(calls.get(str(data.get("call_id"))))
    match event["type"]:
        case "opened":
            signal = data["signal"]
            return (
                f"收到报警 {signal['kind']}（设备 {signal['device_id']}，{signal['source']}）",
                f"alarm received: {signal['kind']} (device {signal['device_id']}, {signal['source']})",
            )
        case "signal_joined":
            return f"又收到信号 {data['signal']['kind']}", f"a further signal: {data['signal']['kind']}"
        case "signal_cleared":
            return f"设备恢复 {data['signal']['kind']}", f"the device is clear again: {data['signal']['kind']}"
        case "call_placed":
            return f"呼叫{who_zh}", f"calling {who_en}"
        case "call_ringing":
            return f"{who_zh}：振铃", f"{who_en}: ringing"
        case "call_answered":
            return f"{who_zh}：接通（还不算答应）", f"{who_en}: picked up (not a yes yet)"
        case "called_in":
            return f"{who_zh}打回电话", f"{who_en} calls back"
        case "call_ended":
            zh, en = _ended(data["outcome"], calls.get(str(data["call_id"])))
            return f"{who_zh}：{zh}", f"{who_en}: {en}"
        case "helper_minutes":
            return f"{who_zh}：大约{data['minutes']}分钟到", f"{who_en}: there in about {data['minutes']} minutes"
        case "wake_due":
            name = str(data["name"]).partition(":")[0]
            return None if name in _QUIET_WAKES else _WAKE.get(name)
        case "staff_entry":
            zh, en = _STAFF[data["action"]]
            note = f"：{data['note']}" if data["note"] else ""
            return f"{data['by']} {zh}{note}", f"{data['by']} {en}{note}"
        case kind:
            reply = _REPLY.get(f"{kind}:{data.get('reply')}")
            return None if reply is None else (f"{who_zh}：{reply[0]}", f"{who_en}: {reply[1]}")


def _ended(outcome: str, call: Mapping[str, Any] | None) -> tuple[str, str]:
    if outcome == "completed" and call is not None and not call["keys"]:
        return "挂机，没有按键，不算答应", "over, no key pressed: not taken for a yes"
    return _OUTCOME.get(outcome, ("挂机", "hung up"))


def _who(call: Mapping[str, Any] | None) -> tuple[str, str]:
    if call is None:
        return "电话", "the phone"
    zh, en = _PARTY[call["party"]]
    name = f" {call['name']}" if call.get("name") else ""
    return f"{zh}{name}（{call['number_masked']}）", f"{en}{name} ({call['number_masked']})"
