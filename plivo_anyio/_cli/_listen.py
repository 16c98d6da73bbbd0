"""``listen``: catch callbacks on any path, verify and print each, and answer."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import anyio
import click
from anyio.abc import TaskStatus

from plivo_anyio._cli._options import backend_option, json_option
from plivo_anyio._cli._output import Output, http_url
from plivo_anyio._cli._request import save_request
from plivo_anyio._cli._run import run_async
from plivo_anyio._cli._verify import make_verifier, public_url_option, token_options
from plivo_anyio._listening import Listener, Where
from plivo_anyio._routes import RoutesAnswer
from plivo_anyio._server import Server
from plivo_anyio._site import Site
from plivo_anyio._stats import Counters
from plivo_core import Limits, Request, Response, Timings
from plivo_core.errors import mask_path
from plivo_core.webhooks import (
    Callback,
    Settled,
    Verified,
    WebhookEndpoint,
)
from plivo_core.webhooks._callback import CALLBACKS

__all__ = ["best_parse", "listen"]


class Catcher(RoutesAnswer):
    """Every path is a callback's: what came is verified, printed and answered."""

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        output: Output,
        *,
        answer: bytes | None,
        save: Path | None,
        count: int | None,
    ) -> None:
        super().__init__({}, timeout=Timings().handler, counters=Counters())
        self._endpoint = endpoint
        self._output = output
        self._answer = answer
        self._save = save
        self._count = count
        self.verified = 0
        self.repeated = 0
        self.refused = 0
        self.enough = anyio.Event()

    async def answer(self, path: str, request: Request, peer: str | None = None) -> Response:
        endpoint = self._endpoint
        step = endpoint.begin(request, peer=peer, wall_now=time.time())
        if isinstance(step, Verified):
            self.verified += 1
            response = endpoint.answer(self._answer)
            endpoint.finish(step, response, wall_now=time.time())
        else:
            response = step.response
            if step.error is None:
                self.repeated += 1
            else:
                self.refused += 1
        number = self.verified + self.repeated + self.refused
        self._show(number, request, step, peer)
        if self._save is not None:
            save_request(self._save, number, request)
        if number == self._count:
            self.enough.set()
        return response

    def _show(
        self, number: int, request: Request, step: Verified | Settled, peer: str | None
    ) -> None:
        say = self._output.text
        path = mask_path(request.path)
        line: dict[str, object] = {"number": number, "method": request.method, "path": path}
        head = f"{request.method} {path}"
        if isinstance(step, Verified):
            shown = best_parse(step).masked()
            shown.update(cast("dict[str, object]", shown.pop("extra", {})))
            self._output.json(
                {"callback": {**line, "verified": True, "scheme": step.scheme, "fields": shown}}
            )
            say(f"{number:4}  verified {step.scheme}  {head}", colour="green")
            for name, value in shown.items():
                say(f"        {name} = {value}")
            return
        if step.error is None:
            self._output.json({"callback": {**line, "verified": True, "repeated": True}})
            say(f"{number:4}  a repetition, answered as before  {head}")
            return
        found = self._endpoint.explain(request, peer=peer)
        self._output.json(
            {
                "callback": {
                    **line,
                    "verified": False,
                    "status": step.error.status,
                    "reason": step.error.reason,
                    "differences": [
                        {"part": one.part, "message": one.message, "hint": one.hint}
                        for one in found.differences
                    ],
                }
            }
        )
        say(f"{number:4}  refused with {step.error.status}  {head}", colour="red")
        # Of a replay the signature is right: the error itself says what is wrong.
        for text in [str(one) for one in found.differences] or [str(step.error)]:
            say(f"        {text}")


def best_parse(hook: Verified) -> Callback:
    """The callback, as of the class that knows most of its parameters: for its masks."""
    parsed = [kind.parse(hook.fields) for kind in CALLBACKS.values()]
    return min(parsed, key=lambda callback: len(callback.extra))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0: any."
)
@click.option(
    "--answer",
    "answer_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the answer XML.  [default: an empty 200]",
)
@click.option("--count", type=click.IntRange(1), help="End after so many requests.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep each request in this folder, for `verify`: whole, numbers and all.",
)
@public_url_option
@token_options
@backend_option
@json_option
@click.pass_context
def listen(
    context: click.Context,
    host: str,
    port: int,
    answer_file: Path | None,
    count: int | None,
    save: Path | None,
    public_url: str | None,
    tokens: tuple[str, ...],
    main_tokens: tuple[str, ...],
    allow_v2: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Catch Plivo's callbacks, on any path, until Ctrl-C.

    Each is verified and printed, phone numbers masked, and answered: what is signed with 200 or the
    XML of --answer, all else with the refusal that a server of this project would give. Exit status
    1 if anything was refused.
    """
    base = public_url or os.environ.get("PLIVO_PUBLIC_URL", "")
    verifier = make_verifier(tokens, main_tokens, base, allow_v2=allow_v2)
    endpoint = WebhookEndpoint(verifier, methods=("GET", "POST"), json=True)
    answer = None if answer_file is None else answer_file.read_bytes()
    output = Output(as_json)
    catcher: Catcher | None = None

    try:
        if save is not None:
            save.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--save: {error}") from error

    async def catch() -> None:
        nonlocal catcher
        catcher = Catcher(endpoint, output, answer=answer, save=save, count=count)
        try:
            listeners = await Where(host=host, port=port).open(Limits().backlog)
        except OSError as error:
            raise click.UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        address = listeners[0].address
        async with anyio.create_task_group() as tasks:
            await tasks.start(functools.partial(_serve, catcher, listeners))
            output.json({"listening": {"host": address[0], "port": address[1], "public_url": base}})
            output.text(f"listening on {http_url(address)}/ for {base}, until Ctrl-C")
            await catcher.enough.wait()
            await anyio.sleep(0.1)  # the last answer leaves
            tasks.cancel_scope.cancel()

    run_async(backend, output, catch)  # Ctrl-C is how this ends
    if catcher is None:  # interrupted before it listened
        context.exit(0)
    output.json(
        {
            "summary": {
                "ok": not catcher.refused,
                "verified": catcher.verified,
                "repeated": catcher.repeated,
                "refused": catcher.refused,
            }
        }
    )
    output.text(
        f"\n{catcher.verified} verified, {catcher.repeated} repeated, {catcher.refused} refused"
    )
    context.exit(1 if catcher.refused else 0)


async def _serve(
    catcher: Catcher,
    listeners: Sequence[Listener],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    limits, timings, counters = Limits(), Timings(), Counters()
    site = Site({}, catcher, timings=timings, counters=counters)
    server = Server(site, limits=limits, timings=timings, drain_timeout=0.0)
    await server.serve(listeners, task_status.started)
