"""Prebuilt tools (PROTOCOL.md 12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plivo_core import agent
from plivo_core.commands import Command, SendDtmf, SessionCommands, Speak, serialize_command
from plivo_core.errors import InvalidCommandError
from plivo_core.events import ToolCall, parse_event

VECTOR_FILE = json.loads(
    (Path(__file__).parents[1] / "vectors" / "tools.json").read_text(encoding="utf-8")
)
COLLECTORS = [name for name in agent.__all__ if name.startswith("Collect")]


class Recorder(SessionCommands):
    """A session that keeps the wire objects it would send."""

    def __init__(self) -> None:
        self.wire: list[dict[str, object]] = []

    def send(self, command: Command, *, now: float | None = None) -> None:
        self.wire.append(serialize_command(command))


def vectors(kind: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTOR_FILE["vectors"] if vector["kind"] == kind]
    return pytest.mark.parametrize("vector", chosen, ids=lambda v: v["id"])


def tool_of(vector: dict[str, Any]) -> Any:
    return getattr(agent, vector["tool"])(**vector["args"])


def fits(actual: object, expected: object) -> bool:
    if expected == {"$match": "nonempty_string"}:
        return isinstance(actual, str) and actual != ""
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            fits(actual[key], expected[key]) for key in actual
        )
    if isinstance(actual, list) and isinstance(expected, list):
        return len(actual) == len(expected) and all(map(fits, actual, expected))
    return type(actual) is type(expected) and actual == expected


def model_calls(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id="t1", name=name, arguments=arguments)


# --- vectors ---


@vectors("schema")
def test_schemas_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    assert fits(tool_of(vector).tool, vector["expect"])


@vectors("call")
def test_calls_are_handled_as_the_vectors_say(vector: dict[str, Any]) -> None:
    tool, session, event = tool_of(vector), Recorder(), parse_event(vector["event"])
    assert isinstance(event, ToolCall)
    assert tool.match(event) is vector["match"]
    if vector["match"]:
        returned = tool.handle(session, event)
        assert fits(session.wire, vector["wire"])
        assert fits(returned, vector["returns"])


@vectors("definition")
def test_definitions_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    if "expect_error" in vector:
        with pytest.raises(TypeError):
            tool_of(vector)
    else:
        assert fits(tool_of(vector).definition, vector["expect"])


@pytest.mark.parametrize("hint", VECTOR_FILE["prompt_hints"], ids=lambda h: h["id"])
def test_prompt_hints_name_the_tool(hint: dict[str, Any]) -> None:
    assert hint["contains"] in tool_of(hint).prompt_hint


def test_every_kind_of_vector_is_run() -> None:
    kinds = {vector["kind"] for vector in VECTOR_FILE["vectors"]}
    assert kinds == {"schema", "call", "definition"}


# --- beyond them ---


@pytest.mark.parametrize(
    "tool", [agent.EndCall(), agent.SendDtmf(), agent.WarmTransfer(tool_name="to_sales")]
)
def test_a_tool_hands_out_copies_and_instructions_that_name_it(tool: Any) -> None:
    definition = tool.tool
    assert definition["name"] in tool.instructions
    definition["parameters"]["required"].append("x")
    definition["parameters"]["properties"].clear()
    assert tool.tool != definition


@pytest.mark.parametrize("reason", ["  ", 5, None, ["x"]])
def test_a_reason_that_is_blank_or_no_text_gets_the_default(reason: object) -> None:
    session = Recorder()
    returned = agent.EndCall().handle(session, model_calls("end_call", reason=reason))
    assert returned.strip()
    assert session.wire[1]["result"] == {"status": "ending", "reason": returned}


def test_an_empty_farewell_is_spoken_all_the_same() -> None:
    session = Recorder()
    agent.EndCall("").handle(session, model_calls("end_call"))
    assert session.wire[0] == serialize_command(Speak(""))


def test_digits_that_are_no_tones_reach_neither_the_wire_nor_the_error() -> None:
    session = Recorder()
    assert agent.SendDtmf().handle(session, model_calls("send_dtmf", digits="4711x")) == ""
    assert [message["type"] for message in session.wire] == ["tool.error"]
    assert "4711" not in str(session.wire)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: agent.EndCall(None), "goodbye_message"),
        (lambda: agent.WarmTransfer(["+1", " "]), "destination"),
        (lambda: agent.WarmTransfer("  "), "destination"),
        (lambda: agent.WarmTransfer(7), "destination"),
        (lambda: agent.WarmTransfer(None), "destination"),
        (lambda: agent.WarmTransfer("+1", dial_mode="roundrobin"), "dial_mode"),
        (lambda: agent.WarmTransfer("+1", timeout=0), "timeout"),
        (lambda: agent.WarmTransfer("+1", hold_message=None), "hold_message"),
        (lambda: agent.WarmTransfer("+1", tool_name=None), "tool_name"),
    ],
)
def test_a_tool_that_could_never_work_cannot_be_made(make: Any, argument: str) -> None:
    with pytest.raises(InvalidCommandError) as caught:
        make()
    assert caught.value.argument == argument


def test_a_transfer_may_be_made_of_an_iterator_and_used_twice() -> None:
    tool = agent.WarmTransfer(iter(["+1"]), hold_message="")
    for _ in range(2):
        session = Recorder()
        tool.handle(session, model_calls("transfer_to_human", reason="r"))
        assert session.wire[0]["destination"] == ["+1"]
    assert agent.WarmTransfer(iter([])).handle(Recorder(), model_calls("x")) == ""


def test_the_command_and_the_tool_of_one_name_are_two_things() -> None:
    assert agent.SendDtmf is not SendDtmf


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_hands_out_copies_and_a_hint_that_names_it(name: str) -> None:
    collector = getattr(agent, name)(tool_name="my_tool")
    assert "my_tool" in collector.prompt_hint
    definition = collector.definition
    definition["config"].clear()
    definition.clear()
    assert collector.definition["config"]["tool_name"] == "my_tool"
    with pytest.raises(TypeError):
        getattr(agent, name)("my_tool")


def test_the_label_stands_in_default_texts_only() -> None:
    named = agent.CollectDigits(label="PIN {x}")
    assert "PIN {x}" in named.tool_description
    assert "PIN {x}" in named.on_enter_message
    own = agent.CollectDigits(label="PIN", on_enter_message="", tool_description="{label}")
    assert own.definition == {
        "type": "collect_digits",
        "config": {
            "tool_name": "collect_digits",
            "tool_description": "{label}",
            "num_digits": 0,
            "label": "PIN",
            "require_confirmation": True,
            "on_enter_message": "",
            "timeout_s": 60.0,
        },
    }
