"""Parameters as they came: ordered, repeated names kept, never silently one of several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from plivo_core.errors import RepeatedParameterError

__all__ = ["NO_PARAMS", "Params"]

_SHOWN = 20
_NAME = 64


class Params(Mapping[str, str]):
    """The decoded parameters of a query or a form, in the order sent.

    A mapping of names to their value: reading a name that came several times raises
    :class:`~plivo_core.errors.RepeatedParameterError`, for whoever takes the first and whoever
    takes the last would see two different requests. :meth:`get_all` gives them all. Immutable; its
    repr shows names alone.
    """

    __slots__ = ("_values", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        values = self._values[name]
        if len(values) > 1:
            raise RepeatedParameterError(
                f"the parameter {name[:_NAME]!r} came {len(values)} times",
                name=name,
                hint="get_all() gives every value",
            )
        return values[0]

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of ``name``, in the order sent; empty if there is none."""
        return tuple(self._values.get(name, ()))

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        names = [repr(name[:_NAME]) for name in list(self._values)[:_SHOWN]]
        if len(self._values) > _SHOWN:
            names.append("...")
        return f"<Params {', '.join(names)}>" if names else "<Params>"


NO_PARAMS = Params()
