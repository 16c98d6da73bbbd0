"""Agent tools: conversations that the platform leads to collect one thing (PROTOCOL.md 12.4).

Each class is its own table: a field is an option, and the options are the members of ``config``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

__all__ = [
    "CollectAddress",
    "CollectCreditCard",
    "CollectDOB",
    "CollectDigits",
    "CollectEmail",
    "CollectName",
    "CollectPhone",
]


@dataclass(frozen=True, kw_only=True)
class _Collect:
    """``timeout_s`` is in seconds. An option that is empty by default is left out while empty."""

    type: ClassVar[str]
    _what: ClassVar[str]

    tool_name: str
    tool_description: str
    require_confirmation: bool = True
    timeout_s: float = 60.0

    @property
    def definition(self) -> dict[str, object]:
        """The entry for the agent's ``agent_tools``; a new object each time."""
        config: dict[str, object] = {}
        for option in fields(self):
            value: object = getattr(self, option.name)
            if value != "" or option.default != "":
                config[option.name] = value
        return {"type": self.type, "config": config}

    @property
    def prompt_hint(self) -> str:
        """A sentence for the system prompt."""
        return f"Call {self.tool_name} to collect the caller's {self._what}."


@dataclass(frozen=True, kw_only=True)
class CollectEmail(_Collect):
    """Asks for an e-mail address."""

    type: ClassVar[str] = "collect_email"
    _what: ClassVar[str] = "e-mail address"

    tool_name: str = "collect_email"
    tool_description: str = "Collect the caller's e-mail address."
    on_enter_message: str = "What is your e-mail address?"
    instructions: str = ""


@dataclass(frozen=True, kw_only=True)
class CollectAddress(_Collect):
    """Asks for a postal address."""

    type: ClassVar[str] = "collect_address"
    _what: ClassVar[str] = "postal address"

    tool_name: str = "collect_address"
    tool_description: str = "Collect the caller's postal address."
    on_enter_message: str = "What is your address?"
    instructions: str = ""


@dataclass(frozen=True, kw_only=True)
class CollectPhone(_Collect):
    """Asks for a phone number; ``extra_instructions`` add to the built-in ones."""

    type: ClassVar[str] = "collect_phone"
    _what: ClassVar[str] = "phone number"

    tool_name: str = "collect_phone"
    tool_description: str = "Collect the caller's phone number."
    on_enter_message: str = "What is your phone number?"
    extra_instructions: str = ""
    instructions: str = ""


_DIGITS_DESCRIPTION = "Collect the caller's {label}."
_DIGITS_ON_ENTER = "Please enter or say your {label}."


@dataclass(frozen=True, kw_only=True)
class CollectDigits(_Collect):
    """Asks for ``num_digits`` digits (0: any number), spoken or keyed in.

    ``label`` says what they are, e.g. "PIN", and stands in the default texts for ``{label}``.
    """

    type: ClassVar[str] = "collect_digits"

    tool_name: str = "collect_digits"
    tool_description: str = _DIGITS_DESCRIPTION
    num_digits: int = 0
    label: str = "digits"
    on_enter_message: str = _DIGITS_ON_ENTER
    instructions: str = ""

    def __post_init__(self) -> None:
        # Only the defaults are templates: braces in the application's own texts are its own.
        for option, default in (
            ("tool_description", _DIGITS_DESCRIPTION),
            ("on_enter_message", _DIGITS_ON_ENTER),
        ):
            if getattr(self, option) == default:
                object.__setattr__(self, option, default.format(label=self.label))

    @property
    def prompt_hint(self) -> str:
        """A sentence for the system prompt; it names the label."""
        return f"Call {self.tool_name} to collect the caller's {self.label}."


@dataclass(frozen=True, kw_only=True)
class CollectName(_Collect):
    """Asks for the chosen parts of a name; ``name_format`` arranges them."""

    type: ClassVar[str] = "collect_name"
    _what: ClassVar[str] = "name"

    tool_name: str = "collect_name"
    tool_description: str = "Collect the caller's name."
    first_name: bool = True
    last_name: bool = False
    middle_name: bool = False
    verify_spelling: bool = False
    name_format: str = ""
    on_enter_message: str = ""
    extra_instructions: str = ""
    instructions: str = ""


@dataclass(frozen=True, kw_only=True)
class CollectDOB(_Collect):
    """Asks for a date of birth, with ``include_time`` also its time."""

    type: ClassVar[str] = "collect_dob"
    _what: ClassVar[str] = "date of birth"

    tool_name: str = "collect_dob"
    tool_description: str = "Collect the caller's date of birth."
    include_time: bool = False
    on_enter_message: str = ""
    extra_instructions: str = ""
    instructions: str = ""


@dataclass(frozen=True, kw_only=True)
class CollectCreditCard(_Collect):
    """Asks for a payment card. The platform does not let its instructions be changed."""

    type: ClassVar[str] = "collect_credit_card"
    _what: ClassVar[str] = "credit card details"

    tool_name: str = "collect_credit_card"
    tool_description: str = "Collect the caller's credit card details."
    timeout_s: float = 120.0
    on_enter_message: str = ""
