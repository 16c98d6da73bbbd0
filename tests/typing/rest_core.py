"""The REST core as users type it. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing_extensions import assert_type

from plivo_core.rest import (
    Account,
    AgentNumbers,
    CallInitiated,
    Cause,
    Done,
    Failed,
    Message,
    MessageCreated,
    NumberInfo,
    Operation,
    Page,
    Response,
    RetryPolicy,
    Send,
    Sent,
    SleepUntil,
    Step,
)

account = Account("MA", "token", retry=RetryPolicy(max_retries=1))

assert_type(account.messages.create(dst=["+1"], src="+2", text="x"), Operation[MessageCreated])
assert_type(account.messages.list(message_state="failed"), Operation[Page[Message]])
assert_type(account.agent.calls.initiate("a", from_="+1", to="+2"), Operation[CallInitiated])
assert_type(account.agent.numbers.list("a"), Operation[AgentNumbers])
assert_type(account.agent.agents.delete("a"), Operation[None])
assert_type(account.numbers.lookup.get("+1", type="carrier"), Operation[NumberInfo])
account.agent.agents.update("a", stt=None, semantic_vad="high", something_new=1)
account.messages.create(dst="+1", txt="x")  # an unlisted field passes through
account.messages.create(src="+1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
account.messages.get(message_uuid=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def drive(op: Operation[Page[Message]], now: float) -> Page[Message] | None:
    step = op.begin(now=now, jitter=lambda wait: wait)
    assert_type(step, Step[Page[Message]])
    if isinstance(step, Send):
        step = op.responded(Response(200, [("a", "b")], b"{}"), now=now, wall_now=now)
    if isinstance(step, SleepUntil):
        step = op.wake(now=step.at)
    if isinstance(step, Send):
        step = op.lost(Cause.TIMEOUT, Sent.MAYBE, now=now)
    if isinstance(step, Done):
        page = step.value
        assert_type(page.objects[0].message_uuid, str)
        assert_type(page.next_page(), Operation[Page[Message]] | None)
        return page
    if isinstance(step, Failed):
        raise step.error
    assert_type(step, Send | SleepUntil)
    return None
