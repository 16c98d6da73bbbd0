"""The tree of errors, the bounds, and the close codes that may travel."""

from __future__ import annotations

import dataclasses

import pytest

from plivo_core import errors
from plivo_core._close_codes import check_close_code, is_sendable_close_code
from plivo_core.errors import (
    AudioError,
    ConfigError,
    InvalidCommandError,
    LocalProtocolError,
    PlivoError,
    RemoteProtocolError,
    SendQueueFull,
    SessionClosedError,
    WebSocketError,
)
from plivo_core.limits import Limits, Timings


def test_every_error_is_a_plivo_error() -> None:
    for name in set(errors.__all__) - {"mask_path"}:
        assert issubclass(getattr(errors, name), PlivoError)


def test_the_families_say_whose_bug_it_was() -> None:
    families = (LocalProtocolError, RemoteProtocolError, SessionClosedError, SendQueueFull)
    for family in families:
        assert issubclass(family, WebSocketError)
        assert [other for other in families if issubclass(family, other)] == [family]
    assert issubclass(InvalidCommandError, LocalProtocolError)


def test_wrong_arguments_and_settings_are_value_errors_too() -> None:
    assert issubclass(InvalidCommandError, ValueError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(AudioError, ValueError)


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = PlivoError("no token", hint="set PLIVO_AUTH_TOKEN")
    assert (error.message, error.hint) == ("no token", "set PLIVO_AUTH_TOKEN")
    assert str(error) == "no token (set PLIVO_AUTH_TOKEN)"
    assert str(PlivoError("no token")) == "no token"


def test_an_invalid_command_names_the_argument() -> None:
    assert InvalidCommandError("too long", argument="digits").argument == "digits"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/Number/+14155550199", "/v1/Number/***0199"),
        ("/v1/Account/M/Number/%2B1%20%28415%29%20555-0199/", "/v1/Account/M/Number/***0199/"),
        ("/v1/Account/M/PhoneNumber/1-415-555-0199/", "/v1/Account/M/PhoneNumber/***0199/"),
        (
            "/v1/Account/M/Agent/a/Number/sip%3Aalice%40x.example",
            "/v1/Account/M/Agent/a/Number/***",
        ),
        ("/v1/Number/sip:+14155550199@x?type=carrier", "/v1/Number/***0199?type=carrier"),
        ("/v1/Number/%31%34155550199", "/v1/Number/***0199"),
        ("/v1/Number/%D9%A4%D9%A1", "/v1/Number/***"),
        ("/v1/Number/1234", "/v1/Number/***"),
        ("/v1/Account/M/Number/", "/v1/Account/M/Number/"),
        ("/v1/Account/M/Message/4155550199/", "/v1/Account/M/Message/***0199/"),
        ("https://h/v1/Number/14155550199", "https://h/v1/Number/***0199"),
    ],
)
def test_a_path_shows_no_number_in_whatever_form(path: str, shown: str) -> None:
    assert errors.mask_path(path) == shown


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999])
def test_registered_and_private_close_codes_may_travel(code: int) -> None:
    assert is_sendable_close_code(code)
    check_close_code(code)


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536])
def test_reserved_close_codes_may_not(code: int) -> None:
    assert not is_sendable_close_code(code)
    with pytest.raises(LocalProtocolError, match=f"close code {code} cannot be sent"):
        check_close_code(code)


def test_the_defaults_are_those_of_the_security_notes() -> None:
    limits, timings = Limits(), Timings()
    assert (limits.max_head, limits.max_headers, limits.max_body) == (16384, 100, 1048576)
    assert (limits.max_message, limits.max_fragments, limits.max_json_depth) == (1048576, 4096, 64)
    assert (limits.control_buffer, limits.audio_buffer, limits.audio_buffer_ms) == (
        1048576,
        262144,
        5000,
    )
    assert (timings.handshake, timings.body, timings.message) == (10.0, 10.0, 30.0)
    assert (timings.ping_interval, timings.ping_timeout) == (20.0, 20.0)
    assert (timings.write, timings.close, timings.linger, timings.error_linger) == (10, 5, 1, 0.3)


@pytest.mark.parametrize("bounds", [Limits(), Timings()])
def test_bounds_do_not_change_under_a_connection(bounds: Limits | Timings) -> None:
    for field in dataclasses.fields(bounds):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(bounds, field.name, 0)
