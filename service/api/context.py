"""What the API needs from the rest of the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from alarm_core.planbook import PlanBook
from alarm_core.signal import Intake
from alarm_core.store.accounts import Accounts
from alarm_core.store.alarms import Alarms
from alarm_core.store.database import Database
from alarm_core.store.documents import Documents
from alarm_core.store.people import People
from service.api.figures import Figures
from service.api.throttle import Throttle
from service.runtime.secrets import Secrets

if TYPE_CHECKING:
    from service.app import Careline

Check = Callable[[], Awaitable[str | None]]
"""Looks whether a part works: None if it does, else what is wrong, in words without secrets."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ApiContext:
    """`token_secret` signs the logins' tokens: at least 32 characters, the same in every process of the API.

    `ingest_secret`: the common secret that signs HTTP pushes of devices without one of their own; None: none may.
    `metrics_token`: a fixed token that may read the figures and nothing else. `checks`: the parts that `/ready` asks
    beside the database ("mqtt", "ami" …); each is given three seconds.
    """

    database: Database
    alarms: Alarms
    plans: PlanBook
    intake: Intake
    token_secret: str
    ingest_secret: str | None = None
    metrics_token: str | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    clock: Callable[[], datetime] = _now

    def __post_init__(self) -> None:
        if len(self.token_secret) < 32:
            raise ValueError("the secret of the tokens is too short: CARELINE_TOKEN_SECRET needs 32 characters")

    @classmethod
    def of(cls, careline: Careline) -> ApiContext:
        """The context of a running service. Secrets that the settings do not give are made in the state folder."""
        settings = careline.settings
        secrets = Secrets(settings.state / "secrets")
        given, common = settings.token_secret, settings.ingest_secret

        async def mqtt() -> str | None:
            return None if careline.mqtt is None or careline.mqtt.status.ready else "no session with the broker"

        async def ami() -> str | None:
            return None if careline.driver is None or careline.driver.driving else "this node is not being driven"

        # Only the parts that this process runs: another process answers for its own.
        checks = {"mqtt": (mqtt, careline.mqtt), "ami": (ami, careline.driver)}
        return cls(
            database=careline.database,
            alarms=careline.alarms,
            plans=careline.plans,
            intake=careline.intake,
            token_secret=given.get_secret_value() if given else secrets.get("token"),
            ingest_secret=common.get_secret_value() if common else secrets.get("ingest"),
            metrics_token=secrets.get("metrics"),
            checks={name: check for name, (check, part) in checks.items() if part is not None},
        )


@dataclass(frozen=True)
class Services:
    """What the routes work with; made once, kept in `app.state.services`."""

    context: ApiContext
    people: People
    documents: Documents
    accounts: Accounts
    figures: Figures
    throttle: Throttle


def services_of(context: ApiContext) -> Services:
    database = context.database
    return Services(
        context, People(database, context.plans), Documents(database), Accounts(database), Figures(), Throttle()
    )


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


Uses = Annotated[Services, Depends(_services)]
"""A route's parameter of this type receives the services."""
