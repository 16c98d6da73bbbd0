"""What a type hint means in JSON: for each kind its schema, how a value is read, what to call it.

:func:`kind_of` maps a resolved hint to its :class:`Kind`. Misfits name where and what was expected
and the JSON type that came, never the value: it may be what the caller said.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias, Union, cast

__all__ = ["Kind", "Misfit", "Unsupported", "kind_of", "object_kind"]

_MAX_PROBLEMS = 5  # told at once: a model needs the first few, a peer may send thousands
_MAX_NAME = 64  # characters shown of a name that the model made up
_ABSENT = object()


class Unsupported(Exception):  # noqa: N818 - becomes the text of a ConfigError
    """A hint that JSON Schema, or this module, cannot say."""


class Misfit(Exception):  # noqa: N818 - expected, and answered
    """Arguments that do not fit; the text is for the model."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Kind:
    """``read(value, where)`` gives the Python value or raises Misfit; ``noun`` is "a string"."""

    schema: dict[str, Any]
    read: Callable[[object, str], object]
    noun: str
    hashable: bool = False


Member: TypeAlias = "tuple[Kind, bool, object]"
"""Of an object: its kind, whether it is required, and its default."""


def kind_of(hint: Any, inside: tuple[object, ...] = ()) -> Kind:
    """The kind of a resolved ``hint``. Raises Unsupported. ``inside`` are the classes round it."""
    if isinstance(hint, str):  # the X of list["X"], which nothing resolves before 3.11
        raise Unsupported(f"{hint!r} inside a hint is text")
    while (alias := getattr(hint, "__supertype__", None) or _value_of_alias(hint)) is not None:
        hint = alias
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    # These two first: what they hold may not be hashable.
    if origin is typing.Annotated:
        return _annotated(kind_of(arguments[0], inside), arguments[1:])
    if origin is Literal:
        return _choice([(value, value) for value in arguments])
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin in (Union, types.UnionType):
        return _union([kind_of(each, inside) for each in arguments])
    container = origin or hint
    if container is tuple and arguments and arguments[-1] is not Ellipsis:
        return _fixed_tuple(arguments, inside)
    if container in _ARRAYS:
        return _array(_ARRAYS[container], kind_of(arguments[0], inside) if arguments else _ANYTHING)
    if container in (dict, Mapping):
        return _map(arguments, inside)
    if origin is None and isinstance(hint, type):
        return _class(cast("type[Any]", hint), inside)
    raise Unsupported(f"{hint!r} is not supported")


def _value_of_alias(hint: object) -> object:
    """What a ``type X = ...`` of CPython 3.12 stands for."""
    return getattr(hint, "__value__", None) if type(hint).__name__ == "TypeAliasType" else None


def _class(cls: type[Any], inside: tuple[object, ...]) -> Kind:
    if issubclass(cls, Enum):
        return _choice([(member.value, member) for member in cls])
    if cls in inside:
        raise Unsupported(f"{cls.__name__} contains itself")
    # Not typing.is_typeddict, which does not know the class of typing_extensions.
    if dict in cls.__mro__ and hasattr(cls, "__required_keys__"):
        return _typed_dict(cls, (*inside, cls))
    if dataclasses.is_dataclass(cls):
        return _dataclass(cls, (*inside, cls))
    raise Unsupported(f"{cls.__module__}.{cls.__qualname__} is not supported")


# --- scalars --------------------------------------------------------------------------------------


def _misfit(where: str, noun: str, value: object) -> Misfit:
    return Misfit(f"{where} must be {noun}, not {_noun_of(value)}")


def _noun_of(value: object) -> str:
    if value is None:
        return "null"
    for kind, noun in (
        (bool, "a boolean"),
        (str, "a string"),
        (int, "an integer"),
        (float, "a number"),
        (Mapping, "an object"),
    ):
        if isinstance(value, kind):
            return noun
    return "an array"


def _scalar(name: str, noun: str, convert: Callable[[Any], object]) -> Kind:
    """``convert`` gives _ABSENT for what is not of the kind."""

    def read(value: object, where: str) -> object:
        got = convert(value)
        if got is _ABSENT:
            raise _misfit(where, noun, value)
        return got

    return Kind({"type": name}, read, noun, hashable=True)


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _ABSENT
    try:
        return float(value)
    except OverflowError:
        return _ABSENT


def _integer(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else _ABSENT


_ANYTHING = Kind({}, lambda value, where: value, "anything")
_SCALARS: dict[object, Kind] = {
    Any: _ANYTHING,
    object: _ANYTHING,
    str: _scalar("string", "a string", lambda value: value if isinstance(value, str) else _ABSENT),
    bool: _scalar(
        "boolean", "a boolean", lambda value: value if isinstance(value, bool) else _ABSENT
    ),
    int: _scalar("integer", "an integer", _integer),
    float: _scalar("number", "a number", _number),
    type(None): _scalar("null", "null", lambda value: None if value is None else _ABSENT),
}
_SCALARS[None] = _SCALARS[type(None)]


def _choice(options: Sequence[tuple[Any, object]]) -> Kind:
    """One of the (JSON value, Python value)."""
    for plain, _ in options:
        if type(plain) not in (str, int, float, bool, type(None)):
            raise Unsupported(f"{plain!r} is not a JSON value")
    noun = "one of " + ", ".join(json.dumps(plain, ensure_ascii=False) for plain, _ in options)

    def read(value: object, where: str) -> object:
        for plain, meant in options:
            if plain == value and _is_number(plain) == _is_number(value):  # True is not 1
                return meant
        raise Misfit(f"{where} must be {noun}")

    schema: dict[str, Any] = {"enum": [plain for plain, _ in options]}
    names = {_SCALARS[type(plain)].schema["type"] for plain, _ in options}
    if len(names) == 1:
        schema = {"type": names.pop(), **schema}
    return Kind(schema, read, noun, hashable=True)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _annotated(kind: Kind, metadata: Iterable[object]) -> Kind:
    for each in metadata:
        if isinstance(each, str):
            return dataclasses.replace(kind, schema={**kind.schema, "description": each})
    return kind


def _union(kinds: Sequence[Kind]) -> Kind:
    """The first kind that fits."""
    noun = " or ".join(kind.noun for kind in kinds)
    real = [kind for kind in kinds if kind.noun != "null"]

    def read(value: object, where: str) -> object:
        for kind in kinds:
            try:
                return kind.read(value, where)
            except Misfit as misfit:
                if real == [kind] and not misfit.problems[0].startswith(f"{where} must be "):
                    raise  # Optional[Order]: what is wrong inside the order says more
        raise _misfit(where, noun, value)

    schema = {"anyOf": [kind.schema for kind in kinds]}
    return Kind(schema, read, noun, hashable=all(kind.hashable for kind in kinds))


# --- arrays ---------------------------------------------------------------------------------------

_ARRAYS: dict[object, Callable[[list[object]], object]] = {
    list: list,
    Sequence: list,
    Iterable: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}


def _array(build: Callable[[list[object]], object], item: Kind) -> Kind:
    schema: dict[str, Any] = {"type": "array", "items": item.schema}
    unique = build in (set, frozenset)
    if unique:
        if not item.hashable:
            raise Unsupported("a set of what cannot be hashed is not supported")
        schema["uniqueItems"] = True

    def read(value: object, where: str) -> object:
        entries = _entries(value, where)
        return build([item.read(each, f"{where}[{at}]") for at, each in enumerate(entries)])

    return Kind(schema, read, "an array", hashable=build is tuple and item.hashable)


def _entries(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _misfit(where, "an array", value)
    return cast("list[object]", value)


def _fixed_tuple(arguments: tuple[Any, ...], inside: tuple[object, ...]) -> Kind:
    items = [kind_of(each, inside) for each in arguments]
    size, noun = len(items), f"an array of {len(items)}"
    schema: dict[str, Any] = {"type": "array", "minItems": size, "maxItems": size}
    if all(item.schema == items[0].schema for item in items):
        schema["items"] = items[0].schema
    else:
        schema["prefixItems"] = [item.schema for item in items]

    def read(value: object, where: str) -> object:
        entries = _entries(value, where)
        if len(entries) != size:
            raise Misfit(f"{where} must be {noun}, not of {len(entries)}")
        return tuple(
            item.read(each, f"{where}[{at}]")
            for at, (item, each) in enumerate(zip(items, entries, strict=True))
        )

    return Kind(schema, read, noun, hashable=all(item.hashable for item in items))


# --- objects --------------------------------------------------------------------------------------


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _misfit(where, "an object", value)
    return cast("Mapping[str, object]", value)


def _map(arguments: tuple[Any, ...], inside: tuple[object, ...]) -> Kind:
    if not arguments:
        return Kind(
            {"type": "object"}, lambda value, where: dict(_mapping(value, where)), "an object"
        )
    if arguments[0] is not str:
        raise Unsupported("the keys of a JSON object are str")
    item = kind_of(arguments[1], inside)

    def read(value: object, where: str) -> object:
        return {
            key: item.read(each, f"{where}[{key[:_MAX_NAME]!r}]")
            for key, each in _mapping(value, where).items()
        }

    return Kind({"type": "object", "additionalProperties": item.schema}, read, "an object")


def object_kind(members: Mapping[str, Member], build: Callable[..., object]) -> Kind:
    """An object of these members and no others; ``build`` is called with those that came."""
    properties = {
        name: _with_default(kind, default) for name, (kind, _, default) in members.items()
    }
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [name for name, (_, required, _) in members.items() if required],
        "additionalProperties": False,
    }

    def read(value: object, where: str) -> object:
        given, problems = _mapping(value, where), list[str]()
        prefix, got = f"{where}." if where else "", dict[str, object]()
        for name, (kind, required, _) in members.items():
            if name in given:
                try:
                    got[name] = kind.read(given[name], prefix + name)
                except Misfit as misfit:
                    problems += misfit.problems
            elif required:
                problems.append(f"{prefix}{name} is missing, it must be {kind.noun}")
        for name in given:
            if name not in members:
                owner = f"{where} has no member" if where else "there is no argument"
                problems.append(f"{owner} {name[:_MAX_NAME]!r}")
        if problems:
            raise Misfit(*problems[:_MAX_PROBLEMS])
        return build(**got)

    return Kind(schema, read, "an object")


def _with_default(kind: Kind, default: object) -> dict[str, Any]:
    """The schema with ``default``, if JSON can say that and the kind would take it."""
    plain = default.value if isinstance(default, Enum) else default
    try:
        json.dumps(plain, allow_nan=False)
        kind.read(plain, "default")
    except (Misfit, TypeError, ValueError):
        return kind.schema
    return {**kind.schema, "default": plain}


def _typed_dict(cls: type[Any], inside: tuple[object, ...]) -> Kind:
    members: dict[str, Member] = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        # The class's own book-keeping misses wrappers that were text when it was made.
        required = name in cls.__required_keys__
        while (wrapper := getattr(typing.get_origin(hint), "_name", None)) in _WRAPPERS:
            required = _WRAPPERS[wrapper] if _WRAPPERS[wrapper] is not None else required
            hint = typing.get_args(hint)[0]
        members[name] = (kind_of(hint, inside), required, _ABSENT)
    return object_kind(members, dict)


_WRAPPERS: dict[object, Any] = {"Required": True, "NotRequired": False, "ReadOnly": None}


def _dataclass(cls: type[Any], inside: tuple[object, ...]) -> Kind:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    if set(inspect.signature(cls).parameters) != {field.name for field in fields}:
        raise Unsupported(f"{cls.__name__} takes other arguments than its fields")
    members: dict[str, Member] = {}
    for field in fields:
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        members[field.name] = (kind_of(hints[field.name], inside), required, field.default)
    made = object_kind(members, dict)

    def read(value: object, where: str) -> object:
        given = cast("dict[str, Any]", made.read(value, where))
        try:
            return cls(**given)
        except ValueError:  # its __post_init__; the text may hold what no model should see
            raise Misfit(f"{where} is not a valid {cls.__name__}") from None

    return Kind(made.schema, read, made.noun)
