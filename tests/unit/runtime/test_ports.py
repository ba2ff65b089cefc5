"""Ports: settable, checked, and named in the error when taken."""

import os
import socket
from dataclasses import astuple

import pytest

from service.runtime.errors import PrivateRuntimeError
from service.runtime.ports import RTP_PORTS, Listener, Ports, free_ports


def test_one_port_is_changed_and_the_others_stay() -> None:
    ports = Ports.from_environment({"CARELINE_PORT_NETWORK_SIP": "25070", "OTHER": "1"})
    assert ports == Ports(network_sip=25070)


@pytest.mark.parametrize("text", ["", "sip", "0", "65536", "-5", "²"])
def test_what_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(PrivateRuntimeError, match="CARELINE_PORT_AMI"):
        Ports.from_environment({"CARELINE_PORT_AMI": text})


def test_the_defaults_do_not_overlap() -> None:
    ports = Ports()
    assert len(set(astuple(ports))) == len(astuple(ports))
    assert abs(ports.rtp - ports.network_rtp) >= RTP_PORTS


def test_free_ports_are_apart_from_each_other() -> None:
    ports = free_ports()
    assert len(set(astuple(ports))) == len(astuple(ports))
    assert abs(ports.rtp - ports.network_rtp) >= RTP_PORTS


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_taken_port_names_its_holder_and_the_setting(kind: str) -> None:
    family = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, family) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == "tcp":
            holder.listen()
        listener = Listener("sip", holder.getsockname()[1], kind="tcp" if kind == "tcp" else "udp")
        with pytest.raises(PrivateRuntimeError) as caught:
            listener.require_free()
    assert f"pid {os.getpid()}" in str(caught.value)
    assert "CARELINE_PORT_SIP" in str(caught.value)
    listener.require_free()
