"""Elders from a file into a real database: all of it or nothing, and again changes what differs."""

from __future__ import annotations

import time

import pytest

from alarm_core.elders_csv import ImportFileError, read_elders
from alarm_core.people import ElderFields
from alarm_core.store.importing import Imported
from tests.live.api_world import DISTRICT, World

pytest_plugins = ["tests.live.api_fixtures"]


async def _import(world: World, text: str) -> Imported:
    return await world.people.import_elders(read_elders(text.encode()))


async def _refused(world: World, text: str) -> list[str]:
    with pytest.raises(ImportFileError) as refused:
        await _import(world, text)
    return [str(fault) for fault in refused.value.faults]


async def test_the_same_file_again_changes_nothing(settled: World) -> None:
    (before,) = await settled.people.elders()
    contacts = await settled.people.contacts(before.id)

    assert await _import(settled, DISTRICT) == Imported(unchanged=1)

    assert await settled.people.elders() == [before]
    assert await settled.people.contacts(before.id) == contacts


async def test_columns_that_the_file_does_not_have_stay_as_they_are(settled: World) -> None:
    (before,) = await settled.people.elders()

    counts = await _import(settled, "编号,姓名,风险等级\nA-1,张秀兰,高\nB-2,王建国,\n")

    assert counts == Imported(added=1, changed=1)
    after = await settled.people.elder(before.id)
    assert (after.name, after.risk) == ("张秀兰", "high")
    assert (after.phones, after.address, after.way_in) == (before.phones, before.address, before.way_in)
    assert len(await settled.people.contacts(before.id)) == 2
    assert (await settled.people.device("smoke-1")).elder_id == before.id


async def test_contacts_are_replaced_together_and_one_of_the_same_name_stays_the_same(settled: World) -> None:
    (elder,) = await settled.people.elders()
    before = {one.name: one for one in await settled.people.contacts(elder.id)}

    await _import(
        settled, "reference,name,contact1_name,contact2_name,contact2_phone\nA-1,张,李秀英,陈强,13800000009\n"
    )

    first, second = await settled.people.contacts(elder.id)
    assert (first.id, first.number) == (before["李秀英"].id, before["李秀英"].number)
    assert (second.name, second.number, second.position) == ("陈强", "13800000009", 2)


async def test_one_wrong_cell_and_nothing_is_imported(settled: World) -> None:
    faults = await _refused(settled, "reference,name,phone\nB-1,王,13800000009\nB-2,李,119\n")

    assert faults == [
        "row 3, column phone: an emergency number (110, 119, 120 …) is never called by a machine: "
        "a person at a seat does it"
    ]
    assert [one.reference for one in await settled.people.elders()] == ["A-1"]


async def test_a_device_of_another_elder_is_not_taken_away(settled: World) -> None:
    faults = await _refused(settled, "reference,name,device1_id,device1_kind\nB-1,王,smoke-1,smoke\n")

    assert faults == [
        "row 2, column device1_id: the device is registered to the elder A-1: move or remove it there first"
    ]
    assert [one.reference for one in await settled.people.elders()] == ["A-1"]


async def test_an_elders_own_plan_survives_the_import(settled: World) -> None:
    (elder,) = await settled.people.elders()
    fields = elder.model_dump(exclude={"id", "address", "created_at", "updated_at"})
    fields["plan"] = {"smoke": {"verify": {"calls": 3}}}
    await settled.people.change_elder(elder.id, ElderFields.model_validate(fields))

    await _import(settled, "reference,name,risk\nA-1,张,low\n")

    assert (await settled.people.elder(elder.id)).plan == {"smoke": {"verify": {"calls": 3}}}


async def test_ten_thousand_elders_take_seconds(settled: World) -> None:
    header = "reference,name,phone,contact1_name,contact1_phone,contact2_name,contact2_phone,device1_id,device1_kind\n"
    rows = [f"R-{n},老人{n},138{n:08d},甲,139{n:08d},乙,137{n:08d},device-{n},smoke\n" for n in range(10_000)]
    text = header + "".join(rows)

    began = time.monotonic()
    parsed = read_elders(text.encode())
    read = time.monotonic()
    assert await settled.people.import_elders(parsed) == Imported(added=10_000, devices=10_000)
    written = time.monotonic()
    assert await settled.people.import_elders(parsed) == Imported(unchanged=10_000)

    # While rows are written, an alarm of a changed elder waits: that part must be short.
    print(f"read {read - began:.1f} s, written {written - read:.1f} s, again {time.monotonic() - written:.1f} s")
    assert written - began < 60
