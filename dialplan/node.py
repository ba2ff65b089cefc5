"""The configuration of one Asterisk node of Careline: trunks, doors, hangup records."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dialplan import values
from dialplan.files import link, write_folder
from dialplan.values import ConfigError

TRANSPORTS = ("udp", "tcp", "tls")


@dataclass(frozen=True)
class Trunk:
    """A line to the telephone network. Calls leave by channel ``PJSIP/<number>@<name>``.

    `max_channels` and `calls_per_second` are kept by whoever places the calls: a queue must form
    before Asterisk, in order of urgency, never inside it. Empty `username`: the network knows us
    by our address. `from_user`: what some networks want to see as our account in From.
    """

    name: str
    host: str
    port: int = 5060
    username: str = ""
    password: str = field(default="", repr=False)
    from_user: str = ""
    register: bool = False
    transport: str = "udp"
    codecs: str = "alaw"
    max_channels: int = 10
    calls_per_second: float = 2.0

    def __post_init__(self) -> None:
        values.name("trunk name", self.name)
        if self.name.endswith("-status") or self.name in {"global", "system"}:
            raise ConfigError(f"trunk name: {self.name!r} is a name of the configuration's own")
        what = f"trunk {self.name}:"
        values.host(f"{what} host", self.host)
        values.port(f"{what} port", self.port)
        values.one_of(f"{what} transport", self.transport, TRANSPORTS)
        values.codecs(f"{what} codecs", self.codecs)
        values.between(f"{what} max_channels", self.max_channels, 1, 10_000)
        values.between(f"{what} calls_per_second", self.calls_per_second, 0.01, 1000)
        if self.username:
            values.sip_user(f"{what} username", self.username)
        if self.password:
            values.secret(f"{what} password", self.password)
        if self.from_user:
            values.sip_user(f"{what} from_user", self.from_user)
        if self.register and not (self.username and self.password):
            raise ConfigError(f"{what} register needs a username and a password")
        if bool(self.username) != bool(self.password):
            raise ConfigError(f"{what} username and password come together or not at all")


@dataclass(frozen=True)
class NodeConfig:
    """All that a node's files are made of. Ports are TCP for AMI and AGI, UDP (and TCP) for SIP.

    `directory_in_root` and `sounds_dir` are paths as Asterisk sees them (inside its root).
    `rtp_ports` is the first and the last UDP port for sound, two for each call.
    `hotline_numbers`: the numbers by which we are called; empty: every call from a trunk is ours.
    `duty_phones`: who is called by the dialplan itself when the service cannot be reached.
    `external_address`: our address as the network sees it, when the node stands behind NAT.
    `max_call_seconds`: no leg lives longer, so that a lost one cannot hold a line for ever.
    """

    directory_in_root: str
    sounds_dir: str
    trunks: tuple[Trunk, ...]
    service_number: str
    ami_secret: str = field(repr=False)
    name: str = "careline"
    bind: str = "127.0.0.1"
    sip_port: int = 5060
    rtp_ports: tuple[int, int] = (10000, 14999)
    ami_bind: str = "127.0.0.1"
    ami_port: int = 5038
    ami_user: str = "careline"
    agi_host: str = "127.0.0.1"
    agi_port: int = 4573
    duty_phones: tuple[str, ...] = ()
    hotline_numbers: tuple[str, ...] = ()
    external_address: str = ""
    qualify_seconds: int = 15
    duty_ring_seconds: int = 25
    max_call_seconds: int = 7200

    def __post_init__(self) -> None:
        values.path("directory_in_root", self.directory_in_root)
        values.path("sounds_dir", self.sounds_dir)
        values.name("name", self.name)
        values.address("bind", self.bind)
        values.address("ami_bind", self.ami_bind)
        values.host("agi_host", self.agi_host)
        for what, port in (
            ("sip_port", self.sip_port),
            ("ami_port", self.ami_port),
            ("agi_port", self.agi_port),
            ("rtp_ports (first)", self.rtp_ports[0]),
            ("rtp_ports (last)", self.rtp_ports[1]),
        ):
            values.port(what, port)
        if self.rtp_ports[1] - self.rtp_ports[0] < 3:
            raise ConfigError("rtp_ports: the last must be at least 3 above the first")
        values.name("ami_user", self.ami_user)
        values.secret("ami_secret", self.ami_secret)
        values.own_number("service_number", self.service_number)
        for index, phone in enumerate(self.duty_phones, 1):
            values.number(f"duty_phones, entry {index}", phone)
        for index, number in enumerate(self.hotline_numbers, 1):
            values.own_number(f"hotline_numbers, entry {index}", number)
        if self.external_address:
            values.host("external_address", self.external_address)
        values.between("qualify_seconds", self.qualify_seconds, 0, 3600)
        values.between("duty_ring_seconds", self.duty_ring_seconds, 1, 120)
        values.between("max_call_seconds", self.max_call_seconds, 60, 86_400)
        twice = [name for name, count in Counter(t.name for t in self.trunks).items() if count > 1]
        if twice:
            raise ConfigError(f"trunks: the name {twice[0]} stands twice")


def render(dest: Path, config: NodeConfig) -> None:
    """Write the node's files into `dest`, which Asterisk sees as `<directory_in_root>/etc`.

    Start it with ``asterisk -C <directory_in_root>/etc/asterisk.conf -f -n``. The folders for its
    state are made beside `dest`. Raises ConfigError (see dialplan.values) before anything is
    written, OSError when the folder cannot be written.
    """
    write_folder(
        dest,
        ("shared", "node"),
        {
            "config": config,
            "transports": [t for t in TRANSPORTS if any(t == k.transport for k in config.trunks)] or ["udp"],
            "events": NODE_EVENTS,
            "modules": NODE_MODULES,
        },
    )
    link_data(dest.parent / "data", config.sounds_dir)


def link_data(data: Path, sounds_dir: str) -> None:
    """Asterisk looks for sounds and for its own documentation in one data folder: make it."""
    link(data / "sounds", sounds_dir)
    link(data / "documentation", "/usr/share/asterisk/documentation")


# What the service needs to know, and no more: each event costs time on every call of the node, and
# AMI's queue overflows in a flood. Answers to actions (DBGet, CoreShowChannels, …) always come.
NODE_EVENTS = (
    "FullyBooted",
    "Shutdown",
    "Newchannel",
    "Newstate",
    "Hangup",
    "OriginateResponse",
    "UserEvent",
    "ConfbridgeJoin",
    "ConfbridgeLeave",
    "ContactStatus",
    "Registry",
)

NODE_MODULES = (
    "app_confbridge",
    "app_read",
    "app_userevent",
    "bridge_softmix",
    "func_groupcount",
    "func_hangupcause",
    "func_timeout",
    "res_speech",
    "res_agi",
    "res_musiconhold",
    "res_pjsip_outbound_registration",
)
