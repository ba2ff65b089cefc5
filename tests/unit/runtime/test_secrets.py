"""Passwords: made once, readable by nobody else, the same for everyone who asks."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.runtime.secrets import Secrets


def test_a_password_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets", {})
    first = secrets.get("postgres")
    assert len(first) == 48
    assert Secrets(tmp_path / "secrets", {}).get("postgres") == first
    assert secrets.get("mqtt_service") != first
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "secrets").iterdir()} == {0o600}


def test_a_file_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {})
    secrets.get("ami")
    (tmp_path / "ami").chmod(0o644)
    secrets.get("ami")
    assert stat.S_IMODE((tmp_path / "ami").stat().st_mode) == 0o600


def test_many_who_ask_at_once_get_one_answer(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(lambda _: Secrets(tmp_path, {}).get("postgres"), range(64)))
    assert len(answers) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["postgres"]


def test_a_given_password_wins(tmp_path: Path) -> None:
    assert Secrets(tmp_path, {"CARELINE_SECRET_POSTGRES": "given"}).get("postgres") == "given"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../etc/passwd", "A", "1"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Secrets(tmp_path, {}).get(name)
