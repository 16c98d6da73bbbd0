"""The tree of both clients: where each method of the core hangs, and nothing about it.

A test holds it equal to the tree of :class:`~plivo_core.rest.Account`.
"""

from __future__ import annotations

from functools import cached_property

from plivo_core.rest import (
    AgentCallsResource,
    AgentNumbersResource,
    AgentResources,
    AgentSessionsResource,
    AgentsResource,
    CallsResource,
    LookupResource,
    MessagesResource,
    NumbersResource,
)
from plivo_httpx_adapter._binding import Bound, Mode, Resource, methods

__all__ = [
    "Agent",
    "AgentCalls",
    "AgentNumbers",
    "AgentSessions",
    "Agents",
    "Calls",
    "Lookup",
    "Messages",
    "Numbers",
]


class Agents(Resource[Mode, AgentsResource]):
    """``agent.agents``"""

    create = Bound(methods(AgentsResource).create)
    get = Bound(methods(AgentsResource).get)
    list = Bound(methods(AgentsResource).list)
    update = Bound(methods(AgentsResource).update)
    delete = Bound(methods(AgentsResource).delete)


class AgentCalls(Resource[Mode, AgentCallsResource]):
    """``agent.calls``"""

    initiate = Bound(methods(AgentCallsResource).initiate)
    connect = Bound(methods(AgentCallsResource).connect)
    dial = Bound(methods(AgentCallsResource).dial)


class AgentNumbers(Resource[Mode, AgentNumbersResource]):
    """``agent.numbers``"""

    assign = Bound(methods(AgentNumbersResource).assign)
    list = Bound(methods(AgentNumbersResource).list)
    unassign = Bound(methods(AgentNumbersResource).unassign)


class AgentSessions(Resource[Mode, AgentSessionsResource]):
    """``agent.sessions``"""

    get = Bound(methods(AgentSessionsResource).get)
    list = Bound(methods(AgentSessionsResource).list)


class Agent(Resource[Mode, AgentResources]):
    """``agent``"""

    @cached_property
    def agents(self) -> Agents[Mode]:
        """What answers and talks."""
        return Agents(self._core.agents, self._run)

    @cached_property
    def calls(self) -> AgentCalls[Mode]:
        """Calls that an agent leads."""
        return AgentCalls(self._core.calls, self._run)

    @cached_property
    def numbers(self) -> AgentNumbers[Mode]:
        """The numbers of an agent."""
        return AgentNumbers(self._core.numbers, self._run)

    @cached_property
    def sessions(self) -> AgentSessions[Mode]:
        """Conversations, running and over."""
        return AgentSessions(self._core.sessions, self._run)


class Calls(Resource[Mode, CallsResource]):
    """``calls``"""

    hangup = Bound(methods(CallsResource).hangup)
    start_stream = Bound(methods(CallsResource).start_stream)
    list_streams = Bound(methods(CallsResource).list_streams)
    get_stream = Bound(methods(CallsResource).get_stream)
    stop_stream = Bound(methods(CallsResource).stop_stream)
    stop_streams = Bound(methods(CallsResource).stop_streams)


class Messages(Resource[Mode, MessagesResource]):
    """``messages``"""

    create = Bound(methods(MessagesResource).create)
    get = Bound(methods(MessagesResource).get)
    list = Bound(methods(MessagesResource).list)
    list_media = Bound(methods(MessagesResource).list_media)


class Lookup(Resource[Mode, LookupResource]):
    """``numbers.lookup``"""

    get = Bound(methods(LookupResource).get)


class Numbers(Resource[Mode, NumbersResource]):
    """``numbers``"""

    list = Bound(methods(NumbersResource).list)
    get = Bound(methods(NumbersResource).get)
    buy = Bound(methods(NumbersResource).buy)
    update = Bound(methods(NumbersResource).update)
    delete = Bound(methods(NumbersResource).delete)
    search = Bound(methods(NumbersResource).search)

    @cached_property
    def lookup(self) -> Lookup[Mode]:
        """Who a number belongs to."""
        return Lookup(self._core.lookup, self._run)
