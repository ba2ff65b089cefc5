"""Elders' files with holes and with wrong numbers in them: somebody is called all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import ValidationError

from alarm_core.elders_csv import ImportFileError, read_elders
from alarm_core.people import ContactFields, ElderFields
from tests.live.world import DUTY, Home, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

EMERGENCY = ("110", "119", "120", "122", "0086110", "021-120", "9 119")
NO_NUMBERS = ("12345", "139000012", "13900001720;110", "13900001720@example.org", "${EXTEN}")


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def quiet_end(world: World) -> AsyncIterator[None]:
    yield
    await world.end_all()


async def _wrong_number(world: World, home: Home, position: int, number: str) -> None:
    """Put it into the database past everything that checks what people enter."""
    sql = "UPDATE contact SET number = %s WHERE elder_id = %s AND position = %s RETURNING id"
    assert len(await world.rows(sql, (number, home.elder_id, position))) == 1


async def _outcomes(world: World, home: Home) -> list[tuple[str, str]]:
    """Numbers and outcomes of the alarm's calls to contacts, in order."""
    sql = """SELECT number, call.outcome FROM call JOIN alarm ON alarm.id = alarm_id
             WHERE elder_id = %s AND party = 'contact' ORDER BY placed_at"""
    return [(number, outcome) for number, outcome in await world.rows(sql, (home.elder_id,))]


async def test_a_contact_without_a_number_is_passed_over(world: World) -> None:
    home = await world.home(None, "01", phone="04")
    await world.signal(home.device)
    alarm = await world.until_alarm(home, lambda a: a.helpers, "the second contact to go")
    assert set(alarm.helpers) == {alarm.brief.contacts[1].id}


async def test_an_elder_without_contacts_and_one_without_anybody_reach_the_duty_phone(world: World) -> None:
    alone, nobody = await world.home(phone="04"), await world.home(phone="")
    for home in (alone, nobody):
        before = len(world.phones.calls(DUTY))
        await world.signal(home.device)
        await world.until_alarm(home, lambda a: a.duty.state == "taken", "the duty phone to take it")
        assert len(world.phones.calls(DUTY)) == before + 1
    assert len(world.phones.calls(alone.phone)) == 1


async def test_an_elder_without_a_phone_is_not_waited_for(world: World) -> None:
    home = await world.home("01", phone="")
    await world.signal(home.device)
    alarm = await world.until_alarm(home, lambda a: a.helpers, "the contact to go")
    assert alarm.elder.tries == 0


@pytest.mark.parametrize("number", [*EMERGENCY, *NO_NUMBERS])
async def test_a_number_that_must_not_be_called_cannot_be_entered(number: str) -> None:
    with pytest.raises(ValidationError):
        ContactFields(name="女儿", number=number)
    with pytest.raises(ValidationError):
        ElderFields(reference="1", name="王桂兰", phones=[number])
    with pytest.raises(ImportFileError) as refused:
        read_elders(f"reference,name,contact1_name,contact1_phone\n1,王桂兰,女儿,{number}\n".encode())
    (fault,) = refused.value.faults
    assert "contact1_phone" in str(fault)


async def test_an_emergency_number_in_the_database_is_blocked_and_the_next_is_called(world: World) -> None:
    home = await world.home("01", "01", "01", phone="04")
    await _wrong_number(world, home, 1, "110")
    await _wrong_number(world, home, 2, "0086119")
    await world.signal(home.device)
    await world.until_alarm(home, lambda a: a.helpers, "the third contact to go")
    await world.until_alarm(home, lambda a: not a.legs, "the call to end")
    assert await _outcomes(world, home) == [
        ("110", "blocked"),
        ("0086119", "blocked"),
        (home.contacts[2], "completed"),
    ]
    assert {call.number for call in world.phones.calls()}.isdisjoint({"110", "119", "0086119"})


async def test_what_is_no_number_in_the_database_is_invalid_and_the_next_is_called(world: World) -> None:
    home = await world.home("01", "01", "01", "01", phone="04")
    wrong = ("13900001720@127.0.0.1", "1390000172\r\nAction: Hangup", "4")
    for position, number in enumerate(wrong, 1):
        await _wrong_number(world, home, position, number)
    await world.signal(home.device)
    alarm = await world.until_alarm(home, lambda a: a.helpers, "the fourth contact to go")
    await world.until_alarm(home, lambda a: not a.legs, "the call to end")
    assert set(alarm.helpers) == {alarm.brief.contacts[3].id}
    outcomes = await _outcomes(world, home)
    assert [outcome for _, outcome in outcomes] == ["invalid", "invalid", "invalid", "completed"]
