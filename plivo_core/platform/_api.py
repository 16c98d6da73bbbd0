"""Plivo's REST API as a pure state machine: requests in, answers and effects out.

:class:`PlatformApi` answers every operation of PROTOCOL.md 3 for one account and its subaccounts.
What an operation causes outside (a call to lead, a callback to send) comes as plain data from
:meth:`PlatformApi.next_effect`; what becomes of it is told with :meth:`~PlatformApi.call_began`,
``call_ended``, ``callback_answered`` and ``callback_lost``. It refuses to do I/O, to read a clock
and to be raised at: whatever a client sends gets an answer.

A subaccount sees everything that the main account has, which PROTOCOL.md leaves open.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence

from plivo_core.errors import ConfigError
from plivo_core.platform import _calls
from plivo_core.platform._answering import Asked, Refused, digits_of, read_body
from plivo_core.platform._effects import Effect
from plivo_core.platform._faults import Fault, FaultPlan
from plivo_core.platform._resources_agents import hooks_of
from plivo_core.platform._routes import Found, find
from plivo_core.platform._scenario import RestFault
from plivo_core.platform._state import Ids, State
from plivo_core.platform._store import PlatformLimits, PlatformTimings
from plivo_core.webhooks._signatures import decode_pairs
from plivo_core.wire import Headers, Request, Response

__all__ = ["PlatformApi", "counting_ids"]

_LIMITS = PlatformLimits()
_TIMINGS = PlatformTimings()


def counting_ids() -> Ids:
    """Identifiers that count: the same requests get the same answers, bit for bit."""
    count = 0

    def next_id(kind: str) -> str:
        nonlocal count
        count += 1
        if kind == "nonce":
            return f"{count:020}"
        return f"00000000-0000-4000-8000-{count:012}"

    return next_id


class PlatformApi:
    """A simulated account; ``subaccounts`` are auth ids and their tokens.

    ``ids(kind)`` gives each new thing its identifier: :func:`counting_ids`, or random ones from an
    adapter. ``faults`` go wrong on purpose; those of ``Scenario.rest`` may be among them. ``now``
    is monotonic seconds, ``wall_now`` Unix seconds, as everywhere in the core. After each input
    drain :meth:`next_effect` and read :meth:`deadline`. Raises ConfigError for credentials that no
    client could send.
    """

    def __init__(
        self,
        auth_id: str,
        auth_token: str,
        *,
        ids: Ids,
        subaccounts: Mapping[str, str] | None = None,
        limits: PlatformLimits = _LIMITS,
        timings: PlatformTimings = _TIMINGS,
        faults: Iterable[Fault | RestFault] = (),
    ) -> None:
        tokens = {auth_id: auth_token, **(subaccounts or {})}
        if not all(user and token and ":" not in user for user, token in tokens.items()):
            raise ConfigError("an auth id or token is empty, or an auth id holds a colon")
        self._state = State(tokens, auth_id, ids, limits, timings)
        self._faults = FaultPlan(faults)

    # -- the client ----------------------------------------------------------------------------

    def handle(self, request: Request, *, now: float, wall_now: float) -> Response:
        """The answer to ``request``. Never raises for what it holds.

        Any host and no trailing prefix: ``target`` begins with ``/v1``. Header names are lower
        case, as :mod:`plivo_core.wire` gives them.
        """
        state = self._advance(now, wall_now)
        # Lookup spells its failures differently (PROTOCOL.md 3.7).
        lookup = request.path.startswith("/v1/Number/")
        try:
            found = find(request.method, request.path)
            fault = self._faults.next(found.operation, request.method, request.path)
            if fault is not None and not fault.done:
                return fault.response()
            account = self._authenticated(request, found)
            asked = self._read(request, found, account)
            if request.method != "GET":
                state.require_room()
            reply = found.handler(state, asked)
        except Refused as refused:
            named: dict[str, object] = {"error": refused.text}
            if lookup:
                named = {"error_code": refused.status, "message": refused.text}
            return self._response(refused.status, named, refused.headers)
        if fault is not None:
            return fault.response()
        return self._response(reply.status, reply.body)

    # -- the driver ----------------------------------------------------------------------------

    def next_effect(self) -> Effect | None:
        """What is to be done next; None: nothing."""
        effects = self._state.effects
        return effects.popleft() if effects else None

    def deadline(self) -> float | None:
        """When to call :meth:`handle_timeout`, on the clock of ``now``."""
        return self._state.deadline()

    def handle_timeout(self, now: float) -> None:
        """Time has passed: messages move on. Harmless if early."""
        self._advance(now)

    def call_began(self, connection_id: str, *, now: float) -> None:
        """The application accepted the connection of a :class:`CallPlaced`. Idempotent."""
        _calls.begin(self._advance(now), connection_id)

    def call_ended(
        self,
        connection_id: str,
        *,
        now: float,
        cause: str | None = None,
        turn_count: int = 0,
        transcript: Sequence[Mapping[str, object]] = (),
        record_url: str | None = None,
    ) -> None:
        """The connection is over; with the call's own the call ends. Idempotent once it has.

        One that never came up is placed again, twice.

        ``transcript`` are entries as in ``session.ended``; ``record_url`` asks for the recording
        callback. ``cause`` is HangupCause, open text; None is a normal end.
        """
        _calls.end(
            self._advance(now),
            connection_id,
            cause=cause or _calls.NORMAL,
            turn_count=turn_count,
            transcript=transcript,
            record_url=record_url,
        )

    def callback_answered(self, id: str, status: int, body: bytes = b"", *, now: float) -> None:
        """The application answered a :class:`CallbackDue`."""
        self._advance(now).callback_over(id, status, body, "")

    def callback_lost(self, id: str, *, connected: bool = True, now: float) -> None:
        """No answer came in time, or, not ``connected``, no connection. It may come once more."""
        self._advance(now).callback_over(id, None, b"", "rt" if connected else "ct")

    def receive_call(self, *, from_: str, to: str, now: float, wall_now: float) -> str | None:
        """Somebody calls ``to``: its agent is placed. The call's uuid; None: nobody answers it."""
        state = self._advance(now, wall_now)
        digits = digits_of(to) or ""
        agent = next((agent for agent in state.agents if digits in agent.numbers), None)
        if agent is None:
            return None
        try:
            state.require_room()
            call = _calls.new_call(
                state,
                agent.account,
                from_=from_,
                to=[to],
                direction="inbound",
                hooks=hooks_of(agent.config),
            )
        except Refused:
            return None
        _calls.attach_agent(state, call, agent, {})
        return call.uuid

    # -- inside --------------------------------------------------------------------------------

    def _advance(self, now: float, wall_now: float | None = None) -> State:
        self._state.at_time(now, wall_now)
        self._state.run_timers()
        return self._state

    def _authenticated(self, request: Request, found: Found) -> str:
        """The account that acts: HTTP Basic, the only scheme that PROTOCOL.md 1 knows."""
        state = self._state
        user, token = _credentials(request.header("authorization") or "")
        known = state.tokens.get(user, "")
        matches = hmac.compare_digest(known.encode(), token.encode())
        if not known or not matches:
            headers = (("www-authenticate", 'Basic realm="Plivo"'),)
            raise Refused(401, "could not verify your access level", headers=headers)
        if found.account in (None, user):
            return user
        if user == state.main and found.account in state.tokens:
            return found.account
        raise Refused(403, "these credentials are of another account")

    def _read(self, request: Request, found: Found, account: str) -> Asked:
        limits = self._state.limits
        if len(request.query) > limits.max_query:
            raise Refused(400, f"query: over {limits.max_query} characters")
        if len(request.body) > limits.max_body:
            raise Refused(413, f"the body is over {limits.max_body} bytes")
        try:
            query = dict(decode_pairs(request.query))
        except ValueError:
            raise Refused(400, "query: not UTF-8") from None
        # PROTOCOL.md 2.1 gives GET and DELETE no body; one that comes is not looked at.
        has_body = request.method in ("POST", "PATCH")
        return Asked(
            operation=found.operation,
            account=account,
            path=request.path,
            params=found.params,
            query=query,
            body=read_body(request.body) if has_body else {},
        )

    def _response(
        self, status: int, body: Mapping[str, object] | None, headers: Headers = ()
    ) -> Response:
        if body is None:
            return Response(status=status, headers=headers)
        named = {**body, "api_id": self._state.ids("api")}
        return Response(
            status=status,
            headers=(("content-type", "application/json"), *headers),
            body=json.dumps(named).encode(),
        )


def _credentials(header: str) -> tuple[str, str]:
    """User and password; two empty texts for a header that has none."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = b64decode(given.strip(), validate=True).decode().partition(":")
            return user, password
        except ValueError:
            pass
    return "", ""
