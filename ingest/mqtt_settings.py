"""Where the broker is and how to speak to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The broker and our session with it.

    `client_id` names the session in which the broker keeps messages while we are away: it must stay the same, and
    only one process may use it. `session_expiry`: seconds the broker keeps it (MQTT 5; with 3.1.1 the broker decides).
    `window`: messages in flight before the broker waits for our acknowledgements (MQTT 5; the broker's own
    `max_inflight_messages` also limits). `max_waiting_bytes`: payloads held in memory; beyond it we stop reading.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    version: Literal["5", "3.1.1"] = "5"
    client_id: str = "careline-ingest"
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    topic_root: str = "careline/v1"
    keepalive: int = 30
    session_expiry: int = 7 * 24 * 3600
    window: int = 1000
    max_waiting_bytes: int = 64 * 1024 * 1024

    def __repr__(self) -> str:
        """Without the password."""
        scheme = "mqtts" if self.tls else "mqtt"
        return f"{scheme}://{self.host}:{self.port} (MQTT {self.version}, {self.client_id})"

    @classmethod
    def from_url(cls, url: str) -> MqttSettings:
        """`mqtt://user:password@host:1883?version=3.1.1&client_id=…&ca_file=…`; `mqtts` for TLS (port 8883).

        Options: version, client_id, ca_file, cert_file, key_file. Raises ValueError that says what is wrong.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("the MQTT URL must be mqtt://host:port or mqtts://host:port")
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        version = options.pop("version", "5")
        if version not in ("5", "3.1.1"):
            raise ValueError("the MQTT URL's version must be 5 or 3.1.1")
        unknown = options.keys() - {"client_id", "ca_file", "cert_file", "key_file"}
        if unknown:
            raise ValueError("the MQTT URL has unknown options: " + ", ".join(sorted(unknown)))
        tls = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=parts.port or (8883 if tls else 1883),
            version="5" if version == "5" else "3.1.1",
            client_id=options.get("client_id", "careline-ingest"),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            tls=tls,
            ca_file=options.get("ca_file"),
            cert_file=options.get("cert_file"),
            key_file=options.get("key_file"),
        )


def make_client(settings: MqttSettings) -> paho.Client:
    """A paho client with a lasting session and our own acknowledgement.

    Raises OSError (`ssl.SSLError` among them) if a certificate's file cannot be read.
    """
    five = settings.version == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        clean_session=None if five else False,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        manual_ack=True,
    )
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        client.tls_set_context(context)
    client.reconnect_delay_set(min_delay=1, max_delay=8)
    return client


def prepare_connection(client: paho.Client, settings: MqttSettings) -> None:
    """Let the client connect (anew, if it is connected) when its thread is started next."""
    if settings.version == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
        # paho sets the properties of a packet as attributes that its class does not declare.
        setattr(properties, "SessionExpiryInterval", settings.session_expiry)  # noqa: B010 (mypy)
        setattr(properties, "ReceiveMaximum", settings.window)  # noqa: B010 (mypy)
        client.connect_async(
            settings.host,
            settings.port,
            settings.keepalive,
            clean_start=False,
            properties=properties,
        )
    else:
        client.connect_async(settings.host, settings.port, settings.keepalive)
