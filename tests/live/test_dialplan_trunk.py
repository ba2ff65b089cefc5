"""A trunk with a login: it registers, calls pass both ways, and it may fall silent and come back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.live.dialplan_pair import Pair, running_pair, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the private servers need root"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with running_pair("trunk", login=True) as pair:
        await pair.event("Registry", Status="Registered")
        await pair.event("ContactStatus", AOR="network-status", ContactStatus="Reachable")
        yield pair


async def test_calls_pass_both_ways(pair: Pair) -> None:
    record = await pair.record(await pair.place("13900000401"))
    assert record.sip == 486  # of the phone itself: the login went through
    await pair.call_in("13712345678", "wait")
    await until(lambda: pair.service.seen)
    assert pair.service.seen[0].door == "inbound"
    await pair.phone("13712345678")


async def test_a_silent_trunk_is_given_up_soon_and_used_again_at_once(pair: Pair) -> None:
    network = pair.runtime.pid("network")
    assert network is not None
    await pair.clear()
    os.kill(network, signal.SIGSTOP)
    try:
        call = await pair.place("13900000402", ring_seconds=30)
        await pair.event("ContactStatus", AOR="network-status", ContactStatus="Unreachable")
        async with asyncio.timeout(12):
            record = await pair.record(call)
    finally:
        os.kill(network, signal.SIGCONT)
    assert not record.up
    # Not one call is refused because the last question to the trunk went unanswered.
    again = await pair.record(await pair.place("13900000403"))
    assert again.sip == 486
