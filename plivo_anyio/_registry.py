"""Which handler runs for which event: filled by VoiceApp's decorators, read by the lanes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from plivo_core import ConfigError, Ended, InvalidMessage, ToolCallExpired, UnknownEvent

__all__ = ["AnyHandler", "Chain", "Handler", "HandlerKey", "Registry", "is_async"]

AnyHandler: TypeAlias = Callable[..., object]
HandlerKey: TypeAlias = "str | type[object] | None"


class Handler(NamedTuple):
    """A function of the application, and whether it is a sync one, for the call's thread."""

    function: Callable[..., Any]
    threaded: bool


class Chain(NamedTuple):
    """All handlers of one event; ``threaded``: there are some, and all of them are sync."""

    handlers: tuple[Handler, ...]
    threaded: bool


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


def is_async(function: Callable[..., object]) -> bool:
    """Whether ``function`` is an ``async def`` (or is called as one). Decided once, here."""
    call = getattr(function, "__call__", function)  # noqa: B004 - a bound async __call__ counts
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def as_handler(function: object, what: str) -> Handler:
    """Raise ConfigError for what is no function at all."""
    if not callable(function):
        raise ConfigError(
            f"{what}: {function!r} is not a function",
            hint="decorate an 'async def' or a 'def'",
        )
    return Handler(function, not is_async(function))


class Registry:
    """Handlers by event; looked up once per event."""

    def __init__(self) -> None:
        self._named: dict[HandlerKey, Handler] = {}
        self._tools: dict[str, tuple[Handler, bool]] = {}
        self._chains: dict[HandlerKey, Chain] = {}
        self.catch_all: Handler | None = None
        self.on_connect: Handler | None = None
        self.on_disconnect: Handler | None = None
        self.on_handler_error: Handler | None = None

    def add(self, key: HandlerKey, function: AnyHandler, *, replace: bool) -> None:
        handler = as_handler(function, f"handler of {key!r}")
        if key in self._named and not replace:
            raise ConfigError(
                f"there is a handler of {key!r} already: {_name(self._named[key])}",
                hint="pass replace=True to replace it",
            )
        self._named[key] = handler
        self._chains.clear()

    def add_tool(self, name: str, function: AnyHandler, *, ordered: bool, replace: bool) -> None:
        handler = as_handler(function, f"tool {name!r}")
        if name in self._tools and not replace:
            raise ConfigError(
                f"there is a tool {name!r} already: {_name(self._tools[name][0])}",
                hint="pass replace=True to replace it",
            )
        self._tools[name] = (handler, ordered)

    def set_catch_all(self, function: AnyHandler) -> None:
        self.catch_all = self._life(function, "on_event", self.catch_all)
        self._chains.clear()

    def set_connect(self, function: AnyHandler) -> None:
        self.on_connect = self._life(function, "on_connect", self.on_connect)

    def set_disconnect(self, function: AnyHandler) -> None:
        self.on_disconnect = self._life(function, "on_disconnect", self.on_disconnect)

    def set_handler_error(self, function: AnyHandler) -> None:
        self.on_handler_error = self._life(function, "on_handler_error", self.on_handler_error)

    @staticmethod
    def _life(function: AnyHandler, what: str, present: Handler | None) -> Handler:
        handler = as_handler(function, what)
        if present is not None:
            raise ConfigError(f"there is an {what} handler already: {_name(present)}")
        return handler

    def chain(self, event: object) -> Chain:
        """The handlers of an event that is no tool call: the catch-all, then the named one."""
        key = key_of(event)
        chain = self._chains.get(key)
        if chain is None:
            named = self._named.get(key)
            if named is None and isinstance(event, UnknownEvent):
                named = self._named.get(UnknownEvent)
            handlers = tuple(h for h in (self.catch_all, named) if h is not None)
            chain = Chain(handlers, bool(handlers) and all(h.threaded for h in handlers))
            if named is not None or not isinstance(event, UnknownEvent):
                self._chains[key] = chain  # a peer may invent names; those are not remembered
        return chain

    def tool(self, name: str) -> tuple[Handler | None, bool]:
        """The handler that answers a tool, and whether it keeps the order of the control lane."""
        return self._tools.get(name, (self._named.get("tool.called"), False))


def _name(handler: Handler) -> str:
    return str(getattr(handler.function, "__qualname__", handler.function))
