"""Strategies for those who fuzz the protocol, or their own agent, and a player of scenarios.

The only part of ``plivo_core`` that imports hypothesis (extra ``testing``); it loads on first use.
"""

from plivo_core.testing._agent_end import AgentEnd, AgentError, ReactingAgent
from plivo_core.testing._calls import CallMode, conversations, scripts
from plivo_core.testing._commands import commands
from plivo_core.testing._events import agent_events, events, hostile_messages, stream_events
from plivo_core.testing._machine import AgentMachine
from plivo_core.testing._play import play_scenario
from plivo_core.testing._rest import (
    answer_objects,
    answers,
    page_objects,
    rest_failures,
    rest_responses,
)
from plivo_core.testing._scenarios import scenarios
from plivo_core.testing._wire import chunkings, client_frames, hostile_frames, hostile_heads

__all__ = [
    "AgentEnd",
    "AgentError",
    "AgentMachine",
    "CallMode",
    "ReactingAgent",
    "agent_events",
    "answer_objects",
    "answers",
    "chunkings",
    "client_frames",
    "commands",
    "conversations",
    "events",
    "hostile_frames",
    "hostile_heads",
    "hostile_messages",
    "page_objects",
    "play_scenario",
    "rest_failures",
    "rest_responses",
    "scenarios",
    "scripts",
    "stream_events",
]
