"""How signals come in: MQTT, HTTP push, adapters for makers' payloads. The contract: docs/device-protocol.md."""
