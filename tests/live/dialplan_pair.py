"""Two real Asterisks for the tests of the dialplan: a node of Careline and the telephone network."""

import asyncio
import os
import re
import shutil
import time
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ami.link import AmiAddress, AmiRefused, Link
from dialplan import network, node, records
from dialplan.phones import PhoneCall, PhoneEvent, PhoneLog
from service.runtime.__main__ import state_folder
from service.runtime.ports import RTP_PORTS, free_ports
from service.runtime.private import PrivateRuntime

T = TypeVar("T")

PROMPTS = Path(__file__).parents[2] / "ivr/prompts/zh-CN"
SECRET = "only-of-this-test"
SERVICE = "4008001234"


class Conversation:
    """The service's end of one FastAGI connection, as bare as it can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.env: dict[str, str] = {}

    @property
    def call(self) -> str:
        """The id of the call, as the dialplan gave it."""
        return self.env["agi_network_script"].partition("?call=")[2]

    @property
    def door(self) -> str:
        return self.env["agi_network_script"].partition("?")[0]

    async def begin(self) -> None:
        while line := (await self._reader.readline()).decode().strip():
            key, _, value = line.partition(": ")
            self.env[key] = value

    async def do(self, command: str) -> str:
        """Send a command; the result's value, "" when the call is gone."""
        self._writer.write(f"{command}\n".encode())
        reply = (await self._reader.readline()).decode()
        found = re.search(r"result=(\S*)", reply)
        return found[1] if reply.startswith("200") and found else ""

    async def keys(self, seconds: float) -> str:
        """The keys pressed until none comes for that long, or the caller is gone."""
        pressed = ""
        while (code := await self.do(f"WAIT FOR DIGIT {seconds * 1000:.0f}")) not in ("", "0", "-1"):
            pressed += chr(int(code))
        return pressed

    async def next(self, what: str, **variables: str) -> None:
        for name, value in {"CARELINE_NEXT": what, **variables}.items():
            await self.do(f'SET VARIABLE {name} "{value}"')


Talk = Callable[[Conversation], Awaitable[None]]


async def say_goodbye(conversation: Conversation) -> None:
    await conversation.next("hangup")


class Service:
    """A FastAGI server whose conversation each test chooses."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.talk: Talk = say_goodbye
        self.seen: list[Conversation] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """As when the process is killed: nothing listens, and running conversations break off."""
        if self._server:
            self._server.close()
        for writer in set(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        conversation = Conversation(reader, writer)
        try:
            await conversation.begin()
            self.seen.append(conversation)
            await self.talk(conversation)
        except ConnectionError:
            pass  # the test, or Asterisk, broke it off
        finally:
            self._writers.discard(writer)
            writer.close()


class Heard(NamedTuple):
    """Seconds of a call's sound: in all, of them not silent, and the longest silence."""

    seconds: float
    sounding: float
    silence: float


class Pair:
    """The node (`link`), the network (`network`), its phones' log, and the service's stand-in."""

    def __init__(self, runtime: PrivateRuntime, service: Service, phones: PhoneLog) -> None:
        self.runtime, self.service, self.phones = runtime, service, phones
        self.events: list[Mapping[str, str]] = []
        self.link: Link
        self.network: Link

    async def connect(self) -> None:
        ports = self.runtime.ports
        self.link = await Link.open(AmiAddress("127.0.0.1", ports.ami, "careline", SECRET), self.events.append)
        self.network = await Link.open(
            AmiAddress("127.0.0.1", ports.network_ami, "network", SECRET), lambda event: None
        )

    async def place(self, number: str, door: str = "contact", ring_seconds: float = 20) -> str:
        """Place a call as the service does; returns its id."""
        call = str(uuid.uuid4())
        await self.link.originate(
            channel=f"PJSIP/{number}@network",
            context="door",
            exten=door,
            caller_id=SERVICE,
            timeout_ms=int(ring_seconds * 1000),
            channel_id=call,
            variables={
                "CARELINE_CALL": call,
                "CARELINE_STARTED": f"{time.time():.3f}",
                "CHANNEL(hangup_handler_push)": records.HANDLER,
            },
        )
        return call

    async def call_in(self, number: str, script: str) -> None:
        """Have a phone of the network call Careline."""
        await self.network.db_put("caller", number, network.check_script(script))
        await self.network.action("Originate", network.call_in(number))

    async def script(self, number: str, *scripts: str) -> None:
        """Give a phone scripts for its next calls, one for each."""
        for nth, script in enumerate(scripts, 1):
            await self.network.db_put("script", f"{number}/{nth}", network.check_script(script))

    async def record(self, call: str) -> records.HangupRecord:
        """The hangup record of a call, as soon as it is there."""
        async with asyncio.timeout(40):
            # Asterisk tells nobody when an entry is written: asking is the only way.
            while (value := await self.link.db_get(records.FAMILY, call)) is None:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.02)
        return records.HangupRecord.parse(value)

    async def phone(self, number: str, nth: int = 1) -> PhoneCall:
        """The n-th call of a phone, as soon as it has ended."""
        return await until(lambda: next((c for c in self.phones.calls(number)[nth - 1 : nth] if c.ended_at), None))

    async def noted(self, number: str, event: str, within: float = 30) -> PhoneEvent:
        """The first event of that name that a phone notes."""
        return await until(lambda: next((e for e in self.phones.events(number) if e.event == event), None), within)

    async def heard(self, call: PhoneCall, before: float | None = None) -> "Heard":
        """What a phone heard in a call.

        `before`: only what it heard until then (Unix seconds).
        """
        assert call.answered_at is not None
        path = self.phones.path.parent / "heard" / f"{call.number}-{call.call}.wav"
        await until(path.exists)
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        windows = samples[: len(samples) // 800 * 800].reshape(-1, 800).astype(float)
        loud = np.sqrt((windows**2).mean(axis=1)) > 100
        if before is not None:
            loud = loud[: round((before - call.answered_at) * 10)]
        longest = quiet = 0
        for is_loud in loud:
            quiet = 0 if is_loud else quiet + 1
            longest = max(longest, quiet)
        return Heard(len(loud) / 10, float(loud.sum()) / 10, longest / 10)

    async def event(self, name: str, **fields: str) -> Mapping[str, str]:
        """The first event of that name with those fields, seen or still to come."""
        return await until(
            lambda: next(
                (e for e in self.events if e.get("Event") == name and all(e.get(k) == v for k, v in fields.items())),
                None,
            )
        )

    async def clear(self) -> None:
        """No call left, the log empty, the service there with its plain conversation."""
        async with asyncio.timeout(20):
            while await self._any_calls():  # noqa: ASYNC110 -- it ends calls each time it asks
                await asyncio.sleep(0.05)
        await self.service.stop()
        self.service.talk = say_goodbye
        self.service.seen.clear()
        await self.service.start()
        self.events.clear()
        for family in ("calls", "script", "caller"):
            with suppress(AmiRefused):  # there was nothing in it
                await self.network.action("DBDelTree", {"Family": family})
        self.phones.path.unlink(missing_ok=True)

    async def _any_calls(self) -> bool:
        channels = []
        for link in (self.link, self.network):
            found = await link.collect("CoreShowChannels", until="CoreShowChannelsComplete")
            channels += [c["Channel"] for c in found]
            for channel in found:
                if channel["Channel"].startswith("PJSIP/"):
                    with suppress(AmiRefused):  # it ended meanwhile
                        await link.hangup(channel["Channel"])
        return bool(channels)


async def until(question: Callable[[], T | None], within: float = 30) -> T:
    """Ask until there is an answer; AssertionError when none comes in time."""
    end = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < end, f"waited {within} s in vain"
        await asyncio.sleep(0.02)
    return answer


@asynccontextmanager
async def running_pair(
    part: str, *, duty_phones: tuple[str, ...] = (), pace: float = 0.3, login: bool = False
) -> AsyncIterator[Pair]:
    """Start both Asterisks, with the prompts of the repository; nothing is left behind."""
    ports = free_ports()
    instance = f"test-{part}-{os.getpid()}"
    runtime = PrivateRuntime(state_folder(), instance, ports)
    home = runtime.root / "srv" / instance
    shutil.copytree(PROMPTS, home / "sounds/careline")
    for folder in (home, home / "sounds", home / "sounds/careline"):
        folder.chmod(0o755)
    trunk = node.Trunk("network", "127.0.0.1", ports.network_sip)
    if login:
        trunk = replace(trunk, username="careline", password=SECRET, register=True)
    config = node.NodeConfig(
        directory_in_root=f"/srv/{instance}/node",
        sounds_dir=f"/srv/{instance}/sounds",
        trunks=(trunk,),
        service_number=SERVICE,
        ami_secret=SECRET,
        sip_port=ports.sip,
        rtp_ports=(ports.rtp, ports.rtp + RTP_PORTS - 1),
        ami_port=ports.ami,
        agi_port=ports.agi,
        duty_phones=duty_phones,
        duty_ring_seconds=2,
        qualify_seconds=1,
    )
    phones = network.NetworkConfig(
        directory_in_root=f"/srv/{instance}/network",
        sip_port=ports.network_sip,
        ami_port=ports.network_ami,
        ami_secret=SECRET,
        careline_sip_port=ports.sip,
        rtp_ports=(ports.network_rtp, ports.network_rtp + RTP_PORTS - 1),
        service_number=SERVICE,
        pace=pace,
        record=True,
        password=SECRET if login else "",
    )
    runtime.add_asterisk("node", lambda etc: node.render(etc, config))
    runtime.add_asterisk("network", lambda etc: network.render(etc, phones), network=True)
    pair = Pair(runtime, Service(ports.agi), PhoneLog(home / "network/phones.log"))
    try:
        await runtime.start(print)
        await pair.connect()
        await pair.service.start()
        yield pair
        await pair.link.close()
        await pair.network.close()
    finally:
        await pair.service.stop()
        await runtime.stop()
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(runtime.log_folder, ignore_errors=True)
