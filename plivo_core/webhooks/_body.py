"""The body of a webhook request, decoded strictly: a form, or JSON where the route asks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from plivo_core.codec import MalformedMessage, codec_for
from plivo_core.errors import UnacceptableRequest
from plivo_core.limits import Limits
from plivo_core.webhooks._params import NO_PARAMS, Params
from plivo_core.webhooks._reading import Head, read_pairs, shown, too_many

__all__ = ["Body", "check_body_head", "read_body"]

# Two hex digits behind each: no form that Plivo sends has another, and decoding one is slow.
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# No float has so many digits. Python reads and writes long integers in quadratic time.
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{310}")
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body, decoded: ``form`` or ``json``, never both."""

    raw: bytes = field(default=b"", repr=False)
    form: Params = NO_PARAMS
    json: dict[str, object] | None = field(default=None, repr=False)


def check_body_head(head: Head, limits: Limits, *, json: bool) -> str:
    """The body's media type by the head alone, "" if none is named. Raises UnacceptableRequest.

    Content-Length is compared with the limit here, so that an adapter can refuse before it reads.
    """
    lengths = head.headers.get("content-length", [])
    if lengths and (len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0])):
        raise UnacceptableRequest(
            "Content-Length must be one number", reason="content_length", status=400
        )
    if lengths and int(lengths[0]) > limits.max_webhook_body:
        raise _too_large(limits)
    if any(value.lower() != "identity" for value in head.headers.get("content-encoding", [])):
        raise UnacceptableRequest(
            "the body is compressed or otherwise encoded", reason="content_encoding", status=415
        )
    types = head.headers.get("content-type", [])
    if head.method == "GET" or not types:
        return ""
    media_type, charset = _media_type(types[0])
    accepted = ["application/x-www-form-urlencoded", *(["application/json"] if json else [])]
    if len(types) > 1 or media_type not in accepted:
        raise UnacceptableRequest(
            f"the body must be {' or '.join(accepted)}, not {shown(media_type)}",
            reason="content_type",
            status=415,
            hint="" if json else "a route that takes JSON says json=True",
        )
    if charset not in ("", "utf-8", "utf8"):
        raise UnacceptableRequest("the body must be UTF-8", reason="charset", status=415)
    return media_type


def read_body(head: Head, limits: Limits, body: object, *, json: bool) -> Body:
    """Raises UnacceptableRequest: 400, 413 or 415."""
    media_type = check_body_head(head, limits, json=json)
    raw = _raw(body)
    if len(raw) > limits.max_webhook_body:
        raise _too_large(limits)
    if not raw:
        return Body()
    if head.method == "GET":
        raise UnacceptableRequest(
            "a GET with a body, which no signature covers", reason="body_of_get", status=400
        )
    if not media_type:
        raise UnacceptableRequest("the body has no Content-Type", reason="content_type", status=415)
    if media_type == "application/json":
        return Body(raw=raw, json=_json(raw, limits))
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise UnacceptableRequest(
            "the form is not ASCII: everything else must be percent-encoded",
            reason="body_not_ascii",
            status=400,
        ) from None
    if _STRAY_PERCENT.search(text):
        raise UnacceptableRequest(
            "the form has a % without two hexadecimal digits", reason="form_percent", status=400
        )
    return Body(raw=raw, form=read_pairs(text, limits, "form"))


def _raw(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(cast("bytes", body))
    raise UnacceptableRequest(
        "the body must be the raw bytes that were sent",
        reason="body_parsed",
        status=400,
        hint="read it before the framework parses it",
    )


def _json(raw: bytes, limits: Limits) -> dict[str, object]:
    if sum(map(raw.count, (b",", b"[", b"{"))) > limits.max_json_items:
        raise UnacceptableRequest(
            f"the JSON body has more than {limits.max_json_items} values",
            reason="too_many_fields",
            status=413,
        )
    if _LONG_NUMBER.search(raw):
        raise UnacceptableRequest(
            "the JSON body holds a number of over 309 digits", reason="body_not_json", status=400
        )
    try:
        value = codec_for(limits).decode(raw)
    except MalformedMessage:
        raise UnacceptableRequest(
            "the body is not a JSON object", reason="body_not_json", status=400
        ) from None
    if len(value) > limits.max_fields:
        raise too_many(limits, "JSON object")
    return value


def _media_type(value: str) -> tuple[str, str]:
    media_type, *parameters = value.split(";")
    charset = ""
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = text.strip().strip('"').lower()
    return media_type.strip().lower(), charset


def _too_large(limits: Limits) -> UnacceptableRequest:
    return UnacceptableRequest(
        f"the body is over {limits.max_webhook_body} bytes", reason="body_too_large", status=413
    )
