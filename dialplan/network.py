"""The second Asterisk that plays the public telephone network, for tests and demo.

Numbers choose how the called phone behaves (docs/telephone-network.md): 1390000BBNN, valid mobile
numbers in form, BB the behaviour, NN any serial number. A behaviour is a script of steps, and any
number can be given another script through AstDB. `dialplan.phones` reads what the phones noted.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from dialplan import values
from dialplan.files import write_folder
from dialplan.node import link_data
from dialplan.values import ConfigError

# The rest of a phone call that presses 1 and then says: 15 minutes.
_YES = "wait:3,press:1,wait:3,press:15#,wait:60,hangup"

# Behaviours by BB; a name with _n holds for the n-th call to a number only.
SCRIPTS: Mapping[str, str] = {
    "00": "ring",
    "01": f"ring:1,answer,{_YES}",
    "02": "ring:1,answer,wait:3,press:2,wait:60,hangup",
    "03": "ring:1,answer,wait",
    "04": "refuse:486",
    "05": "ring:1,refuse:603",
    "06": "ring:1,answer,wait:0.5,say:voicemail,beep,wait:60,hangup",
    "07": "ring:1,answer,wait:2,hangup",
    "08": "refuse:503",
    "09": f"ring:1,answer,{_YES}",
    "09_1": "ring",
    "10": f"ring:1,answer,wait:3,press:3,{_YES}",
    "11": f"ring:1,answer,wait:3,press:7,wait:3,press:9,{_YES}",
    "12": "ring:1,answer,wait:3,press:0,wait:1,tone:60,hangup",
    "13": "refuse:404",
    "14": "ring:1,answer,wait:3,press:1,wait:60,hangup",
    "15": "ring:1,answer,wait:3,press:1,wait:3,press:1,wait:60,hangup",
    "16": "ring:1,answer,wait:3,press:2,wait:3,press:10#,wait:60,hangup",
    "17": "ring:1,answer,wait:3,press:1,wait:60,hangup",
    "18": "ring:1,answer,wait:3,press:1,wait:60,hangup",
    "19": f"ring:8,answer,{_YES}",
    "20": "ring:1,answer,wait:1,say:help,wait:60,hangup",
    "21": "refuse:480",
    "22": "wait:1,answer,wait",
    "other": "refuse:404",
}

_STEP = re.compile(
    r"(ring|wait|tone)(:\d+(\.\d+)?)?|press:[0-9*#A-D]{1,32}|say:[a-z0-9_-]+"
    r"|refuse:[4-6]\d\d|answer|beep|hangup"
)


def check_script(script: str) -> str:
    """Return the script; ConfigError names the step that is none. Use it before writing AstDB."""
    for step in script.split(","):
        if not _STEP.fullmatch(step):
            raise ConfigError(f"script of a phone: {step!r} is not a step")
    return script


@dataclass(frozen=True)
class NetworkConfig:
    """The network's ports, and where Careline's trunk is found.

    `pace` multiplies every second of the scripts. `record`: keep what each phone heard, as
    ``heard/<number>-<call>.wav``; costs a little time of the processor for each call. With a
    `password` the network asks Careline for a digest login (user "careline").
    """

    directory_in_root: str
    sip_port: int
    ami_port: int
    ami_secret: str = field(repr=False)
    careline_sip_port: int
    careline_host: str = "127.0.0.1"
    name: str = "network"
    bind: str = "127.0.0.1"
    rtp_ports: tuple[int, int] = (20000, 24999)
    ami_bind: str = "127.0.0.1"
    ami_user: str = "network"
    service_number: str = "4008001234"
    password: str = field(default="", repr=False)
    pace: float = 1.0
    record: bool = False
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values.path("directory_in_root", self.directory_in_root)
        values.name("name", self.name)
        values.address("bind", self.bind)
        values.address("ami_bind", self.ami_bind)
        values.host("careline_host", self.careline_host)
        for what, port in (
            ("sip_port", self.sip_port),
            ("ami_port", self.ami_port),
            ("careline_sip_port", self.careline_sip_port),
            ("rtp_ports (first)", self.rtp_ports[0]),
            ("rtp_ports (last)", self.rtp_ports[1]),
        ):
            values.port(what, port)
        values.name("ami_user", self.ami_user)
        values.secret("ami_secret", self.ami_secret)
        values.own_number("service_number", self.service_number)
        values.between("pace", self.pace, 0.01, 100)
        if self.password:
            values.secret("password", self.password)
        for name, script in self.scripts.items():
            if not re.fullmatch(r"(\d\d(_\d{1,3})?|other)", name):
                raise ConfigError(f"scripts: {name!r} is no behaviour (BB, BB_n or other)")
            check_script(script)


def render(dest: Path, config: NetworkConfig) -> None:
    """Write the network's files into `dest`, which Asterisk sees as `<directory_in_root>/etc`.

    ``phones.log`` and ``heard/`` lie beside `dest`. Errors as in dialplan.node.render.
    """
    write_folder(
        dest,
        ("shared", "network"),
        {
            "config": config,
            "scripts": {**SCRIPTS, **config.scripts},
            "events": ("FullyBooted", "Hangup", "OriginateResponse"),
            "modules": NETWORK_MODULES,
        },
    )
    directory = dest.parent
    (directory / "heard").mkdir(exist_ok=True)
    sounds = directory / "data" / "voices" / "network"
    sounds.mkdir(parents=True, exist_ok=True)
    with as_file(files("dialplan") / "sounds") as folder:
        for file in folder.glob("*.wav"):
            shutil.copyfile(file, sounds / file.name)
    link_data(directory / "data", f"{config.directory_in_root}/data/voices")


def call_in(number: str) -> dict[str, str]:
    """The headers of an AMI Originate (to the network) by which a phone calls Careline.

    Put its script into AstDB ``caller/<number>`` first; it begins when Careline answers.
    """
    values.own_number("number", number)
    return {
        "Channel": f"Local/{number}@callin/n",
        "Context": "caller",
        "Exten": number,
        "Priority": "1",
        "CallerID": number,
        "Timeout": "120000",
        "Async": "true",
    }


NETWORK_MODULES = (
    "app_mixmonitor",
    "app_playtones",
    "app_senddtmf",
    "func_dialplan",
    "func_env",
    "func_math",
    "res_pjsip_registrar",
)
