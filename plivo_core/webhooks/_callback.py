"""What every typed callback has in common: how it is read from parameters, and what a repr shows.

A class is a declaration; :func:`callback` turns it into a frozen, slotted dataclass and derives
both spellings of each parameter from the field's name: ``call_uuid`` reads ``CallUUID``, as
classic callbacks write it, and ``call_uuid``, as those of agents do (PROTOCOL.md 7.6, 7.7, D-19).
Signatures are not its business: read what a verifier has passed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, cast

from plivo_core._redact import hide, hide_numbers, redact_setting, show_size
from plivo_core.events._readers import read_number, read_text_or_number
from plivo_core.webhooks._params import Params

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[object], object]:
        return lambda decorator: decorator


__all__ = [
    "CALLBACKS",
    "HIDDEN",
    "PHONE",
    "SIZED",
    "Callback",
    "CallbackParameters",
    "callback",
    "many",
]

CallbackParameters: TypeAlias = Mapping[str, object] | Iterable[tuple[str, object]]
"""What a verifier gives, a JSON object, or the pairs of a form or query in their order.

In a mapping a list stands for a parameter given several times, as ``urllib.parse.parse_qs`` makes
them.
"""

_Reader: TypeAlias = Callable[[object], object]
_Mask: TypeAlias = Callable[[object], object]
_Builder: TypeAlias = Callable[[Mapping[str, str]], object]

# How a repr shows a field; without one it goes by the field's name.
PHONE: Mapping[str, object] = {"mask": hide_numbers}
HIDDEN: Mapping[str, object] = {"mask": hide}
SIZED: Mapping[str, object] = {"mask": show_size}

# Words that the classic spelling writes in capitals; all others only begin with one.
_CAPITALS = frozenset({"id", "mcc", "mnc", "stir", "uuid"})
# Parameters without a field, by name: legs and members of a call, and what callers' systems attach.
_NUMBER_NAME = re.compile(r"(?:From|To|Number)|(?:.*[a-z0-9])(?:From|To|Number)|.*_(?:from|to)")
_HEADER_NAME = re.compile(r"(?:SIP-H|X-PH)-.*", re.IGNORECASE | re.DOTALL)


def _read_flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


# JSON may carry as a number what forms carry as text.
_READERS: Mapping[str, _Reader] = {
    "str": read_text_or_number,
    "Number | None": read_number,
    "bool | None": _read_flag,
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Callback:
    """A request of the platform, read. Immutable and, because it holds mappings, not hashable.

    A parameter that is missing, null or, unless it is text, blank leaves its field at the default.
    So does one that cannot be read, or was given twice with different values; those stay in
    ``extra`` under their wire names, as does every parameter that no field knows.
    """

    kind: ClassVar[str] = ""
    """What :func:`parse_callback` calls it, e.g. ``hangup``."""

    extra: Mapping[str, object] = field(default_factory=dict[str, object])

    _names: ClassVar[Mapping[str, str]] = {}  # wire name -> field
    _readers: ClassVar[Mapping[str, _Reader]] = {}
    _masks: ClassVar[Mapping[str, _Mask]] = {}
    _many: ClassVar[tuple[tuple[str, re.Pattern[str], _Builder], ...]] = ()

    @classmethod
    def parse(cls, params: CallbackParameters) -> Self:
        """Of the parameters of one request. What a peer sent never makes it raise.

        Raises TypeError for a body that was not decoded yet.
        """
        given = _by_name(params)
        spellings: dict[str, list[str]] = {}
        collected: dict[str, dict[str, str]] = {}
        values: dict[str, Any] = {}
        extra: dict[str, object] = {}
        for name, value in given.items():
            known = cls._names.get(name)
            if known is not None:
                spellings.setdefault(known, []).append(name)
                continue
            home = next((one for one, pattern, _ in cls._many if pattern.fullmatch(name)), None)
            text = None if home is None else _agreed(value)
            if home is not None and isinstance(text, str):
                collected.setdefault(home, {})[name] = text
            else:
                extra[name] = value
        for member, names in spellings.items():
            value = _agreed([one for name in names for one in _values(given[name])])
            read = cls._readers[member]
            if value is None or (value == "" and read is not read_text_or_number):
                continue
            value = None if value is _CONFLICT else read(value)
            if value is None:
                extra.update((name, given[name]) for name in names)
            else:
                values[member] = value
        for home, _, build in cls._many:
            if home in collected:
                values[home] = build(collected[home])
        return cls(extra=extra, **values)

    # One comparison and one repr for all classes: generating them costs import time.
    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]

    def masked(self) -> dict[str, object]:
        """Fields that differ from their default; personal data, secrets and addresses masked.

        What has no field is under ``extra``. Marks such as ``<masked>`` stand for what is hidden.
        """
        empty = self.__class__()
        shown = {
            f.name: self._shown(f.name, value)
            for f in fields(self)
            if f.name != "extra" and (value := getattr(self, f.name)) != getattr(empty, f.name)
        }
        if self.extra:
            shown["extra"] = {
                name: self._shown(self._names.get(name, name), value)
                for name, value in self.extra.items()
            }
        return shown

    def __repr__(self) -> str:
        """What :meth:`masked` holds."""
        shown = [f"{name}={value!r}" for name, value in self.masked().items()]
        return f"{self.__class__.__name__}({', '.join(shown)})"

    def _shown(self, name: str, value: object) -> object:
        mask = self._masks.get(name)
        if mask is not None:
            return mask(value)
        if _HEADER_NAME.fullmatch(name):
            return hide(value)
        if _NUMBER_NAME.fullmatch(name):
            return hide_numbers(value)
        return redact_setting(name, value)


class _Conflict:
    """A parameter was given with more than one value."""


_CONFLICT = _Conflict()


def _by_name(params: CallbackParameters) -> Mapping[str, object]:
    if isinstance(params, Params):  # as a mapping it refuses names that came twice
        params = params.pairs
    if isinstance(params, Mapping):
        return cast("Mapping[str, object]", params)
    if isinstance(params, (str, bytes, bytearray, memoryview)):
        raise TypeError(
            f"params must be a mapping or pairs, not {type(params).__name__}: decode the body first"
        )
    lists: dict[str, list[object]] = {}
    for name, value in params:
        lists.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in lists.items()}


def _values(value: object) -> list[object]:
    # An empty list is a value of the wrong kind, not none at all.
    return cast("list[object]", value) if isinstance(value, list) and value else [value]


def _agreed(value: object) -> object:
    """The one value that was given, however often."""
    values = _values(value)
    return values[0] if all(one == values[0] for one in values) else _CONFLICT


def many(pattern: str, build: _Builder, mask: _Mask) -> Mapping[str, object]:
    """Metadata: all parameters whose names match, made into one field."""
    return {"many": (re.compile(pattern, re.IGNORECASE), build), "mask": mask}


_classes: dict[str, type[Callback]] = {}

CALLBACKS: Mapping[str, type[Callback]] = MappingProxyType(_classes)
"""Every class of callback by its kind."""

C = TypeVar("C", bound=Callback)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def callback(kind: str) -> Callable[[type[C]], type[C]]:
    """Make a declaration the class of callbacks of that kind.

    A field reads the parameters of its name in either spelling, and those its metadata names
    under ``also``.
    """

    def make(declaration: type[C]) -> type[C]:
        cls = dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)(declaration)
        names: dict[str, str] = {}
        readers: dict[str, _Reader] = {}
        masks: dict[str, _Mask] = {}
        collectors: list[tuple[str, re.Pattern[str], _Builder]] = []
        for f in fields(cls):
            if "mask" in f.metadata:
                masks[f.name] = f.metadata["mask"]
            if "many" in f.metadata:
                collectors.append((f.name, *f.metadata["many"]))
            elif f.name != "extra":
                readers[f.name] = _READERS[cast("str", f.type)]
                snake = f.name.rstrip("_")
                for name in (_classic(snake), snake, *f.metadata.get("also", ())):
                    names[name] = f.name
        cls.kind = kind
        cls._names = names  # pyright: ignore[reportPrivateUsage]
        cls._readers = readers  # pyright: ignore[reportPrivateUsage]
        cls._masks = masks  # pyright: ignore[reportPrivateUsage]
        cls._many = tuple(collectors)  # pyright: ignore[reportPrivateUsage]
        _classes[kind] = cls
        return cls

    return make


def _classic(snake: str) -> str:
    """``stir_verification`` as ``STIRVerification``."""
    return "".join(
        word.upper() if word in _CAPITALS else word.capitalize() for word in snake.split("_")
    )
