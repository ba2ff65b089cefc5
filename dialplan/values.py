"""Checks of every value that goes into a configuration file or the dialplan.

Asterisk's files have no quoting that can be trusted: a line break starts a new setting, ``;`` a
comment, ``]`` a section, ``,`` an argument and ``${`` an expression. So nothing is escaped here:
a value that holds such a character is refused, with an error that names the field.
"""

import ipaddress
import re

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*")
_PATH = re.compile(r"(/[A-Za-z0-9_+@~-][A-Za-z0-9._+@~-]*)+")
_NUMBER = re.compile(r"\+?[0-9]{2,20}")
_SIP_USER = re.compile(r"[A-Za-z0-9+][A-Za-z0-9._+@-]{0,127}")
_SECRET = re.compile(r"[A-Za-z0-9!#%&()*+./:<>?@^_~=-]{1,128}")
_CODEC = re.compile(r"alaw|ulaw|g722|opus|slin")

# 110 police, 119 fire, 120 ambulance, 122 traffic police; also behind an outside line's 9 or 0, the
# country code, or an area code (which reaches another city's police). A machine never calls them
# (B7). The same expression stands in templates/node/extensions.conf.j2 under [may-dial].
EMERGENCY = re.compile(r"[09]*([+]86|0086|86)?(0[0-9]{2,3})?(110|119|120|122)")


class ConfigError(ValueError):
    """A value that may not stand in Asterisk's configuration; says which one and why."""


def _check(field: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
    if not pattern.fullmatch(value):
        raise ConfigError(f"{field}: must be {wanted}")


def name(field: str, value: str) -> None:
    """A name of ours (node, trunk, user): also a section name in Asterisk's files."""
    _check(field, value, _NAME, "a small letter, then up to 31 of a-z 0-9 _ -")


def host(field: str, value: str) -> None:
    """A host name or an IPv4 address. (IPv6 is not supported yet.)"""
    _check(field, value, _HOST, "a host name or an IPv4 address")


def address(field: str, value: str) -> None:
    """An IPv4 address to bind to."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        raise ConfigError(f"{field}: must be an IPv4 address") from None


def port(field: str, value: int) -> None:
    """A port from 1 to 65535."""
    if type(value) is not int or not 1 <= value <= 65535:
        raise ConfigError(f"{field}: must be a port from 1 to 65535")


def path(field: str, value: str) -> None:
    """An absolute path of plain characters, without ``..``."""
    _check(field, value, _PATH, "an absolute path of letters, digits and . _ - + @ ~")


def number(field: str, value: str) -> None:
    """A telephone number that may be dialled: digits, perhaps ``+`` first, no emergency number."""
    _check(field, value, _NUMBER, "a telephone number: digits, with or without + in front")
    if EMERGENCY.fullmatch(value):
        raise ConfigError(f"{field}: is an emergency number, which a machine must never call")


def own_number(field: str, value: str) -> None:
    """A number by which we are called or which we show: digits, perhaps ``+`` first."""
    _check(field, value, _NUMBER, "a telephone number: digits, with or without + in front")


def sip_user(field: str, value: str) -> None:
    """The user part of a SIP login."""
    _check(field, value, _SIP_USER, "letters, digits and . _ + @ -")


def secret(field: str, value: str) -> None:
    """A password. The error never shows it."""
    _check(
        field,
        value,
        _SECRET,
        "1 to 128 printable characters, none of them a space, quote, comma or any of ; [ ] { } $ \\ |",
    )


def codecs(field: str, value: str) -> None:
    """One or more codecs, separated by commas."""
    for codec in value.split(","):
        _check(field, codec, _CODEC, "codecs of alaw, ulaw, g722, opus, slin, separated by commas")


def one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    """A word of a fixed list."""
    if value not in allowed:
        raise ConfigError(f"{field}: must be one of {', '.join(allowed)}")


def between(field: str, value: float, least: float, most: float) -> None:
    """A number within bounds, both included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"{field}: must be a number from {least:g} to {most:g}")
