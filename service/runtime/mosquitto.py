"""Mosquitto, the MQTT broker, in the private root."""

import asyncio
import base64
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from service.runtime.errors import PrivateRuntimeError
from service.runtime.place import Place, User
from service.runtime.ports import Listener
from service.runtime.server import NotReadyError, Server

SERVICE_USER = "careline"
DEVICES_USER = "devices"

# Without the first block a kill -9 loses the queue, message 1001 of a burst is dropped in
# silence, and delivery stalls at 20 messages that wait for their commit. The size limit lets a
# payload of 1 MiB and more reach the service, which quarantines it.
_SETTINGS = """
persistence true
persistence_location {inner}/data/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages 0
max_packet_size 5242880

allow_anonymous false
password_file {inner}/etc/passwords
acl_file {inner}/etc/access
log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
log_type error
log_type warning
log_type notice

listener {port} {host}
"""

_TLS = """
listener {port} {host}
certfile {inner}/etc/server.crt
keyfile {inner}/etc/server.key
"""

# Devices speak and hear nothing; only the service reads.
_ACCESS = f"""
user {SERVICE_USER}
topic readwrite careline/#
topic read $SYS/#

user {DEVICES_USER}
topic write careline/v1/devices/+/signal
topic write careline/v1/adapters/+/devices/+
"""


@dataclass(frozen=True)
class MqttSettings:
    """How devices reach the broker. With certificate and key (PEM) a TLS listener is added."""

    host: str = "127.0.0.1"
    tls_certificate: Path | None = None
    tls_key: Path | None = None


class Mosquitto(Server):
    def __init__(
        self,
        place: Place,
        log_folder: Path,
        port: int,
        tls_port: int,
        passwords: dict[str, str],
        settings: MqttSettings,
    ) -> None:
        super().__init__(place, "mosquitto", log_folder)
        if (settings.tls_certificate is None) != (settings.tls_key is None):
            raise PrivateRuntimeError("a TLS listener needs both: certificate and key.")
        self._port = port
        self._tls_port = tls_port
        self._passwords = passwords
        self._settings = settings

    @property
    def url(self) -> str:
        """Where and as whom the service connects: mqtt://user:password@host:port."""
        password = self._passwords[SERVICE_USER]
        return f"mqtt://{SERVICE_USER}:{password}@127.0.0.1:{self._port}"

    @property
    def user(self) -> User:
        return self.place.user("mosquitto")

    @property
    def listeners(self) -> list[Listener]:
        plain = Listener("mqtt", self._port, self._settings.host)
        if self._settings.tls_certificate is None:
            return [plain]
        return [plain, Listener("mqtt_tls", self._tls_port, self._settings.host)]

    def argv(self) -> list[str]:
        return ["/usr/sbin/mosquitto", "-c", f"{self.inner}/etc/mosquitto.conf"]

    def prepare(self) -> None:
        for name in (".", "data", "etc"):
            self.place.folder(self.home / name, self.user)
        places = {"host": self._settings.host, "inner": self.inner}
        text = _SETTINGS.format(port=self._port, **places)
        if self._settings.tls_certificate and self._settings.tls_key:
            text += _TLS.format(port=self._tls_port, **places)
            self._write("server.crt", self._settings.tls_certificate.read_text())
            self._write("server.key", self._settings.tls_key.read_text())
        self._write("mosquitto.conf", text)
        self._write("access", _ACCESS)
        lines = (password_line(user, word) for user, word in self._passwords.items())
        self._write("passwords", "".join(lines))

    async def check(self) -> None:
        await log_in("127.0.0.1", self._port, SERVICE_USER, self._passwords[SERVICE_USER])

    def _write(self, name: str, text: str) -> None:
        path = self.home / "etc" / name
        path.write_text(text)
        path.chmod(0o600)
        shutil.chown(path, self.user.uid, self.user.gid)


def password_line(user: str, password: str) -> str:
    """A line of Mosquitto's password file: PBKDF2-SHA512, its format 7 (mosquitto_passwd(1))."""
    salt = os.urandom(64)  # the length that its reader insists on
    rounds = 1000  # Mosquitto repeats them at each login; the passwords are 192 random bits
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 64)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{user}:$7${rounds}${'$'.join(encoded)}\n"


async def log_in(host: str, port: int, user: str, password: str) -> None:
    """Log in as MQTT 3.1.1 does (sections 3.1 and 3.2) and leave; raises NotReadyError when refused."""

    def field(text: str) -> bytes:
        return len(text).to_bytes(2, "big") + text.encode()

    user_password_clean = 0b1100_0010
    body = field("MQTT") + bytes([4, user_password_clean, 0, 10])
    body += field("careline-ready-check") + field(user) + field(password)
    assert len(body) < 128, "the length fits one byte"
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(bytes([0x10, len(body)]) + body)
        answer = await asyncio.wait_for(reader.readexactly(4), 5)
        if answer[0] != 0x20 or answer[3] != 0:
            raise NotReadyError(f"the broker refuses the login of {user!r} (code {answer[3]})")
        writer.write(b"\xe0\x00")
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise NotReadyError("the broker does not answer a login") from error
    finally:
        writer.close()
