"""What every answer has in common: typed fields for what is documented, ``raw`` for all of it.

A class is a declaration; :func:`answer` turns it into a frozen, slotted dataclass and derives from
the annotations how it is read. A member of the wrong JSON kind leaves its field at the default and
stays in ``raw``: an odd answer must not hide that the request succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, cast

from plivo_core._redact import hide, hide_numbers, redact_setting
from plivo_core.errors import mask_path
from plivo_core.events import Number
from plivo_core.events._readers import READERS, read_number, read_text_or_number

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[object], object]:
        return lambda decorator: decorator


__all__ = [
    "ADDRESS",
    "HIDDEN",
    "PHONE",
    "Answer",
    "Number",
    "answer",
    "nested",
    "nested_list",
    "read_list",
]

_Reader: TypeAlias = Callable[[object], object]
_Mask: TypeAlias = Callable[[object], object]


def _read_int(value: object) -> int | None:
    whole = read_number(value)
    return whole if isinstance(whole, int) else None


def _hide_numbers_in_path(value: object) -> object:
    if not isinstance(value, str):
        return hide(value)
    path, query, _ = value.partition("?")
    return mask_path(path) + (query and "?...")


# How a repr shows a field; without one it goes by the field's name.
PHONE: Mapping[str, object] = {"mask": hide_numbers}
HIDDEN: Mapping[str, object] = {"mask": hide}
ADDRESS: Mapping[str, object] = {"mask": _hide_numbers_in_path}

# The services write amounts, counts and codes now as text, now as numbers; a field keeps one type.
_READERS: Mapping[str, _Reader] = {
    **READERS,
    "str": read_text_or_number,
    "str | None": read_text_or_number,
    "int | None": _read_int,
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Answer:
    """What an operation returned. Immutable; equal when class and ``raw`` are.

    ``raw`` is the whole JSON object, members that no field knows included; ``answer["name"]`` reads
    from it and raises KeyError.
    """

    raw: Mapping[str, object] = field(default_factory=dict[str, object])

    _members: ClassVar[Mapping[str, tuple[str, _Reader]]] = {}
    _masks: ClassVar[Mapping[str, _Mask]] = {}

    @classmethod
    def read(cls, raw: Mapping[str, object]) -> Self:
        """Of a JSON object; never raises."""
        values: dict[str, Any] = {}
        members = cls._members
        for name, value in raw.items():
            known = members.get(name)
            if known is not None and value is not None:
                value = known[1](value)
                if value is not None:
                    values[known[0]] = value
        return cls(raw=raw, **values)

    def __getitem__(self, name: str) -> object:
        return self.raw[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer) or other.__class__ is not self.__class__:
            return NotImplemented
        return self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The fields that have a value; secrets and phone numbers masked."""
        shown: list[str] = []
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "raw" or value == _default(f.default, f.default_factory):
                continue
            mask = self._masks.get(f.name)
            value = redact_setting(f.name, value) if mask is None else mask(value)
            shown.append(f"{f.name}={value!r}")
        return f"{self.__class__.__name__}({', '.join(shown)})"


def _default(value: object, factory: object) -> object:
    return value if factory is MISSING else cast("Callable[[], object]", factory)()


A = TypeVar("A", bound=Answer)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def answer(declaration: type[A]) -> type[A]:
    """Make a declaration a class of answers; each field is the member of its name."""
    cls = dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)(declaration)
    members: dict[str, tuple[str, _Reader]] = {}
    masks: dict[str, _Mask] = {}
    for f in fields(cls):
        if f.name == "raw":
            continue
        read = f.metadata.get("read") or _READERS[cast("str", f.type)]
        members[f.metadata.get("name", f.name)] = (f.name, read)
        if "mask" in f.metadata:
            masks[f.name] = f.metadata["mask"]
    cls._members = members  # pyright: ignore[reportPrivateUsage]
    cls._masks = masks  # pyright: ignore[reportPrivateUsage]
    return cls


def nested(cls: type[Answer]) -> Mapping[str, object]:
    """Metadata: an object that is an answer of its own."""

    def read(value: object) -> object:
        return cls.read(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else None

    return {"read": read, "mask": _as_it_is}


def nested_list(cls: type[Answer]) -> Mapping[str, object]:
    """Metadata: a list of such objects; what is no object stays in ``raw`` only."""

    def read(value: object) -> object:
        return read_list(cls, value)

    return {"read": read, "mask": _as_it_is}


def read_list(cls: type[A], value: object) -> Sequence[A]:
    """The objects of a JSON list; empty when it is none."""
    if not isinstance(value, list):
        return ()
    items = cast("list[object]", value)
    return tuple(
        cls.read(cast("Mapping[str, object]", item)) for item in items if isinstance(item, Mapping)
    )


def _as_it_is(value: object) -> object:
    return value
