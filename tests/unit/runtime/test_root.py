"""The private root: what goes in, and that a rebuild killed half-way loses no data."""

import socket
from pathlib import Path

import pytest

from service.runtime import root
from service.runtime.errors import PrivateRuntimeError


def test_the_package_list_ignores_comments_and_names_every_server() -> None:
    assert root.read_packages("# why\nasterisk\n\n  mosquitto # broker\n") == ("asterisk", "mosquitto")
    packages = root.read_packages(root.PACKAGE_LIST.read_text())
    assert {"asterisk", "mosquitto"} < set(packages)
    assert any(name.startswith("postgresql-") for name in packages), "the major version is pinned"


def _folder_with(folder: Path, **files: str) -> Path:
    (folder / "srv").mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_a_rebuild_keeps_the_data(tmp_path: Path) -> None:
    present = _folder_with(tmp_path / "root", version="old")
    (present / "srv/careline").mkdir()
    fresh = _folder_with(tmp_path / "root.new", version="new")

    root._swap(present, fresh)

    assert (present / "version").read_text() == "new"
    assert (present / "srv/careline").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_killed_after_the_first_rename_the_old_root_comes_back(tmp_path: Path) -> None:
    _folder_with(tmp_path / "root.old", version="old")
    root._finish_interrupted_swap(tmp_path / "root")
    assert (tmp_path / "root/version").read_text() == "old"


def test_killed_after_the_second_rename_the_data_follows(tmp_path: Path) -> None:
    old = _folder_with(tmp_path / "root.old")
    (old / "srv/careline").mkdir()
    _folder_with(tmp_path / "root", version="new")
    root._finish_interrupted_swap(tmp_path / "root")
    assert (tmp_path / "root/srv/careline").is_dir()
    assert not old.exists()


def test_data_on_both_sides_is_never_overwritten(tmp_path: Path) -> None:
    for name in ("root", "root.old"):
        (_folder_with(tmp_path / name) / "srv/careline").mkdir()
    with pytest.raises(OSError, match="not empty"):
        root._finish_interrupted_swap(tmp_path / "root")
    assert (tmp_path / "root.old/srv/careline").is_dir()


def test_too_little_space_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "_NEEDS_BYTES", 10**18)
    with pytest.raises(PrivateRuntimeError, match=r"make room.*CARELINE_STATE"):
        root.ensure_root(tmp_path, print)


def test_a_system_with_the_servers_installed_needs_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARELINE_ROOT", "/")
    assert root.ensure_root(tmp_path / "state", print) == Path("/")
    assert not (tmp_path / "state").exists()


def test_the_own_host_name_is_known_inside_and_no_resolver_is(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    root.refresh(tmp_path, resolver=False)
    assert socket.gethostname() in (tmp_path / "etc/hosts").read_text().split()
    assert not (tmp_path / "etc/resolv.conf").exists()
    assert "dns" not in (tmp_path / "etc/nsswitch.conf").read_text()
