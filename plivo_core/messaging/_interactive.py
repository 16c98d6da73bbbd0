"""Interactive messages: reply buttons, a list to choose from, one link (PROTOCOL.md 6.2, 6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from plivo_core.errors import ConfigError
from plivo_core.messaging._built import (
    Built,
    Dialect,
    Limit,
    require_dialect,
    require_entries,
    require_mapping,
    require_text,
)

__all__ = ["InteractiveMessage"]

# PROTOCOL.md 6.4
_BODY = Limit(1, 1024)
_LIST_BODY = Limit(1, 4096)
_HEADER = Limit(0, 60)
_FOOTER = Limit(0, 60)
_LABEL = Limit(1, 20)  # of a reply button, of what opens a list, of a call to action
_BUTTONS = Limit(1, 3)
_BUTTON_ID = Limit(1, 256)
_SECTIONS = Limit(1, 10)
_ROWS = Limit(1, 10)  # of all sections together
_SECTION_TITLE = Limit(0, 24)
_ROW_TITLE = Limit(1, 24)
_ROW_ID = Limit(1, 200)
_ROW_DESCRIPTION = Limit(0, 72)


class InteractiveMessage(Built):
    """The ``interactive`` of ``messages.create``, made by one of the three class methods.

    Empty headers and footers are left out. Other members of buttons, sections and rows pass
    through. Each method raises ConfigError naming the argument and the limit that it broke
    (PROTOCOL.md 6.4); bodies have 1 to 1024 characters unless said, header texts and footers at
    most 60.
    """

    __slots__ = ()
    _shown: ClassVar[frozenset[str]] = frozenset({"type"})

    @classmethod
    def button(
        cls,
        body_text: str,
        buttons: Iterable[Mapping[str, object]],
        *,
        header: Mapping[str, object] | None = None,
        footer_text: str | None = None,
        dialect: Dialect = "classic",
    ) -> InteractiveMessage:
        """One to three reply ``buttons``: ``{"id", "title"}``.

        Ids are distinct and have 1 to 256 characters, titles 1 to 20. ``header`` is
        ``{"type": "text", "text"}`` or ``{"type": "media", "media": url}``.
        """
        require_dialect(dialect)
        replies = [dict(button) for button in require_entries(buttons, "buttons")]
        _BUTTONS.require(len(replies), "buttons", "entries")
        ids: set[str] = set()
        for at, reply in enumerate(replies):
            ids.add(_BUTTON_ID.text(reply.get("id"), f"buttons[{at}].id"))
            _LABEL.text(reply.get("title"), f"buttons[{at}].title")
            if len(ids) <= at:
                raise ConfigError(f"buttons[{at}].id repeats an earlier one; ids must be distinct")
        if dialect == "agentstack":
            replies = [{"type": "reply", "reply": reply} for reply in replies]
        action = {"buttons": replies}
        return cls._framed("button", _BODY, body_text, action, header, footer_text)

    @classmethod
    def list(
        cls,
        body_text: str,
        button_text: str,
        sections: Iterable[Mapping[str, object]],
        *,
        header_text: str | None = None,
        footer_text: str | None = None,
        dialect: Dialect = "classic",
    ) -> InteractiveMessage:
        """A list that ``button_text`` (1 to 20 characters) opens; the body has at most 4096.

        One to ten ``sections``: ``{"title", "rows": [{"id", "title", "description"?}]}``, with one
        to ten rows in total. Titles have at most 24 characters, that of a row at least one; row ids
        have 1 to 200, descriptions at most 72.
        """
        require_dialect(dialect)
        label = _LABEL.text(button_text, "button_text")
        chosen = _sections(sections)
        opener = {"buttons": [{"title": label}]} if dialect == "classic" else {"button": label}
        header = {"type": "text", "text": header_text} if header_text else None
        action = {**opener, "sections": chosen}
        return cls._framed("list", _LIST_BODY, body_text, action, header, footer_text)

    @classmethod
    def cta_url(
        cls,
        body_text: str,
        button_title: str,
        url: str,
        *,
        header: Mapping[str, object] | None = None,
        footer_text: str | None = None,
        dialect: Dialect = "classic",
    ) -> InteractiveMessage:
        """A call to action: one button, labelled ``button_title`` (1 to 20), that opens ``url``.

        ``header`` as in :meth:`button`.
        """
        require_dialect(dialect)
        label = _LABEL.text(button_title, "button_title")
        if not require_text(url, "url"):
            raise ConfigError("url is empty", hint="give the address that the button opens")
        link = (
            {"title": label, "cta_url": url}
            if dialect == "classic"
            else {"type": "cta_url", "title": label, "url": url}
        )
        return cls._framed("cta_url", _BODY, body_text, {"buttons": [link]}, header, footer_text)

    @classmethod
    def _framed(
        cls,
        kind: str,
        limit: Limit,
        body_text: object,
        action: Mapping[str, object],
        header: object,
        footer_text: object,
    ) -> InteractiveMessage:
        """What the three kinds share: the body above ``action``, header and footer around it."""
        message = cls(type=kind, body={"text": limit.text(body_text, "body_text")}, action=action)
        if header:
            top = dict(require_mapping(header, "header"))
            if top.get("type") == "text":
                _HEADER.text(top.get("text"), "header text")
            message["header"] = top
        if footer_text:
            message["footer"] = {"text": _FOOTER.text(footer_text, "footer_text")}
        return message


def _sections(given: object) -> list[dict[str, object]]:
    sections: list[dict[str, object]] = []
    total = 0
    for at, section in enumerate(require_entries(given, "sections")):
        where = f"sections[{at}]"
        if section.get("title") is not None:
            _SECTION_TITLE.text(section["title"], f"{where}.title")
        rows = [dict(row) for row in require_entries(section.get("rows"), f"{where}.rows")]
        for row_at, row in enumerate(rows):
            _check_row(row, f"{where}.rows[{row_at}]")
        total += len(rows)
        sections.append({**section, "rows": rows})
    _SECTIONS.require(len(sections), "sections", "entries")
    _ROWS.require(total, "sections", "rows in total")
    return sections


def _check_row(row: Mapping[str, object], where: str) -> None:
    _ROW_ID.text(row.get("id"), f"{where}.id")
    _ROW_TITLE.text(row.get("title"), f"{where}.title")
    if row.get("description") is not None:
        _ROW_DESCRIPTION.text(row["description"], f"{where}.description")
