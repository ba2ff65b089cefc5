"""Signals over MQTT: acknowledged after the commit, and never before.

paho reads in a thread of its own; there a message is understood. The event loop commits it (`Batcher`) and
acknowledges it. Until then the broker keeps it: if we die, it sends the message again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from alarm_core.signal import Intake, Receipt
from ingest import metrics
from ingest.adapters import Unreadable
from ingest.batcher import Batcher, Delivery
from ingest.message import Message, refuse, understand
from ingest.mqtt_settings import MqttSettings, make_client, prepare_connection

log = logging.getLogger("careline.ingest")

_WATCH_EVERY = 1.0
# Messages held in memory when the broker knows no window (MQTT 3.1.1 with an unlimited broker).
_MAX_WAITING = 20_000


@dataclass(slots=True)
class MqttStatus:
    """For health checks. `ready`: connected, and the broker lets us read the topics."""

    connected: bool = False
    ready: bool = False
    last_message_at: datetime | None = None
    received: int = 0
    committed: int = 0
    trouble: str | None = "not connected yet"

    @property
    def waiting(self) -> int:
        """Messages received and not committed yet."""
        return self.received - self.committed


class MqttSource:
    """One lasting session with a broker. `await source.run()` works until it is cancelled."""

    def __init__(
        self,
        settings: MqttSettings,
        intake: Intake,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.status = MqttStatus()
        self._settings = settings
        self._clock = clock
        self._batcher = Batcher(intake)
        self._space = _Space(settings.max_waiting_bytes)
        self._arrived: deque[Delivery] = deque()
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Counts connections: an acknowledgement must go out on the connection that brought the message.
        self._connection = 0
        self._client = make_client(settings)
        self._client.on_pre_connect = self._on_pre_connect
        self._client.on_socket_open = _without_delay
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    @property
    def trouble(self) -> str | None:
        """What keeps signals from being committed at the moment, for a person; None if nothing does."""
        return self.status.trouble or self._batcher.trouble

    async def run(self) -> None:
        """Connect, and work until cancelled; reconnects by itself.

        What was received and not committed is not acknowledged: the broker sends it again at the next start.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._batcher.run(), name="ingest-batcher")
                tasks.create_task(self._watch(), name="ingest-mqtt-watch")
        finally:
            self._lost("stopped")
            self._space.close()
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)

    async def _watch(self) -> None:
        """Keep paho's thread alive: an exception in a callback or in a name's look-up ends it, in silence."""
        prepare_connection(self._client, self._settings)
        self._client.loop_start()
        while True:
            await asyncio.sleep(_WATCH_EVERY)
            if self._client.loop_start() is MQTTErrorCode.MQTT_ERR_SUCCESS:  # refused while it runs
                metrics.THREAD_DEATHS.inc()
                self._lost("the MQTT thread had died; started again")
                # The new thread would go on with a connection in an unknown state: what was unacknowledged there
                # comes again only on a new one.
                await asyncio.to_thread(self._client.loop_stop)
                prepare_connection(self._client, self._settings)
                self._client.loop_start()

    # ── in paho's thread ─────────────────────────────────────────────────────────────────────────────────────────

    def _on_pre_connect(self, client: paho.Client, userdata: Any) -> None:
        self._connection += 1

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._lost(f"the broker refuses us: {reason}")
            return
        log.info("connected to %r; kept session: %s", self._settings, flags.session_present)
        self.status.connected = True
        metrics.MQTT_CONNECTED.set(1)
        root = self._settings.topic_root
        topics = [f"{root}/devices/+/signal", f"{root}/adapters/+/devices/+"]
        if self._settings.version == "5":
            # Retained messages come with a new subscription only, not again at every reconnect.
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            client.subscribe([(topic, options) for topic in topics])
        else:
            client.subscribe([(topic, 1) for topic in topics])

    def _on_subscribe(
        self,
        client: paho.Client,
        userdata: Any,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self.status.ready = not refused
        self.status.trouble = f"the broker refuses the topics: {refused[0]}" if refused else None
        if refused:
            log.error("%s", self.status.trouble)

    def _on_connect_fail(self, client: paho.Client, userdata: Any) -> None:
        self._lost("the broker cannot be reached")

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        # Otherwise the reason is known already: the broker refused us (and hung up), or we stopped.
        if self.status.connected:
            self._lost(f"disconnected: {reason}")

    def _lost(self, trouble: str) -> None:
        if self.status.trouble != trouble:
            log.log(logging.INFO if trouble == "stopped" else logging.WARNING, "MQTT: %s", trouble)
        self.status.connected = self.status.ready = False
        self.status.trouble = trouble
        metrics.MQTT_CONNECTED.set(0)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            self._receive(message)
        except Exception:  # an exception here would end paho's thread; not acknowledged, so not lost
            log.exception("a message could not be handed over")

    def _receive(self, packet: paho.MQTTMessage) -> None:
        now = self._clock()
        self.status.last_message_at = now
        message = self._understand(packet, now)
        if not self._space.take(len(message.payload)):
            return  # we are stopping: the broker keeps it
        self.status.received += 1
        metrics.RECEIVED.labels("mqtt").inc()
        metrics.WAITING.inc()
        connection, mid, qos = self._connection, packet.mid, packet.qos

        def committed(receipts: Sequence[Receipt]) -> None:
            self.status.committed += 1
            metrics.WAITING.dec()
            self._space.give_back(len(message.payload))
            # On a later connection the same mid may name another message; the broker sends this one again, and the
            # store knows it already.
            if self.status.connected and connection == self._connection:
                self._client.ack(mid, qos)

        self._arrived.append(Delivery(message, committed))
        # One wake-up for all that arrive before the loop looks: it costs more than the message. The loop lowers the
        # flag before it empties the queue, so what is appended now is seen by that look or wakes the next one.
        if not self._woken:
            self._woken = True
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        """In the event loop: pass on what arrived."""
        self._woken = False
        while self._arrived:
            self._batcher.put(self._arrived.popleft())

    def _understand(self, packet: paho.MQTTMessage, now: datetime) -> Message:
        payload = bytes(packet.payload)
        adapter, device_id = parse_topic(packet.topic, self._settings.topic_root)
        if adapter is None:
            wrong = Unreadable("unknown_topic", "no device in this topic")
            return refuse(payload, wrong, device_id=None, source="mqtt", topic=packet.topic)
        return understand(
            payload,
            adapter=adapter,
            device_id=device_id,
            source="mqtt" if adapter == "plain" else f"mqtt:{adapter[:40]}",
            topic=packet.topic,
            received_at=now,
        )


def parse_topic(topic: str, root: str) -> tuple[str | None, str | None]:
    """The adapter and the device of a topic; (None, None) for one that is not of the contract.

    `<root>/devices/<device>/signal` is plain JSON; `<root>/adapters/<adapter>/devices/<device>` is a maker's.
    """
    match topic.removeprefix(root + "/").split("/"):
        case ["devices", device, "signal"] if device:
            return "plain", device
        case ["adapters", adapter, "devices", device] if adapter and device:
            return adapter, device
        case _:
            return None, None


def _without_delay(client: paho.Client, userdata: Any, sock: Any) -> None:
    # An acknowledgement is a few bytes: with Nagle's algorithm it could wait 40 ms for the one before it.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Space:
    """Bounds what is held in memory: paho's thread waits here, so that nothing more is read from the broker."""

    def __init__(self, max_bytes: int) -> None:
        self._free = max_bytes
        self._places = _MAX_WAITING
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait for space, and take it; False once it is closed. One message that is larger than all is let in alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._free > 0 and self._places > 0))
            self._free -= size
            self._places -= 1
            return not self._closed

    def give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._places += 1
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
