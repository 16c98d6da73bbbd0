"""Plivo's side of the protocol, pure: enough of it to script one call without an account."""

from plivo_core.platform._call import Observation, PlatformCall, PlatformEvent
from plivo_core.platform._queue import Gap, PlaybackQueue
from plivo_core.platform._steps import (
    AgentSpeaks,
    CallerPlays,
    Emit,
    Expect,
    HangUp,
    Interrupt,
    Pause,
    Step,
    agent_tool,
    caller_presses,
    caller_says,
    model_calls_tool,
)

__all__ = [
    "AgentSpeaks",
    "CallerPlays",
    "Emit",
    "Expect",
    "Gap",
    "HangUp",
    "Interrupt",
    "Observation",
    "Pause",
    "PlatformCall",
    "PlatformEvent",
    "PlaybackQueue",
    "Step",
    "agent_tool",
    "caller_presses",
    "caller_says",
    "model_calls_tool",
]
