"""Topics and the broker's URL."""

from __future__ import annotations

import pytest

from ingest.mqtt import parse_topic
from ingest.mqtt_settings import MqttSettings


@pytest.mark.parametrize(
    ("topic", "meant"),
    [
        ("careline/v1/devices/smoke-1/signal", ("plain", "smoke-1")),
        ("careline/v1/devices/厨房 1/signal", ("plain", "厨房 1")),
        ("careline/v1/adapters/nbiot/devices/x", ("nbiot", "x")),
        ("careline/v1/devices//signal", (None, None)),
        ("careline/v1/devices/a/b/signal", (None, None)),
        ("careline/v1/adapters//devices/x", (None, None)),
        ("other/careline/v1/devices/a/signal", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_topic_names_the_adapter_and_the_device(topic: str, meant: tuple[str | None, str | None]) -> None:
    assert parse_topic(topic, "careline/v1") == meant


def test_a_url_says_everything() -> None:
    settings = MqttSettings.from_url("mqtts://user:p%40ss@broker.example?version=3.1.1&client_id=two&ca_file=/ca.pem")
    assert (settings.host, settings.port, settings.tls, settings.version) == ("broker.example", 8883, True, "3.1.1")
    assert (settings.username, settings.password, settings.client_id) == ("user", "p@ss", "two")
    assert settings.ca_file == "/ca.pem"
    assert "p@ss" not in repr(settings)
    assert MqttSettings.from_url("mqtt://[::1]").port == 1883


@pytest.mark.parametrize(
    "url", ["http://x", "mqtt://", "mqtt://x?version=4", "mqtt://x?qos=2", "mqtt://x:99999", "broker:1883", ""]
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        MqttSettings.from_url(url)
