"""What the tests of the API, the people's store and the command line share: a service without telephones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from alarm_core.commands import PlaceCall
from alarm_core.elders_csv import read_elders
from alarm_core.events import CallAnswered, CallEnded, CallOutcome, CallPlaced, Event
from alarm_core.planbook import PlanBook
from alarm_core.signal import Receipt, Signal, SignalState
from alarm_core.store import calls as call_record
from alarm_core.store.accounts import Accounts, Role
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Calls
from alarm_core.store.database import Database
from alarm_core.store.documents import Documents
from alarm_core.store.intake import Service, SignalIntake
from alarm_core.store.nodes import Nodes
from alarm_core.store.people import People
from alarm_core.store.record import Happening
from service.api import ApiContext, create_app
from service.api.context import Services

PLANS = PlanBook.load()
PASSWORD = "correct horse battery"
COMMON_SECRET = "the common secret"
METRICS_TOKEN = "only-for-figures"
PHONES = ("13800000001", "13800000002", "13800000003", "13900000001")
"""Of the elder, of both contacts, of the duty phone: none may be seen whole."""

DISTRICT = (
    "reference,name,phone,street,room,landmark,way_in,contact1_name,contact1_phone,contact2_name,contact2_phone,"
    "device1_id,device1_kind\n"
    f'A-1,"张 ""O\'Brien"" 秀兰",{PHONES[0]},田林街道,301室,菜场对面,钥匙在门卫,张伟,{PHONES[1]},李秀英,{PHONES[2]},'
    "smoke-1,smoke\n"
)


@dataclass
class World:
    """A database with one elder, and everything that an alarm needs but the telephone."""

    database: Database
    people: People = field(init=False)
    documents: Documents = field(init=False)
    alarms: Alarms = field(init=False)
    calls: Calls = field(init=False)
    intake: SignalIntake = field(init=False)
    checks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people = People(self.database, PLANS)
        self.documents = Documents(self.database)
        self.alarms = Alarms(self.database)
        self.calls = Calls(self.database)
        self.intake = SignalIntake(self.database, self.alarms, PLANS, Service(duty=(PHONES[3],)))

    async def settle(self) -> None:
        await self.people.import_elders(read_elders(DISTRICT.encode()))

    async def raises(self, device: str = "smoke-1", kind: str = "smoke") -> UUID:
        """A danger; returns its alarm."""
        receipts: list[Receipt] = await self.intake.take(
            [Signal(device, uuid4().hex, kind, SignalState.ALARM, datetime.now(UTC), "mqtt")]
        )
        assert receipts[0].alarm_id is not None
        return receipts[0].alarm_id

    async def places_call(self) -> PlaceCall:
        """What the node would do: claim the next call and dial it."""
        nodes = Nodes(self.database, "node-1", "tests", 60)
        assert await nodes.take() is None
        claimed = await self.calls.claim(node="node-1", owner="tests", trunk="trunk", limit=1, lease_seconds=60)
        command = call_record.place_call(claimed[0])
        placed = Happening(CallPlaced(call_id=command.call_id), "ami", None)
        await self.alarms.apply(claimed[0].alarm_id, placed, also=[call_record.sent(command.call_id)])
        return command

    async def answers(self, alarm_id: UUID, command: PlaceCall, reply: Event | None = None, keys: str = "") -> None:
        """The phone is picked up, and perhaps somebody presses keys; then it is over."""
        events: list[Event] = [CallAnswered(call_id=command.call_id), *([reply] if reply else [])]
        also = [call_record.answered(command.call_id), call_record.pressed(command.call_id, keys)]
        await self.alarms.apply(alarm_id, *(Happening(e, "conversation", None) for e in events), also=also)
        await self.ends(alarm_id, command, CallOutcome.COMPLETED, 16)

    async def ends(self, alarm_id: UUID, command: PlaceCall, outcome: CallOutcome, cause: int) -> None:
        event = CallEnded(call_id=command.call_id, outcome=outcome, cause=cause)
        also = [call_record.ended(command.call_id, outcome, cause)]
        await self.alarms.apply(alarm_id, Happening(event, "ami", None), also=also)

    def context(self) -> ApiContext:
        return ApiContext(
            database=self.database,
            alarms=self.alarms,
            plans=PLANS,
            intake=self.intake,
            token_secret="t" * 48,
            ingest_secret=COMMON_SECRET,
            metrics_token=METRICS_TOKEN,
            checks=self.checks,
        )


@dataclass
class Api:
    """The application, and clients that are logged in."""

    world: World
    app: Any
    stranger: httpx.AsyncClient
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def services(self) -> Services:
        services = self.app.state.services
        assert isinstance(services, Services)
        return services

    async def as_(self, role: Role) -> httpx.AsyncClient:
        """A client of an account with this role; its name is the role's."""
        accounts = Accounts(self.world.database)
        if await accounts.get(role.value) is None:
            await accounts.add(role.value, PASSWORD, role)
        answer = await self.stranger.post("/login", json={"name": role.value, "password": PASSWORD})
        assert answer.status_code == 200
        client = _client(self.app, {"Authorization": f"Bearer {answer.json()['access_token']}"})
        self._clients.append(client)
        return client


def _client(app: Any, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://careline.test/api/v1", headers=headers
    )


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Api]:
    app = create_app(world.context())
    async with _client(app) as stranger:
        api = Api(world, app, stranger)
        yield api
        for client in api._clients:
            await client.aclose()
