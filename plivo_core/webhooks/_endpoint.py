"""One callback URL, whole: verified, guarded against replay, typed, answered, remembered.

:class:`WebhookEndpoint` puts verifier, guard and callback classes in their order, so that every
adapter does the same: ``begin``, the handler, ``answer``, ``finish``.
:func:`answer_webhook` is that order for frameworks without an event loop. Which framework sends the
request is the business of ``_frameworks.py``; clocks, threads and logs are the adapter's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from plivo_core.errors import ConfigError, SignatureError
from plivo_core.webhooks._callback import Callback, CallbackParameters
from plivo_core.webhooks._callbacks import CallbackKind, parse_callback
from plivo_core.webhooks._explanation import Explanation
from plivo_core.webhooks._replay import Answered, FirstSeen, ReplayGuard
from plivo_core.webhooks._verifier import Verified, WebhookVerifier, refusal
from plivo_core.webhooks._xml import XML_CONTENT_TYPE, AnswerXml
from plivo_core.wire import Request, Response

__all__ = ["Settled", "WebhookAnswer", "WebhookEndpoint", "answer_webhook"]

WebhookAnswer: TypeAlias = "AnswerXml | Response | str | bytes | None"
"""What a handler returns: answer XML, built or as text; a whole answer; None for an empty 200."""

_RETRY_AFTER = "1"  # seconds; a handler takes less, and Plivo waits 15 s for answer XML
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """No handler is needed: send ``response``. ``error`` is why, None if this is a repetition."""

    response: Response
    error: SignatureError | None = None


class WebhookEndpoint:
    """What stands between a callback URL and its handler.

    ``kind`` is a callback class or its name; without it the handler gets the :class:`Verified` hook
    itself. ``replay_guard`` is best shared by all endpoints of an application, since a nonce is
    used once; None makes one. ``methods`` are GET, POST or both, as configured at Plivo. ``json``
    and ``unsigned`` are those of :meth:`WebhookVerifier.verify`. Raises ConfigError.
    """

    __slots__ = ("_json", "_kind", "_unsigned", "_verifier", "methods", "replay_guard")

    def __init__(
        self,
        verifier: WebhookVerifier,
        kind: CallbackKind | type[Callback] | None = None,
        *,
        replay_guard: ReplayGuard | None = None,
        methods: Sequence[str] = ("POST",),
        json: bool = False,
        unsigned: bool = False,
    ) -> None:
        if isinstance(methods, str) or not methods or not {"GET", "POST"}.issuperset(methods):
            raise ConfigError("methods must be a list of 'GET', 'POST' or both")
        self._verifier = verifier
        self._kind = kind
        self._json = json
        self._unsigned = unsigned
        self.methods = tuple(methods)
        self.replay_guard = ReplayGuard() if replay_guard is None else replay_guard
        if kind is not None:
            _parse((), kind)  # a kind that does not exist shows here

    def begin(
        self, request: Request, *, peer: str | None = None, wall_now: float
    ) -> Verified | Settled:
        """Whether to call the handler, with :meth:`callback` of the hook, or what to answer.

        After a hook come :meth:`answer` and :meth:`finish`, or :meth:`abandon` if the handler
        failed. ``peer`` is
        the address at the other end of the socket, ``wall_now`` Unix seconds. Raises what the
        guard's store raises: then answer 500.
        """
        try:
            hook = self._verifier.verify(
                method=request.method,
                target=request.target,
                headers=request.headers,
                body=request.body,
                peer=peer,
                methods=self.methods,
                json=self._json,
                unsigned=self._unsigned,
            )
            outcome = self.replay_guard.begin(hook, wall_now=wall_now)
        except SignatureError as error:
            return Settled(refusal(error), error)
        if isinstance(outcome, FirstSeen):
            return hook
        if isinstance(outcome, Answered):
            return Settled(outcome.response)
        return Settled(Response(status=503, headers=(("retry-after", _RETRY_AFTER),)))

    def refusal_of_head(self, request: Request, *, peer: str | None = None) -> Settled | None:
        """The refusal that the head alone earns, to be sent before the body is read."""
        try:
            self._verifier.check_head(
                method=request.method,
                target=request.target,
                headers=request.headers,
                peer=peer,
                methods=self.methods,
                json=self._json,
                unsigned=self._unsigned,
            )
        except SignatureError as error:
            return Settled(refusal(error), error)
        return None

    def callback(self, hook: Verified) -> Callback | Verified:
        """What the handler gets."""
        return hook if self._kind is None else _parse(hook.fields, self._kind)

    def answer(self, answer: object) -> Response:
        """What the handler returned, a :data:`WebhookAnswer`, as it is sent.

        Raises TypeError for anything else; then :meth:`abandon`.
        """
        if isinstance(answer, Response):
            return answer
        if answer is None:
            return Response()
        if isinstance(answer, (AnswerXml, bytes)):
            body = bytes(answer)
        elif isinstance(answer, str):
            body = answer.encode()
        else:
            raise TypeError(
                f"the handler returned {type(answer).__name__}; "
                "expected AnswerXml, str, bytes, Response or None"
            )
        return Response(headers=(("content-type", XML_CONTENT_TYPE),), body=body)

    def finish(self, hook: Verified, response: Response, *, wall_now: float) -> None:
        """Remember ``response`` for repetitions.

        One of 500 or more says "again, please" and is not remembered.
        """
        if response.status >= _SERVER_ERROR:
            self.abandon(hook)
        else:
            self.replay_guard.finish(hook, response, wall_now=wall_now)

    def abandon(self, hook: Verified) -> None:
        """The handler failed: Plivo's repetition shall be handled."""
        self.replay_guard.abandon(hook)

    def explain(self, request: Request, *, peer: str | None = None) -> Explanation:
        """:meth:`WebhookVerifier.explain` for this endpoint. For the developer's eyes; slow."""
        return self._verifier.explain(
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=request.body,
            peer=peer,
            methods=self.methods,
            json=self._json,
        )

    def __repr__(self) -> str:
        unsigned = ", unsigned" if self._unsigned else ""
        return f"<WebhookEndpoint {'/'.join(self.methods)}{unsigned}, {self._verifier!r}>"


def answer_webhook(
    endpoint: WebhookEndpoint,
    handler: Callable[[Any], WebhookAnswer],
    request: Request,
    *,
    peer: str | None = None,
    wall_now: float,
    on_refused: Callable[[SignatureError], object] | None = None,
    on_store_error: Callable[[Exception], object] | None = None,
) -> Response:
    """The answer to ``request``, for Flask, Django, Lambda and their like.

    ``handler`` gets the callback unless the request is refused (``on_refused`` gets the error, to
    log it) or was answered before. What the handler raises passes through, and the request may then
    come again. Where the guard's store fails behind the handler, ``on_store_error`` gets its
    exception, and the answer, or what the handler raised, stands.
    """
    step = endpoint.begin(request, peer=peer, wall_now=wall_now)
    if isinstance(step, Settled):
        if step.error is not None and on_refused is not None:
            on_refused(step.error)
        return step.response
    try:
        response = endpoint.answer(handler(endpoint.callback(step)))
    except BaseException:
        _tell(on_store_error, partial(endpoint.abandon, step))
        raise
    _tell(on_store_error, partial(endpoint.finish, step, response, wall_now=wall_now))
    return response


def _tell(on_error: Callable[[Exception], object] | None, function: Callable[[], None]) -> None:
    """Call ``function``, and hand over what it raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - the store is the application's
        if on_error is not None:
            on_error(error)


def _parse(params: CallbackParameters, kind: CallbackKind | type[Callback]) -> Callback:
    if isinstance(kind, str):
        return parse_callback(params, kind)
    parse = getattr(kind, "parse", None)
    if parse is None:
        raise ConfigError("kind must be a callback class, or the name of one")
    callback: Callback = parse(params)
    return callback
