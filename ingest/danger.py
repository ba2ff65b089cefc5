"""Does a payload that nobody could read look like danger? Then a person must hear of it (the duty phone).

It errs towards yes for text, and towards no for binary, where words of three letters stand by chance.
"""

from __future__ import annotations

import re

# Bytes looked at: what a device says of itself stands at the front, and a flood of large payloads must stay cheap.
_LOOK = 64 * 1024

_STATE = re.compile(r"[\"']?state[\"']?\s*[:=]\s*[\"']?\s*([a-z]+)")
_CALM = {"heartbeat", "clear", "fault"}

_WORDS = re.compile(
    r"(?<![a-z])(?:alarms?|alert|smoke|fire|gas|leak|fall(?:en)?|fell|sos|help|panic|emergency|danger"
    r"|carbon[ _-]?monoxide|one[ _-]?key|vital[ _-]?signs?|unconscious)(?![a-z])"
    r"|[\"']co[\"']"
    r"|烟雾|烟感|冒烟|着火|起火|失火|火警|火灾|燃气|煤气|天然气|泄漏|泄露|一氧化碳|中毒"
    r"|摔倒|跌倒|晕倒|昏倒|昏迷|求救|救命|呼救|求助|报警|告警|警报|紧急|危险|一键呼叫"
)
# In binary only words that cannot stand there by chance (1 MiB of noise: 1 in 10,000 for five letters of one case).
_LONG_WORDS = re.compile(rb"alarm|ALARM|Alarm|smoke|SMOKE|Smoke|emergency|EMERGENCY|Emergency")

_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")


def looks_dangerous(payload: bytes) -> bool:
    """True if the payload, in whatever shape, speaks of an alarm or of a danger, in Chinese or English.

    A payload that legibly says it is a heartbeat, an all-clear or a fault, and never that it is an alarm, is not
    dangerous although the name of the danger stands in it (`{"kind": "smoke", "state": "heartbeat"}`).
    """
    head = payload[:_LOOK]
    text = _as_text(head)
    if text is None:
        return _LONG_WORDS.search(head) is not None
    states = set(_STATE.findall(text))
    if states and states <= _CALM:
        return False
    return _WORDS.search(text) is not None


def _as_text(head: bytes) -> str | None:
    """Lower case text with JSON's escapes resolved, or None for binary."""
    text = _decoded(head)
    if text is None:
        return None
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text.lower())


def _decoded(head: bytes) -> str | None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", errors="replace")
    readable = sum(byte >= 0x20 or byte in b"\t\r\n" for byte in head)
    if readable < len(head) * 0.98:
        return None
    # A character cut in two at the end of the look, or one flipped byte, must not hide the rest.
    text = head.decode("utf-8", errors="replace")
    if text.count("�") <= 1 + len(text) // 50:
        return text
    # Older Chinese terminals write GB 18030.
    text = head.decode("gb18030", errors="replace")
    return text if text.count("�") <= 1 + len(text) // 50 else None
