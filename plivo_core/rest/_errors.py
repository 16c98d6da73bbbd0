"""From an answer, or the lack of one, to an error of the tree (PROTOCOL.md 4, D-11).

Reading never raises for what a server sent. What it shows of an answer is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from plivo_core.codec import DEFAULT_CODEC, MalformedMessage
from plivo_core.errors import (
    AmbiguousOutcomeError,
    ApiError,
    AuthenticationError,
    ConnectionFailedError,
    ForbiddenError,
    NotFoundError,
    PlivoError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    ValidationError,
)
from plivo_core.rest._request import Response
from plivo_core.rest._retry import is_repeatable
from plivo_core.rest._vocabulary import Cause

__all__ = ["UnreadableAnswer", "api_error", "no_answer_error", "read_object", "unreadable_error"]

_EXCERPT = 1000
"""Characters of a body that an error quotes: enough for any message, too few to flood a log."""

_API_ID = 100
"""Characters of an api_id; real ones are UUIDs."""

_CLASSES: Mapping[int, type[ApiError]] = {
    400: ValidationError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    429: RateLimitError,
}
_HINTS: Mapping[int, str] = {
    401: "check auth_id and auth_token",
    403: "the account may not do this; check its permissions, geographic ones too",
    429: "send less: 300 requests in 5 s and 2 outbound calls a second are the usual limits",
}
_REASONS: Mapping[Cause, str] = {
    Cause.CONNECT: "could not connect",
    Cause.TIMEOUT: "no answer in time",
    Cause.BROKEN: "the connection broke",
    Cause.REFUSED: "the request could not be sent",
}


class UnreadableAnswer(ValueError):  # noqa: N818 - a verdict on an answer, never raised to users
    """A success whose body is not what it should be; the text says what is wrong."""


def read_object(response: Response) -> dict[str, object]:
    """The JSON object of a success; empty for no content. Raises UnreadableAnswer."""
    if response.status == 204:
        return {}
    if not response.complete:
        raise UnreadableAnswer(f"the answer was cut after {len(response.body)} bytes")
    if not response.body.strip():
        return {}
    try:
        return DEFAULT_CODEC.decode(response.body)
    except MalformedMessage as error:
        raise UnreadableAnswer(
            "the answer is JSON but no object"
            if error.reason == "not_an_object"
            else "the answer is not JSON"
        ) from None


def unreadable_error(
    response: Response, problem: UnreadableAnswer, method: str, path: str, attempts: int
) -> ApiError:
    """What read_object could not read, as the error that the caller gets."""
    return ApiError(
        str(problem),
        status_code=response.status,
        body={"message": _excerpt(response.body)},
        method=method,
        path=path,
        attempts=attempts,
        hint=f"the status says success: {method} was carried out"
        if not is_repeatable(method)
        else "is there a proxy between here and Plivo?",
    )


def api_error(
    response: Response,
    *,
    method: str,
    path: str,
    attempts: int,
    retry_after: float | None,
    uncertain: bool,
    look_up: str,
) -> ApiError:
    """The error of any answer that is no success.

    ``uncertain``: this attempt or one before it may have had its effect. ``look_up`` says how to
    find out.
    """
    status = response.status
    body, message, api_id = _read_failure(response)
    cls = _CLASSES.get(status)
    if cls is None:
        cls = ServerError if 500 <= status <= 599 else ApiError
    if not uncertain:
        hint = _HINTS.get(status, "")
        if 300 <= status <= 399:
            hint = "redirects are not followed; check base_url"
    elif not is_repeatable(method):
        hint = _may_have_happened(look_up)
    elif method == "DELETE" and status == 404:
        hint = "an earlier attempt, whose answer was lost, may have deleted it"
    else:
        hint = _HINTS.get(status, "")
    return cls(
        message,
        status_code=status,
        body=body,
        api_id=api_id,
        method=method,
        path=path,
        attempts=attempts,
        retry_after=retry_after,
        hint=hint,
    )


def no_answer_error(
    cause: Cause, *, method: str, path: str, attempts: int, maybe: bool, look_up: str
) -> PlivoError:
    """The error of a request without answer; ``maybe``: this or an earlier one may have arrived."""
    reason = _REASONS[cause]
    if maybe and not is_repeatable(method):
        if cause is Cause.REFUSED:
            reason = "the request could not be completed"
        return AmbiguousOutcomeError(
            f"{reason}: the {method} may or may not have happened",
            method=method,
            path=path,
            attempts=attempts,
            hint=_may_have_happened(look_up),
        )
    cls: type[TransportError] = ConnectionFailedError
    if cause is Cause.REFUSED:
        cls = TransportError
    elif cause is Cause.TIMEOUT:
        cls = RequestTimeoutError
    return cls(
        f"{reason} after {attempts} attempts" if attempts > 1 else reason,
        method=method,
        path=path,
        attempts=attempts,
        hint="check base_url" if cause is Cause.REFUSED else "",
    )


def _may_have_happened(look_up: str) -> str:
    return f"it may have happened: {look_up or 'look it up'} before you repeat it"


def _read_failure(response: Response) -> tuple[dict[str, object], str, str | None]:
    """Body, message and api_id."""
    blank = f"HTTP {response.status}"
    try:
        body = DEFAULT_CODEC.decode(response.body)
    except MalformedMessage:
        text = _excerpt(response.body)
        return {"message": text}, text.strip() or blank, None
    api_id = body.get("api_id")
    message = _error_text(body.get("error")) or _text(body.get("message")) or blank
    return body, _shorten(message), _shorten(api_id, _API_ID) if isinstance(api_id, str) else None


def _error_text(error: object) -> str:
    if isinstance(error, dict):
        members = cast("dict[str, object]", error)
        return _text(members.get("message")) or _text(members.get("error")) or _json(members)
    if isinstance(error, list):
        return _json(cast("list[object]", error))
    return _text(error)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _json(value: dict[str, object] | list[object]) -> str:
    # It came out of our decoder, so that it is neither too deep nor otherwise unwritable.
    return json.dumps(value, ensure_ascii=False) if value else ""


def _excerpt(body: bytes) -> str:
    # Four bytes are the longest character; a cut one at the end is cut off by _shorten.
    return _shorten(body[: 4 * (_EXCERPT + 1)].decode("utf-8", "replace"))


def _shorten(text: str, most: int = _EXCERPT) -> str:
    # JSON can spell lone surrogates, and a log file cannot write them; escaped they are longer.
    shown = text[: most + 1].encode("utf-8", "backslashreplace").decode()
    return shown[:most] + "..." if len(shown) > most else shown
