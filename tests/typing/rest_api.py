"""The REST surface as users type it. Checked by mypy and pyright, never run.

A line that must not type-check carries an ignore; mypy fails on one that is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import httpx
from typing_extensions import assert_type

from plivo_core.agent import Pipeline
from plivo_core.rest import (
    Account,
    Agent,
    AgentNumbers,
    AgentSession,
    AvailableNumber,
    CallInitiated,
    Cause,
    Done,
    Failed,
    Message,
    MessageCreated,
    NumberBought,
    NumberInfo,
    Operation,
    Page,
    RentedNumber,
    Response,
    RetryPolicy,
    Send,
    Sent,
    SleepUntil,
    Step,
    StreamStarted,
)
from plivo_httpx_adapter import AsyncClient, Client


def account(a: Account) -> None:
    assert_type(a.messages.create(dst="+1", src="+2", text="x"), Operation[MessageCreated])
    assert_type(a.messages.list(limit=5, message_state="sent"), Operation[Page[Message]])
    assert_type(a.messages.get("m").request.method, str)
    assert_type(a.agent.agents.delete("a"), Operation[None])
    assert_type(a.agent.sessions.get("s", agent_uuid="a"), Operation[AgentSession])
    assert_type(a.numbers.lookup.get("+1", type="carrier"), Operation[NumberInfo])
    a.messages.get(uuid="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    a.messages.create(text="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def on_asyncio_or_trio(c: AsyncClient) -> None:
    assert_type(await c.messages.create(dst=["+1"], src="+2", text="x"), MessageCreated)
    assert_type(await c.messages.list(limit=5, message_state="sent"), Page[Message])
    assert_type((await c.messages.list()).objects, Sequence[Message])
    assert_type(await c.messages.get("m"), Message)
    assert_type(await c.agent.agents.create("n", websocket_url="wss://x"), Agent)
    await c.agent.agents.create("n", websocket_url="wss://x", **Pipeline().to_body())
    assert_type(await c.agent.agents.delete("a"), None)
    assert_type(await c.agent.calls.initiate("a", from_="+1", to="+2"), CallInitiated)
    assert_type(await c.agent.numbers.list("a"), AgentNumbers)
    assert_type(await c.agent.sessions.list(agent_uuid="a"), Page[AgentSession])
    assert_type(await c.calls.start_stream("c", service_url="wss://x"), StreamStarted)
    assert_type(await c.numbers.buy("+1", app_id="7", anything="passes"), NumberBought)
    assert_type(await c.numbers.search("US", type="local"), Page[AvailableNumber])
    assert_type(await c.numbers.lookup.get("+1"), NumberInfo)

    await c.messages.get(uuid="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await c.messages.get(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await c.messages.create(text="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await c.agent.calls.initiate("a", "+1", "+2")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    assert_type(c.iterate(c.account.messages.list()), AsyncIterator[Message])
    c.iterate(c.account.messages.list(), timeout=5, retry=RetryPolicy())
    async for message in c.iterate(c.account.messages.list(message_state="failed")):
        assert_type(message, Message)
    assert_type(await c.send(c.account.numbers.get("+1"), timeout=5), RentedNumber)
    patient = c.with_options(timeout=60.0, retry=RetryPolicy(max_retries=5))
    assert_type(patient, AsyncClient)
    assert_type(await patient.messages.get("m"), Message)


def on_a_thread(c: Client) -> None:
    assert_type(c.messages.create(dst="+1", src="+2", text="x"), MessageCreated)
    assert_type(c.messages.list(limit=5, message_state="sent"), Page[Message])
    assert_type(c.messages.list().objects[0], Message)
    assert_type(c.agent.agents.update("a", stt=None), Agent)
    assert_type(c.agent.agents.delete("a"), None)
    assert_type(c.numbers.lookup.get("+1"), NumberInfo)

    c.messages.get(uuid="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    c.messages.list(limit="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    c.numbers.search()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    assert_type(c.iterate(c.account.numbers.list()), Iterator[RentedNumber])
    c.iterate(c.account.numbers.get("+1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(c.send(c.account.messages.list()), Page[Message])
    assert_type(c.with_options(retry=RetryPolicy(max_retries=0)), Client)


async def settings(theirs: httpx.AsyncClient, plain: httpx.Client) -> None:
    AsyncClient("MA", "token", base_url="https://x", timeout=5, http_client=theirs)
    Client(auth_id="MA", auth_token="token", retry=RetryPolicy(), http_client=plain)
    Client(http_client=theirs)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with AsyncClient() as a:
        assert_type(a, AsyncClient)
    with Client() as b:
        assert_type(b, Client)


def by_hand(op: Operation[MessageCreated], response: Response) -> MessageCreated | None:
    step = op.begin(now=0.0)
    assert_type(step, Step[MessageCreated])
    while not isinstance(step, (Done, Failed)):
        if isinstance(step, Send):
            assert_type(step.request.body, bytes | None)
            step = op.responded(response, now=0.0, wall_now=0.0)
        else:
            assert_type(step, SleepUntil)
            step = op.lost(Cause.BROKEN, Sent.MAYBE, now=step.at)
    return step.value if isinstance(step, Done) else None
