"""When has the caller finished a turn? Presets of the platform's judgement (PROTOCOL.md 5.6)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from plivo_core.agent._fields import not_among, plain
from plivo_core.errors import ConfigError

__all__ = ["PRESETS", "expand_semantic_vad"]

_FIELDS = (
    "completed_turn_delay_ms",
    "incomplete_turn_delay_ms",
    "uncertain_turn_delay_ms",
    "min_interruption_duration_ms",
    "false_interruption_timeout_ms",
)


def _preset(*milliseconds: int) -> Mapping[str, int]:
    return MappingProxyType(dict(zip(_FIELDS, milliseconds, strict=True)))


PRESETS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "low": _preset(500, 2500, 1000, 600, 1200),
        "medium": _preset(250, 1800, 900, 500, 1000),
        "high": _preset(150, 1400, 700, 300, 750),
        "auto": MappingProxyType({}),
    }
)
"""How eagerly the agent takes its turn, in milliseconds; "auto" leaves it to the platform."""


def expand_semantic_vad(value: str | Mapping[str, object] | None) -> dict[str, object] | None:
    """What the platform is sent for ``semantic_vad``, on agent create and update only.

    ``value`` is the name of a preset, fields with or without a preset under ``eagerness`` (fields
    override it, with null and 0 too), or None, which stays None. The result is always a new object,
    and expanding it once more changes nothing. Raises ConfigError for an unknown preset (names are
    case-sensitive) and TypeError for anything else. (PROTOCOL.md 5.6)
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _expanded(value, "semantic_vad")
    copied = plain(value)
    if not isinstance(copied, dict):
        raise TypeError(
            "semantic_vad must be the name of a preset, a mapping or None, "
            f"not {type(value).__name__}"
        )
    fields = cast("dict[str, object]", copied)
    eagerness = fields.pop("eagerness", None)
    preset = {} if eagerness is None else _expanded(eagerness, "semantic_vad.eagerness")
    return {**preset, **fields}


def _expanded(name: object, field: str) -> dict[str, object]:
    if not isinstance(name, str) or name not in PRESETS:
        raise _no_preset(name, field)
    return dict(PRESETS[name])


def _no_preset(name: object, field: str) -> ConfigError:
    return not_among(tuple(PRESETS), name, field, hint="names are case-sensitive")
