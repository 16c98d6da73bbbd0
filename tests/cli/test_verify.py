"""``verify`` judges a request as the verifier does, says what differs, and shows no secret."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from plivo_anyio._cli._request import read_request, save_request
from plivo_core import ConfigError, Request
from tests.cli.conftest import Plivo
from tests.webhooks._hooks import CALL, MAIN_TOKEN, PUBLIC, TOKEN, Hook, a_hook


def text_of(hook: Hook) -> bytes:
    head = [f"{hook.method} {hook.target} HTTP/1.1", "Host: 127.0.0.1:9000"]
    head += [f"{name}: {value}" for name, value in hook.headers]
    return "\r\n".join([*head, "", ""]).encode() + hook.body


@pytest.fixture
def hook() -> Hook:
    return a_hook(CALL)


@pytest.fixture
def saved(hook: Hook, tmp_path: Path) -> Path:
    path = tmp_path / "hook.http"
    path.write_bytes(text_of(hook))
    return path


@pytest.fixture(autouse=True)
def _environment(plivo: Plivo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("PLIVO_PUBLIC_URL", PUBLIC)


def test_a_saved_request_with_its_signature_is_valid(plivo: Plivo, saved: Path) -> None:
    done = plivo("verify", saved)
    assert (done.status, done.err) == (0, "")
    assert "valid: v3 covers method, URL and body" in done.out
    assert plivo("verify", saved, "--json").lines == [{"verify": {"valid": True, "scheme": "v3"}}]


def test_the_same_from_standard_input(
    plivo: Plivo, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(text_of(hook)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin.buffer))
    assert plivo("verify", "-").status == 0


def test_the_same_from_options_alone(plivo: Plivo, hook: Hook) -> None:
    headers = [option for pair in hook.headers for option in ("--header", "=".join(pair))]
    params = [option for pair in CALL for option in ("--param", "=".join(pair))]
    done = plivo("verify", "--url", f"{PUBLIC}{hook.target}", *headers, *params)
    assert done.status == 0, done.out + done.err


def test_what_differs_is_said_and_ends_with_1(plivo: Plivo, saved: Path) -> None:
    done = plivo("verify", saved, "--public-url", PUBLIC.replace("https", "http"))
    assert done.status == 1
    assert "refused with 403" in done.out
    assert "because scheme: the signature is for https://" in done.out
    line = plivo("verify", saved, "--method", "GET", "--json").lines[0]["verify"]
    assert line["valid"] is False
    assert line["differences"][0]["part"] == "body_of_get"


def test_another_token_is_a_guess(plivo: Plivo, saved: Path) -> None:
    done = plivo("verify", saved, "--token", "another")
    assert done.status == 1
    assert "perhaps token:" in done.out


def test_blanks_round_the_token_of_the_environment_are_found(
    plivo: Plivo, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", f" {TOKEN} ")
    done = plivo("verify", saved)
    assert done.status == 1
    assert "token_blank" in done.out


@pytest.mark.parametrize("options", [(), ("--json",), ("--token", "s3cret-token")])
@pytest.mark.parametrize("replaced", [(), ("--header", "X-Plivo-Signature-V3=AAAA")])
def test_no_token_signature_or_value_is_shown(
    plivo: Plivo, saved: Path, hook: Hook, options: tuple[str, ...], replaced: tuple[str, ...]
) -> None:
    done = plivo("verify", saved, *options, *replaced)
    shown = done.out + done.err
    secrets = (TOKEN, "s3cret-token", hook.header("X-Plivo-Signature-V3"), "4155550101", "a b&c=d")
    assert [secret for secret in secrets if secret in shown] == []


def test_the_main_accounts_token_has_its_own_option(plivo: Plivo, tmp_path: Path) -> None:
    path = tmp_path / "hook.http"
    path.write_bytes(text_of(a_hook(CALL, token=MAIN_TOKEN)).replace(b"-V3:", b"-Ma-V3:"))
    assert plivo("verify", path, "--main-token", MAIN_TOKEN).status == 0
    assert plivo("verify", path).status == 1


def test_an_editors_last_line_end_is_no_part_of_the_body(plivo: Plivo, hook: Hook) -> None:
    text = text_of(hook.with_header("Content-Length", str(len(hook.body))))
    assert read_request(text + b"\n").body == hook.body
    assert read_request(text.replace(b"\r\n", b"\n")).body == hook.body
    assert read_request(text + b"more").body == hook.body + b"more"


def test_what_listen_saves_is_read_back_as_it_was(tmp_path: Path, hook: Hook) -> None:
    request = Request(
        method="POST",
        target="/voice?a=%20",
        headers=tuple(hook.headers),
        body=b"\xff\r\n\r\nx",
    )
    path = save_request(tmp_path / "kept", 7, request)
    read = read_request(path.read_bytes())
    assert (read.method, read.target, read.body) == ("POST", "/voice?a=%20", request.body)
    assert read.headers == request.headers
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "request line"),
        (b"hello s3cret\r\n\r\n", "request line"),
        (b"POST /x HTTP/1.1\r\ns3cret\r\n\r\n", "line 2"),
    ],
)
def test_a_file_that_is_no_request_is_wrong_usage(
    plivo: Plivo, tmp_path: Path, text: bytes, says: str
) -> None:
    path = tmp_path / "hook.http"
    path.write_bytes(text)
    done = plivo("verify", path)
    assert done.status == 2
    assert says in done.err
    assert "s3cret" not in done.err
    with pytest.raises(ConfigError):
        read_request(text)


def test_without_token_public_url_or_request_it_says_what_to_give(
    plivo: Plivo, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "FILE" in plivo("verify").err
    monkeypatch.setenv("PLIVO_PUBLIC_URL", "")
    done = plivo("verify", saved)
    assert (done.status, "PLIVO_PUBLIC_URL" in done.err) == (2, True)
    monkeypatch.delenv("PLIVO_AUTH_TOKEN")
    done = plivo("verify", saved, "--public-url", PUBLIC)
    assert (done.status, "PLIVO_AUTH_TOKEN" in done.err) == (2, True)
