"""Plivo's side of the protocol, pure: :class:`PlatformCall` is one call without an account,
scripted step by step or as a scenario in TOML, :class:`PlatformApi` the account with its REST API.
The latter loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from plivo_core.platform._api import PlatformApi, counting_ids
    from plivo_core.platform._effects import (
        CallbackDue,
        CallDropped,
        CallPlaced,
        Effect,
        TargetsDialed,
    )
    from plivo_core.platform._faults import Fault as ApiFault
    from plivo_core.platform._state import Ids
    from plivo_core.platform._store import PlatformLimits, PlatformTimings

__all__ = [
    "AgentSettings",
    "AgentSpeaks",
    "ApiFault",
    "CallDropped",
    "CallMode",
    "CallPlaced",
    "CallbackDue",
    "CallerPlays",
    "CallerSays",
    "Closes",
    "Effect",
    "Emit",
    "Expect",
    "Fault",
    "Gap",
    "HangUp",
    "Ids",
    "Interrupt",
    "Never",
    "Observation",
    "Pause",
    "PlatformApi",
    "PlatformCall",
    "PlatformEvent",
    "PlatformLimits",
    "PlatformTimings",
    "PlaybackQueue",
    "RestFault",
    "Scenario",
    "ScenarioResult",
    "ScenarioRun",
    "SocketAction",
    "Step",
    "TargetsDialed",
    "Until",
    "agent_tool",
    "caller_presses",
    "caller_says",
    "counting_ids",
    "model_calls_tool",
]

_ON_FIRST_USE = {
    "CallDropped": "_effects",
    "CallPlaced": "_effects",
    "CallbackDue": "_effects",
    "Effect": "_effects",
    "Ids": "_state",
    "PlatformApi": "_api",
    "PlatformLimits": "_store",
    "PlatformTimings": "_store",
    "TargetsDialed": "_effects",
    "counting_ids": "_api",
}


def __getattr__(name: str) -> object:
    if name == "ApiFault":  # `Fault` is a step of a script
        from plivo_core.platform._faults import Fault as ApiFault

        return ApiFault
    module = _ON_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'plivo_core.platform' has no attribute {name!r}")
    return getattr(import_module(f"plivo_core.platform.{module}"), name)
