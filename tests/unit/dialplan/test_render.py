"""The files of a node and of the network, as written to a folder."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from dialplan import network, node
from dialplan.files import write_folder
from dialplan.network import NetworkConfig, check_script
from dialplan.node import NodeConfig, Trunk
from dialplan.values import ConfigError

TRUNK = Trunk("carrier", "10.1.2.3", username="u1", password="pw1", register=True)
NODE = NodeConfig("/srv/a", "/srv/sounds", (TRUNK,), "4008001234", "secret1", duty_phones=("13800000000",))
NETWORK = NetworkConfig("/srv/n", sip_port=5070, ami_port=5039, ami_secret="s", careline_sip_port=5060)


def text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_a_node_gets_its_files_readable_by_their_owner_only(tmp_path: Path) -> None:
    node.render(tmp_path / "etc", NODE)
    for name in ("asterisk.conf", "modules.conf", "manager.conf", "pjsip.conf", "extensions.conf"):
        assert stat.S_IMODE((tmp_path / "etc" / name).stat().st_mode) == 0o600
    assert (tmp_path / "data/sounds").readlink() == Path("/srv/sounds")
    assert not list((tmp_path / "etc").glob(".*"))


def test_rendering_again_replaces_and_changes_nothing_else(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    node.render(etc, NODE)
    (etc / "own.conf").write_text("of the operator")
    first = text(etc, "pjsip.conf")
    node.render(etc, NODE)
    assert text(etc, "pjsip.conf") == first
    assert text(etc, "own.conf") == "of the operator"


def test_a_trunk_is_written_as_endpoint_login_and_registration(tmp_path: Path) -> None:
    node.render(tmp_path / "etc", NODE)
    pjsip = text(tmp_path / "etc", "pjsip.conf")
    assert "contact = sip:10.1.2.3:5060\n" in pjsip
    assert "password = pw1\n" in pjsip
    assert "type = registration" in pjsip
    node.render(tmp_path / "etc", replace(NODE, trunks=(Trunk("plain", "10.1.2.3"),)))
    pjsip = text(tmp_path / "etc", "pjsip.conf")
    assert "type = registration" not in pjsip
    assert "type = auth" not in pjsip


def test_a_trunk_over_tls_has_its_transport_and_a_comment_sign_that_is_none(tmp_path: Path) -> None:
    node.render(tmp_path / "etc", replace(NODE, trunks=(replace(TRUNK, transport="tls"),)))
    pjsip = text(tmp_path / "etc", "pjsip.conf")
    assert "[transport-tls]" in pjsip
    assert "[transport-udp]" not in pjsip
    assert "contact = sip:10.1.2.3:5060\\;transport=tls\n" in pjsip


def test_a_node_with_hotline_numbers_takes_only_those(tmp_path: Path) -> None:
    node.render(tmp_path / "etc", NODE)
    assert "exten => _[+0-9].,1,Goto(hotline,s,1)" in text(tmp_path / "etc", "extensions.conf")
    node.render(tmp_path / "etc", replace(NODE, hotline_numbers=("4008001234",)))
    extensions = text(tmp_path / "etc", "extensions.conf")
    assert "exten => 4008001234,1,Goto(hotline,s,1)" in extensions
    assert "exten => _[+0-9].,1,Goto(hotline,s,1)" not in extensions


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a]\n[b"},
        {"directory_in_root": "/srv/a;b"},
        {"sounds_dir": "sounds"},
        {"bind": "localhost"},
        {"agi_host": "a,b"},
        {"ami_secret": "a\nread = all"},
        {"service_number": "400&PJSIP/110"},
        {"duty_phones": ("13800000000", "120")},
        {"duty_phones": ("13800000000&PJSIP/120",)},
        {"hotline_numbers": ("_X.",)},
        {"rtp_ports": (10000, 10001)},
        {"trunks": (TRUNK, TRUNK)},
        {"qualify_seconds": -1},
    ],
)
def test_a_node_refuses_a_bad_value_before_anything_is_written(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(NODE, **change)  # type: ignore[arg-type]  # the wrong values are the test


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a/b"},
        {"name": "global"},
        {"name": "a-status"},
        {"host": "1.2.3.4\nmatch=0.0.0.0/0"},
        {"transport": "ws"},
        {"codecs": "alaw;x"},
        {"password": "a;b"},
        {"password": ""},
        {"username": "", "password": ""},
        {"max_channels": 0},
    ],
)
def test_a_trunk_refuses_a_bad_value(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(TRUNK, **change)  # type: ignore[arg-type]  # the wrong values are the test


def test_a_value_that_slips_past_its_field_is_stopped_by_the_template(tmp_path: Path) -> None:
    object.__setattr__(config := replace(NODE), "name", "a\n[evil]")
    with pytest.raises(ConfigError):
        node.render(tmp_path / "etc", config)
    assert not (tmp_path / "etc").exists()


def test_a_template_that_lacks_a_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="undefined"):
        write_folder(tmp_path / "etc", ("node",), {})


def test_the_network_gets_every_behaviour_and_its_voices(tmp_path: Path) -> None:
    network.render(tmp_path / "etc", NETWORK)
    extensions = text(tmp_path / "etc", "extensions.conf")
    for name, script in network.SCRIPTS.items():
        assert f"\nSCRIPT_{name} = {script}\n" in extensions
    for voice in ("voicemail", "help"):
        assert (tmp_path / f"data/voices/network/{voice}.wav").exists()


@pytest.mark.parametrize("script", network.SCRIPTS.values())
def test_every_behaviour_is_made_of_known_steps(script: str) -> None:
    assert check_script(script) == script


@pytest.mark.parametrize(
    "script", ["", "ring:", "press:", "press:1;2", "wait:${X}", "say:../x", "refuse:200", "ring, answer", "dance"]
)
def test_a_script_with_an_unknown_step_is_refused(script: str) -> None:
    with pytest.raises(ConfigError):
        check_script(script)


def test_each_behaviour_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs/telephone-network.md").read_text(encoding="utf-8")
    for name, script in network.SCRIPTS.items():
        assert f"| {name} |" in page, name
        assert f"`{script}`" in page, name
