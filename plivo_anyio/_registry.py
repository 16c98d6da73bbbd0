"""Which handler runs for which event: filled by VoiceApp's decorators, read by the lanes."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from plivo_core import ConfigError, Ended, InvalidMessage, ToolCallExpired, UnknownEvent

if TYPE_CHECKING:
    from plivo_anyio._session import CallSession

__all__ = ["AnyHandler", "Handler", "HandlerKey", "LifeHandler", "Registry"]

Handler: TypeAlias = "Callable[[CallSession, Any], Awaitable[object]]"
LifeHandler: TypeAlias = "Callable[[CallSession], Awaitable[object]]"
ErrorHandler: TypeAlias = "Callable[[CallSession, Any, Exception], Awaitable[object]]"
AnyHandler: TypeAlias = Callable[..., Awaitable[object]]
HandlerKey: TypeAlias = "str | type[object] | None"


def key_of(event: object) -> HandlerKey:
    """The wire name of an event, or the class of one that never was on the wire."""
    if isinstance(event, UnknownEvent):
        return event.type
    name = getattr(type(event), "type", None)
    return name if isinstance(name, str) else type(event)


def class_key(kind: type[object]) -> HandlerKey:
    """The key of an event class. Raises ConfigError for a class that is not one."""
    name = getattr(kind, "type", None)
    if isinstance(name, str):
        return name
    if kind in (InvalidMessage, ToolCallExpired, UnknownEvent):
        return kind
    if kind is Ended:
        raise ConfigError("Ended is not handled by on()", hint="use on_disconnect: session.ended")
    raise ConfigError(
        f"{kind.__name__} is not an event", hint="use a class of plivo_core.events or a wire name"
    )


def require_async(handler: Callable[..., object], what: str) -> None:
    """Raise ConfigError unless ``handler`` is an ``async def`` (or is called as one)."""
    call = getattr(handler, "__call__", handler)  # noqa: B004 - a bound async __call__ counts
    if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)):
        raise ConfigError(
            f"{what}: {getattr(handler, '__qualname__', handler)!r} is not an async function",
            hint="write 'async def'; sync handlers are not supported yet",
        )


class Registry:
    """Handlers by event; looked up once per event."""

    def __init__(self) -> None:
        self._named: dict[HandlerKey, Handler] = {}
        self._tools: dict[str, tuple[Handler, bool]] = {}
        self._chains: dict[HandlerKey, tuple[Handler, ...]] = {}
        self._catch_all: Handler | None = None
        self.on_connect: LifeHandler | None = None
        self.on_disconnect: LifeHandler | None = None
        self.on_handler_error: ErrorHandler | None = None

    def add(self, key: HandlerKey, handler: Handler, *, replace: bool) -> None:
        require_async(handler, f"handler of {key!r}")
        if key in self._named and not replace:
            raise ConfigError(
                f"there is a handler of {key!r} already: {_name(self._named[key])}",
                hint="pass replace=True to replace it",
            )
        self._named[key] = handler
        self._chains.clear()

    def add_tool(self, name: str, handler: Handler, *, ordered: bool, replace: bool) -> None:
        require_async(handler, f"tool {name!r}")
        if name in self._tools and not replace:
            raise ConfigError(
                f"there is a tool {name!r} already: {_name(self._tools[name][0])}",
                hint="pass replace=True to replace it",
            )
        self._tools[name] = (handler, ordered)

    def set_catch_all(self, handler: Handler, *, replace: bool) -> None:
        require_async(handler, "on_event")
        self.refuse_second("on_event", self._catch_all, replace=replace)
        self._catch_all = handler
        self._chains.clear()

    @staticmethod
    def refuse_second(what: str, present: object, *, replace: bool) -> None:
        if present is not None and not replace:
            raise ConfigError(
                f"there is an {what} handler already: {_name(present)}",
                hint="pass replace=True to replace it",
            )

    def chain(self, event: object) -> tuple[Handler, ...]:
        """The handlers of an event that is no tool call: the catch-all, then the named one."""
        key = key_of(event)
        chain = self._chains.get(key)
        if chain is None:
            named = self._named.get(key)
            if named is None and isinstance(event, UnknownEvent):
                named = self._named.get(UnknownEvent)
            chain = tuple(h for h in (self._catch_all, named) if h is not None)
            if named is not None or not isinstance(event, UnknownEvent):
                self._chains[key] = chain  # a peer may invent names; those are not remembered
        return chain

    def tool(self, name: str) -> tuple[Handler | None, bool]:
        """The handler that answers a tool, and whether it keeps the order of the control lane."""
        return self._tools.get(name, (self._named.get("tool.called"), False))

    @property
    def catch_all(self) -> Handler | None:
        return self._catch_all


def _name(handler: object) -> str:
    return str(getattr(handler, "__qualname__", handler))
