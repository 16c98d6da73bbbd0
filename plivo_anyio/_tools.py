"""Tools whose handlers take their arguments by name: checked first, answered when they do not fit.

    @app.tool(schema=True)
    async def lookup_order(session, order_id: str, limit: int = 5) -> dict: ...

becomes an ordinary tool handler, ``(session, call)``, and an entry for the agent's configuration
(PROTOCOL.md 5.3: ``{name, description, parameters}``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plivo_anyio._logging import logger
from plivo_anyio._schema import Misfit, Parameters, tool_parameters
from plivo_core import ConfigError, LocalProtocolError
from plivo_core.events import ToolCall

if TYPE_CHECKING:
    from plivo_anyio._session import CallSession

__all__ = ["TypedTool", "check_tool_options", "name_of"]


def check_tool_options(name: object, *, schema: bool, description: str | None) -> None:
    """Raise ConfigError for what ``app.tool`` cannot mean; before there is a handler to name."""
    if name is not None and not isinstance(name, str):
        raise ConfigError("a tool's name must be a str", hint="write @app.tool() with parentheses")
    if description is not None and not schema:
        raise ConfigError("description goes with schema=True", hint="pass both or neither")


def name_of(handler: object) -> str:
    """What a tool is called that was given no name. Raises ConfigError."""
    own: object = getattr(handler, "__name__", None)
    if not isinstance(own, str):
        raise ConfigError(f"{handler!r} has no name", hint="write @app.tool('name')")
    return own


class TypedTool:
    """What the type hints and the docstring of one handler say. Raises ConfigError."""

    __slots__ = ("_description", "_handler", "_name", "_parameters")

    def __init__(
        self, name: str, handler: Callable[..., Any], *, description: str | None = None
    ) -> None:
        self._name = name
        self._handler = handler
        self._parameters: Parameters = tool_parameters(handler, name)
        if description is None:
            # That of a function only: any other object's may be its class's.
            description = inspect.getdoc(handler) if inspect.isroutine(handler) else None
        self._description = description or ""

    @property
    def definition(self) -> dict[str, object]:
        """The entry for the agent's ``tools``; a new object each time."""
        return {
            "name": self._name,
            "description": self._description,
            "parameters": self._parameters.schema,
        }

    def handler(self) -> Callable[[CallSession, ToolCall], Any]:
        """A ``(session, call)`` handler, async if and only if the handler is."""
        inner = self._handler

        async def answer(session: CallSession, call: ToolCall) -> object:
            arguments = self._read(session, call)
            return None if arguments is None else await inner(session, **arguments)

        def answer_sync(session: CallSession, call: ToolCall) -> object:
            arguments = self._read(session, call)
            return None if arguments is None else inner(session, **arguments)

        called = getattr(inner, "__call__", inner)  # noqa: B004 - a bound async __call__ counts
        is_async = inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(called)
        return functools.update_wrapper(answer if is_async else answer_sync, inner)

    def _read(self, session: CallSession, call: ToolCall) -> dict[str, Any] | None:
        """The handler's keywords; None: they did not fit, and the model was told."""
        try:
            return self._parameters.read(call.arguments)
        except Misfit as misfit:
            about = {"call_uuid": session.call_uuid, "agent_session_id": session.agent_session_id}
            logger.info("tool %r was not called: %s", self._name, misfit, extra=about)
            if call.id:
                try:
                    session.send_tool_error(call.id, str(misfit))
                except LocalProtocolError:
                    pass  # the catch-all has answered
            return None
