"""``simulate``: a local Plivo, to be used in the place of the real one until Ctrl-C."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import anyio
import click

from plivo_anyio._cli._account import ToldAccount, play_scenario_at, random_credentials
from plivo_anyio._cli._options import backend_option, json_option
from plivo_anyio._cli._output import Output, http_url
from plivo_anyio._cli._run import run_async
from plivo_anyio._cli._sound import read_scenario
from plivo_anyio._cli._transcript import Transcript
from plivo_anyio._fetch import fetch
from plivo_anyio._platform_server import serve_platform
from plivo_core import ConfigError
from plivo_core.platform import Fault, PlatformCall
from plivo_core.rest._request import basic_auth

__all__ = ["simulate"]

_FROM, _TO = "+14155550100", "+14155550101"
_PATIENCE = 5.0  # seconds, for requests to ourselves


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9090, show_default=True, help="0: any."
)
@click.option(
    "--agent-url",
    metavar="URL",
    help="Store an agent with this websocket_url, and call from it at once.",
)
@click.option(
    "--calls", type=click.IntRange(1, 1000), default=1, show_default=True, help="How often."
)
@click.option(
    "--scenario",
    "scenario_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What happens in every call (TOML).  [default: a silent caller, who waits]",
)
@click.option(
    "--public-url",
    default="http://127.0.0.1:9000",
    show_default=True,
    help="What your callbacks' URLs begin with; only printed.",
)
@click.option("--auth-id", help="The account.  [default: a new one]")
@click.option("--auth-token", help="Its token; made up, not a real one.  [default: a new one]")
@click.option("--allow-remote", is_flag=True, help="Calls and callbacks may leave this machine.")
@backend_option
@json_option
@click.pass_context
def simulate(
    context: click.Context,
    host: str,
    port: int,
    agent_url: str | None,
    calls: int,
    scenario_file: Path | None,
    public_url: str,
    auth_id: str | None,
    auth_token: str | None,
    allow_remote: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Be a local Plivo: REST, calls and signed callbacks, until Ctrl-C.

    Prints the environment to export, for your application and for the REST client, and then a line
    for each request, call, message and callback. Exit status 1 if a step of a scenario was missed,
    a call was not answered or a callback went wrong.
    """
    scenario = None if scenario_file is None else read_scenario(scenario_file)
    if scenario is not None and any(isinstance(step, Fault) for step in scenario.steps):
        raise click.UsageError("the faults of a scenario are for `call`: take another one here")
    new_id, new_token = random_credentials()
    auth_id, auth_token = auth_id or new_id, auth_token or new_token
    output = Output(as_json)
    account = ToldAccount(
        auth_id, auth_token, output, faults=() if scenario is None else scenario.rest
    )
    played: dict[str, PlatformCall] = {}

    async def serve() -> None:
        transcript = Transcript(output)
        async with anyio.create_task_group() as tasks:
            serving = functools.partial(
                serve_platform,
                account,
                host,
                port,
                make_call=play_scenario_at(scenario, transcript, played),
                on_effect=account.told,
                allow_remote=allow_remote,
            )
            try:
                api_url = http_url(await tasks.start(serving))
            except OSError as error:
                text = f"cannot listen on {host}:{port}: {error.strerror}"
                raise click.UsageError(text) from error
            environment = {
                "PLIVO_API_URL": api_url,
                "PLIVO_AUTH_ID": auth_id,
                "PLIVO_AUTH_TOKEN": auth_token,
                "PLIVO_PUBLIC_URL": public_url,
            }
            output.json({"environment": environment})
            for name, value in environment.items():
                output.text(f"export {name}={value}", bold=True)
            output.text()
            if agent_url is not None:
                await _call_agent(api_url, auth_id, auth_token, agent_url, calls)
            await anyio.sleep_forever()

    run_async(backend, output, serve)  # Ctrl-C is how this ends
    missed = [label for call in played.values() for label in call.missed]
    ok = not missed and not account.failed and not account.unanswered
    output.json(
        {
            "summary": {
                "ok": ok,
                "requests": account.requests,
                "calls": account.calls,
                "unanswered": account.unanswered,
                "callbacks": account.callbacks,
                "failed_callbacks": account.failed,
                "missed": missed,
            }
        }
    )
    output.text()
    for label in missed:
        output.text(f"MISSED  {label}", colour="red")
    output.text(
        f"{account.requests} requests, {account.calls} calls, {account.unanswered} of them not"
        f" answered, {account.callbacks} callbacks, {account.failed} of them failed"
    )
    context.exit(0 if ok else 1)


async def _call_agent(
    api_url: str, auth_id: str, auth_token: str, agent_url: str, calls: int
) -> None:
    """Over our own REST API, as an application would."""

    async def post(path: str, body: dict[str, object]) -> dict[str, object]:
        answer = await fetch(
            "POST",
            f"{api_url}/v1/Account/{auth_id}/{path}",
            headers=(
                ("authorization", basic_auth(auth_id, auth_token)),
                ("content-type", "application/json"),
            ),
            body=json.dumps(body).encode(),
            connect_timeout=_PATIENCE,
            read_timeout=_PATIENCE,
        )
        made: dict[str, object] = json.loads(answer.body)
        if answer.status >= 400:
            raise ConfigError(f"--agent-url: {made.get('error')}")
        return made

    agent = await post(
        "Agent",
        {"agent_name": "simulate", "websocket_url": agent_url, "stt": {}, "llm": {}, "tts": {}},
    )
    for _ in range(calls):
        call = {"agent_id": agent["agent_uuid"], "from": _FROM, "to": [_TO]}
        await post("AgentCall", call)
