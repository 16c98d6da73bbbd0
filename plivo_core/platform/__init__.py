"""Plivo's side of the protocol, pure: one call, scripted step by step or as a scenario in TOML."""

from plivo_core.platform._call import PlatformCall
from plivo_core.platform._observer import Observation
from plivo_core.platform._outbox import PlatformEvent
from plivo_core.platform._queue import Gap, PlaybackQueue
from plivo_core.platform._run import ScenarioResult, ScenarioRun, SocketAction
from plivo_core.platform._scenario import RestFault, Scenario
from plivo_core.platform._settings import AgentSettings, CallMode
from plivo_core.platform._steps import (
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Closes,
    Emit,
    Expect,
    Fault,
    HangUp,
    Interrupt,
    Never,
    Pause,
    Step,
    Until,
    agent_tool,
    caller_presses,
    caller_says,
    model_calls_tool,
)

__all__ = [
    "AgentSettings",
    "AgentSpeaks",
    "CallMode",
    "CallerPlays",
    "CallerSays",
    "Closes",
    "Emit",
    "Expect",
    "Fault",
    "Gap",
    "HangUp",
    "Interrupt",
    "Never",
    "Observation",
    "Pause",
    "PlatformCall",
    "PlatformEvent",
    "PlaybackQueue",
    "RestFault",
    "Scenario",
    "ScenarioResult",
    "ScenarioRun",
    "SocketAction",
    "Step",
    "Until",
    "agent_tool",
    "caller_presses",
    "caller_says",
    "model_calls_tool",
]
