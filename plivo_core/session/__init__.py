"""The message-level state machine of a call, with its transition table and its bookkeeping."""

from plivo_core.session._digits import DigitGatherer, Digits, DigitSource
from plivo_core.session._output import Output, Pending
from plivo_core.session._session import Closing, MediaFormat, Session
from plivo_core.session._state import TRANSITIONS, Input, State
from plivo_core.session._toolcalls import ToolCalls, ToolCallState

__all__ = [
    "TRANSITIONS",
    "Closing",
    "DigitGatherer",
    "DigitSource",
    "Digits",
    "Input",
    "MediaFormat",
    "Output",
    "Pending",
    "Session",
    "State",
    "ToolCallState",
    "ToolCalls",
]
