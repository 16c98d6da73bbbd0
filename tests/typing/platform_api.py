"""The simulated account as users type it. For type checkers; never run."""

from __future__ import annotations

import anyio
from typing_extensions import assert_type

from plivo_anyio import random_ids, serve_platform
from plivo_core import Request, Response
from plivo_core.platform import (
    ApiFault,
    CallbackDue,
    CallDropped,
    CallPlaced,
    Effect,
    Ids,
    PlatformApi,
    PlatformCall,
    PlatformLimits,
    PlatformTimings,
    TargetsDialed,
    counting_ids,
)

ids: Ids = counting_ids()
api = PlatformApi(
    "MALOCAL",
    "token",
    ids=random_ids,
    subaccounts={"SALOCAL": "other"},
    limits=PlatformLimits(max_agents=3),
    timings=PlatformTimings(sent_after=1.0),
    faults=[ApiFault(status=429, operation="messages.create", times=None, retry_after="1")],
)
request = Request(method="GET", target="/v1/Account/MALOCAL/Agent")
assert_type(api.handle(request, now=1.0, wall_now=2.0), Response)
assert_type(api.deadline(), "float | None")
assert_type(api.receive_call(from_="+1", to="+2", now=1.0, wall_now=2.0), "str | None")


def do(effect: Effect) -> None:
    if isinstance(effect, CallPlaced):
        assert_type(effect.session_id, "str | None")
        api.call_began(effect.connection_id, now=3.0)
        api.call_ended(effect.connection_id, now=4.0, turn_count=2, record_url="https://h")
    elif isinstance(effect, CallbackDue):
        assert_type(effect.body, bytes)
        api.callback_answered(effect.id, 200, b"", now=4.0)
        api.callback_lost(effect.id, connected=False, now=4.0)
    elif isinstance(effect, CallDropped):
        assert_type(effect.call_uuid, str)
    else:
        assert_type(effect, TargetsDialed)
        assert_type(effect.targets[0], str)


def make_call(placed: CallPlaced) -> PlatformCall:
    return PlatformCall(mode=placed.mode, stream_id=placed.stream_id)


async def serve() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_platform, api, "127.0.0.1", 0)
        await serve_platform(api, make_call=make_call, on_effect=do, allow_remote=True)
