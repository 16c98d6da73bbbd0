"""Plivo's side of the protocol, pure: :class:`PlatformCall` scripts one call without an account,
:class:`PlatformApi` is the account with its REST API. The latter loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from plivo_core.platform._api import PlatformApi, counting_ids
    from plivo_core.platform._effects import (
        CallbackDue,
        CallDropped,
        CallPlaced,
        Effect,
        TargetsDialed,
    )
    from plivo_core.platform._faults import Fault
    from plivo_core.platform._state import Ids
    from plivo_core.platform._store import PlatformLimits, PlatformTimings

__all__ = [
    "AgentSpeaks",
    "CallDropped",
    "CallPlaced",
    "CallbackDue",
    "CallerPlays",
    "Effect",
    "Emit",
    "Expect",
    "Fault",
    "Gap",
    "HangUp",
    "Ids",
    "Interrupt",
    "Observation",
    "Pause",
    "PlatformApi",
    "PlatformCall",
    "PlatformEvent",
    "PlatformLimits",
    "PlatformTimings",
    "PlaybackQueue",
    "Step",
    "TargetsDialed",
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
    "Fault": "_faults",
    "Ids": "_state",
    "PlatformApi": "_api",
    "PlatformLimits": "_store",
    "PlatformTimings": "_store",
    "TargetsDialed": "_effects",
    "counting_ids": "_api",
}


def __getattr__(name: str) -> object:
    module = _ON_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'plivo_core.platform' has no attribute {name!r}")
    return getattr(import_module(f"plivo_core.platform.{module}"), name)
