"""The launcher's small decisions that need no installing; the whole is tried in a bare Debian."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from service.runtime.requirements import requirements

REPOSITORY = Path(__file__).parents[3]


def test_the_launcher_is_plain_sh_that_dash_can_read() -> None:
    launcher = REPOSITORY / "careline"
    assert launcher.read_text().startswith("#!/bin/sh\n")
    assert os.access(launcher, os.X_OK)
    subprocess.run(["sh", "-n", str(launcher)], check=True)


def test_the_test_packages_are_the_others_and_more() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    base, test = set(requirements(text, "base")), set(requirements(text, "test"))
    assert base < test
    assert base == set(tomllib.loads(text)["project"]["dependencies"])


def test_every_dependency_has_an_exact_version() -> None:
    """Otherwise two set-ups on two days make two different services."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {_plain(line.partition("==")[0]) for line in lines if "==" in line}
    needed = requirements((REPOSITORY / "pyproject.toml").read_text(), "test")
    assert [name for name in needed if _plain(name) not in pinned] == []


def test_a_state_folder_that_cannot_be_made_is_said_with_a_remedy() -> None:
    if os.geteuid() != 0:
        pytest.skip("the launcher would ask sudo first")
    done = subprocess.run(
        [str(REPOSITORY / "careline"), "setup"],
        env={**os.environ, "CARELINE_STATE": "/dev/null/state"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Set CARELINE_STATE" in done.stderr
    assert done.stdout == "", "standard output belongs to --json"


def _plain(requirement: str) -> str:
    name = requirement
    for mark in "[<>=;! ":
        name = name.partition(mark)[0]
    return name.lower().replace("_", "-")
