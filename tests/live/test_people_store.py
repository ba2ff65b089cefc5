"""Elders, contacts and devices in a real database."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from alarm_core.people import Contact, ContactFields, DeviceFields, Elder, ElderFields, NewDevice
from alarm_core.planbook import PlanError
from alarm_core.store.people import ConflictError, UnknownRecordError
from tests.live.api_world import World

pytest_plugins = ["tests.live.api_fixtures"]

ODD = 'O\'Brien "莉莉"; DROP TABLE elder; -- ${EXTEN} 阿布都拉·买买提 \N{GRINNING FACE}'


async def _elder(world: World, reference: str = "B-1") -> Elder:
    return await world.people.add_elder(ElderFields(reference=reference, name="王建国"))


async def _names(world: World, elder_id: UUID) -> list[str]:
    return [contact.name for contact in await world.people.contacts(elder_id)]


async def test_an_elder_is_stored_as_entered_and_the_numbers_as_dialled(settled: World) -> None:
    entered = ElderFields(
        reference="B-1",
        name=ODD,
        phones=["021-6234 5678", "+86 138 0000 0009"],
        district="徐汇区",
        street="田林街道",
        room="301室",
        landmark="菜场对面",
    )

    elder = await settled.people.add_elder(entered)

    assert elder.name == ODD
    assert elder.phones == ["02162345678", "13800000009"]
    assert elder.address == "徐汇区田林街道301室，菜场对面"
    assert await settled.people.elder(elder.id) == elder


async def test_the_shown_address_is_the_one_that_an_alarm_speaks(settled: World) -> None:
    (elder,) = await settled.people.elders()

    alarm = await settled.alarms.load(await settled.raises())

    assert alarm.brief.address == elder.address
    assert alarm.brief.numbers == tuple(elder.phones)


async def test_changing_an_elder_replaces_the_whole_entry(settled: World) -> None:
    elder = await settled.people.add_elder(
        ElderFields(reference="B-1", name="王建国", phones=["13800000008"], note="耳背")
    )

    changed = await settled.people.change_elder(elder.id, ElderFields(reference="B-1", name="王建国", risk="high"))

    assert (changed.risk, changed.phones, changed.note) == ("high", [], "")
    assert changed.updated_at > elder.updated_at


async def test_a_reference_belongs_to_one_elder(settled: World) -> None:
    with pytest.raises(ConflictError, match="reference"):
        await _elder(settled, "A-1")


async def test_an_elders_own_plan_is_built_before_it_is_stored(settled: World) -> None:
    def with_plan(plan: object) -> ElderFields:
        return ElderFields.model_validate({"reference": "B-1", "name": "王", "plan": plan})

    with pytest.raises(PlanError, match="rounds"):
        await settled.people.add_elder(with_plan({"smoke": {"contacts": {"rounds": 0}}}))
    with pytest.raises(PlanError, match="'smok'"):
        await settled.people.add_elder(with_plan({"smok": {"severity": 1}}))
    with pytest.raises(ValidationError, match="seven days"):
        # The rules would add this to the clock when the alarm opens, and could not open it.
        with_plan({"*": {"contacts": {"again_after_seconds": 1e300}}})
    assert [elder.reference for elder in await settled.people.elders()] == ["A-1"]

    elder = await settled.people.add_elder(with_plan({"*": {"verify": {"calls": 3}}}))
    assert (await settled.people.elder(elder.id)).plan == {"*": {"verify": {"calls": 3}}}


async def test_an_elder_with_alarms_in_the_record_stays(settled: World) -> None:
    await settled.raises()
    (elder,) = await settled.people.elders()
    other = await _elder(settled)

    with pytest.raises(ConflictError, match="alarms in the record"):
        await settled.people.remove_elder(elder.id)
    await settled.people.remove_elder(other.id)

    assert [one.id for one in await settled.people.elders()] == [elder.id]
    with pytest.raises(UnknownRecordError):
        await settled.people.remove_elder(other.id)


async def test_elders_are_found_by_part_of_the_name_and_by_any_spelling_of_a_number(settled: World) -> None:
    await _elder(settled)

    for search in ("秀兰", "A-1", "13800000001", "+86 138-0000-0001", "O'Brien"):
        assert [one.reference for one in await settled.people.elders(search=search)] == ["A-1"], search
    assert await settled.people.elders(search="%") == []
    assert [one.reference for one in await settled.people.elders(after="A-1")] == ["B-1"]


async def test_contacts_keep_their_order_through_changes(settled: World) -> None:
    elder = await _elder(settled)
    added: list[Contact] = [
        await settled.people.add_contact(elder.id, ContactFields(name=name)) for name in ("一", "二", "三")
    ]

    await settled.people.order_contacts(elder.id, [added[2].id, added[0].id, added[1].id])
    assert await _names(settled, elder.id) == ["三", "一", "二"]
    await settled.people.remove_contact(added[0].id)
    await settled.people.add_contact(elder.id, ContactFields(name="四", number="13800000007"))

    found = await settled.people.contacts(elder.id)
    assert [(one.position, one.name, one.number) for one in found] == [
        (1, "三", None),
        (2, "二", None),
        (3, "四", "13800000007"),
    ]


async def test_a_new_order_names_every_contact_once(settled: World) -> None:
    (elder,) = await settled.people.elders()
    first, second = await settled.people.contacts(elder.id)

    for wrong in ([first.id], [first.id, first.id], [first.id, second.id, uuid4()]):
        with pytest.raises(ConflictError):
            await settled.people.order_contacts(elder.id, wrong)
    assert [one.id for one in await settled.people.contacts(elder.id)] == [first.id, second.id]


async def test_a_device_moves_to_another_elder(settled: World) -> None:
    other = await _elder(settled)

    moved = await settled.people.change_device("smoke-1", other.id, DeviceFields(kind="smoke", heartbeat_seconds=3600))

    assert (moved.elder_id, moved.heartbeat_seconds) == (other.id, 3600)
    with pytest.raises(ConflictError, match="elder_id"):
        await settled.people.change_device("smoke-1", uuid4(), DeviceFields(kind="smoke"))
    with pytest.raises(ConflictError, match="id"):
        await settled.people.add_device(NewDevice(id="smoke-1", elder_id=other.id, kind="gas"))


async def test_a_devices_secret_is_told_once_and_never_read_back(settled: World) -> None:
    secret = await settled.people.new_secret("smoke-1")

    assert len(secret) == 48
    assert await settled.people.secret("smoke-1") == secret
    device = await settled.people.device("smoke-1")
    assert device.own_secret
    assert secret not in device.model_dump_json()
