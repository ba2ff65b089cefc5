"""Alarms and calls as outsiders read them, and what staff enter."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from alarm_core.commands import Wake
from alarm_core.events import CallOutcome, ElderReply, HelperReply, WakeDue
from alarm_core.numbers import masked
from alarm_core.store.accounts import Role
from alarm_core.store.alarms import replayed
from alarm_core.store.commands import Commands
from alarm_core.store.record import Happening
from tests.live.api_world import PHONES, Api, World

pytest_plugins = ["tests.live.api_fixtures"]

CONTRACT = {"id", "elder", "kind", "phase", "opened_at", "outcome", "events", "calls"}
CALL_CONTRACT = {
    *("id", "party", "number_masked", "placed_at", "ringing_at", "answered_at", "ended_at"),
    *("hangup_cause", "keys", "outcome"),
}


async def _story(world: World) -> UUID:
    """The elder does not answer; the first contact's voicemail says nothing that counts; the second presses 1."""
    alarm_id = await world.raises()
    await world.ends(alarm_id, await world.places_call(), CallOutcome.NO_ANSWER, 19)
    for reply, keys in (("none", ""), ("going", "1")):
        await _pauses_end(world)
        command = await world.places_call()
        assert command.who is not None
        said = HelperReply(call_id=command.call_id, who=command.who, reply=reply)
        await world.answers(alarm_id, command, said, keys)
    return alarm_id


async def _pauses_end(world: World) -> None:
    """The clock: wakes that pause between contacts come now."""
    async with world.database.transaction() as tx:
        await tx.together(
            [("UPDATE command SET due_at = now() WHERE type = 'wake' AND data->>'name' = 'contact_next'", ())]
        )
    commands = Commands(world.database, "tests")
    for claimed in (await commands.claim(["wake"], 10))[0]:
        assert isinstance(claimed.command, Wake)
        due = WakeDue(name=claimed.command.name, key=claimed.command.key)
        await world.alarms.apply(claimed.alarm_id, Happening(due, "clock", None), also=[claimed.finished])


async def test_the_alarm_document_is_the_contract(api: Api) -> None:
    alarm_id = await _story(api.world)
    client = await api.as_(Role.VIEWER)

    document = (await client.get(f"/alarms/{alarm_id}")).json()

    assert document.keys() >= CONTRACT
    assert document["elder"]["name"].startswith("张")
    assert document["elder"]["address"] == "田林街道301室，菜场对面"
    assert (document["kind"], document["phase"], document["outcome"]) == ("smoke", "alerting", None)
    assert [event["seq"] for event in document["events"]] == list(range(1, len(document["events"]) + 1))
    assert all(event.keys() == {"seq", "at", "type", "source", "data"} for event in document["events"])
    assert all(call.keys() >= CALL_CONTRACT for call in document["calls"])
    assert [(call["party"], call["outcome"], call["hangup_cause"], call["keys"]) for call in document["calls"]] == [
        ("elder", "no_answer", 19, ""),
        ("contact", "no_key", 16, ""),
        ("contact", "going", 16, "1"),
    ]
    assert [call["name"] for call in document["calls"]] == [None, "张伟", "李秀英"]
    for text in (document["opened_at"], *(event["at"] for event in document["events"])):
        assert datetime.fromisoformat(text).utcoffset() is not None
    listed = (await client.get("/alarms", params={"state": "open"})).json()
    assert listed == [document]


async def test_no_phone_number_is_seen_whole(api: Api) -> None:
    alarm_id = await _story(api.world)
    staff = await api.as_(Role.STAFF)
    await staff.post(f"/alarms/{alarm_id}/entries", json={"action": "note", "note": f"rang {PHONES[1]} myself"})

    seen = ""
    for path in (f"/alarms/{alarm_id}", "/alarms?state=all", "/calls", "/rejected-signals"):
        seen += (await staff.get(path)).text

    assert str(masked(PHONES[0])) in seen
    assert [number for number in PHONES if number in seen] == []


async def test_a_device_that_nobody_registered_has_an_alarm_without_an_elder(api: Api) -> None:
    alarm_id = await api.world.raises(device="stranger-7")

    document = (await (await api.as_(Role.VIEWER)).get(f"/alarms/{alarm_id}")).json()

    assert (document["elder"]["id"], document["device_id"]) == (None, "stranger-7")
    (rejected,) = (await (await api.as_(Role.STAFF)).get("/rejected-signals")).json()
    assert (rejected["reason"], rejected["alarm_id"]) == ("unknown_device", str(alarm_id))
    message = (await (await api.as_(Role.STAFF)).get(f"/rejected-signals/{rejected['id']}")).json()
    assert message["payload_base64"]


async def test_pages_hold_every_alarm_once_although_all_opened_at_one_moment(api: Api) -> None:
    ids = {str(await api.world.raises(device=f"stranger-{n}")) for n in range(7)}
    async with api.world.database.transaction() as tx:
        await tx.together([("UPDATE alarm SET opened_at = '2026-01-01T00:00:00Z'", ())])
    client = await api.as_(Role.VIEWER)

    seen: list[str] = []
    address: str | httpx.URL | None = "/alarms?state=open&limit=3"
    while address is not None:
        page = await client.get(address)
        seen += [alarm["id"] for alarm in page.json()]
        following = page.links.get("next", {}).get("url")
        address = None if following is None else following.removeprefix("/api/v1")

    assert len(seen) == 7
    assert set(seen) == ids


async def test_alarms_are_listed_by_state_kind_and_elder(api: Api) -> None:
    smoke = await api.world.raises()
    gas = await api.world.raises(device="stranger-1", kind="gas")
    client = await api.as_(Role.STAFF)
    await client.post(f"/alarms/{gas}/entries", json={"action": "resolve"})
    elder = (await client.get(f"/alarms/{smoke}")).json()["elder"]["id"]

    async def listed(**query: str) -> list[str]:
        return [alarm["id"] for alarm in (await client.get("/alarms", params=query)).json()]

    assert await listed(state="open") == [str(smoke)]
    assert await listed(state="resolved") == [str(gas)]
    assert await listed(state="closed") == []
    assert await listed(state="all") == await listed() == [str(gas), str(smoke)]
    assert await listed(kind="gas") == [str(gas)]
    assert await listed(elder=elder) == [str(smoke)]


async def test_staff_end_an_alarm_and_it_is_in_the_log_who_did(api: Api) -> None:
    alarm_id = await api.world.raises()
    client = await api.as_(Role.STAFF)

    async def enter(action: str, **more: Any) -> httpx.Response:
        return await client.post(f"/alarms/{alarm_id}/entries", json={"action": action, **more})

    assert (await enter("close")).status_code == 409
    resolved = await enter("resolve", note="邻居看过了，没事")
    assert (resolved.status_code, resolved.json()["outcome"]) == (201, "handled")
    last = resolved.json()["events"][-1]
    assert last["source"] == "staff:staff"
    assert last["data"] == {"action": "resolve", "by": "staff", "note": "邻居看过了，没事"}
    assert (await enter("take")).status_code == 409
    assert (await enter("note", note="still")).status_code == 201
    assert (await enter("close")).json()["phase"] == "closed"
    assert (await enter("close")).status_code == 409
    stored = await api.world.alarms.load(alarm_id)
    assert replayed(alarm_id, await api.world.alarms.history(alarm_id)) == stored


async def test_the_same_entry_sent_again_is_entered_once(api: Api) -> None:
    alarm_id = await api.world.raises()
    client = await api.as_(Role.STAFF)
    header = {"Idempotency-Key": "abc-1"}

    answers = [
        await client.post(f"/alarms/{alarm_id}/entries", json={"action": "resolve"}, headers=header) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    entries = [event for event in answers[-1].json()["events"] if event["type"] == "staff_entry"]
    assert len(entries) == 1


async def test_an_entry_for_an_unknown_alarm_is_not_found(api: Api) -> None:
    answer = await (await api.as_(Role.STAFF)).post(f"/alarms/{uuid4()}/entries", json={"action": "take"})

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:careline:problem:not_found"


async def test_what_the_elder_says_counts_before_what_the_network_says(api: Api) -> None:
    alarm_id = await api.world.raises()
    command = await api.world.places_call()
    live = (await (await api.as_(Role.VIEWER)).get("/calls", params={"live": "true"})).json()
    assert [(call["id"], call["outcome"]) for call in live] == [(str(command.call_id), None)]

    await api.world.answers(alarm_id, command, ElderReply(call_id=command.call_id, reply="help"), "2")

    (call,) = (await (await api.as_(Role.VIEWER)).get("/calls", params={"live": "false"})).json()
    assert (call["outcome"], call["network"], call["alarm_id"]) == ("help", "completed", str(alarm_id))
    assert json.dumps(call).count(command.number) == 0
