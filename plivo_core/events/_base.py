"""What every event that travels has in common, and the two registries of event classes.

An event class is a declaration: its fields in the order of PROTOCOL.md 9, with types and defaults.
The decorators :func:`agent_event` and :func:`stream_event` turn it into a frozen, slotted dataclass
and derive how it is read and written; nothing here knows any particular event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar, cast

from plivo_core._redact import hide, hide_numbers, redact, redact_member, show_size
from plivo_core.events._readers import READERS, Reader

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[object], object]:
        return lambda decorator: decorator


__all__ = [
    "AGENT_EVENTS",
    "AUDIO",
    "NUMBER",
    "SECRET",
    "STREAM_EVENTS",
    "AgentEvent",
    "Place",
    "StreamEvent",
    "StreamLayout",
    "WireEvent",
    "agent_event",
    "agent_readers",
    "at",
    "stream_event",
    "stream_layout",
]

# How a repr shows a field; without one it goes through redact().
SECRET: Mapping[str, object] = {"secret": True, "mask": hide}
NUMBER: Mapping[str, object] = {"mask": hide_numbers}
AUDIO: Mapping[str, object] = {"mask": show_size}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class WireEvent:
    """A message of the platform. Immutable and, because it holds mappings, not hashable.

    ``extra`` holds what no field does, under its wire name: members this version does not know and
    members whose value had the wrong JSON kind. It is written back by ``serialize_event``.
    """

    type: ClassVar[str]
    """The name on the wire, e.g. ``tool.called``."""

    extra: Mapping[str, object] = field(default_factory=dict[str, object])

    # One comparison and one repr for forty classes: generating them costs import time.
    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Fields that differ from their default; secrets, phone numbers and audio masked."""
        shown: list[str] = []
        masks: dict[str, Reader] = {}
        for f in fields(self):
            if f.name == "extra":
                continue
            mask = cast("Reader", f.metadata.get("mask", redact))
            if mask is not redact:
                masks[f.name] = mask
            value = getattr(self, f.name)
            if value != (f.default_factory() if callable(f.default_factory) else f.default):
                shown.append(f"{f.name}={_text(mask(value))}")
        if self.extra:
            # An unreadable member sits here under the name of the field that would have hidden it.
            extra = {
                key: masks[key](value) if key in masks else redact_member(key, value)
                for key, value in self.extra.items()
            }
            shown.append(f"extra={_text(extra)}")
        return f"{self.__class__.__name__}({', '.join(shown)})"


def _text(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - an object of the application's, inside arguments
        return "<unreadable>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class AgentEvent(WireEvent):
    """A message of the voice agent, named by ``type`` (PROTOCOL.md 9.1)."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class StreamEvent(WireEvent):
    """A message of the audio stream, named by ``event`` (PROTOCOL.md 9.2)."""


class Place(NamedTuple):
    """Where a member may stand: the objects that lead to it, and its name there."""

    parents: tuple[str, ...]
    key: str


class StreamLayout(NamedTuple):
    """How one kind of stream message maps to its class."""

    cls: type[StreamEvent]
    objects: tuple[tuple[str, ...], ...]  # nested objects, outer before inner
    members: Mapping[str, tuple[Reader, tuple[Place, ...]]]  # field -> how and where to read it


_agents: dict[str, type[AgentEvent]] = {}
_streams: dict[str, type[StreamEvent]] = {}
agent_readers: dict[str, Mapping[str, Reader]] = {}
stream_layout: dict[str, StreamLayout] = {}

AGENT_EVENTS: Mapping[str, type[AgentEvent]] = MappingProxyType(_agents)
"""Every agent event class by its wire name."""
STREAM_EVENTS: Mapping[str, type[StreamEvent]] = MappingProxyType(_streams)
"""Every stream event class by its wire name."""

_A = TypeVar("_A", bound=AgentEvent)
_S = TypeVar("_S", bound=StreamEvent)


def at(
    *paths: str, read: Reader | None = None, mask: Mapping[str, object] | None = None
) -> Mapping[str, object]:
    """Metadata of a stream field: where it travels, e.g. ``media.payload``, best place first.

    ``read`` replaces the reader that the annotation implies.
    """
    places = tuple(Place(tuple(path.split(".")[:-1]), path.split(".")[-1]) for path in paths)
    return {"at": places, "read": read, **(mask or {})}


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def agent_event(name: str) -> Callable[[type[_A]], type[_A]]:
    """Make a declaration the class of the agent event ``name``; fields are members of that name."""

    def make(declaration: type[_A]) -> type[_A]:
        cls = dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)(declaration)
        cls.type = name
        _agents[name] = cls
        agent_readers[name] = {
            f.name: READERS[cast("str", f.type)] for f in fields(cls) if f.name != "extra"
        }
        return cls

    return make


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def stream_event(name: str) -> Callable[[type[_S]], type[_S]]:
    """Make a declaration the class of the stream event ``name``; fields say their place (`at`)."""

    def make(declaration: type[_S]) -> type[_S]:
        cls = dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)(declaration)
        cls.type = name
        _streams[name] = cls
        members: dict[str, tuple[Reader, tuple[Place, ...]]] = {}
        objects: dict[tuple[str, ...], None] = {}
        for f in fields(cls):
            if f.name == "extra":
                continue
            places = cast("tuple[Place, ...]", f.metadata["at"])
            read = cast("Reader | None", f.metadata["read"])
            members[f.name] = (read or READERS[cast("str", f.type)], places)
            for place in places:
                for depth in range(1, len(place.parents) + 1):
                    objects[place.parents[:depth]] = None
        stream_layout[name] = StreamLayout(cls, tuple(objects), members)
        return cls

    return make
