"""What may stand in Asterisk's configuration, and what is refused with the name of the field."""

import pytest

from dialplan import values
from dialplan.node import NodeConfig, Trunk
from dialplan.values import EMERGENCY, ConfigError

INJECTIONS = [
    "a\nb",
    "a\r\n[door]",
    "a;b",
    "a]b",
    "[x",
    "${SHELL(id)}",
    "$[1+1]",
    'a"b',
    "a'b",
    "a\\,b",
    "a`id`",
    "a|b",
    "a b",
    "张",
    "a\0b",
    "",
]


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize(
    "check",
    [
        values.name,
        values.host,
        values.address,
        values.path,
        values.number,
        values.own_number,
        values.sip_user,
        values.secret,
        values.codecs,
    ],
)
def test_a_value_that_could_inject_is_refused_by_its_field(check: object, value: str) -> None:
    assert callable(check)
    with pytest.raises(ConfigError, match="the field"):
        check("the field", value)


def test_an_error_never_shows_a_password() -> None:
    with pytest.raises(ConfigError) as error:
        values.secret("trunk a: password", "my secret")
    assert "my secret" not in str(error.value)
    trunk = Trunk("a", "sip.example.com", username="u", password="hush")
    assert "hush" not in repr(trunk)
    config = NodeConfig("/srv/a", "/srv/s", (trunk,), "4008001234", "whisper")
    assert "whisper" not in repr(config)
    assert "hush" not in repr(config)


@pytest.mark.parametrize("path", ["relative/a", "/a/../b", "/a//b", "/", "/a/", "/.hidden/x"])
def test_a_path_is_absolute_and_plain(path: str) -> None:
    with pytest.raises(ConfigError):
        values.path("sounds_dir", path)


@pytest.mark.parametrize("port", [0, -1, 65536, True, 5060.0, "5060"])
def test_a_port_is_a_whole_number_in_range(port: int) -> None:
    with pytest.raises(ConfigError):
        values.port("sip_port", port)


@pytest.mark.parametrize("prefix", ["", "9", "0", "90", "+86", "0086", "86", "9+86", "010", "0571"])
@pytest.mark.parametrize("number", ["110", "119", "120", "122"])
def test_no_form_of_an_emergency_number_can_be_a_duty_phone(prefix: str, number: str) -> None:
    assert EMERGENCY.fullmatch(prefix + number)
    with pytest.raises(ConfigError):
        values.number("duty_phones, entry 1", prefix + number)


@pytest.mark.parametrize("number", ["13900000110", "65432110", "02112345120", "4001201191", "+8613912345122"])
def test_a_number_that_only_ends_like_one_may_be_called(number: str) -> None:
    values.number("duty_phones, entry 1", number)
