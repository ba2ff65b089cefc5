"""The small decisions of the supervisor and of each server."""

import asyncio
import base64
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.runtime import guard, logs, processes
from service.runtime.asterisk import own_directories
from service.runtime.errors import PrivateRuntimeError
from service.runtime.mosquitto import Mosquitto, MqttSettings, log_in, password_line
from service.runtime.place import Place
from service.runtime.server import NotReadyError
from service.runtime.supervisor import pause_before_restart


def test_the_first_death_costs_no_pause_and_a_series_never_more_than_eight_seconds() -> None:
    assert [pause_before_restart(deaths) for deaths in range(1, 8)] == [0, 0.5, 1, 2, 4, 8, 8]


def test_a_long_log_is_moved_aside_under_the_feet_of_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("a") as server:
        server.write("old\n" * 10)
        server.flush()
        logs.trim(log, limit=100)
        assert log.read_text() != "", "not too long yet"
        logs.trim(log, limit=10)
        server.write("new\n")
    assert log.read_text() == "new\n"
    assert (tmp_path / "server.log.1").read_text() == "old\n" * 10


def test_an_error_quotes_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert "no log" in logs.tail(log)
    log.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert logs.tail(log, 2) == "  line 4998\n  line 4999"


def test_asterisks_own_folders_are_found_and_the_systems_left_alone() -> None:
    text = """\
[directories]
astetcdir => /srv/demo/careline/etc
astmoddir => /usr/lib/asterisk/modules
astrundir = /srv/demo/careline/run ; comment
astspooldir => /srv/other/spool
[options]
cache_record_files => /srv/demo/careline/not-a-folder
"""
    assert own_directories(text, "/srv/demo/careline") == ["etc", "run"]


def test_a_password_line_is_what_mosquitto_reads() -> None:
    user, kind, rounds, salt, digest = (
        password_line("devices", "word").strip().replace(":", "$").replace("$$", "$").split("$")
    )
    assert (user, kind) == ("devices", "7")
    expected = hashlib.pbkdf2_hmac("sha512", b"word", base64.b64decode(salt), int(rounds), 64)
    assert base64.b64decode(digest) == expected
    assert password_line("devices", "word") != password_line("devices", "word"), "own salt each time"


def test_half_a_tls_listener_is_refused(tmp_path: Path) -> None:
    settings = MqttSettings(tls_certificate=tmp_path / "a.crt")
    with pytest.raises(PrivateRuntimeError, match="both"):
        Mosquitto(Place(tmp_path, "x"), tmp_path, 1, 2, {}, settings)


async def test_a_port_that_answers_with_something_else_is_not_a_broker() -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotReadyError):
            await log_in("127.0.0.1", port, "careline", "word")


PARENT = """
import subprocess, sys, time, os
guarded = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], "/", sys.argv[2], sys.argv[3],
                            "9", str(os.getpid()), "/bin/sleep", "60"])
print(guarded.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user is taken on")
def test_the_guarded_dies_with_a_killed_parent_even_as_another_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    command = [sys.executable, "-c", PARENT, str(guard.__file__), "65534:65534", "/tmp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        _until(lambda: "sleep" in Path(f"/proc/{pid}/comm").read_text())
        assert Path(f"/proc/{pid}").stat().st_uid == 65534
        parent.kill()
    _until(lambda: not processes.is_running(pid))


def test_the_guard_does_not_start_for_a_parent_that_is_gone() -> None:
    command = [sys.executable, "-I", "-S", str(guard.__file__), "/", "0:0", "/", "9", "1"]
    done = subprocess.run([*command, "/bin/echo", "started"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "parent is gone" in done.stderr


def test_a_leftover_is_found_by_its_folder_and_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], cwd=tmp_path) as stale:
        assert processes.working_in(tmp_path) == [stale.pid]
        assert processes.working_in(tmp_path / "other") == []
        assert processes.end([stale.pid], within=5) == []
    assert processes.end([stale.pid], within=0.1) == []


def test_a_recorded_process_is_known_again_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "server.pid"
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60; :"], start_new_session=True) as server:
        _until(lambda: bool(processes._descendants(server.pid)))
        processes.record(file, server.pid)
        found = processes.recorded(file)
        assert found[0] == server.pid
        assert len(found) == 2
        assert processes.end(found, within=5) == []
    assert processes.recorded(file) == []


def test_a_stranger_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "server.pid"
    assert processes.recorded(file) == [], "never recorded"
    processes.record(file, os.getpid())
    file.write_text(file.read_text()[:-1] + "x")
    assert processes.recorded(file) == []
    processes.record(file, 2**22 + 1)
    assert processes.recorded(file) == [], "it had ended before it was written down"


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        time.sleep(0.02)
