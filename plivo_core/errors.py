"""Every exception the project raises, in one tree.

Three families answer "whose bug was it": :class:`LocalProtocolError` (yours; the state is as it
was before the call), :class:`RemoteProtocolError` (the peer's; never raised, it arrives in
``Ended.error``) and :class:`SessionClosedError` (nobody's: a race that was lost).

REST adds two more: :class:`ApiError` (Plivo answered, and what it answered is no success) and
:class:`TransportError` (there is no answer). :class:`AmbiguousOutcomeError` is a TransportError's
sibling, not its child: code that repeats a request after a TransportError must not catch it.

A webhook that is refused is a :class:`SignatureError`; its ``status`` is what to answer.
"""

from __future__ import annotations

import re

__all__ = [
    "AmbiguousOutcomeError",
    "ApiError",
    "AudioQueueFull",
    "AuthenticationError",
    "ConfigError",
    "ConnectionFailedError",
    "ForbiddenError",
    "InvalidCommandError",
    "LocalProtocolError",
    "MalformedSignature",
    "MissingSignature",
    "NotFoundError",
    "PlivoError",
    "RateLimitError",
    "RemoteProtocolError",
    "RepeatedParameterError",
    "ReplayedNonce",
    "RequestTimeoutError",
    "ScenarioError",
    "SendQueueFull",
    "ServerError",
    "SessionClosedError",
    "SignatureError",
    "SignatureMismatch",
    "StreamTokenError",
    "TransportError",
    "UnacceptableRequest",
    "ValidationError",
    "WebSocketError",
    "mask_path",
]

# What a path names after one of these is a number, in whatever form; and any other part that is
# nothing but a phone number, as paths carry it.
_NUMBER_BY_PLACE = re.compile(r"(?<=Number/)[^/?#]+")
_ESCAPED_DIGIT = re.compile(r"%3([0-9])")
_NO_DIGIT = re.compile(r"%[0-9A-Fa-f]{2}|[^0-9]")
_NUMBER_IN_PATH = re.compile(r"(?<=/)(?:\+|%2B)?[0-9]*([0-9]{4})(?=/|$|\?)")


def mask_path(path: str) -> str:
    """``path`` as messages and reprs show it: phone numbers reduced to their last four digits.

    In the place of a number SIP addresses, formatted and short numbers are masked too.
    """
    return _NUMBER_IN_PATH.sub(r"***\1", _NUMBER_BY_PLACE.sub(_mask_number, path))


def _mask_number(part: re.Match[str]) -> str:
    digits = _NO_DIGIT.sub("", _ESCAPED_DIGIT.sub(r"\1", part[0]))
    return "***" + (digits[-4:] if len(digits) > 4 else "")


def _rebuild(
    cls: type[PlivoError], args: tuple[object, ...], state: dict[str, object]
) -> PlivoError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class PlivoError(Exception):
    """Root of the tree.

    ``message`` says what happened and what was expected; ``hint`` what to do about it (may be
    empty). Neither ever holds a secret.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(
        self,
    ) -> tuple[object, tuple[type[PlivoError], tuple[object, ...], dict[str, object]]]:
        # Exception's own would call the class with `args` alone, and so fail on required keywords.
        return _rebuild, (type(self), self.args, self.__dict__)


class ConfigError(PlivoError, ValueError):
    """A setting is missing or contradicts another; raised before anything is sent or served."""


class ScenarioError(ConfigError):
    """A scenario cannot be played as it is written; see docs/scenarios.md.

    ``filename`` and ``line`` (from 1) say where, ``found`` what stands there, ``expected`` what
    may, ``nearest`` the valid word that ``found`` resembles (empty: none does).
    """

    def __init__(
        self,
        problem: str,
        *,
        filename: str,
        line: int,
        found: str,
        expected: str,
        nearest: str = "",
    ) -> None:
        super().__init__(
            f"{filename}, line {line}: {problem}: found {found}, expected {expected}",
            hint=f"did you mean {nearest!r}?" if nearest else "",
        )
        self.filename = filename
        self.line = line
        self.found = found
        self.expected = expected
        self.nearest = nearest


class WebSocketError(PlivoError):
    """A call's connection failed: a time-out, a lost transport. Also the base of the four below."""


class LocalProtocolError(WebSocketError):
    """The call made no sense in this state. Nothing was sent and nothing changed."""


class InvalidCommandError(LocalProtocolError, ValueError):
    """The platform would reject this command (PROTOCOL.md D-26).

    ``argument`` names the offending argument of the session method or command class.
    """

    def __init__(self, message: str, *, argument: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.argument = argument


class AudioQueueFull(LocalProtocolError):  # noqa: N818 - named like SendQueueFull
    """Audio passed its budget: nothing was queued, and the call goes on.

    Only where ``Limits.audio_overflow`` is "error", and for one message that is over all of
    ``Limits.audio_buffer``.
    """


class RemoteProtocolError(WebSocketError):
    """The peer broke HTTP, RFC 6455 or one of our limits; our Close frame is already queued."""


class SessionClosedError(WebSocketError):
    """The call ended before the command was given. A lost race, not a bug."""


class SendQueueFull(WebSocketError):  # noqa: N818 - the name is the design's
    """The peer does not read: control messages passed their budget. The call ends."""


# --- REST -----------------------------------------------------------------------------------------


class ApiError(PlivoError):
    """Plivo answered, but not with success; also a success whose body cannot be read.

    ``message`` is the service's own text where there is one (PROTOCOL.md D-11), ``status_code`` and
    ``body`` are the answer's: the whole JSON object, else ``{"message": excerpt}``. ``api_id`` is
    what Plivo's support asks for. ``attempts`` counts the requests sent, this one included;
    ``retry_after`` is what a 429 or 5xx asked for, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        body: dict[str, object] | None = None,
        api_id: str | None = None,
        method: str = "",
        path: str = "",
        attempts: int = 1,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status_code = status_code
        self.body: dict[str, object] = {} if body is None else body
        self.api_id = api_id
        self.method = method
        self.path = path
        self.attempts = attempts
        self.retry_after = retry_after

    def __str__(self) -> str:
        parts = [f"{self.method} {mask_path(self.path)}: HTTP {self.status_code}"]
        if self.api_id is not None:
            parts.append(f"api_id {self.api_id}")
        if self.attempts > 1:
            parts.append(f"after {self.attempts} attempts")
        return f"{super().__str__()} [{', '.join(parts)}]"


class ValidationError(ApiError):
    """400: an argument is missing or wrong."""


class AuthenticationError(ApiError):
    """401: the credentials are not valid."""


class ForbiddenError(AuthenticationError):
    """403: the credentials are valid but not for this; geographic permissions are one case."""


class NotFoundError(ApiError):
    """404: there is no such resource, or no longer."""


class RateLimitError(ApiError):
    """429: too many requests; nothing was done. ``retry_after`` may say when to come back."""


class ServerError(ApiError):
    """500-599: Plivo failed. A create or change may have happened; ``hint`` says how to see."""


class TransportError(PlivoError):
    """No answer came, and none is needed to know that repeating the request does no harm.

    The children tell why; one that is neither was never sent, because it could not be.
    """

    def __init__(
        self, message: str, *, method: str = "", path: str = "", attempts: int = 1, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.method = method
        self.path = path
        self.attempts = attempts


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke."""


class RequestTimeoutError(TransportError):
    """The time-out of the request passed."""


class AmbiguousOutcomeError(PlivoError):
    """A create or change was sent and no answer came: it may or may not have happened.

    It was not repeated: that could place a second call or send a second message. ``hint`` says how
    to look the outcome up.
    """

    def __init__(
        self, message: str, *, method: str = "", path: str = "", attempts: int = 1, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.method = method
        self.path = path
        self.attempts = attempts


# --- webhooks -------------------------------------------------------------------------------------


class SignatureError(PlivoError):
    """A webhook or an upgrade is refused; the handler must not see it.

    ``status`` is the HTTP status to answer, with an empty body: the peer learns nothing more.
    ``reason`` is one word for logs and counters, such as ``nonce_missing``; it is listed where the
    error is raised. The text holds neither a token nor a signature, nonce or body.
    """

    def __init__(self, message: str, *, reason: str, status: int = 403, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.status = status


class MissingSignature(SignatureError):  # noqa: N818 - the name is the design's
    """403: there is no signature that this verifier may accept, or no nonce with it."""


class MalformedSignature(SignatureError):  # noqa: N818 - named like its siblings
    """403: a signature or nonce header is given twice, too long, or of another alphabet."""


class SignatureMismatch(SignatureError):  # noqa: N818 - the name is the design's
    """403: no signature matches. ``WebhookVerifier.explain`` says which input differs."""


class ReplayedNonce(SignatureError):  # noqa: N818 - the name is the design's
    """403: the nonce was seen before, with another request or with an answer no longer kept."""


class UnacceptableRequest(SignatureError):  # noqa: N818 - named like its siblings
    """400, 405, 413 or 415 in ``status``: the request has no form that could be verified.

    ``allow`` holds the methods for the ``Allow`` header of a 405, and is empty otherwise.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        status: int,
        allow: tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, reason=reason, status=status, hint=hint)
        self.allow = allow


class StreamTokenError(SignatureError):
    """403: the token of a WebSocket URL is refused.

    ``reason`` is ``missing``, ``repeated``, ``forged``, ``expired`` or ``spent``.
    """


class RepeatedParameterError(PlivoError, ValueError):
    """A parameter that was read as one value came several times; ``name`` says which."""

    def __init__(self, message: str, *, name: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name
