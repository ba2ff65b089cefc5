"""Become a server: enter its root and its user, and die with the parent.

Run as a program of its own, so that nothing of a many-threaded parent is inherited half-way:

    python -I -S guard.py ROOT UID:GID FOLDER SIGNAL PARENT COMMAND…

Guaranteed: COMMAND runs in ROOT as UID:GID without further rights, in FOLDER (as seen from
ROOT), under this process's own id; and the kernel sends it SIGNAL when PARENT ends in whatever
way, kill -9 included. The kernel forgets that wish at a change of user, so `setpriv` or
`chroot --userspec` after it would undo it: hence the order below.
"""

import ctypes
import os
import resource
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)
_OPEN_FILES = 65536  # a node with hundreds of calls needs more than the usual 1024


def main(arguments: list[str]) -> None:
    root, user, folder, signal_number, parent, *command = arguments
    uid, gid = map(int, user.split(":"))
    libc = ctypes.CDLL(None, use_errno=True)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    os.umask(0o077)
    if root != "/":
        os.chroot(root)
    os.chdir(folder)
    if uid != 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
        sys.exit(f"guard: prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):  # it ended before the kernel knew the wish
        sys.exit("guard: the parent is gone")
    os.execv(command[0], command)  # noqa: S606 -- to become the server is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
