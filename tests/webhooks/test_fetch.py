"""Fetch options: what is written into a fragment, read back, refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError
from plivo_core.webhooks import FetchOptions, split_fetch_options, with_fetch_options

URL = "https://example.com/answer"
ALL = FetchOptions(
    connect_ms=1000,
    read_ms=5000,
    total_ms=20000,
    repeats=3,
    repeat_on=("ct", "5xx"),
    region="local",
)


def test_every_option_is_written_under_its_wire_name() -> None:
    assert str(ALL) == "ct=1000&rt=5000&tt=20000&rc=3&rp=ct,5xx&er=local"
    assert with_fetch_options(URL, ALL) == f"{URL}#{ALL}"


def test_a_query_stays_before_the_fragment() -> None:
    url = f"{URL}?a=1&b=%23"
    written = with_fetch_options(url, FetchOptions(repeats=0))
    assert written == f"{url}#rc=0"
    assert split_fetch_options(written) == (url, FetchOptions(repeats=0))


def test_without_options_the_url_stays_as_it_is() -> None:
    assert with_fetch_options(URL, FetchOptions()) == URL
    assert split_fetch_options(URL) == (URL, FetchOptions())
    assert split_fetch_options(f"{URL}#") == (URL, FetchOptions())


OPTIONS = st.builds(
    FetchOptions,
    connect_ms=st.none() | st.integers(100, 10_000),
    read_ms=st.none() | st.integers(100, 40_000),
    total_ms=st.none() | st.integers(100, 55_000),
    repeats=st.none() | st.integers(0, 5),
    repeat_on=st.none()
    | st.lists(st.sampled_from(["4xx", "5xx", "ct", "rt", "all"]), min_size=1, unique=True),
    region=st.none() | st.sampled_from(["nearest", "local", "n_virginia", "eu_west2"]),
)


@given(OPTIONS)
def test_options_survive_a_round_trip(options: FetchOptions) -> None:
    assert split_fetch_options(with_fetch_options(f"{URL}?x=1", options)) == (f"{URL}?x=1", options)
    assert FetchOptions.parse(str(options)) == options
    assert hash(FetchOptions.parse(str(options))) == hash(options)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"connect_ms": 99}, "connect_ms must be between 100 and 10000"),
    ({"connect_ms": 10_001}, "connect_ms must be between 100 and 10000"),
    ({"connect_ms": True}, "connect_ms must be an int, not bool"),
    ({"read_ms": 99}, "read_ms must be between 100 and 40000"),
    ({"read_ms": 40_001}, "read_ms must be between 100 and 40000"),
    ({"read_ms": 100.0}, "read_ms must be an int, not float"),
    ({"total_ms": 99}, "total_ms must be between 100 and 55000"),
    ({"total_ms": 55_001}, "total_ms must be between 100 and 55000"),
    ({"repeats": -1}, "repeats must be between 0 and 5"),
    ({"repeats": 6}, "repeats must be between 0 and 5"),
    ({"repeat_on": "ct"}, "repeat_on must be a tuple of str, not str"),
    ({"repeat_on": 5}, "repeat_on must be a tuple of str, not int"),
    ({"repeat_on": ()}, "repeat_on must be distinct ones of 4xx, 5xx, ct, rt, all"),
    ({"repeat_on": ("ct", "ct")}, "repeat_on must be distinct ones of"),
    ({"repeat_on": ("404",)}, "repeat_on must be distinct ones of"),
    ({"repeat_on": ([],)}, "repeat_on must be distinct ones of"),
    ({"region": ""}, "region is blank"),
    ({"region": 1}, "region must be a str, not int"),
    ({"region": "n virginia"}, "region must be nearest, local or a region's name"),
    ({"region": "x&rc=5"}, "region must be nearest, local or a region's name"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_the_platform_would_ignore_names_its_argument(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        FetchOptions(**options)


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("section", "part 1 of the fragment is no fetch option"),
        ("ct=", "part 1 of the fragment is no fetch option"),
        ("ct=200&", "part 2 of the fragment is no fetch option"),
        ("ct=200&CT=200", "part 2 of the fragment is no fetch option"),
        ("ct=200&ct=200", "part 2 of the fragment is no fetch option"),
        ("ct=200,rt=500", "connect_ms must be a whole number in the fragment"),
        ("ct=+200", "connect_ms must be a whole number in the fragment"),
        ("ct=1_00", "connect_ms must be a whole number in the fragment"),
        ("rc=٣", "repeats must be a whole number in the fragment"),
        ("rc=" + "9" * 5000, "repeats must be a whole number in the fragment"),
        ("rc=9", "repeats must be between 0 and 5"),
        ("rp=ct,,rt", "repeat_on must be distinct ones of"),
        ("er=%20", "region must be nearest"),
    ],
    ids=range(13),
)
def test_a_fragment_that_is_something_else_is_refused(fragment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        FetchOptions.parse(fragment)


def test_a_url_with_a_fragment_gets_no_second_one() -> None:
    with pytest.raises(ConfigError, match="url has a fragment already"):
        with_fetch_options(f"{URL}#rc=1", FetchOptions(repeats=2))
    with pytest.raises(ConfigError, match="url has a fragment already"):
        with_fetch_options(f"{URL}#", FetchOptions())


@pytest.mark.parametrize("url", ["/answer", "wss://example.com", "", 5], ids=repr)
def test_only_an_absolute_http_url_has_options(url: Any) -> None:
    with pytest.raises(ConfigError, match=r"^url "):
        with_fetch_options(url, ALL)
    with pytest.raises(ConfigError, match=r"^url "):
        split_fetch_options(url)
