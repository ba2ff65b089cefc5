"""Every setting, from `CARELINE_*` in the environment or from the file `careline.env` in the state folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from alarm_core.numbers import dialable
from service.runtime.ports import Ports


class TrunkSettings(BaseSettings):
    """The line to the telephone network. Empty `host`: none is connected yet."""

    model_config = SettingsConfigDict(env_prefix="CARELINE_TRUNK_", extra="ignore")

    host: str = ""
    port: int = 5060
    username: str = ""
    password: SecretStr = SecretStr("")
    from_user: str = ""
    register_: bool = Field(default=False, alias="CARELINE_TRUNK_REGISTER")
    transport: str = "udp"
    codecs: str = "alaw"
    max_channels: Annotated[int, Field(ge=1)] = 10
    calls_per_second: Annotated[float, Field(gt=0)] = 2.0


class Settings(BaseSettings):
    """The service's settings. An unset URL means: the private runtime brings that server."""

    model_config = SettingsConfigDict(env_prefix="CARELINE_", extra="ignore")

    state: Path = Path(".careline")
    instance: str = "main"

    database_url: str | None = None
    mqtt_url: str | None = None
    ami_url: str | None = None

    http_bind: str = "127.0.0.1"
    agi_bind: str = "127.0.0.1"
    ports: Ports = Field(default_factory=Ports.from_environment)
    sounds_dir: Path | None = None
    prompt_recordings: Path | None = None
    espeak: str = "espeak-ng"
    ingest_secret: SecretStr | None = None
    token_secret: SecretStr | None = None

    node: str = "node-1"
    node_max_channels: Annotated[int, Field(ge=1)] = 60
    node_calls_per_second: Annotated[float, Field(gt=0)] = 15.0
    lease_seconds: Annotated[float, Field(gt=0.5, le=60)] = 5.0

    service_number: str = "4000000000"
    duty_phones: Annotated[tuple[str, ...], NoDecode] = ()
    timezone: str = "Asia/Shanghai"
    plans: Path | None = None
    pace: Annotated[float, Field(gt=0, le=1)] = 1.0
    keep_heartbeats_days: Annotated[int, Field(ge=1)] = 14

    trunk: TrunkSettings = Field(default_factory=TrunkSettings)
    hotline_numbers: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("duty_phones", mode="before")
    @classmethod
    def _phones(cls, value: object) -> object:
        parts = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if isinstance(parts, list | tuple):
            return tuple(dialable(str(part), extensions=True) for part in parts)
        return value

    @field_validator("hotline_numbers", mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def env_file(self) -> Path:
        return self.state / "careline.env"


def load() -> Settings:
    """Settings of the environment, then those of `careline.env` in the state folder where the environment is silent."""
    state = Path(os.environ.get("CARELINE_STATE", ".careline"))
    file = state / "careline.env"
    if file.is_file():
        return Settings(_env_file=file, trunk=TrunkSettings(_env_file=file))
    return Settings()
