"""A place on the map (PROTOCOL.md 6.3)."""

from __future__ import annotations

from decimal import Decimal

from plivo_core.errors import ConfigError
from plivo_core.messaging._built import Built, Dialect, require_dialect, require_text, wrong_type

__all__ = ["Location"]


class Location(Built):
    """The ``location`` of ``messages.create``: ``latitude`` -90 to 90, ``longitude`` -180 to 180
    degrees.

    The classic dialect writes them as decimal text and expects ``name`` and ``address``, which
    nothing here insists on; a blank label is sent, None is not. Raises ConfigError for coordinates
    that are out of range or not finite. (PROTOCOL.md 6.3)
    """

    __slots__ = ()

    def __init__(
        self,
        latitude: float,
        longitude: float,
        *,
        name: str | None = None,
        address: str | None = None,
        dialect: Dialect = "classic",
    ) -> None:
        require_dialect(dialect)
        for argument, value, bound in (("latitude", latitude, 90), ("longitude", longitude, 180)):
            degrees = _degrees(value, argument, bound)
            # Decimal: a float's own text may have an exponent.
            self[argument] = f"{Decimal(repr(degrees)):f}" if dialect == "classic" else degrees
        for argument, label in (("name", name), ("address", address)):
            if label is not None:
                self[argument] = require_text(label, argument)


def _degrees(value: object, argument: str, bound: int) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(value, argument, "a number")
    if not -bound <= value <= bound:  # NaN compares false
        raise ConfigError(f"{argument} must be between -{bound} and {bound} degrees")
    # Subclasses (numpy's) have a text of their own.
    return int(value) if isinstance(value, int) else float(value)
