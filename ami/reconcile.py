"""After a break: what became of the calls that were under way? Asterisk is asked, never guessed at.

Three answers: the channel lives; the dialplan's hangup record tells how it ended; or there is no trace. Without a
trace, a call that was never known to be sent is placed again only when this Asterisk has run all the time (then it is
proven never to have had it); otherwise it is lost: the rules choose, and its phone is left alone for its ring time.
"""

from __future__ import annotations

import logging

from alarm_core.events import CallOutcome
from alarm_core.store.calls import Calls, LiveCall, sent
from ami.link import Link
from ami.watch import Watch
from dialplan.records import FAMILY, HangupRecord

log = logging.getLogger("careline.ami")

_SEEN = "CARELINE_SEEN"
_IN_FLIGHT_SECONDS = 15.0
"""Younger calls of a running driver are on their way through AMI: their events will come."""


async def reconcile(link: Link, watch: Watch, calls: Calls, node: str, *, fresh: bool) -> None:
    """Settle every call of the node that the record takes for live. `fresh`: a new connection, nothing is in flight."""
    same_asterisk = await _ran_all_the_time(link) if fresh else True
    watch.link = link
    if fresh:
        watch.forget_all()
    live = [call for call in await calls.live(node) if fresh or call.age_seconds > _IN_FLIGHT_SECONDS]
    if not live and not fresh:
        return
    listed = await link.collect("CoreShowChannels", until="CoreShowChannelsComplete")
    for channel in listed if fresh else ():
        watch.there_is(channel)
    states = {channel["Uniqueid"]: channel.get("ChannelStateDesc", "") for channel in listed}
    for call in live:
        await _settle(link, watch, calls, call, states.get(call.channel), same_asterisk)


async def _settle(
    link: Link, watch: Watch, calls: Calls, call: LiveCall, state: str | None, same_asterisk: bool
) -> None:
    tracked = watch.track(call.id, call.alarm_id, call.channel, call.trunk)
    tracked.rang = tracked.rang or call.ringing_at is not None
    tracked.answered = tracked.answered or call.answered_at is not None
    if state is not None:
        if call.command_state == "claimed":
            await calls.write(sent(call.id))
        watch.state(tracked, state)  # what it became while nobody listened
        return
    value = await link.db_get(FAMILY, call.channel)
    if value is not None:
        log.info("call %s ended while nobody listened", call.id)
        await watch.ended_by_record(tracked, HangupRecord.parse(value))
    elif call.command_state == "claimed" and same_asterisk:
        log.info("call %s was never sent: it is due again", call.id)
        watch.untrack(call.channel)
        await calls.never_sent(call.id)
    else:
        log.warning("call %s is lost: Asterisk knows nothing of it", call.id)
        await watch.ended(tracked, CallOutcome.LOST, None)


async def _ran_all_the_time(link: Link) -> bool:
    """Whether this Asterisk has not been started again since one of us last connected; leaves the mark for the next."""
    answer = await link.action("Getvar", {"Variable": _SEEN})
    if answer.get("Value") == "1":
        return True
    await link.action("Setvar", {"Variable": _SEEN, "Value": "1"})
    return False
