"""Plivo's REST API, pure: an :class:`Account` builds operations, a driver of yours runs them.

Nothing here sends, waits or reads a clock; see :class:`Operation` for the loop around one.
"""

from plivo_core.rest._account import API_URL, LOOKUP_URL, Account
from plivo_core.rest._agent_calls import AgentCallsResource
from plivo_core.rest._agents import (
    AgentNumbersResource,
    AgentResources,
    AgentSessionsResource,
    AgentsResource,
)
from plivo_core.rest._base import Answer
from plivo_core.rest._calls import CallsResource
from plivo_core.rest._messages import MessagesResource
from plivo_core.rest._numbers import LookupResource, NumbersResource
from plivo_core.rest._operation import Done, Failed, Operation, Send, SleepUntil, Step
from plivo_core.rest._page import Page, PageMeta
from plivo_core.rest._request import NOT_GIVEN, VERSION, NotGiven, Request, Response
from plivo_core.rest._responses import (
    Agent,
    AgentNumber,
    AgentNumbers,
    AgentSession,
    AudioStream,
    AvailableNumber,
    BoughtNumber,
    CallConnected,
    CallDialed,
    CallInitiated,
    LookupCarrier,
    LookupCountry,
    LookupFormat,
    Media,
    Message,
    MessageCreated,
    NumberBought,
    NumberInfo,
    NumberUpdated,
    RentedNumber,
    StreamStarted,
)
from plivo_core.rest._retry import Jitter, RetryPolicy
from plivo_core.rest._vocabulary import Cause, Sent

__all__ = [
    "API_URL",
    "LOOKUP_URL",
    "NOT_GIVEN",
    "VERSION",
    "Account",
    "Agent",
    "AgentCallsResource",
    "AgentNumber",
    "AgentNumbers",
    "AgentNumbersResource",
    "AgentResources",
    "AgentSession",
    "AgentSessionsResource",
    "AgentsResource",
    "Answer",
    "AudioStream",
    "AvailableNumber",
    "BoughtNumber",
    "CallConnected",
    "CallDialed",
    "CallInitiated",
    "CallsResource",
    "Cause",
    "Done",
    "Failed",
    "Jitter",
    "LookupCarrier",
    "LookupCountry",
    "LookupFormat",
    "LookupResource",
    "Media",
    "Message",
    "MessageCreated",
    "MessagesResource",
    "NotGiven",
    "NumberBought",
    "NumberInfo",
    "NumberUpdated",
    "NumbersResource",
    "Operation",
    "Page",
    "PageMeta",
    "RentedNumber",
    "Request",
    "Response",
    "RetryPolicy",
    "Send",
    "Sent",
    "SleepUntil",
    "Step",
    "StreamStarted",
]
