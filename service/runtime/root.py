"""The private root: a folder with Debian's Asterisk, PostgreSQL and Mosquitto, for chroot.

Made without the right to mount, so that a plain container can: the packages are unpacked and
none of their scripts run; the little that those would have done is done by `_make_ready`.
The servers' data stands in ROOT/srv and outlives a rebuild.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from service.runtime import mirror, processes
from service.runtime.errors import PrivateRuntimeError
from service.runtime.place import ROOT_USER, Place

Progress = Callable[[str], None]

SUITE = "forky"
PACKAGE_LIST = Path(__file__).parents[2] / "docker/packages.txt"
STAMP = ".careline-made"
_RECIPE = "1"  # raise when _make_ready changes, so that existing roots are made anew
_NEEDS_BYTES = 1_200_000_000  # archives and unpacked files together, with room for first data

_USERS = {"postgres": 59981, "mosquitto": 59982, "asterisk": 59983}
"""Far from the ids that Debian hands out, since the host sees the servers under these numbers."""


def ensure_root(state: Path, progress: Progress) -> Path:
    """The private root in the state folder, made first if it is missing or out of date.

    Safe against a second launch at the same time (a lock file) and against being killed at any
    point (built beside, then renamed). CARELINE_ROOT names a system that has the servers
    installed (the container image: "/"); nothing is built then.
    """
    given = os.environ.get("CARELINE_ROOT")
    if given:
        return Path(given)
    state = state.resolve()
    root = state / "root"
    wanted = _fingerprint(read_packages(PACKAGE_LIST.read_text(encoding="utf-8")))
    if _stamp(root) == wanted:
        return root
    state.mkdir(parents=True, exist_ok=True)
    with _lock(state / "root.lock", progress):
        _finish_interrupted_swap(root)
        if _stamp(root) != wanted:
            _require_unused(root)
            fresh = _build(state, progress)
            (fresh / STAMP).write_text(wanted, encoding="ascii")
            _swap(root, fresh)
    return root


def read_packages(text: str) -> tuple[str, ...]:
    """The package names in the text of docker/packages.txt."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def refresh(root: Path, *, resolver: bool) -> None:
    """Bring host name, time zone and certificate authorities of this machine into the root.

    Asterisk looks up its own host name at each call, and waits for DNS unless etc/hosts has it.
    With `resolver` the machine's DNS server is used for other names (a trunk given by name);
    without it no name leaves the machine.
    """
    etc = root / "etc"
    name = socket.gethostname()
    _write(etc / "hosts", f"127.0.0.1 localhost {name}\n::1 localhost\n")
    order = "files dns" if resolver else "files"
    _write(etc / "nsswitch.conf", f"passwd: files\ngroup: files\nhosts: {order}\n")
    (etc / "resolv.conf").unlink(missing_ok=True)
    if resolver:
        _copy_if_there(Path("/etc/resolv.conf"), etc / "resolv.conf")
    _copy_if_there(Path("/etc/localtime"), etc / "localtime")
    authorities = "ssl/certs/ca-certificates.crt"
    _copy_if_there(Path("/etc") / authorities, etc / authorities)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")
    path.chmod(0o644)  # the servers' users read it, whatever our umask


def _copy_if_there(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # it may be a link that points out of the root
        shutil.copyfile(source, target)
        target.chmod(0o644)


def _fingerprint(packages: tuple[str, ...]) -> str:
    return hashlib.sha256(" ".join([_RECIPE, SUITE, *packages]).encode()).hexdigest()


def _stamp(root: Path) -> str:
    try:
        return (root / STAMP).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another launch is making the private root: waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _require_unused(root: Path) -> None:
    users = processes.rooted_in(root)
    if users:
        raise PrivateRuntimeError(
            f"the private servers must be renewed (docker/packages.txt changed), but some still "
            f"run (pid {', '.join(map(str, users))}): stop them, then start again."
        )


def _build(state: Path, progress: Progress) -> Path:
    free = shutil.disk_usage(state).free
    if free < _NEEDS_BYTES:
        raise PrivateRuntimeError(
            f"{state} has {free / 1e9:.1f} GB free, the private servers need "
            f"{_NEEDS_BYTES / 1e9:.1f} GB: make room, or set CARELINE_STATE to a folder elsewhere."
        )
    if not shutil.which("mmdebstrap"):
        raise PrivateRuntimeError("mmdebstrap is missing: run './careline setup', which installs it.")
    fresh = state / "root.new"
    _remove(fresh)
    packages = read_packages(PACKAGE_LIST.read_text(encoding="utf-8"))
    address = mirror.machine_mirror()
    progress(f"[4/5] private root: fetching {', '.join(packages)} from Debian {SUITE} (about 150 MB) …")
    log = state / "root.log"
    if not _unpack(fresh, packages, address, log, progress, ()):
        if "expired" not in log.read_text(errors="replace"):
            raise PrivateRuntimeError(_download_failed(log))
        progress("      the mirror's lists are past their date: trying again without that check")
        progress("      (their signatures are still checked)")
        late = ('Acquire::Check-Valid-Until "false"',)
        _remove(fresh)
        if not _unpack(fresh, packages, address, log, progress, late):
            raise PrivateRuntimeError(_download_failed(log))
    progress("[5/5] private root: making it ready …")
    _make_ready(fresh)
    return fresh


def _unpack(
    target: Path,
    packages: tuple[str, ...],
    address: str,
    log: Path,
    progress: Progress,
    options: tuple[str, ...],
) -> bool:
    """Run mmdebstrap, telling each of its steps; False when it failed, with the reason in log."""
    command = [
        *("mmdebstrap", "--mode=root", "--variant=extract", f"--include={','.join(packages)}"),
        *(f"--aptopt={line}" for line in (*mirror.machine_acquire_options(), *options)),
        *(SUITE, str(target), address),
    ]
    with (
        _heartbeat(target.parent, progress),
        log.open("w", encoding="utf-8") as record,
        subprocess.Popen(  # noqa: S603 -- own words and apt's, no shell
            command,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            record.write(line)
            step = re.match(r"I: ((?:running apt-get|downloading|extracting|cleaning).*)", line)
            if step:
                progress(f"      {step[1].strip()}")
    return process.returncode == 0


@contextlib.contextmanager
def _heartbeat(folder: Path, progress: Progress) -> Iterator[None]:
    """Tell every few seconds that it goes on, and how much has come onto the disk."""
    free = shutil.disk_usage(folder).free
    began = time.monotonic()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(5):
            written = max(0, free - shutil.disk_usage(folder).free) / 1e6
            progress(f"      {time.monotonic() - began:.0f} s, {written:.0f} MB on the disk")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _download_failed(log: Path) -> str:
    tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
    advice = "Check the network and 'apt-get update', then start again."
    if "not valid yet" in tail:
        advice = "This machine's clock is behind: set it, then start again."
    return f"Debian's packages could not be unpacked. {advice} The end of {log}:\n  {tail}"


def _make_ready(root: Path) -> None:
    """Do what the packages' own scripts would have done, as far as the servers need it."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if (root / "usr" / name).is_dir() and not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "dev/shm", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o1777)
    (root / "srv").mkdir(exist_ok=True)
    for name in (".", "srv"):
        (root / name).chmod(0o755)
    _add_users(root)
    refresh(root, resolver=False)
    try:
        with (root / "dev/null").open("wb") as null:
            null.write(b"\0")
    except OSError as error:
        raise PrivateRuntimeError(
            f"{root}/dev/null cannot be used ({error.strerror}): its file system is mounted "
            "'nodev'. Set CARELINE_STATE to a folder on another one."
        ) from error
    Place(root, "setup").run("/usr/sbin/ldconfig", user=ROOT_USER)


def _add_users(root: Path) -> None:
    fixed = {"root": 0, **_USERS, "nobody": 65534}
    users = [f"{name}:x:{uid}:{uid}::/:/usr/sbin/nologin" for name, uid in fixed.items()]
    groups = [f"{name}:x:{uid}:" for name, uid in fixed.items()]
    _write(root / "etc/passwd", "\n".join([*users, ""]))
    _write(root / "etc/group", "\n".join([*groups, ""]))


def _swap(root: Path, fresh: Path) -> None:
    """Put `fresh` in the place of `root`; the data in ROOT/srv comes along.

    Only whole folders are renamed, in an order that _finish_interrupted_swap can finish.
    """
    old = root.with_suffix(".old")
    if root.exists():
        root.rename(old)
    fresh.rename(root)
    _finish_interrupted_swap(root)


def _finish_interrupted_swap(root: Path) -> None:
    old = root.with_suffix(".old")
    if not old.exists():
        return
    if not root.exists():
        old.rename(root)
        return
    if (old / "srv").exists():
        if (root / "srv").exists():
            (root / "srv").rmdir()  # fresh, so empty: an error here rather than lost data
        (old / "srv").rename(root / "srv")
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
