"""Messages (PROTOCOL.md 3.6): queued, then sent, then delivered as time passes.

Checked are the limits of the documentation and what the classic SDKs check. Nobody's phone rings:
every phone number takes its message. The text is not kept, as no answer shows it; units and rates,
on which PROTOCOL.md is silent, are 1 and 0.
"""

from __future__ import annotations

import functools
import re
from typing import cast

from plivo_core.errors import ConfigError
from plivo_core.platform._answering import (
    Asked,
    Body,
    Reply,
    choice,
    digits_of,
    flag,
    invalid,
    iso,
    mapping,
    page,
    required,
    select,
    text,
    texts,
    web_address,
    whole,
)
from plivo_core.platform._state import State
from plivo_core.platform._store import Hook, Message
from plivo_core.rest._messages import check_text

__all__ = ["create_message", "get_message", "list_media", "list_messages"]

_SOURCE = re.compile(r"\+?[0-9]{1,14}|[A-Za-z0-9]{1,11}")
_MOST_MEDIA = {"sms": 10, "mms": 10, "whatsapp": 1}
_LOGS = ("true", "false", "content_only", "number_only")
_EXACT = (
    "message_direction", "message_state", "message_type", "subaccount", "error_code",
    "powerpack_id", "from_number", "to_number", "conversation_id", "conversation_origin",
    "tendlc_campaign_id", "tendlc_registration_status", "destination_country_iso2",
)  # fmt: skip


def create_message(state: State, asked: Asked) -> Reply:
    body = asked.body
    destinations = required(body, "dst", most=10_000).split("<")
    if len(destinations) > state.limits.max_destinations:
        raise invalid("dst", f"must have at most {state.limits.max_destinations} numbers")
    kind = choice(body, "type", ("sms", "mms", "whatsapp"), "sms")
    source = _sender(body, kind, destinations)
    hook, media = _check(body, kind)
    taken = [number for number in destinations if digits_of(number)]
    if not taken:
        raise invalid("dst", "holds no phone number, which is digits with or without plus")
    wall = state.wall
    uuids: list[str] = []
    for number in taken:
        uuid = state.ids("message")
        uuids.append(uuid)
        record: dict[str, object] = {
            "message_uuid": uuid,
            "from_number": source,
            "to_number": number,
            "message_direction": "outbound",
            "message_state": "queued",
            "message_type": kind,
            "message_time": iso(wall),
            "message_sent_time": None,
            "message_updated_time": iso(wall),
            "units": 1,
            "total_rate": "0.00000",
            "total_amount": "0.00000",
            "error_code": "000",
            "error_message": None,
            "resource_uri": f"{asked.path}{uuid}/",
            "powerpack_id": body.get("powerpack_uuid"),
            "log": body.get("log"),
            **{name: body.get(name) for name in _DLT},
        }
        if asked.account != state.main:
            record["subaccount"] = asked.account
        files = [_medium(state, uuid, url, iso(wall)) for url in media]
        state.messages.require_room()
        message = Message(asked.account, record, files, hook, wall)
        state.messages.add(uuid, message)
        _tell(state, message)
        timings = state.timings
        state.later(timings.sent_after, functools.partial(_move, state, message, "sent"))
        state.later(timings.delivered_after, functools.partial(_move, state, message, "delivered"))
    answer: dict[str, object] = {"message": "message(s) queued", "message_uuid": uuids}
    if len(taken) < len(destinations):
        answer["invalid_number"] = [number for number in destinations if number not in taken]
    return Reply(202, answer)


def get_message(state: State, asked: Asked) -> Reply:
    return Reply(200, dict(state.messages.find(asked.params[0]).record))


def list_messages(state: State, asked: Asked) -> Reply:
    """The newest first: PROTOCOL.md says no order."""
    records = [message.record for message in state.messages][::-1]
    exact = {name: (name,) for name in _EXACT}
    times = {"message_time": "message_time"}
    return page(asked, select(records, asked.query, exact=exact, times=times))


def list_media(state: State, asked: Asked) -> Reply:
    return page(asked, state.messages.find(asked.params[0]).media)


# --- checks ---------------------------------------------------------------------------------------

_DLT = ("dlt_entity_id", "dlt_template_id", "dlt_template_category")


def _sender(body: Body, kind: str, destinations: list[str]) -> str | None:
    source, powerpack = text(body, "src"), text(body, "powerpack_uuid")
    if bool(source) == bool(powerpack):
        raise invalid("src", "exactly one of src and powerpack_uuid is required")
    if source and not _SOURCE.fullmatch(source):
        raise invalid("src", "must be up to 14 digits or up to 11 letters and digits")
    if source and any(source.lstrip("+") == number.lstrip("+") for number in destinations):
        raise invalid("src", "must not be among the destinations")
    if kind == "whatsapp" and not source:
        raise invalid("src", "is required for WhatsApp")
    return source or None


def _check(body: Body, kind: str) -> tuple[Hook | None, list[str]]:
    """The callback that is wanted, and the addresses of the media."""
    content = text(body, "text", most=10_000)
    try:
        check_text(content, kind)
    except ConfigError as error:
        raise invalid("text", error.message) from None
    for name in ("template", "interactive", "location"):
        if mapping(body, name) is not None and kind != "whatsapp":
            raise invalid(name, "is for WhatsApp only")
    flag(body, "trackable")
    whole(body, "message_expiry", 0, 86_400 * 365)
    for name in _DLT:
        text(body, name)
    log = body.get("log")
    if log is not None and not isinstance(log, bool) and log not in _LOGS:
        raise invalid("log", f"must be true, false or one of {', '.join(_LOGS)}")
    method = choice(body, "method", ("GET", "POST"), "POST")
    media = texts(body, "media_urls", most=_MOST_MEDIA[kind])
    for address in media:
        web_address(address, "media_urls")
    media += [f"media:{id}" for id in texts(body, "media_ids", most=_MOST_MEDIA[kind])]
    url = text(body, "url", most=10_000)
    if not url:
        return None, media
    target, options = web_address(url, "url")
    return Hook(target, method, options), media


def _medium(state: State, message: str, url: str, wall: str) -> dict[str, object]:
    known = url.startswith("media:")
    id = url[6:] if known else state.ids("media")
    return {
        "media_id": id,
        "media_url": None if known else url,
        "content_type": None,
        "file_name": None if known else url.partition("?")[0].rpartition("/")[2],
        "size": None,
        "upload_time": wall,
        "message_uuid": message,
    }


# --- what becomes of it ---------------------------------------------------------------------------


def _move(state: State, message: Message, word: str) -> None:
    wall = iso(state.wall)
    message.record.update(message_state=word, message_updated_time=wall)
    if word == "sent":
        message.record["message_sent_time"] = wall
    _tell(state, message)


def _tell(state: State, message: Message) -> None:
    """The status callback of PROTOCOL.md 7.7, form-encoded; what does not apply is absent."""
    if message.hook is None:
        return
    record = message.record
    params = {
        "MessageUUID": record["message_uuid"],
        "ParentMessageUUID": record["message_uuid"],
        "From": record["from_number"] or "",
        "To": record["to_number"],
        "Type": record["message_type"],
        "Status": record["message_state"],
        "Units": str(record["units"]),
        "TotalRate": record["total_rate"],
        "TotalAmount": record["total_amount"],
        "ErrorCode": record["error_code"],
        "MessageTime": record["message_time"],
        "QueuedTime": iso(message.queued_wall),
    }
    if record["message_sent_time"] is not None:
        params["SentTime"] = record["message_sent_time"]
    if record["message_state"] == "delivered":
        params["DeliveryReportTime"] = record["message_updated_time"]
    if record["powerpack_id"]:
        params["PowerpackUUID"] = record["powerpack_id"]
    state.call_back("message_status", message.hook, message.account, cast("Body", params))
