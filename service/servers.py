"""The servers the service stands on: private ones, except those that settings replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ami.link import AmiAddress
from dialplan import network, node
from dialplan.network import NetworkConfig
from dialplan.node import NodeConfig, Trunk
from ivr.speech import publish
from service.runtime.place import Place
from service.runtime.ports import RTP_PORTS
from service.runtime.private import PrivateRuntime
from service.settings import Settings

TRUNK = "trunk"


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are. `espeak`: the command that speaks what is not known ahead."""

    database_url: str
    mqtt_url: str
    ami: AmiAddress
    sounds_dir: Path
    espeak: tuple[str, ...]


@dataclass(frozen=True)
class PlayedNetwork:
    """The telephone network of demo and tests, in place of a trunk. `pace` multiplies its phones' seconds."""

    pace: float = 1.0
    record: bool = False


class Servers:
    """Starts and stops the private servers; knows where all servers are."""

    def __init__(self, settings: Settings, played: PlayedNetwork | None = None) -> None:
        self.settings = settings
        self.played = played
        self.runtime = PrivateRuntime(settings.state, settings.instance, settings.ports, resolver=played is None)
        self._secrets = self.runtime.secrets
        self.trunks = _trunks(settings, played)
        self._endpoints = self._plan()

    @property
    def endpoints(self) -> Endpoints:
        """Where the servers are, whoever runs them."""
        if self.settings.ami_url or not self.runtime.root.is_dir():
            return self._endpoints
        place = Place(self.runtime.root, self.settings.instance)
        espeak = place.command("/usr/bin/espeak-ng", user=place.user("asterisk"))
        return replace(self._endpoints, espeak=tuple(espeak))

    @property
    def network_ami(self) -> AmiAddress:
        """The played network's AMI, by which its phones are told to call."""
        return AmiAddress("127.0.0.1", self.settings.ports.network_ami, "network", self._secrets.get("network_ami"))

    @property
    def phones_log(self) -> Path:
        """What the played network's phones noted."""
        return self._home("network") / "phones.log"

    async def start(self, progress: Callable[[str], None]) -> Endpoints:
        """Start what settings do not replace. Raises PrivateRuntimeError or ConfigError, saying what to do."""
        publish(self._endpoints.sounds_dir, self.settings.prompt_recordings)
        await self.runtime.start(progress)
        return self.endpoints

    async def stop(self) -> None:
        await self.runtime.stop()

    def _plan(self) -> Endpoints:
        settings = self.settings
        place = Place(self.runtime.root, settings.instance)
        database_url = settings.database_url or self.runtime.use_postgres().url
        mqtt_url = settings.mqtt_url or self.runtime.use_mosquitto().url
        sounds = settings.sounds_dir or self._home("sounds")
        if settings.ami_url:
            ami = AmiAddress.from_url(settings.ami_url)
        else:
            secret = self._secrets.get("ami")
            ami = AmiAddress("127.0.0.1", settings.ports.ami, "careline", secret)
            config = self._node_config(place, secret)
            self.runtime.add_asterisk("asterisk", lambda etc: node.render(etc, config))
        if self.played is not None:
            played = self._network_config(place)
            self.runtime.add_asterisk("network", lambda etc: network.render(etc, played), network=True)
        return Endpoints(database_url, mqtt_url, ami, sounds, (settings.espeak,))

    def _home(self, server: str) -> Path:
        return Place(self.runtime.root, self.settings.instance).home(server)

    def _node_config(self, place: Place, secret: str) -> NodeConfig:
        settings, ports = self.settings, self.settings.ports
        return NodeConfig(
            directory_in_root=place.inner("asterisk"),
            sounds_dir=place.inner("sounds"),
            trunks=self.trunks,
            service_number=settings.service_number,
            ami_secret=secret,
            sip_port=ports.sip,
            rtp_ports=(ports.rtp, ports.rtp + RTP_PORTS - 1),
            ami_port=ports.ami,
            agi_port=ports.agi,
            duty_phones=settings.duty_phones,
            hotline_numbers=settings.hotline_numbers,
        )

    def _network_config(self, place: Place) -> NetworkConfig:
        assert self.played is not None
        ports = self.settings.ports
        return NetworkConfig(
            directory_in_root=place.inner("network"),
            sip_port=ports.network_sip,
            ami_port=ports.network_ami,
            ami_secret=self._secrets.get("network_ami"),
            careline_sip_port=ports.sip,
            rtp_ports=(ports.network_rtp, ports.network_rtp + RTP_PORTS - 1),
            service_number=self.settings.service_number,
            pace=self.played.pace,
            record=self.played.record,
        )


def _trunks(settings: Settings, played: PlayedNetwork | None) -> tuple[Trunk, ...]:
    limits = settings.trunk
    if played is not None:
        host, port = "127.0.0.1", settings.ports.network_sip
        return (_limited(Trunk(name=TRUNK, host=host, port=port), settings),)
    if not limits.host:
        return ()
    trunk = Trunk(
        name=TRUNK,
        host=limits.host,
        port=limits.port,
        username=limits.username,
        password=limits.password.get_secret_value(),
        from_user=limits.from_user,
        register=limits.register_,
        transport=limits.transport,
        codecs=limits.codecs,
    )
    return (_limited(trunk, settings),)


def _limited(trunk: Trunk, settings: Settings) -> Trunk:
    limits = settings.trunk
    return replace(trunk, max_channels=limits.max_channels, calls_per_second=limits.calls_per_second)
