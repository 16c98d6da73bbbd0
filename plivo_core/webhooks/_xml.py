"""Answer XML: what an answer URL returns to say how a call goes on.

Encodes values and nothing else: every text and attribute is escaped, so no value can become markup,
and what XML 1.0 cannot carry is refused. Knows no particular verb; those are in ``_verbs.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, TypeVar

from plivo_core._redact import redact_setting, show_size
from plivo_core.errors import ConfigError
from plivo_core.webhooks._arguments import wrong_type

__all__ = ["MAX_ANSWER_XML", "XML_CONTENT_TYPE", "AnswerXml", "Element", "Verb"]

XML_CONTENT_TYPE = "application/xml"
"""The Content-Type of an answer; its encoding, UTF-8, is in the XML declaration."""

MAX_ANSWER_XML = 100_000
"""Bytes. The platform says 100 KB (PROTOCOL.md 14); this is the smaller reading."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'

# All that production 2 of XML 1.0 leaves out: not even a reference can write these.
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# A reader turns a bare carriage return into a line feed, and in attributes every kind of white
# space into a blank (sections 2.11, 3.3.3); references survive.
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})

# Far less than XML allows, and all that the platform uses.
_NAME = re.compile("[A-Za-z][A-Za-z0-9]*")

# Attributes whose names do not tell a repr that their values are somebody's.
_PERSONAL = frozenset({"callerName", "sipAuthUsername"})


class Element:
    """One element: its name, attributes in order, and either a text or other elements.

    Immutable, and valid once it exists: the constructors of the classes below raise ConfigError
    naming the argument. An attribute that is None is left out, so that the platform's default
    holds.
    """

    __slots__ = ("_attributes", "_children", "_text")

    name: ClassVar[str] = ""
    """On the wire, e.g. ``GetDigits``."""

    def __init__(
        self,
        attributes: Mapping[str, str | int | bool | None],
        *,
        text: str = "",
        children: tuple[Element, ...] = (),
    ) -> None:
        self._attributes = {
            name: _written(value) for name, value in attributes.items() if value is not None
        }
        self._text = text
        self._children = children
        _require_name(self.name, f"name of {self.__class__.__name__}")
        for name, value in self._attributes.items():
            _require_name(name, f"attribute {name!r} of {self.name}")
            _require_xml(value, f"{name} of {self.name}")
        _require_xml(text, f"the text of {self.name}")

    @property
    def attributes(self) -> Mapping[str, str]:
        return MappingProxyType(self._attributes)

    @property
    def text(self) -> str:
        return self._text

    @property
    def children(self) -> tuple[Element, ...]:
        return self._children

    def __eq__(self, other: object) -> bool:
        return encode(self) == encode(other) if isinstance(other, Element) else NotImplemented

    def __hash__(self) -> int:
        return hash(encode(self))

    def __repr__(self) -> str:
        """Numbers, digits and secrets masked; URLs cut to their origin, texts to their size."""
        shown = [f"{name}={_shown(name, value)!r}" for name, value in self._attributes.items()]
        if self._text:
            shown.insert(0, repr(self._shown_text()))
        shown[:0] = map(repr, self._children)
        return f"{self.__class__.__name__}({', '.join(shown)})"

    def _shown_text(self) -> object:
        return show_size(self._text)


E = TypeVar("E", bound=Element)


class Verb(Element):
    """An element that may stand in an answer by itself.

    One that this package lacks is a subclass: give it its ``name`` on the wire, and let its
    constructor call this one with its attributes.
    """

    __slots__ = ()


class AnswerXml:
    """A whole answer, ``<Response>``: the platform carries out its verbs in their order.

    Send ``bytes(answer)`` with the content type :data:`XML_CONTENT_TYPE`; ``str(answer)`` is the
    same as text. An answer without verbs is valid: the call has nothing more to do. Raises
    ConfigError for what is no verb, and beyond :data:`MAX_ANSWER_XML` bytes.
    """

    __slots__ = ("_data", "_verbs")

    def __init__(self, *verbs: Verb) -> None:
        self._verbs = require_elements(verbs, "Response", (Verb,))
        inside = "".join(map(encode, self._verbs))
        self._data = f"{_DECLARATION}<Response>{inside}</Response>".encode()
        if len(self._data) > MAX_ANSWER_XML:
            raise ConfigError(
                f"an answer must have at most {MAX_ANSWER_XML} bytes, not {len(self._data)}",
                hint="continue in a second answer: end the first with Redirect",
            )

    @property
    def verbs(self) -> tuple[Verb, ...]:
        return self._verbs

    def __str__(self) -> str:
        return self._data.decode()

    def __bytes__(self) -> bytes:
        return self._data

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, AnswerXml) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        return f"AnswerXml({', '.join(map(repr, self._verbs))})"


def require_elements(
    given: tuple[object, ...], parent: str, allowed: tuple[type[E], ...]
) -> tuple[E, ...]:
    """``given`` if every one may stand inside ``parent``."""
    elements: list[E] = []
    for at, element in enumerate(given, 1):
        if not isinstance(element, allowed):
            names = " or ".join(cls.name or f"a {cls.__name__}" for cls in allowed)
            raise wrong_type(element, f"element {at} of {parent}", names)
        elements.append(element)
    return tuple(elements)


def encode(element: Element) -> str:
    """As markup, without blanks that the platform would have to skip."""
    head = element.name + "".join(
        f' {name}="{value.translate(_IN_ATTRIBUTE)}"' for name, value in element.attributes.items()
    )
    inside = element.text.translate(_IN_TEXT) + "".join(map(encode, element.children))
    return f"<{head}>{inside}</{element.name}>" if inside else f"<{head}/>"


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _require_name(name: str, argument: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{argument} must be letters and digits, a letter first")


def _require_xml(text: str, argument: str) -> None:
    found = _NO_CHARACTER.search(text)
    if found:
        raise ConfigError(
            f"character {found.start() + 1} of {argument} is U+{ord(found[0]):04X}, "
            "which XML 1.0 cannot carry",
            hint="remove control characters and lone surrogates",
        )


def _shown(name: str, value: str) -> object:
    if name in _PERSONAL:
        return redact_setting("password", value)
    return redact_setting("url" if "://" in value else name, value)
