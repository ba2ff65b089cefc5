"""The command line over a real database, run as a user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from alarm_core.events import CallOutcome
from alarm_core.store.accounts import Accounts, Role
from tests.live.api_world import PHONES, World

pytest_plugins = ["tests.live.api_fixtures"]

EXAMPLE = Path(__file__).parents[2] / "docs/examples/elders.csv"


class CommandLine:
    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", *words),
            env=self._environment,
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert b"Traceback" not in err, err.decode()
        return process.returncode or 0, out.decode(), err.decode()

    async def json(self, *words: str) -> Any:
        status, out, err = await self(*words, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest_asyncio.fixture
async def careline(settled: World, tmp_path: Path) -> CommandLine:
    url = settled.database.url
    return CommandLine({"CARELINE_DATABASE_URL": url, "CARELINE_STATE": str(tmp_path)})


async def test_an_alarm_is_listed_shown_and_replayed_by_the_beginning_of_its_id(
    settled: World, careline: CommandLine
) -> None:
    alarm_id = await settled.raises()
    await settled.ends(alarm_id, await settled.places_call(), CallOutcome.BUSY, 17)
    short = str(alarm_id)[:8]

    assert short in (await careline("alarms"))[1]
    status, story, _ = await careline("alarm", "show", short)
    assert status == 0
    for words in ("烟雾报警 smoke alarm", '张 "O\'Brien" 秀兰 · 田林街道301室，菜场对面', "占线", "busy", "钥匙在门卫"):
        assert words in story
    assert [number for number in PHONES if number in story] == []
    document = await careline.json("alarm", "show", short)
    assert [document] == await careline.json("alarms")
    assert [call["outcome"] for call in await careline.json("calls")] == ["busy"]
    replay = await careline.json("alarm", "replay", short)
    assert (replay["same"], replay["events"]) == (True, len(document["events"]))


async def test_replay_finds_a_row_that_its_log_does_not_give(settled: World, careline: CommandLine) -> None:
    alarm_id = await settled.raises()
    async with settled.database.transaction() as tx:
        forged = "UPDATE alarm SET state = jsonb_set(state, '{elder,tries}', '7') WHERE id = %s"
        await tx.together([(forged, (alarm_id,))])

    status, out, _ = await careline("alarm", "replay", str(alarm_id), "--json")

    assert status == 1
    assert json.loads(out)["differences"] == [{"field": "elder.tries", "log": 1, "stored": 7}]


async def test_the_example_file_is_imported(careline: CommandLine) -> None:
    counts = await careline.json("elders", "import", str(EXAMPLE))
    assert (counts["imported"], counts["added"], counts["errors"]) == (True, 2, [])

    status, out, _ = await careline("elders", "list")
    assert status == 0
    assert "XH-0001" in out
    assert "13800000011" not in out
    assert "button-0001" in (await careline("devices", "list"))[1]


async def test_a_file_with_faults_names_rows_and_columns_and_changes_nothing(
    careline: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_bytes("编号,姓名,电话\nC-1,王,13800000009\nC-2,李,110\nC-3,,13800000008\n".encode("gb18030"))

    status, out, err = await careline("elders", "import", str(file))
    assert (status, out) == (1, "")
    assert "row 3, column 电话: an emergency number" in err
    assert "row 4, column 姓名: is empty" in err
    status, out, _ = await careline("elders", "import", str(file), "--json")
    assert (status, json.loads(out)["imported"]) == (1, False)
    assert [(e["row"], e["column"]) for e in json.loads(out)["errors"]] == [(3, "电话"), (4, "姓名")]
    assert [elder["reference"] for elder in await careline.json("elders", "list")] == ["A-1"]


async def test_accounts_are_added_and_changed_and_the_made_password_lets_in(
    settled: World, careline: CommandLine
) -> None:
    status, out, _ = await careline("users", "add", "anna", "--role", "staff")
    assert status == 0
    account = await Accounts(settled.database).login("anna", out.strip())
    assert account is not None
    assert account.role is Role.STAFF

    assert (await careline("users", "add", "anna", "--role", "staff"))[0] == 1
    assert (await careline("users", "change", "anna", "--disabled"))[0] == 0
    assert await careline.json("users", "list") == [{"name": "anna", "role": "staff", "active": False}]


async def test_a_devices_secret_is_printed_once(settled: World, careline: CommandLine) -> None:
    status, out, _ = await careline("devices", "secret", "smoke-1")

    assert status == 0
    assert out.strip() == await settled.people.secret("smoke-1")
    assert (await careline("devices", "secret", "nothing"))[0] == 1


async def test_messages_in_quarantine_are_listed(settled: World, careline: CommandLine) -> None:
    await settled.raises(device="stranger-9")

    (kept,) = await careline.json("signals", "--rejected")

    assert (kept["device_id"], kept["reason"]) == ("stranger-9", "unknown_device")
    assert "stranger-9" in (await careline("signals", "--rejected"))[1]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("alarm", "show", "zzz"), 1, "no alarm's id begins with 'zzz'"),
        (("alarms", "--state", "asleep"), 2, "--state"),
        (("elders", "import", "no-such-file.csv"), 2, "no-such-file.csv"),
        (("signals",), 2, "--rejected"),
        (("nonsense",), 2, "nonsense"),
    ],
)
async def test_mistakes_are_told_in_a_line(
    careline: CommandLine, words: tuple[str, ...], status: int, says: str
) -> None:
    ended, _, err = await careline(*words)

    assert ended == status
    assert says in err


async def test_without_a_database_it_says_what_to_start(tmp_path: Path) -> None:
    nothing_runs = CommandLine({"CARELINE_STATE": str(tmp_path)})
    nothing_there = CommandLine({"CARELINE_DATABASE_URL": "postgresql://careline@127.0.0.1:1/careline"})

    for careline in (nothing_runs, nothing_there):
        status, _, err = await careline("alarms")
        assert status == 1
        assert "./careline up" in err
        assert "CARELINE_DATABASE_URL" in err
