"""Templates: a text that WhatsApp approved, with its variables filled in (PROTOCOL.md 6.1)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, cast

from plivo_core.errors import ConfigError
from plivo_core.messaging._built import (
    Built,
    Dialect,
    require_dialect,
    require_text,
    wrong_type,
)

__all__ = ["Template"]

_RANKS = {"header": 0, "body": 1, "button": 2}


class Template(Built):
    """A template's ``name``, ``language`` and parameters, for ``messages.create(template=...)``.

    Every ``add_*`` changes this template and returns it, so that calls chain in any order: the
    components stand as header, body, then one per button. What has no method here (carousels,
    other parameter types) may be put in by hand: this is a dict. Raises ConfigError for an empty
    name or an argument of the wrong type. (PROTOCOL.md 6.1)
    """

    __slots__ = ("_dialect",)
    _shown: ClassVar[frozenset[str]] = frozenset({"name", "language"})

    def __init__(self, name: str, language: str = "en", *, dialect: Dialect = "classic") -> None:
        require_dialect(dialect)
        if not require_text(name, "name"):
            raise ConfigError("name is empty", hint="give the name the template was approved under")
        super().__init__(name=name, language=require_text(language, "language"))
        self._dialect = dialect

    def add_header_param(self, text: str, *, parameter_name: str | None = None) -> Template:
        """Fill the header's variable, by its ``parameter_name`` where variables are named."""
        return self._add("header", _text(text, parameter_name))

    def add_header_media(self, url: str) -> Template:
        """Show the image, video or document at ``url`` in the header."""
        return self._add("header", {"type": "media", "media": require_text(url, "url")})

    def add_body_param(self, text: str, *, parameter_name: str | None = None) -> Template:
        """Fill the body's next variable, or the one of that ``parameter_name``."""
        return self._add("body", _text(text, parameter_name))

    def add_body_currency(self, fallback: str, code: str, amount_1000: int) -> Template:
        """Fill the body's next variable with money: ``amount_1000`` is the amount times 1000.

        ``code`` is ISO 4217 ("USD"); ``fallback`` is shown where it cannot be localized.
        """
        code_name = "currency_code" if self._dialect == "classic" else "code"
        currency: dict[str, object] = {
            "fallback_value": require_text(fallback, "fallback"),
            code_name: require_text(code, "code"),
            "amount_1000": _whole(amount_1000, "amount_1000"),
        }
        return self._add("body", {"type": "currency", "currency": currency})

    def add_body_datetime(self, fallback: str) -> Template:
        """Fill the body's next variable with a date or time, written as ``fallback``."""
        moment = {"fallback_value": require_text(fallback, "fallback")}
        return self._add("body", {"type": "date_time", "date_time": moment})

    def add_button_param(self, sub_type: str, index: int, text: str) -> Template:
        """Fill the variable of one button: ``sub_type`` is "url" or "quick_reply", ``index`` its
        place from 0.
        """
        if _whole(index, "index") < 0:
            raise ConfigError(f"index must be 0 or more, not {index}")
        button: dict[str, object] = {
            "type": "button",
            "sub_type": require_text(sub_type, "sub_type"),
            "index": str(index),
            "parameters": [_text(text, None)],
        }
        return self._insert(button)

    def build(self) -> dict[str, object]:
        """A plain copy that later calls do not change."""
        return deepcopy(dict(self))

    def _add(self, kind: str, parameter: dict[str, object]) -> Template:
        for component in self._components():
            if component["type"] == kind:
                component["parameters"].append(parameter)
                return self
        return self._insert({"type": kind, "parameters": [parameter]})

    def _insert(self, component: dict[str, Any]) -> Template:
        components = [*self._components(), component]
        # Stable, so buttons keep their order; what was put in by hand comes last.
        components.sort(key=lambda each: _RANKS.get(each["type"], len(_RANKS)))
        self["components"] = components
        return self

    def _components(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.get("components", []))


def _text(text: object, parameter_name: object) -> dict[str, object]:
    parameter: dict[str, object] = {"type": "text", "text": require_text(text, "text")}
    if parameter_name is not None:
        parameter["parameter_name"] = require_text(parameter_name, "parameter_name")
    return parameter


def _whole(value: object, argument: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, argument, "an int")
    return value
