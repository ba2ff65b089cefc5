"""A telephone network that is never at home: notes when each INVITE arrived, answers Busy."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable

_SO_TIMESTAMPNS = 35  # socket(7); Python does not name it
_TIMESPEC = struct.Struct("qq")
_INVITE = re.compile(rb"INVITE sip:([^@;]+)@")
_COPIED = (b"via:", b"from:", b"call-id:", b"cseq:")


class Sink:
    """Listens on a free UDP port from construction to `close`, in a thread of its own.

    `arrived`: number → Unix nanoseconds of its first INVITE, by the kernel's clock when the packet came in: how busy
    this process is does not matter.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.arrived: dict[str, int] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="bench-sink", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def wait(self, found: Callable[[dict[str, int]], bool], seconds: float) -> bool:
        """Until `found` likes what has arrived; False when it does not in time."""
        end = time.monotonic() + seconds
        while not found(self.arrived.copy()):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _serve(self) -> None:
        while not self._closing:
            packet, ancillary, _, sender = self._socket.recvmsg(65536, 128)
            invite = _INVITE.match(packet)
            if invite is not None:
                seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
                self.arrived.setdefault(invite[1].decode(), seconds * 1_000_000_000 + nanoseconds)
                self._socket.sendto(_answer(packet, b"486 Busy Here"), sender)
            elif packet.startswith((b"OPTIONS", b"CANCEL", b"BYE")):
                self._socket.sendto(_answer(packet, b"200 OK"), sender)


def _answer(request: bytes, status: bytes) -> bytes:
    lines = [b"SIP/2.0 " + status]
    for line in request.split(b"\r\n")[1:]:
        name = line.lower()
        if name.startswith(_COPIED):
            lines.append(line)
        elif name.startswith(b"to:"):
            lines.append(line if b";tag=" in line else line + b";tag=sink")
    return b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])
