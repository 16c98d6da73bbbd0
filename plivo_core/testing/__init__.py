"""Hypothesis strategies for those who fuzz the protocol, or their own agent.

The only part of ``plivo_core`` that imports hypothesis (extra ``testing``); it loads on first use.
"""

from plivo_core.testing._commands import commands
from plivo_core.testing._events import agent_events, events, hostile_messages, stream_events

__all__ = [
    "agent_events",
    "commands",
    "events",
    "hostile_messages",
    "stream_events",
]
