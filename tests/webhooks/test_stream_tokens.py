"""Tokens of the WebSocket URL: one use, a short life, only ours."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError, StreamTokenError
from plivo_core.webhooks import MemoryStore, StreamToken, StreamTokens

NOW = 1_700_000_000.5
KEY = "k3y-of-at-least-16-bytes"
NEW_KEY = b"another-k3y-for-rotation"


def some_tokens(*keys: str | bytes, **options: Any) -> StreamTokens:
    return StreamTokens(list(keys or [KEY]), random.Random(7).randbytes, **options)


def reason_of(tokens: StreamTokens, token: Any, wall_now: float = NOW, **options: Any) -> str:
    with pytest.raises(StreamTokenError) as caught:
        tokens.check(token, wall_now=wall_now, **options)
    assert caught.value.status == 403
    assert KEY not in f"{caught.value!r}"
    return caught.value.reason


def test_a_token_opens_once() -> None:
    tokens = some_tokens()
    token = tokens.mint(wall_now=NOW)
    accepted = tokens.check(token, wall_now=NOW + 1)
    assert accepted == StreamToken(random.Random(7).randbytes(16).hex(), int(NOW + 120))
    assert reason_of(tokens, token) == "spent"


def test_a_token_goes_into_a_url_as_it_is() -> None:
    token = some_tokens().mint(wall_now=NOW)
    assert len(token) == 72
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


def test_two_tokens_differ() -> None:
    tokens = some_tokens()
    assert tokens.mint(wall_now=NOW) != tokens.mint(wall_now=NOW)


def test_a_spent_token_stays_spent_whatever_the_clocks_say() -> None:
    seen: list[float] = []

    class Store(MemoryStore):
        def add(self, key: str, value: bytes, *, expires_at: float, wall_now: float) -> Any:
            seen.append(expires_at)
            return super().add(key, value, expires_at=expires_at, wall_now=wall_now)

    tokens = some_tokens(store=Store())
    first = tokens.mint(wall_now=NOW)
    tokens.check(first, wall_now=NOW + 1)
    tokens.check(tokens.mint(wall_now=NOW + 200), wall_now=NOW + 201)
    assert seen == [int(NOW) + 120 + 60, int(NOW) + 320 + 60]
    with pytest.raises(StreamTokenError):  # the clock was set back
        tokens.check(first, wall_now=NOW + 100)
    third = tokens.mint(wall_now=NOW + 100)
    assert tokens.check(third, wall_now=NOW + 100)


def test_a_token_expires_spent_or_not() -> None:
    token = some_tokens(ttl=60).mint(wall_now=NOW)
    assert reason_of(some_tokens(ttl=60), token, NOW + 60) == "expired"
    tokens = some_tokens(ttl=60)
    tokens.check(token, wall_now=NOW + 59)
    assert reason_of(tokens, token, NOW + 60) == "expired"


@given(st.data())
def test_a_changed_token_is_forged(data: Any) -> None:
    tokens = some_tokens()
    token = tokens.mint(wall_now=NOW)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_="))
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        assert reason_of(tokens, changed) == "forged"
    tokens.check(token, wall_now=NOW)


@given(st.text() | st.binary() | st.integers() | st.none())
def test_nothing_but_a_token_error_comes_of_arbitrary_input(token: Any) -> None:
    assert reason_of(some_tokens(), token) == ("forged" if token else "missing")


def test_a_token_of_another_key_or_purpose_is_forged() -> None:
    tokens = some_tokens()
    assert reason_of(tokens, some_tokens(NEW_KEY).mint(wall_now=NOW)) == "forged"
    bound = tokens.mint(wall_now=NOW, bound_to="/call/1")
    assert reason_of(tokens, bound) == "forged"
    assert reason_of(tokens, bound, bound_to="/call/2") == "forged"
    assert tokens.check(bound, wall_now=NOW, bound_to="/call/1")


def test_keys_rotate() -> None:
    old, both, new = some_tokens(KEY), some_tokens(NEW_KEY, KEY), some_tokens(NEW_KEY)
    assert both.check(old.mint(wall_now=NOW), wall_now=NOW)
    token = some_tokens(NEW_KEY, KEY).mint(wall_now=NOW)
    assert new.check(token, wall_now=NOW)
    assert reason_of(old, token) == "forged"


def test_workers_that_share_a_store_spend_a_token_once() -> None:
    store = MemoryStore()
    one, two = some_tokens(store=store), some_tokens(store=store)
    token = one.mint(wall_now=NOW)
    two.check(token, wall_now=NOW)
    assert reason_of(one, token) == "spent"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param("", "missing", id="no-query"),
        pytest.param("?token=", "missing", id="blank"),
        pytest.param("?other={token}", "missing", id="other-name"),
        pytest.param("?token={token}&token={token}", "repeated", id="twice"),
        pytest.param("?token=x&a=%ff", "forged", id="no-utf8"),
        pytest.param("?token={token}x", "forged", id="longer"),
    ],
)
def test_a_target_without_one_good_token_is_refused(query: str, reason: str) -> None:
    tokens = some_tokens()
    target = "/ws" + query.format(token=tokens.mint(wall_now=NOW))
    with pytest.raises(StreamTokenError) as caught:
        tokens.check_target(target, wall_now=NOW)
    assert caught.value.reason == reason


def test_a_target_carries_a_token_under_any_name() -> None:
    tokens = some_tokens()
    token = tokens.mint(wall_now=NOW)
    assert tokens.check_target(f"/ws?a=1&t={token}", wall_now=NOW, parameter="t")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"keys": []}, id="none"),
        pytest.param({"keys": KEY}, id="text"),
        pytest.param({"keys": [KEY, "short"]}, id="short"),
        pytest.param({"keys": [7]}, id="number"),
        pytest.param({"ttl": 0}, id="ttl"),
        pytest.param({"ttl": float("nan")}, id="nan"),
    ],
)
def test_what_could_not_guard_is_a_config_error(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        StreamTokens(**{"keys": [KEY], "random_bytes": bytes, **options})
    assert KEY not in str(caught.value)


def test_too_few_random_bytes_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match="16 bytes"):
        StreamTokens([KEY], lambda count: b"").mint(wall_now=NOW)


def test_the_repr_shows_no_key() -> None:
    assert "k3y" not in repr(some_tokens(KEY, NEW_KEY))


@pytest.mark.parametrize("url", ["wss://a.example/call", "wss://a.example/call?x=1&", "wss://a/?"])
def test_a_url_is_minted_and_its_target_checks(url: str) -> None:
    tokens = some_tokens()
    minted = tokens.mint_url(url, wall_now=NOW, bound_to="c-1", parameter="my token")
    assert minted.startswith(url)
    assert minted[len(url) :].lstrip("?&").startswith("my%20token=")
    assert "&&" not in minted
    target = "/" + minted.split("/", 3)[3]
    assert tokens.check_target(target, wall_now=NOW, bound_to="c-1", parameter="my token")


@pytest.mark.parametrize("url", ["wss://a/?x=1&token=", "wss://a/#f", "wss://a/?%ff"])
def test_a_url_that_cannot_carry_a_token_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        some_tokens().mint_url(url, wall_now=NOW)
