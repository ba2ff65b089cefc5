"""Which ports the private servers use, whether they are free, and who holds them if not."""

import os
import random
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, Self

from service.runtime.errors import PrivateRuntimeError

RTP_PORTS = 400
"""How many UDP ports an Asterisk's sound takes, from its `rtp` port on: two a call."""


@dataclass(frozen=True)
class Ports:
    """Every port of one instance. The defaults stay clear of servers installed in the usual way.

    Each can be set: CARELINE_PORT_POSTGRES, CARELINE_PORT_NETWORK_SIP, … `rtp` and
    `network_rtp` are the first of RTP_PORTS UDP ports; mqtt_tls is used only with a certificate.
    """

    postgres: int = 15432
    mqtt: int = 11883
    mqtt_tls: int = 18883
    ami: int = 15038
    agi: int = 14573
    http: int = 8080
    sip: int = 15060
    rtp: int = 16000
    network_ami: int = 15039
    network_sip: int = 15070
    network_rtp: int = 17000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The defaults, changed by CARELINE_PORT_*."""
        chosen: dict[str, int] = {}
        for field in fields(cls):
            name = setting(field.name)
            text = environment.get(name)
            if text is None:
                continue
            if not text.isdecimal() or not 0 < int(text) < 65536:
                raise PrivateRuntimeError(f"{name} is {text!r}: a port is a number from 1 to 65535.")
            chosen[field.name] = int(text)
        return replace(cls(), **chosen)


def setting(field: str) -> str:
    """The environment variable that sets a field of Ports."""
    return f"CARELINE_PORT_{field.upper()}"


@dataclass(frozen=True)
class Listener:
    """A port that a server is going to listen on; `field` is its name in Ports."""

    field: str
    number: int
    host: str = "127.0.0.1"
    kind: Literal["tcp", "udp"] = "tcp"

    def require_free(self) -> None:
        """Raise an error that names the port, its holder and the setting, unless it is free."""
        if is_free(self.number, self.host, self.kind):
            return
        holder = holder_of(self.number, self.kind)
        raise PrivateRuntimeError(
            f"port {self.number}/{self.kind} on {self.host} is taken"
            f"{f' by {holder}' if holder else ''}: stop that program, "
            f"or choose another port with {setting(self.field)}=…"
        )


def is_free(number: int, host: str, kind: Literal["tcp", "udp"]) -> bool:
    family = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, family) as probe:
        if kind == "tcp":  # a connection of an earlier run that lingers is no holder
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
    return True


def free_ports() -> Ports:
    """Ports for a test: free now, and below those that the kernel hands out by itself."""
    taken: set[int] = set()

    def pick(span: int) -> int:
        for _ in range(1000):
            first = random.randrange(20000, 32000 - span, 2)  # noqa: S311 -- not a secret
            numbers = range(first, first + span)
            if taken.isdisjoint(numbers) and all(
                is_free(number, "127.0.0.1", kind) for number in numbers for kind in _KINDS
            ):
                taken.update(numbers)
                return first
        raise PrivateRuntimeError("no free ports between 20000 and 32000.")

    return Ports(
        **{
            field.name: pick(RTP_PORTS if field.name.endswith("rtp") else 1)
            for field in sorted(fields(Ports), key=lambda field: not field.name.endswith("rtp"))
        }
    )


_KINDS: tuple[Literal["tcp", "udp"], ...] = ("tcp", "udp")


def holder_of(number: int, kind: Literal["tcp", "udp"]) -> str | None:
    """The program that listens on a port, as 'name (pid N)'; None when it cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(number, kind)}
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(entry.readlink()) in sockets:
                process = entry.parent.parent
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # ended meanwhile, or another user's
            continue
    return None


def _listening_inodes(number: int, kind: Literal["tcp", "udp"]) -> set[str]:
    """Inodes out of /proc/net (columns: proc(5)); state 0A is a listening TCP socket."""
    found: set[str] = set()
    for table in (Path(f"/proc/net/{kind}"), Path(f"/proc/net/{kind}6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for columns in (re.split(r"\s+", line.strip()) for line in lines):
            port = int(columns[1].rpartition(":")[2], 16)
            if port == number and (kind == "udp" or columns[3] == "0A"):
                found.add(columns[9])
    return found
