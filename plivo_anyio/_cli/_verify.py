"""``verify``: say whether a webhook request is Plivo's, and if not, which input differs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode, urlsplit

import click

from plivo_anyio._cli._options import KeyValue, json_option
from plivo_anyio._cli._output import Output
from plivo_anyio._cli._request import SavedRequest, read_request
from plivo_core import ConfigError, SignatureError
from plivo_core.webhooks import WebhookVerifier

__all__ = ["make_verifier", "public_url_option", "token_options", "verify"]

_FORM = ("content-type", "application/x-www-form-urlencoded")


def token_options(function: click.decorators.FC) -> click.decorators.FC:
    """``--token``, ``--main-token`` and ``--allow-v2``, as :func:`make_verifier` takes them."""
    for option in (
        click.option("--allow-v2", is_flag=True, help="Take V2 signatures where there is no V3."),
        click.option(
            "--main-token",
            "main_tokens",
            multiple=True,
            metavar="TOKEN",
            help="The main account's, for X-Plivo-Signature-Ma-V3; repeat.",
        ),
        click.option(
            "--token",
            "tokens",
            multiple=True,
            metavar="TOKEN",
            help="The auth token; repeat. `ps` shows it.  [default: PLIVO_AUTH_TOKEN]",
        ),
    ):
        function = option(function)
    return function


def public_url_option(function: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--public-url",
        metavar="URL",
        help="What the URLs configured at Plivo begin with.  [default: PLIVO_PUBLIC_URL]",
    )(function)


def make_verifier(
    tokens: tuple[str, ...], main_tokens: tuple[str, ...], public_url: str, *, allow_v2: bool
) -> WebhookVerifier:
    """Of options first, then of the environment; empty equals unset. Raises ConfigError."""
    from_environment = os.environ.get("PLIVO_AUTH_TOKEN")
    own = tokens or ((from_environment,) if from_environment and not main_tokens else ())
    if not own and not main_tokens:
        raise ConfigError(
            "there is no token to verify with", hint="give --token, or set PLIVO_AUTH_TOKEN"
        )
    return WebhookVerifier(own, main_tokens or None, public_url=public_url, allow_v2=allow_v2)


@click.command()
@click.argument("request_file", metavar="[FILE]", type=click.File("rb"), required=False)
@click.option("--url", help="The whole URL, as it is configured at Plivo.")
@click.option("--method", metavar="METHOD", help="GET or POST.  [default: POST with a body]")
@click.option("--header", "headers", type=KeyValue(), multiple=True, help="A header; repeat.")
@click.option(
    "--param", "params", type=KeyValue(), multiple=True, help="A parameter of the form; repeat."
)
@click.option(
    "--body",
    "body_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the raw body.",
)
@public_url_option
@token_options
@json_option
@click.pass_context
def verify(
    context: click.Context,
    request_file: BinaryIO | None,
    url: str | None,
    method: str | None,
    headers: tuple[tuple[str, str], ...],
    params: tuple[tuple[str, str], ...],
    body_file: Path | None,
    public_url: str | None,
    tokens: tuple[str, ...],
    main_tokens: tuple[str, ...],
    allow_v2: bool,
    as_json: bool,
) -> None:
    """Explain the signature of a webhook request.

    FILE (- for standard input) holds the request as HTTP has it, such as `listen --save` writes;
    the options say the same, or replace parts of it. Exit status 1 if the request is not valid.
    Shows no token, signature or value.
    """
    given = SavedRequest("", "", (), b"")
    if request_file is not None:
        given = read_request(request_file.read())
    elif url is None:
        raise click.UsageError("give a FILE with the request, or --url and --header")
    target = given.target
    base = public_url or os.environ.get("PLIVO_PUBLIC_URL", "")
    if url is not None:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        base = f"{parts.scheme}://{parts.netloc}"
    if params and body_file is not None:
        raise click.UsageError("--param and --body are both the body: give one")
    body = given.body
    kept = given.headers
    if params:
        body = urlencode(params).encode()
        kept = (*(pair for pair in kept if not pair[0].lower().startswith("content-")), _FORM)
    elif body_file is not None:
        body = body_file.read_bytes()
        kept = tuple(pair for pair in kept if pair[0].lower() != "content-length")
    replaced = {name.lower() for name, _ in headers}
    kept = (*(pair for pair in kept if pair[0].lower() not in replaced), *headers)
    if body and not any(name.lower() == "content-type" for name, _ in kept):
        kept = (*kept, _FORM)
    verb = (method or given.method or ("POST" if body else "GET")).upper()

    verifier = make_verifier(tokens, main_tokens, base, allow_v2=allow_v2)
    output = Output(as_json)
    try:
        hook = verifier.verify(method=verb, target=target, headers=kept, body=body, json=True)
    except SignatureError as error:
        found = verifier.explain(method=verb, target=target, headers=kept, body=body, json=True)
        output.json(
            {
                "verify": {
                    "valid": False,
                    "status": error.status,
                    "certain": found.certain,
                    "differences": [
                        {"part": one.part, "message": one.message, "hint": one.hint}
                        for one in found.differences
                    ],
                }
            }
        )
        output.text(f"refused with {error.status}", colour="red", bold=True)
        for one in found.differences:
            output.text(f"  {'because' if found.certain else 'perhaps'} {one.part}: {one.message}")
            if one.hint:
                output.text(f"    {one.hint}")
        context.exit(1)
    output.json({"verify": {"valid": True, "scheme": hook.scheme}})
    output.text(f"valid: {hook.scheme} covers {_covered(hook.covers_body)}", colour="green")


def _covered(everything: bool) -> str:
    return "method, URL and body" if everything else "the URL without its query, and no body"
