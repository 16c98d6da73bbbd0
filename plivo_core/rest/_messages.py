"""``messages``: SMS, MMS and WhatsApp (PROTOCOL.md 3.6). Trailing slash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plivo_core.errors import ConfigError
from plivo_core.rest._api import Api
from plivo_core.rest._operation import Operation
from plivo_core.rest._page import Page
from plivo_core.rest._request import passed_on, segment, without_blanks, without_none
from plivo_core.rest._responses import Media, Message, MessageCreated

__all__ = ["MessagesResource", "check_text"]

# PROTOCOL.md 14 and 3.6: what no message may exceed, so that the answer is not a bare 400.
_MAX_GSM7 = 1600
_MAX_UCS2 = 737
_MAX_WHATSAPP = 4096
_MAX_MEDIA = {"mms": 10, "whatsapp": 1}
# 3GPP TS 23.038, 6.2.1; the second set costs two characters each.
_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_DOUBLE = frozenset("\f^{}\\[~]|€")


class MessagesResource:
    """Send messages and see what became of them."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        *,
        dst: str | Sequence[str],
        src: str | None = None,
        text: str | None = None,
        type: str = "sms",
        url: str | None = None,
        method: str = "POST",
        media_urls: Sequence[str] | None = None,
        media_ids: Sequence[str] | None = None,
        powerpack_uuid: str | None = None,
        template: Mapping[str, object] | None = None,
        interactive: Mapping[str, object] | None = None,
        location: Mapping[str, object] | None = None,
        log: bool | str | None = None,
        trackable: bool | None = None,
        message_expiry: int | None = None,
        dlt_entity_id: str | None = None,
        dlt_template_id: str | None = None,
        dlt_template_category: str | None = None,
        **other: object,
    ) -> Operation[MessageCreated]:
        """Send ``type`` sms, mms or whatsapp to one number or several, from ``src`` or a powerpack.

        ``template``, ``interactive`` and ``location`` are WhatsApp's: plain objects or the builders
        of :mod:`plivo_core.messaging`. ``url`` (called with ``method``) hears of the delivery,
        ``message_expiry`` is in seconds, ``log`` may also be content_only or number_only. Raises
        ConfigError for an empty ``dst`` and for more text or media than the platform takes.
        """
        check_text(text, type)
        for argument, media in (("media_urls", media_urls), ("media_ids", media_ids)):
            if isinstance(media, (str, Mapping)):  # its letters would be the entries
                raise ConfigError(f"{argument} must be a list", hint='["..."]')
            most = _MAX_MEDIA.get(type)
            if media is not None and most is not None and len(media) > most:
                raise ConfigError(f"{argument} has {len(media)} entries; {type} takes {most}")
        body = without_blanks(
            src=src,
            type=None if type == "sms" else type,
            url=url,
            method=None if method == "POST" else method,
            media_urls=media_urls,
            media_ids=media_ids,
            powerpack_uuid=powerpack_uuid,
            template=template,
            interactive=interactive,
            location=location,
            dlt_entity_id=dlt_entity_id,
            dlt_template_id=dlt_template_id,
            dlt_template_category=dlt_template_category,
        )
        kept = without_none(text=text, log=log, trackable=trackable, message_expiry=message_expiry)
        return self._api.operation(
            "POST",
            "/Message/",
            MessageCreated.read,
            body={"dst": _destinations(dst), **body, **kept, **passed_on(other)},
            look_up="look for it with messages.list(to_number=...)",
        )

    def get(self, message_uuid: str) -> Operation[Message]:
        """One message."""
        return self._api.operation("GET", _message(message_uuid), Message.read)

    def list(
        self,
        *,
        limit: int | None = 20,
        offset: int | None = 0,
        message_direction: str | None = None,
        message_state: str | None = None,
        message_type: str | None = None,
        message_time: str | None = None,
        message_time__gt: str | None = None,
        message_time__gte: str | None = None,
        message_time__lt: str | None = None,
        message_time__lte: str | None = None,
        subaccount: str | None = None,
        error_code: int | None = None,
        powerpack_id: str | None = None,
        from_number: str | None = None,
        to_number: str | None = None,
        conversation_id: str | None = None,
        conversation_origin: str | None = None,
        tendlc_campaign_id: str | None = None,
        tendlc_registration_status: str | None = None,
        destination_country_iso2: str | None = None,
        **other: str | float | bool | None,
    ) -> Operation[Page[Message]]:
        """Messages by filters, 20 to a page at most; times are ``YYYY-MM-DD HH:MM[:SS]``."""
        query = {
            "limit": limit,
            "offset": offset,
            "message_direction": message_direction,
            "message_state": message_state,
            "message_type": message_type,
            "message_time": message_time,
            "message_time__gt": message_time__gt,
            "message_time__gte": message_time__gte,
            "message_time__lt": message_time__lt,
            "message_time__lte": message_time__lte,
            "subaccount": subaccount,
            "error_code": error_code,
            "powerpack_id": powerpack_id,
            "from_number": from_number,
            "to_number": to_number,
            "conversation_id": conversation_id,
            "conversation_origin": conversation_origin,
            "tendlc_campaign_id": tendlc_campaign_id,
            "tendlc_registration_status": tendlc_registration_status,
            "destination_country_iso2": destination_country_iso2,
            **passed_on(other),
        }
        return self._api.page("/Message/", Message, query)

    def list_media(self, message_uuid: str) -> Operation[Page[Media]]:
        """The media of a message."""
        return self._api.page(f"{_message(message_uuid)}Media/", Media)


def _message(message_uuid: str) -> str:
    return f"/Message/{segment(message_uuid, 'message_uuid')}/"


def _destinations(dst: str | Sequence[str]) -> str:
    if not isinstance(dst, str):
        # Within a list the separator would add a recipient that nobody meant.
        if any("<" in number or not number for number in dst):
            raise ConfigError("an entry of dst is empty or holds '<'", hint="one number per entry")
        dst = "<".join(dst)
    if not dst:
        raise ConfigError("dst is empty", hint="give at least one number")
    return dst


def check_text(text: str | None, kind: str) -> None:
    """Raise ConfigError for more text than a message of that kind may hold."""
    if text is None:
        return
    if kind == "whatsapp" and len(text) > _MAX_WHATSAPP:
        raise ConfigError(f"text has {len(text)} characters; whatsapp takes {_MAX_WHATSAPP}")
    if kind != "sms" or len(text) <= _MAX_UCS2 // 2:  # short enough in any alphabet
        return
    doubles = sum(character in _GSM7_DOUBLE for character in text)
    if sum(character in _GSM7 for character in text) + doubles == len(text):
        size, most, alphabet = len(text) + doubles, _MAX_GSM7, "GSM-7"
    else:
        size, most, alphabet = len(text.encode("utf-16-le", "replace")) // 2, _MAX_UCS2, "UCS-2"
    if size > most:
        raise ConfigError(f"text has {size} {alphabet} characters; sms takes {most}")
