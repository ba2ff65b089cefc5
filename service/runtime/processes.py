"""Finding and ending processes that an earlier run left behind.

Two rules together. Every server, and so each of its children, has its own folder as working
directory; that finds all of them, but a container without CAP_SYS_PTRACE may not look at other
users' processes. And each server's process is recorded in a file, which needs no right to be
read back. Where /proc is not mounted nothing is found; there the kernel's parent-death signal
(guard.py) stands alone.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path


def working_in(folder: Path) -> list[int]:
    """Process ids whose working directory lies in `folder`."""
    return _with_link("cwd", folder)


def record(file: Path, pid: int) -> None:
    """Write down which process this is, so that `recorded` knows it again."""
    file.write_text(f"{pid} {_birth(pid)}", encoding="ascii")


def recorded(file: Path) -> list[int]:
    """The process in a file of `record` and all below it; empty if that very process has ended.

    A process id that the kernel gave to somebody else since then is not taken for it.
    """
    if not file.exists():
        return []
    text, _, birth = file.read_text(encoding="ascii").partition(" ")
    pid = int(text or 0)
    if not birth or birth != _birth(pid):
        return []
    return [pid, *_descendants(pid)]


def rooted_in(folder: Path) -> list[int]:
    """Process ids that have `folder`, or something in it, as their root directory."""
    return _with_link("root", folder)


def end(pids: Iterable[int], within: float) -> list[int]:
    """SIGKILL each process and wait up to `within` seconds; returns those still there."""
    left = list(pids)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + within
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if is_running(pid)]
        if left:
            time.sleep(0.02)
    return left


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an entry that waits for its parent."""
    columns = _columns(pid)
    return bool(columns) and columns[0] not in "ZX"


def _with_link(name: str, folder: Path) -> list[int]:
    wanted = folder.resolve()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            target = (entry / name).readlink()
        except OSError:  # ended meanwhile
            continue
        if target.is_relative_to(wanted):
            found.append(int(entry.name))
    return found


def _birth(pid: int) -> str:
    """When the process began: boot and clock ticks since then (proc(5), starttime)."""
    columns = _columns(pid)
    if not columns or columns[0] in "ZX":
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {columns[19]}"


def _descendants(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        columns = _columns(int(entry.name))
        if columns:
            parents[int(entry.name)] = int(columns[1])
    found = [pid]
    for parent in found:  # grows while it is walked
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def _columns(pid: int) -> list[str]:
    """The columns of /proc/PID/stat from the state on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
