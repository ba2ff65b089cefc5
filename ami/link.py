"""The line to one Asterisk: place calls, move legs, ask, and hear what happens.

A :class:`Link` is one connection and ends with it. Nothing is ever sent twice: who needs a new
line opens a new Link and first finds out (by ChannelId, by AstDB) what became of the actions that
were under way.
"""

import asyncio
import itertools
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast
from urllib.parse import unquote, urlsplit

from ami.protocol import (
    AmiError,
    AmiInvalid,
    AmiLost,
    AmiRefused,
    AmiTimeout,
    GuardedProtocol,
    Headers,
    OneConnection,
    Waiting,
    variable,
)

__all__ = ["AmiAddress", "AmiError", "AmiInvalid", "AmiLost", "AmiRefused", "AmiTimeout", "Link"]

log = logging.getLogger("careline.ami")

NOTHING: Headers = MappingProxyType({})
_CHANNEL_ID = re.compile(r"[A-Za-z0-9._:-]{1,140}")  # Asterisk allows 149
_WEIGHT = 0.2  # of the newest round trip in `latency`: five actions make most of it


@dataclass(frozen=True)
class AmiAddress:
    """Where Asterisk's manager listens, and who we are there.

    The manager user needs ``read=system,call,user`` (``system`` carries FullyBooted, without which
    :meth:`Link.open` does not return) and ``write=system,call,originate,reporting``.
    """

    host: str
    port: int
    username: str
    secret: str = field(repr=False)

    @classmethod
    def from_url(cls, url: str) -> "AmiAddress":
        """``ami://user:secret@host:port``; special characters percent-encoded; port 5038 if none.
        ValueError (which does not show the secret) when a part is missing."""
        parts = urlsplit(url)
        if parts.scheme != "ami":
            raise ValueError("an AMI address begins with ami://")
        if not (parts.hostname and parts.username and parts.password):
            raise ValueError("an AMI address reads ami://user:secret@host:port")
        user, secret = unquote(parts.username), unquote(parts.password)
        return cls(parts.hostname, parts.port or 5038, user, secret)


class Link:
    """One logged-in connection to a fully booted Asterisk. Made by :meth:`open`.

    ``lost`` is set when it is over, for whatever reason; ``lost_reason`` says why. ``latency`` is
    the smoothed and ``last_latency`` the latest round trip of an action, in seconds; an action that
    got no answer counts with the time that was waited.
    """

    def __init__(self, address: AmiAddress, on_event: Callable[[Mapping[str, str]], None], timeout: float) -> None:
        self.lost = asyncio.Event()
        self.lost_reason = ""
        self.latency = 0.0
        self.last_latency = 0.0
        self._on_event = on_event
        self._timeout = timeout
        self._booted = asyncio.Event()  # or lost before that
        self._loop = asyncio.get_running_loop()
        self._manager = OneConnection(address.host, address.port, self._deliver, self._lose)
        self._protocol: GuardedProtocol | None = None
        self._prefix = uuid.uuid4().hex[:12]
        self._ids = itertools.count(1)
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        address: AmiAddress,
        on_event: Callable[[Mapping[str, str]], None],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109  # also the default of each action
        ping_every: float = 2.0,
        ping_deadline: float = 5.0,
    ) -> "Link":
        """Connects, logs in and waits until Asterisk has booted, all within ``timeout`` seconds.

        ``on_event`` is called on the event loop for each event, also for those that carry the
        ActionID of an action that is not a :meth:`collect`; it must return quickly, and an
        exception in it is only logged. A repeated header is one value with line breaks.
        ``timeout`` is also the default for each action. A dead peer is noticed at most
        ``ping_every + ping_deadline`` seconds after its last sign.

        Raises AmiRefused (wrong user or secret), AmiTimeout or AmiLost. Never tries again itself.
        """
        link = cls(address, on_event, timeout)
        try:
            async with asyncio.timeout(timeout):
                await link._connect(address)
        except TimeoutError:
            link._lose("no login in time")
            raise AmiTimeout(f"{address.host}:{address.port}: no login in {timeout} s") from None
        except OSError as error:
            link._lose("no connection")
            place = f"{address.host}:{address.port}"
            raise AmiLost(f"{place}: {error.strerror or error}", sent=False) from error
        except BaseException:  # cancelled or refused: the socket must not stay open
            link._lose("the login failed")
            raise
        link._watcher = asyncio.create_task(link._watch(ping_every, ping_deadline))
        return link

    async def _connect(self, address: AmiAddress) -> None:
        _, self._protocol = await self._manager.connect()
        login = {"Username": address.username, "Secret": address.secret, "Events": "on"}
        await self._ask("Login", login, None)
        await self._booted.wait()
        if self.lost.is_set():
            raise AmiLost(self.lost_reason, sent=False)

    async def action(
        self,
        name: str,
        headers: Headers = NOTHING,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # a timer costs less than a timeout scope
        action_id: str | None = None,
    ) -> Mapping[str, str]:
        """Sends one action and returns its Response. A sequence repeats a header.

        ``action_id`` comes back in the events that the action causes; one of our own by default.
        Raises AmiInvalid, AmiRefused, AmiTimeout or AmiLost. Nothing is sent again, ever.
        """
        started = self._loop.time()
        try:
            [response] = await self._ask(name, headers, None, timeout, action_id)
            return response
        finally:
            self.last_latency = self._loop.time() - started
            self.latency += _WEIGHT * (self.last_latency - self.latency)

    async def collect(self, name: str, headers: Headers = NOTHING, *, until: str) -> list[Mapping[str, str]]:
        """Sends a list action (CoreShowChannels, DBGetTree, …) and returns its events up to, and
        without, the one named ``until``. Errors as in :meth:`action`."""
        return await self._ask(name, headers, until)

    async def originate(
        self,
        *,
        channel: str,
        context: str,
        exten: str,
        caller_id: str,
        timeout_ms: int,
        channel_id: str,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Has Asterisk place a call; returns when it is queued there, before it rings.

        ``channel_id`` becomes the channel's Uniqueid **and** the ActionID: the OriginateResponse
        that tells of the failure or the answer reaches ``on_event`` with it. Asterisk refuses a
        second live channel of the same id: not here but in that OriginateResponse (Failure).
        After AmiTimeout or AmiLost(sent=True) the call may be ringing.
        """
        if not _CHANNEL_ID.fullmatch(channel_id):
            raise AmiInvalid("a channel id is 1 to 140 letters, digits and . _ : -")
        headers: Headers = {
            "Channel": channel,
            "Context": context,
            "Exten": exten,
            "Priority": "1",
            "CallerID": caller_id,
            "Timeout": str(timeout_ms),
            "ChannelId": channel_id,
            "Async": "true",
            "Variable": [variable(name, value) for name, value in variables.items()],
        }
        await self.action("Originate", headers, action_id=channel_id)

    async def redirect(self, channel: str, context: str, exten: str) -> None:
        """Moves a live channel to the first priority of an extension."""
        headers = {"Channel": channel, "Context": context, "Exten": exten, "Priority": "1"}
        await self.action("Redirect", headers)

    async def hangup(self, channel: str, cause: int = 16) -> None:
        """Ends the channel of exactly this name; AmiRefused if there is none."""
        if channel.startswith("/"):
            raise AmiInvalid("Asterisk would take /…/ for a pattern and end every call it fits")
        await self.action("Hangup", {"Channel": channel, "Cause": str(cause)})

    async def db_get(self, family: str, key: str) -> str | None:
        """The value in Asterisk's own database, None if there is none."""
        try:
            found = await self.collect("DBGet", {"Family": family, "Key": key}, until="DBGetComplete")
        except AmiRefused as error:
            if "not found" in error.message:
                return None
            raise
        return found[0].get("Val", "") if found else None

    async def db_put(self, family: str, key: str, value: str) -> None:
        await self.action("DBPut", {"Family": family, "Key": key, "Val": value})

    async def db_del(self, family: str, key: str) -> bool:
        """Whether there was such an entry; there is none afterwards."""
        try:
            await self.action("DBDel", {"Family": family, "Key": key})
        except AmiRefused:
            # Asterisk says the same for "there is none" and for a database that cannot be written.
            if await self.db_get(family, key) is None:
                return False
            raise
        return True

    async def wait_lost(self) -> str:
        """Returns the reason when the connection is over."""
        await self.lost.wait()
        return self.lost_reason

    async def close(self) -> None:
        """Ends the connection; actions under way get AmiLost. Harmless when it is over already."""
        self._lose("closed by us")
        if self._watcher is not None:
            await asyncio.wait((self._watcher,))

    async def _ask(
        self,
        name: str,
        headers: Headers,
        until: str | None,
        seconds: float | None = None,
        action_id: str | None = None,
    ) -> list[Mapping[str, str]]:
        action_id = action_id or f"{self._prefix}-{next(self._ids)}"
        action = Waiting({**headers, "Action": name, "ActionID": action_id}, until)
        if self.lost.is_set() or self._protocol is None:
            raise AmiLost(self.lost_reason, sent=False)
        if action_id in self._protocol.responses:
            raise AmiInvalid("an action with this ActionID is still without an answer")
        limit = self._timeout if seconds is None else seconds
        late = AmiTimeout(f"no answer to {name} in {limit} s")
        timer = self._loop.call_later(limit, action.fail, late)
        try:
            self._protocol.send(action)
            return cast("list[Mapping[str, str]]", await action.future)
        finally:
            timer.cancel()
            self._protocol.forget(action)

    def _deliver(self, event: Mapping[str, str]) -> None:
        if event["Event"] == "FullyBooted":
            self._booted.set()
        self._on_event(event)

    def _lose(self, reason: str) -> None:
        """The end of the connection, once: everyone who waits is told."""
        if self.lost.is_set():
            return
        self.lost_reason = reason
        self.lost.set()
        self._booted.set()
        log.info("the line to Asterisk is over: %s", reason)
        self._manager.close()
        for action in list(self._protocol.responses.values()) if self._protocol else ():
            action.fail(AmiLost(reason, sent=True))
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self, every: float, deadline: float) -> None:
        """Notices a peer that is dead without having closed the connection."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.action("Ping", timeout=deadline)
            except AmiTimeout:
                self._lose(f"no answer to a ping in {deadline} s")
            except AmiLost:
                return
            except AmiError:
                continue  # a refusal is an answer: the peer lives
