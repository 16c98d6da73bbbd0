"""Strategies for whole sessions and for REST answers: legal, complete, and of use."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from plivo_core import PlivoError, rest
from plivo_core.commands import SessionCommands
from plivo_core.errors import RateLimitError
from plivo_core.events import Event, ToolCall
from plivo_core.platform import CallMode, Fault, HangUp, Scenario
from plivo_core.rest import Done, Failed, Message, Page, Send, SleepUntil
from plivo_core.testing import (
    answer_objects,
    answers,
    page_objects,
    play_scenario,
    rest_failures,
    rest_responses,
    scenarios,
)
from tests.core._rest import an_account
from tests.core.test_rest_answers import ANSWERS

QUICK = settings(max_examples=12, derandomize=True, database=None, deadline=None)
SOME = settings(
    QUICK,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# --- REST -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ANSWERS, ids=lambda cls: cls.__name__)
def test_every_documented_member_is_of_a_kind_that_its_class_reads(cls: type[rest.Answer]) -> None:
    known = {f.metadata.get("name", f.name): f for f in fields(cls) if f.name != "raw"}

    @QUICK
    @given(answer_objects(cls))
    def check(raw: dict[str, Any]) -> None:
        read = cls.read(raw)
        for name, value in raw.items():
            if value is None or name not in known:
                assert name in known or name.startswith("x_")
            elif isinstance(value, list):
                assert len(getattr(read, known[name].name)) == len(value)
            else:
                assert getattr(read, known[name].name) == pytest.approx(value) or isinstance(
                    getattr(read, known[name].name), rest.Answer
                )

    check()


@given(answers(Message))
@QUICK
def test_answers_are_what_operations_return(message: Message) -> None:
    assert isinstance(message, Message)
    assert Message.read(message.raw) == message


@given(st.booleans(), st.integers(0, 40), st.data())
@QUICK
def test_a_page_is_the_last_one_or_not(last: bool, offset: int, data: Any) -> None:
    raw = data.draw(page_objects(Message, offset=offset, limit=2, last=last))
    page = listed(rest.Response(200, (), json_of(raw)), offset=offset)
    assert len(page.objects) == len(raw["objects"]) <= 2
    assert page.meta.offset == offset
    assert page.next_offset == (None if last else offset + 2)


def json_of(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw).encode()


def listed(response: rest.Response, **arguments: int) -> Page[Message]:
    operation = an_account().messages.list(limit=2, **arguments)
    operation.begin(now=0.0)
    step = operation.responded(response, now=0.0, wall_now=0.0)
    assert isinstance(step, Done)
    return step.value


@given(rest_responses(Message) | rest_responses(Message, page=True))
@SOME
def test_whatever_is_answered_an_operation_is_done_fails_or_tries_again(
    response: rest.Response,
) -> None:
    operation = an_account().messages.get("m1")
    assert isinstance(operation.begin(now=0.0), Send)
    step = operation.responded(response, now=0.0, wall_now=0.0)
    if response.status < 300:
        assert isinstance(step, Done)
    elif isinstance(step, SleepUntil):
        assert step.at >= 0.0
        assert isinstance(step.because, PlivoError)
    else:
        assert isinstance(step, Failed)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 503])
def test_failures_are_of_every_kind(status: int) -> None:
    assert found(rest_failures(), lambda response: response.status == status)


def test_failures_ask_to_wait_are_cut_or_come_from_a_proxy() -> None:
    waits = found(rest_failures(), lambda response: response.header("retry-after") == "120")
    operation = an_account().messages.create(dst="+14155550101", src="+14155550100", text="hi")
    operation.begin(now=0.0)
    step = operation.responded(waits, now=0.0, wall_now=0.0)
    if isinstance(step, Failed) and waits.status == 429:
        assert isinstance(step.error, RateLimitError)
    assert found(rest_failures(), lambda response: not response.complete)
    assert found(rest_failures(), lambda response: b"<html>" in response.body)


def found(strategy: st.SearchStrategy[Any], wanted: Any) -> Any:
    return find(
        strategy, wanted, settings=settings(SOME, max_examples=2000, phases=[Phase.generate])
    )


# --- sessions -------------------------------------------------------------------------------------


def react(session: SessionCommands, event: Event) -> None:
    if isinstance(event, ToolCall):
        session.send_tool_result(event.id, None)


@pytest.mark.parametrize("mode", ["agent", "text", "speech", "raw", "stream"])
def test_every_session_ends_with_the_caller_hanging_up(mode: CallMode) -> None:
    @QUICK
    @given(scenarios(mode))
    def check(scenario: Scenario) -> None:
        assert scenario.mode == mode
        assert isinstance(scenario.steps[-1], HangUp)
        result = play_scenario(scenario, react)
        assert result.ok
        assert result.ended is not None
        assert result.ended.code == 1000

    check()


@given(scenarios(faults=True))
@SOME
def test_every_session_with_faults_ends_as_well(scenario: Scenario) -> None:
    assert play_scenario(scenario, react).ended is not None


FAULTS = ["drop", "half_close", "stall", "reorder", "duplicate"]


@pytest.mark.parametrize("kind", [*FAULTS, "garbage", "binary", "oversized", "bad_frame", "split"])
def test_every_fault_is_drawn(kind: str) -> None:
    def has_it(scenario: Scenario) -> bool:
        return any(isinstance(step, Fault) and step.kind == kind for step in scenario.steps)

    assert found(scenarios("agent", faults=True, max_steps=3), has_it)
