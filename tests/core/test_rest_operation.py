"""The operation as a state machine: every cell of the retry table, every call in every state."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import (
    AmbiguousOutcomeError,
    ApiError,
    ConnectionFailedError,
    LocalProtocolError,
    PlivoError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
)
from plivo_core.rest import Cause, Done, Failed, Response, RetryPolicy, Send, Sent, SleepUntil
from tests.core._rest import an_account, an_operation, answers, by_hand, run

METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH")
REPEATABLE = frozenset(METHODS) - {"POST", "PATCH"}
STATUSES = (200, 201, 202, 204, 207, 299, 300, 304, 399, 400, 401, 403, 404, 408, 422, 429, 499,
            500, 502, 503, 599, 600, 0, 199)  # fmt: skip
BACKOFF = (0.5, 1.0, 2.0)
ALWAYS = RetryPolicy(retry_unsafe=True)

# --- the table ------------------------------------------------------------------------------------


def reach_attempt(op: Any, attempt: int, policy: RetryPolicy) -> float:
    """Begin, and fail by requests that never left until ``attempt`` requests were sent."""
    now = 100.0
    step = op.begin(now=now, retry=policy)
    for _ in range(attempt - 1):
        step = op.lost(Cause.CONNECT, Sent.NO, now=now)
        now = step.at
        step = op.wake(now=now)
    assert step == Send(op.request)
    return now


@pytest.mark.parametrize("policy", [RetryPolicy(), ALWAYS], ids=["default", "unsafe"])
@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
@pytest.mark.parametrize("method", METHODS)
def test_each_status_at_each_attempt_is_done_repeated_or_final(
    method: str, attempt: int, policy: RetryPolicy
) -> None:
    for status in STATUSES:
        op = an_operation(method)
        now = reach_attempt(op, attempt, policy)
        step = op.responded(answers(status), now=now, wall_now=0)
        repeatable = method in REPEATABLE or policy.retry_unsafe
        if 200 <= status <= 299:
            assert isinstance(step, Done)
        elif attempt <= 3 and (status == 429 or (500 <= status <= 599 and repeatable)):
            assert isinstance(step, SleepUntil)
            assert step.at == now + BACKOFF[attempt - 1]
            assert isinstance(step.because, ApiError)
        else:
            assert isinstance(step, Failed)
            assert isinstance(step.error, ApiError)
            assert step.error.status_code == status
            assert step.error.attempts == attempt == op.attempts
            assert (step.error.method, step.error.path) == (method, op.path)


@pytest.mark.parametrize("policy", [RetryPolicy(), ALWAYS], ids=["default", "unsafe"])
@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
@pytest.mark.parametrize("sent", Sent)
@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("method", METHODS)
def test_each_lost_request_is_repeated_or_final(
    method: str, cause: Cause, sent: Sent, attempt: int, policy: RetryPolicy
) -> None:
    op = an_operation(method)
    now = reach_attempt(op, attempt, policy)
    step = op.lost(cause, sent, now=now)
    repeatable = method in REPEATABLE or policy.retry_unsafe
    if cause is not Cause.REFUSED and attempt <= 3 and (sent is Sent.NO or repeatable):
        assert isinstance(step, SleepUntil)
        assert step.at == now + BACKOFF[attempt - 1]
        return
    assert isinstance(step, Failed)
    expected: type[PlivoError]
    if sent is Sent.MAYBE and method not in REPEATABLE:
        expected = AmbiguousOutcomeError
    else:
        expected = {
            Cause.CONNECT: ConnectionFailedError,
            Cause.BROKEN: ConnectionFailedError,
            Cause.TIMEOUT: RequestTimeoutError,
            Cause.REFUSED: TransportError,
        }[cause]
    assert type(step.error) is expected
    assert isinstance(step.error, (TransportError, AmbiguousOutcomeError))
    assert step.error.attempts == attempt
    assert (step.error.method, step.error.path) == (method, op.path)
    assert not hasattr(step.error, "status_code")


BEFORE: dict[str, Any] = {
    "a 429": answers(429),
    "a 503": answers(503),
    "a lost answer": (Cause.BROKEN, Sent.MAYBE),
    "a success that broke": Response(200, (), b"{", complete=False, broken=Cause.TIMEOUT),
}
NEXT = [*STATUSES, *itertools.product(Cause, Sent)]


@pytest.mark.parametrize("policy", [RetryPolicy(), ALWAYS], ids=["default", "unsafe"])
@pytest.mark.parametrize("last", [True, False], ids=["last attempt", "repeats left"])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("method", METHODS)
def test_what_came_before_counts(method: str, before: str, last: bool, policy: RetryPolicy) -> None:
    repeatable = method in REPEATABLE or policy.retry_unsafe
    starts = method in REPEATABLE if "broke" in before else repeatable or before == "a 429"
    policy = dataclasses.replace(policy, max_retries=1 if last else 2)
    for following in NEXT:
        op = an_operation(method)
        op.begin(now=0.0, retry=policy)
        step = give(op, BEFORE[before], 0.0)
        assert isinstance(step, SleepUntil) is starts
        if not starts:
            assert isinstance(step, Failed)
            continue
        assert op.wake(now=step.at) == Send(op.request)
        lost_before = method not in REPEATABLE and before != "a 429"
        if not isinstance(following, tuple):
            step = give(op, answers(following), 1.0)
            failed_there = 500 <= following <= 599
            doubt = lost_before or (method not in REPEATABLE and failed_there)
            if 200 <= following <= 299:
                assert isinstance(step, Done)
                continue
            repeated = following == 429 or (failed_there and repeatable)
        else:
            cause, sent = following
            step = give(op, following, 1.0)
            doubt = lost_before or (method not in REPEATABLE and sent is Sent.MAYBE)
            repeated = cause is not Cause.REFUSED and (sent is Sent.NO or repeatable)
        if repeated and not last:
            assert isinstance(step, SleepUntil)
            assert step.at == 1.0 + BACKOFF[1]
            continue
        assert isinstance(step, Failed)
        error = step.error
        assert ("may have happened" in error.hint) is doubt
        assert isinstance(error, ApiError) is not isinstance(following, tuple)
        if isinstance(following, tuple):
            assert isinstance(error, AmbiguousOutcomeError) is doubt


def give(op: Any, reply: Any, now: float) -> Any:
    if isinstance(reply, Response):
        return op.responded(reply, now=now, wall_now=0.0)
    return op.lost(*reply, now=now)


CUT = [Cause.BROKEN, Cause.TIMEOUT, None]


@pytest.mark.parametrize("policy", [RetryPolicy(), ALWAYS], ids=["default", "unsafe"])
@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
@pytest.mark.parametrize("broken", CUT)
@pytest.mark.parametrize("method", METHODS)
def test_a_cut_answer_keeps_its_status_and_a_success_that_broke_is_as_good_as_lost(
    method: str, broken: Cause | None, attempt: int, policy: RetryPolicy
) -> None:
    for status in STATUSES:
        op, whole = an_operation(method), an_operation(method)
        for each in (op, whole):
            now = reach_attempt(each, attempt, policy)
        cut = Response(status, (), b'{"a', complete=False, broken=broken)
        step = op.responded(cut, now=now, wall_now=0)
        if status == 204:
            assert isinstance(step, Done)
        elif not 200 <= status <= 299:  # as if the body had come
            expected = whole.responded(answers(status), now=now, wall_now=0)
            assert type(step) is type(expected)
            failed = [getattr(s, "error", None) or s.because for s in (step, expected)]  # type: ignore[union-attr]
            assert type(failed[0]) is type(failed[1])
            assert failed[0].status_code == status
        elif broken is None or method not in REPEATABLE:
            assert isinstance(step, Failed)
            assert isinstance(step.error, ApiError)
            assert (step.error.status_code, step.error.attempts) == (status, attempt)
            assert ("was carried out" in step.error.hint) is (method not in REPEATABLE)
        elif attempt <= 3:
            assert isinstance(step, SleepUntil)
            assert step.at == now + BACKOFF[attempt - 1]
        else:
            assert isinstance(step, Failed)
            timed_out = broken is Cause.TIMEOUT
            assert type(step.error) is (RequestTimeoutError if timed_out else ConnectionFailedError)


def test_an_operation_can_be_built_again_for_what_may_happen_twice() -> None:
    op = an_operation("GET", retry=RetryPolicy(max_retries=0))
    run(op, [answers(500)])
    again = op.again()
    assert (again.request, again.path, again.attempts) == (op.request, op.path, 0)
    assert run(again, [answers(200)]).sends == 1


# --- state x input --------------------------------------------------------------------------------

INPUTS: dict[str, Any] = {
    "begin": lambda op: op.begin(now=9.0),
    "responded": lambda op: op.responded(answers(200), now=9.0, wall_now=0.0),
    "lost": lambda op: op.lost(Cause.TIMEOUT, Sent.NO, now=9.0),
    "wake": lambda op: op.wake(now=9.0),
}
STATES: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "not begun": ((), frozenset({"begin"})),
    "waiting for the answer": (("begin",), frozenset({"responded", "lost"})),
    "waiting to send again": (("begin", "lost"), frozenset({"wake"})),
    "waiting for the second answer": (
        ("begin", "lost", "late wake"),
        frozenset({"responded", "lost"}),
    ),
    "over": (("begin", "responded"), frozenset()),
}


@pytest.mark.parametrize(("state", "name"), list(itertools.product(STATES, INPUTS)))
def test_an_input_that_does_not_fit_the_state_is_refused_and_changes_nothing(
    state: str, name: str
) -> None:
    def reached() -> Any:
        op = an_operation("GET")
        for step in STATES[state][0]:
            op.wake(now=99.0) if step == "late wake" else INPUTS[step](op)
        return op

    op = reached()
    if name in STATES[state][1]:
        assert isinstance(INPUTS[name](op), (Send, SleepUntil, Done, Failed))
        return
    before = (repr(op), op.attempts)
    with pytest.raises(LocalProtocolError, match=name):
        INPUTS[name](op)
    assert (repr(op), op.attempts) == before
    for fitting in STATES[state][1]:  # and it goes on as if nothing had been
        assert repr(INPUTS[fitting](op)) == repr(INPUTS[fitting](reached()))
        op = reached()


def test_an_early_wake_gets_the_same_wait_again() -> None:
    op = an_operation("GET")
    op.begin(now=0.0)
    waiting = op.lost(Cause.CONNECT, Sent.NO, now=0.0)
    assert isinstance(waiting, SleepUntil)
    assert op.wake(now=waiting.at - 0.001) == waiting
    assert op.wake(now=waiting.at) == Send(op.request)


# --- what an unsafe method's errors say -----------------------------------------------------------


def test_a_create_that_may_have_arrived_says_how_to_look_it_up() -> None:
    error = run(an_operation("POST"), [(Cause.TIMEOUT, Sent.MAYBE)]).error
    assert type(error) is AmbiguousOutcomeError
    assert "messages.list" in error.hint
    assert "may or may not have happened" in str(error)


def test_a_create_refused_after_it_may_have_arrived_is_not_said_to_be_unsent() -> None:
    error = run(an_operation("POST"), [(Cause.REFUSED, Sent.MAYBE)]).error
    assert type(error) is AmbiguousOutcomeError
    assert "could not be sent" not in str(error)


def test_a_create_that_met_a_server_error_says_how_to_look_it_up() -> None:
    error = run(an_operation("POST"), [answers(502)]).error
    assert type(error) is ServerError
    assert "messages.list" in error.hint


def test_one_attempt_that_may_have_arrived_makes_the_whole_outcome_ambiguous() -> None:
    script = [(Cause.BROKEN, Sent.MAYBE), *[(Cause.CONNECT, Sent.NO)] * 3]
    error = run(an_operation("POST"), script, retry=ALWAYS).error
    assert type(error) is AmbiguousOutcomeError


def test_a_server_error_and_then_no_connection_is_ambiguous_too() -> None:
    script = [answers(500), *[(Cause.CONNECT, Sent.NO)] * 3]
    assert type(run(an_operation("POST"), script, retry=ALWAYS).error) is AmbiguousOutcomeError


def test_a_refusal_after_an_attempt_that_may_have_arrived_keeps_the_doubt() -> None:
    error = run(
        an_operation("POST"), [(Cause.BROKEN, Sent.MAYBE), answers(400)], retry=ALWAYS
    ).error
    assert error.status_code == 400
    assert "may have happened" in error.hint


def test_a_delete_that_finds_nothing_the_second_time_says_why_that_may_be() -> None:
    error = run(an_operation("DELETE"), [(Cause.BROKEN, Sent.MAYBE), answers(404)]).error
    assert "earlier attempt" in error.hint
    assert "earlier attempt" not in run(an_operation("DELETE"), [answers(404)]).error.hint


def test_a_create_that_was_rate_limited_did_not_happen() -> None:
    error = run(an_operation("POST"), [answers(429)] * 4).error
    assert type(error) is RateLimitError
    assert "happened" not in error.hint


def test_the_error_of_an_operation_without_a_look_up_still_warns() -> None:
    op = by_hand("POST", an_account())
    assert "look it up" in run(op, [(Cause.BROKEN, Sent.MAYBE)]).error.hint


# --- retry options --------------------------------------------------------------------------------


def test_a_policy_given_at_begin_replaces_the_accounts() -> None:
    never = RetryPolicy(max_retries=0)
    assert run(an_operation("GET", retry=never), [answers(500)]).sends == 1
    assert run(an_operation("GET", retry=never), [answers(500)] * 4, retry=RetryPolicy()).sends == 4
    assert run(an_operation("GET"), [answers(500)], retry=never).sends == 1


def test_jitter_spreads_the_back_off_but_not_retry_after() -> None:
    script = [answers(500), answers(429, retry_after="3"), answers(500), answers(200)]
    result = run(an_operation("GET"), script, jitter=lambda wait: wait / 2)
    assert result.waits == [0.25, 3.0, 1.0]


def test_the_cause_of_a_wait_is_told() -> None:
    op = an_operation("GET")
    op.begin(now=0.0)
    step = op.responded(answers(503, {"error": "later"}), now=0.0, wall_now=0.0)
    assert isinstance(step, SleepUntil)
    assert isinstance(step.because, ServerError)
    assert step.because.message == "later"


# --- properties -----------------------------------------------------------------------------------

lost = st.tuples(st.sampled_from(Cause), st.sampled_from(Sent))
headers = st.lists(
    st.tuples(
        st.sampled_from(["Retry-After", "retry-after", "X"]) | st.text(max_size=8),
        st.text(max_size=20)
        | st.floats(-10, 100).map(str)
        | st.sampled_from(["Mon, 02 Mar 2026 10:00:30 GMT", "Sun Nov  6 08:49:37 1994"]),
    ),
    max_size=3,
)
bodies = st.binary(max_size=40) | st.sampled_from(
    [b"", b"{}", b"[]", b'{"error": {}}', b'{"error": [1]}', b"[" * 2000, b'{"error": NaN}',
     b'{"message": "\\ud800"}', b'{"error": {"message": 3}}', b'{"api_id": 4}', b"\xff" * 5000,
     b'{"api_id": "\\ud800"}', b'{"api_id": "' + b"x" * 9000 + b'"}',
     b'{"error": "' + b"\\ud800" * 3000 + b'", "api_id": "' + b"\\udfff" * 3000 + b'"}']
)  # fmt: skip
responses = st.builds(
    Response,
    st.integers(-1, 1000) | st.sampled_from([200, 204, 404, 429, 500, 503]),
    headers,
    bodies,
    st.booleans(),
    st.none() | st.sampled_from([Cause.TIMEOUT, Cause.BROKEN]),
)
policies = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 6),
    backoff_factor=st.floats(0, 100),
    max_backoff=st.floats(0, 100),
    max_retry_after=st.floats(0, 100),
    retry_unsafe=st.booleans(),
)
jitters = st.none() | st.sampled_from(
    [lambda w: 0.0, lambda w: w, lambda w: -1.0, lambda w: w * 10, lambda w: float("nan")]
)


@given(
    st.sampled_from(METHODS),
    st.lists(lost | responses, min_size=8, max_size=8),
    policies,
    jitters,
    st.floats(0, 4e9),
)
def test_whatever_comes_attempts_and_waits_are_bounded(
    method: str, script: list[Any], policy: RetryPolicy, jitter: Any, wall_now: float
) -> None:
    result = run(an_operation(method), script, retry=policy, jitter=jitter, wall_now=wall_now)
    assert 1 <= result.sends <= policy.max_retries + 1
    assert len(result.waits) == result.sends - 1
    # Clocks are floats: a wait is off by the rounding of the sum that it is cut from.
    longest = max(policy.max_backoff, policy.max_retry_after)
    assert all(-1e-6 <= wait <= longest + 1e-6 for wait in result.waits)
    assert isinstance(result.last, (Done, Failed))
    if isinstance(result.last, Failed):
        assert isinstance(result.error, PlivoError)
        assert len(str(result.error)) < 2000
        assert str(result.error).encode()
        assert repr(result.error).encode()
    for reply in script[: result.sends - 1]:
        if isinstance(reply, tuple):
            assert reply[0] is not Cause.REFUSED


@given(
    st.sampled_from(["POST", "PATCH"]),
    st.lists(lost | responses, min_size=4, max_size=4),
    jitters,
)
def test_a_create_or_change_is_sent_at_most_once_after_it_may_have_arrived(
    method: str, script: list[Any], jitter: Any
) -> None:
    result = run(an_operation(method), script, jitter=jitter)
    for reply in script[: result.sends - 1]:  # each was followed by another request
        if isinstance(reply, Response):
            assert reply.status == 429
        else:
            assert reply[1] is Sent.NO


@given(
    st.sampled_from(METHODS),
    st.floats(0, 60) | st.integers(0, 60),
    st.sampled_from([429, 500, 503]),
    jitters,
    st.booleans(),
)
def test_retry_after_is_never_undercut(
    method: str, seconds: float, status: int, jitter: Any, cut: bool
) -> None:
    text = f"{seconds:.3f}"  # as digits: 1e-05 is no Retry-After
    reply = Response(status, [("Retry-After", text)], b"{", complete=not cut)
    result = run(an_operation(method), [reply, answers(200)], jitter=jitter)
    if status == 429 or method in REPEATABLE:
        assert result.waits == [float(text)]
    else:
        assert (result.waits, result.error.retry_after) == ([], float(text))


@given(
    st.sampled_from(METHODS),
    st.integers(-5, 70),
    st.floats(0, 4e9),
    st.sampled_from([429, 503]),
    jitters,
)
def test_a_retry_after_that_is_a_date_is_never_undercut(
    method: str, seconds: int, wall_now: float, status: int, jitter: Any
) -> None:
    at = int(wall_now) + seconds
    if at < 0:
        return
    date = format_datetime(datetime.fromtimestamp(at, tz=timezone.utc), usegmt=True)
    script = [answers(status, retry_after=date), answers(200)]
    result = run(an_operation(method), script, jitter=jitter, wall_now=wall_now)
    if status == 503 and method not in REPEATABLE:
        assert result.waits == []
    elif at - wall_now > 60:
        assert type(result.error) in (RateLimitError, ServerError)
    else:
        assert result.waits == [max(0.0, at - wall_now)]
