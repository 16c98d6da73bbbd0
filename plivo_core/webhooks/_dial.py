"""``<Dial>`` and whom it can reach. Sources and ``None`` are as in ``_verbs.py``."""

from __future__ import annotations

from collections.abc import Mapping

from plivo_core._redact import mask_number
from plivo_core.errors import ConfigError
from plivo_core.webhooks._arguments import (
    KEYS,
    METHODS,
    TONE,
    TONES,
    Method,
    optional_bool,
    optional_characters,
    optional_choice,
    optional_pairs,
    optional_text,
    optional_url,
    optional_whole,
    require_text,
)
from plivo_core.webhooks._xml import Element, Verb, require_elements

__all__ = ["Dial", "Number", "User"]

_MAX_CALLER_NAME = 50  # characters


class Number(Element):
    """A phone number to dial; after the answer ``send_digits`` (w waits 0.5 s) are pressed.

    With ``send_on_preanswer`` (false) they are pressed before it.
    """

    __slots__ = ()
    name = "Number"

    def __init__(
        self,
        number: str,
        *,
        send_digits: str | None = None,
        send_on_preanswer: bool | None = None,
    ) -> None:
        super().__init__(
            {
                "sendDigits": optional_characters(
                    send_digits, "send_digits of Number", TONES, TONE
                ),
                "sendOnPreanswer": optional_bool(send_on_preanswer, "send_on_preanswer of Number"),
            },
            text=require_text(number, "number of Number"),
        )

    def _shown_text(self) -> object:
        return mask_number(self._text)


class User(Element):
    """A SIP endpoint to dial, ``sip:...``; digits as for :class:`Number`.

    ``sip_headers`` go along, each with X-PH- before its name. A server that wants authentication
    gets ``sip_auth_username`` and ``sip_auth_password``, both or neither.
    """

    __slots__ = ()
    name = "User"

    def __init__(
        self,
        address: str,
        *,
        send_digits: str | None = None,
        send_on_preanswer: bool | None = None,
        sip_headers: Mapping[str, str] | None = None,
        sip_auth_username: str | None = None,
        sip_auth_password: str | None = None,
    ) -> None:
        if (sip_auth_username is None) is not (sip_auth_password is None):
            raise ConfigError(
                "sip_auth_username and sip_auth_password of User belong together",
                hint="give both or neither",
            )
        super().__init__(
            {
                "sendDigits": optional_characters(send_digits, "send_digits of User", TONES, TONE),
                "sendOnPreanswer": optional_bool(send_on_preanswer, "send_on_preanswer of User"),
                "sipHeaders": optional_pairs(sip_headers, "sip_headers of User"),
                "sipAuthUsername": optional_text(sip_auth_username, "sip_auth_username of User"),
                "sipAuthPassword": optional_text(sip_auth_password, "sip_auth_password of User"),
            },
            text=require_text(address, "address of User"),
        )

    def _shown_text(self) -> object:
        return mask_number(self._text)


class Dial(Verb):
    """Connect the caller with whoever of ``targets`` answers first.

    ``timeout`` s to answer, ``time_limit`` s to talk (14400); ``caller_id`` and ``caller_name``
    are what is shown there. ``action`` is asked for XML afterwards, or only told with ``redirect``
    False (true); ``callback_url`` hears of what happens meanwhile. ``confirm_sound`` is XML for
    the called party, who accepts with ``confirm_key`` within ``confirm_timeout`` s (120).
    ``dial_music`` is XML for the caller, or ``real`` for the true ringing. Digits that match
    ``digits_match`` (of the called party ``digits_match_b_leg``) are reported to ``callback_url``.
    """

    __slots__ = ()
    name = "Dial"

    def __init__(
        self,
        *targets: Number | User,
        action: str | None = None,
        method: Method | None = None,
        timeout: int | None = None,
        time_limit: int | None = None,
        caller_id: str | None = None,
        caller_name: str | None = None,
        hangup_on_star: bool | None = None,
        redirect: bool | None = None,
        callback_url: str | None = None,
        callback_method: Method | None = None,
        confirm_sound: str | None = None,
        confirm_key: str | None = None,
        confirm_timeout: int | None = None,
        dial_music: str | None = None,
        digits_match: str | None = None,
        digits_match_b_leg: str | None = None,
        sip_headers: Mapping[str, str] | None = None,
    ) -> None:
        music = (
            dial_music if dial_music == "real" else optional_url(dial_music, "dial_music of Dial")
        )
        super().__init__(
            {
                "action": optional_url(action, "action of Dial"),
                "method": optional_choice(method, "method of Dial", METHODS),
                "timeout": optional_whole(timeout, "timeout of Dial", 1),
                "timeLimit": optional_whole(time_limit, "time_limit of Dial", 1),
                "callerId": optional_text(caller_id, "caller_id of Dial"),
                "callerName": optional_text(
                    caller_name, "caller_name of Dial", most=_MAX_CALLER_NAME
                ),
                "hangupOnStar": optional_bool(hangup_on_star, "hangup_on_star of Dial"),
                "redirect": optional_bool(redirect, "redirect of Dial"),
                "callbackUrl": optional_url(callback_url, "callback_url of Dial"),
                "callbackMethod": optional_choice(
                    callback_method, "callback_method of Dial", METHODS
                ),
                "confirmSound": optional_url(confirm_sound, "confirm_sound of Dial"),
                "confirmKey": optional_choice(confirm_key, "confirm_key of Dial", tuple(KEYS)),
                "confirmTimeout": optional_whole(confirm_timeout, "confirm_timeout of Dial", 1),
                "dialMusic": music,
                "digitsMatch": optional_text(digits_match, "digits_match of Dial"),
                "digitsMatchBLeg": optional_text(digits_match_b_leg, "digits_match_b_leg of Dial"),
                "sipHeaders": optional_pairs(sip_headers, "sip_headers of Dial"),
            },
            children=require_elements(targets, "Dial", (Number, User)),
        )
        if not targets:
            raise ConfigError("Dial has no target", hint="give a Number or a User")
