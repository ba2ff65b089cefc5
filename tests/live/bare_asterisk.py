"""A real Asterisk with Local channels only, for tests of the two links to it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ami.link import AmiAddress, Link
from ami.protocol import AmiLost, AmiTimeout
from service.runtime.__main__ import state_folder
from service.runtime.place import ROOT_USER, Place

MODULES = """
pbx_config res_speech res_agi res_timing_timerfd app_userevent app_stack app_verbose app_senddtmf
func_channel
format_wav codec_ulaw
"""


class Asterisk:
    """A real Asterisk with nothing but Local channels, in a folder of its own."""

    def __init__(self, dialplan: str) -> None:
        place = Place(state_folder() / "root", f"link-{uuid.uuid4().hex[:8]}")
        self.inside = place.inner("asterisk")  # as it sees it
        self.folder = place.home("asterisk")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = AmiAddress("127.0.0.1", port, "careline", "secret")
        names = ("etc", "varlib", "db", "key", "spool", "run", "log")
        folders = "".join(f"ast{n}dir => {self.inside}/{n.removesuffix('dir')}\n" for n in names)
        files = {
            "asterisk.conf": "[directories]\n" + folders + "astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules\n"
            "astdatadir => /usr/share/asterisk\n",
            "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load={name}.so\n" for name in MODULES.split()),
            "manager.conf": f"[general]\nenabled=yes\nbindaddr=127.0.0.1\nport={port}\n"
            "[careline]\nsecret=secret\nread=system,call,user\n"
            "write=system,call,originate,reporting\n",
            "logger.conf": "[logfiles]\nmessages => warning,error\n",
            "extensions.conf": dialplan,
        }
        for name in names:
            (self.folder / name).mkdir(parents=True)
        for name, text in files.items():
            (self.folder / "etc" / name).write_text(text)
        settings = f"{self.inside}/etc/asterisk.conf"
        # By the guard: it dies with the tests, however they end.
        command = place.command("/usr/sbin/asterisk", "-C", settings, "-f", "-n", user=ROOT_USER)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    async def link(self, on_event: Any = lambda event: None, **options: Any) -> Link:
        """A link, as soon as Asterisk is up."""
        async with asyncio.timeout(20):
            while True:
                try:
                    return await Link.open(self.address, on_event, **options)
                except (AmiLost, AmiTimeout):
                    await asyncio.sleep(0.1)

    async def stop_short(self) -> None:
        """Asterisk hangs: no thread of it runs until SIGCONT."""
        self.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        await until(lambda: all(" T " in (t / "stat").read_text() for t in threads.iterdir()))

    def remove(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder.parent)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # nobody sets an Event for it
            await asyncio.sleep(0.01)
