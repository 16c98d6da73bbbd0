"""The core's signatures, kept once: a method of the core, bound to a client, runs what it builds.

Type checkers see through :class:`Bound` (ParamSpec keeps names, kinds and defaults; the mark of the
client, :class:`Async` or :class:`Sync`, decides what a call gives), and so do ``help()`` and
``inspect.signature``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, cast, overload

from plivo_core.rest import Operation

__all__ = ["Async", "Bound", "Mode", "Resource", "Runner", "Sync", "methods"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Async:
    """Marks a client whose methods are awaited."""


class Sync:
    """Marks a client whose methods block."""


Mode = TypeVar("Mode", Async, Sync)

Runner: TypeAlias = Callable[[Callable[..., Operation[Any]]], Callable[..., Any]]
"""What a client gives its resources: from a method that builds an operation to one that runs it."""


class Resource(Generic[Mode, R]):
    """A node of a client's tree: the core's node and the client's runner."""

    def __init__(self, core: R, run: Runner) -> None:
        self._core = core
        self._run = run

    def _bind(self, name: str) -> Callable[..., Any]:
        return self._run(getattr(self._core, name))


def methods(resource: type[R]) -> R:
    """The class itself; to a type checker an instance, whose methods have no ``self`` any more."""
    return cast("R", resource)


class Bound(Generic[P, T]):
    """A method of the core as an attribute of a :class:`Resource`."""

    def __init__(self, method: Callable[P, Operation[T]]) -> None:
        self._method = method

    @overload
    def __get__(
        self, instance: Resource[Async, Any], owner: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...

    @overload
    def __get__(self, instance: Resource[Sync, Any], owner: type[Any]) -> Callable[P, T]: ...

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Callable[P, Operation[T]]: ...

    def __get__(self, instance: Resource[Any, Any] | None, owner: type[Any]) -> Callable[..., Any]:
        if instance is None:
            return self._method  # so that help() of a resource lists its methods
        name = self._method.__name__
        run = instance._bind(name)  # pyright: ignore[reportPrivateUsage]
        run.__name__, run.__qualname__ = name, f"{owner.__name__}.{name}"
        run.__module__, run.__doc__ = owner.__module__, self._method.__doc__
        run.__dict__["__signature__"] = self._signature
        instance.__dict__[name] = run  # from now on found before this descriptor
        return run

    @cached_property
    def _signature(self) -> inspect.Signature:
        """Without ``self``, and with T for Operation[T]."""
        signature = inspect.signature(self._method)
        result = str(signature.return_annotation).removeprefix("Operation[").removesuffix("]")
        _, *parameters = signature.parameters.values()
        return signature.replace(parameters=parameters, return_annotation=result)
