"""The replay guard and its memory: what comes twice is handled once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plivo_core import ConfigError, ReplayedNonce, Response
from plivo_core.webhooks import Answered, FirstSeen, InProgress, MemoryStore, ReplayGuard, Verified
from tests.webhooks._hooks import MAIN_TOKEN, NONCE, a_hook, a_verifier

NOW = 1_700_000_000.0
XML = Response(status=200, headers=(("content-type", "application/xml"),), body=b"<Response/>\xff")


def a_verified_hook(nonce: str = NONCE, **options: Any) -> Verified:
    return a_hook(nonce=nonce, **options).verified_by(a_verifier())


def reason_of(guard: ReplayGuard, hook: Verified, wall_now: float = NOW) -> str:
    with pytest.raises(ReplayedNonce) as caught:
        guard.begin(hook, wall_now=wall_now)
    assert caught.value.status == 403
    return caught.value.reason


def test_the_same_request_gets_the_same_answer_without_the_handler() -> None:
    guard = ReplayGuard()
    assert guard.begin(a_verified_hook(), wall_now=NOW) == FirstSeen()
    guard.finish(a_verified_hook(), XML, wall_now=NOW + 1)
    assert guard.begin(a_verified_hook(), wall_now=NOW + 2) == Answered(XML)
    assert guard.begin(a_verified_hook("7"), wall_now=NOW + 2) == FirstSeen()


def test_the_same_request_while_the_first_is_handled_is_in_progress() -> None:
    guard = ReplayGuard()
    guard.begin(a_verified_hook(), wall_now=NOW)
    assert guard.begin(a_verified_hook(), wall_now=NOW + 59) == InProgress()
    assert guard.begin(a_verified_hook(), wall_now=NOW + 60) == FirstSeen()


def test_an_abandoned_request_is_new_again() -> None:
    guard = ReplayGuard()
    guard.begin(a_verified_hook(), wall_now=NOW)
    guard.abandon(a_verified_hook())
    guard.abandon(a_verified_hook())
    assert guard.begin(a_verified_hook(), wall_now=NOW) == FirstSeen()


def test_only_what_is_still_pending_is_abandoned() -> None:
    guard = ReplayGuard(pending_ttl=10)
    late = a_verified_hook()
    guard.begin(late, wall_now=NOW)
    guard.begin(late, wall_now=NOW + 10)  # the second run; its answer stays
    guard.finish(late, XML, wall_now=NOW + 11)
    guard.abandon(late)
    assert guard.begin(late, wall_now=NOW + 12) == Answered(XML)
    assert reason_of(guard, a_verified_hook(form=[])) == "other_request"
    guard.abandon(a_verified_hook(form=[]))
    assert guard.begin(late, wall_now=NOW + 12) == Answered(XML)


def test_a_spent_nonce_is_of_no_use_to_anybody() -> None:
    guard = ReplayGuard()
    hook = a_verified_hook()
    guard.spend(hook, wall_now=NOW)
    guard.abandon(hook)
    assert reason_of(guard, hook, NOW + 899) == "spent"
    with pytest.raises(ReplayedNonce) as caught:
        guard.spend(a_verified_hook(form=[]), wall_now=NOW + 899)
    assert caught.value.reason == "spent"
    guard.spend(hook, wall_now=NOW + 900)


def test_a_clock_that_is_set_back_revives_nothing() -> None:
    guard = ReplayGuard(ttl=60)
    guard.begin(a_verified_hook("1"), wall_now=NOW)
    guard.begin(a_verified_hook("2"), wall_now=NOW - 3600)
    for nonce in ("1", "2"):
        assert guard.begin(a_verified_hook(nonce), wall_now=NOW + 59) == InProgress()
    assert guard.begin(a_verified_hook("2"), wall_now=NOW + 60) == FirstSeen()


@pytest.mark.parametrize("finished", [False, True], ids=["pending", "answered"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"form": [("From", "1")]}, id="body"),
        pytest.param({"target": "/other"}, id="path"),
        pytest.param({"target": "/voice?a=1"}, id="query"),
        pytest.param({"method": "GET", "form": []}, id="method"),
    ],
)
def test_another_request_with_the_nonce_is_refused(options: Any, finished: bool) -> None:
    guard = ReplayGuard()
    guard.begin(a_verified_hook(), wall_now=NOW)
    if finished:
        guard.finish(a_verified_hook(), XML, wall_now=NOW)
    assert reason_of(guard, a_verified_hook(**options)) == "other_request"


def test_the_signature_and_its_header_do_not_make_another_request() -> None:
    verifier = a_verifier(main_tokens=MAIN_TOKEN)
    ma = a_hook(header="X-Plivo-Signature-Ma-V3", token=MAIN_TOKEN).verified_by(verifier)
    guard = ReplayGuard()
    guard.begin(a_verified_hook(), wall_now=NOW)
    assert guard.begin(ma, wall_now=NOW) == InProgress()


def test_a_nonce_is_forgotten_after_its_time() -> None:
    guard = ReplayGuard(ttl=60)
    guard.begin(a_verified_hook(), wall_now=NOW)
    guard.finish(a_verified_hook(), XML, wall_now=NOW + 30)
    assert guard.begin(a_verified_hook(), wall_now=NOW + 89.9) == Answered(XML)
    assert guard.begin(a_verified_hook(), wall_now=NOW + 90) == FirstSeen()


@pytest.mark.parametrize(("size", "kept"), [(16, True), (17, False)])
def test_answers_up_to_a_bound_are_kept(size: int, kept: bool) -> None:
    guard = ReplayGuard(max_answer=16)
    guard.begin(a_verified_hook(), wall_now=NOW)
    guard.finish(a_verified_hook(), Response(body=b"x" * size), wall_now=NOW)
    if kept:
        assert guard.begin(a_verified_hook(), wall_now=NOW) == Answered(Response(body=b"x" * size))
    else:
        assert reason_of(guard, a_verified_hook()) == "answer_not_kept"
        assert reason_of(guard, a_verified_hook(form=[])) == "other_request"


def test_an_unsigned_hook_is_always_new() -> None:
    hook = replace(a_verified_hook(), nonce=None, replay_keys=(), scheme="unsigned")
    store = MemoryStore()
    guard = ReplayGuard(store=store)
    for _ in range(2):
        assert guard.begin(hook, wall_now=NOW) == FirstSeen()
        guard.finish(hook, XML, wall_now=NOW)
    guard.abandon(hook)
    assert len(store) == 0


def test_two_workers_share_a_store() -> None:
    store = MemoryStore()
    one, two = ReplayGuard(store=store), ReplayGuard(store=store)
    one.begin(a_verified_hook(), wall_now=NOW)
    assert two.begin(a_verified_hook(), wall_now=NOW) == InProgress()
    one.finish(a_verified_hook(), XML, wall_now=NOW)
    assert two.begin(a_verified_hook(), wall_now=NOW) == Answered(XML)


JUNK = [b"", b"z", b"a", b"a{}", b"a[1]", b'a["x", [], ""]', b'a[200, [1], ""]', b'a[200, [], "-"]',
        b'a[200, [], 7]', b"a\xff", b"a[null, [], \"\"]"]  # fmt: skip


@pytest.mark.parametrize("state", JUNK, ids=range(len(JUNK)))
def test_a_record_that_is_none_of_ours_is_refused(state: bytes) -> None:
    store = MemoryStore()
    hook = a_verified_hook()
    store.add(f"nonce:{NONCE}", hook.fingerprint + state, expires_at=NOW + 9, wall_now=NOW)
    assert reason_of(ReplayGuard(store=store), hook) == "record"


def test_memory_is_bounded_and_gives_up_the_oldest() -> None:
    store = MemoryStore(3)
    for number in range(10):
        store.add(str(number), b"", expires_at=NOW + 60, wall_now=NOW)
        assert len(store) <= 3
    assert [store.add(key, b"", expires_at=NOW + 60, wall_now=NOW) for key in "987"] == [b""] * 3
    assert store.add("6", b"", expires_at=NOW + 60, wall_now=NOW) is None
    assert repr(store) == "<MemoryStore 3 of 3>"


def test_memory_drops_what_expired_before_it_gives_up_what_lives() -> None:
    store = MemoryStore(3)
    store.add("old", b"", expires_at=NOW + 1, wall_now=NOW)
    store.add("live", b"value", expires_at=NOW + 60, wall_now=NOW)
    store.add("new", b"", expires_at=NOW + 60, wall_now=NOW + 1)
    store.replace("new", b"newer", expires_at=NOW + 60, wall_now=NOW + 1)
    assert len(store) == 2
    assert store.add("live", b"", expires_at=NOW + 60, wall_now=NOW + 2) == b"value"
    assert store.add("new", b"", expires_at=NOW + 60, wall_now=NOW + 2) == b"newer"


@pytest.mark.parametrize(
    "bounds", [{"capacity": 0}, {"ttl": 0}, {"pending_ttl": 0}, {"max_answer": -1}], ids=str
)
def test_bounds_that_are_none_are_a_config_error(bounds: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        ReplayGuard(**bounds)


def test_the_guard_names_its_store() -> None:
    store = MemoryStore()
    assert ReplayGuard(store=store).store is store
    assert isinstance(ReplayGuard().store, MemoryStore)
