"""The `now` of the last input, shared by the parts of one connection."""

from __future__ import annotations

__all__ = ["Clock"]


class Clock:
    """Holds a reading that the driver passed in; never takes one."""

    __slots__ = ("now",)

    def __init__(self, now: float) -> None:
        self.now = now
