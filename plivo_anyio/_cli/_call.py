"""``call``: place simulated calls to any server that speaks the protocol, ours or not."""

from __future__ import annotations

import uuid
from pathlib import Path

import anyio
import click

from plivo_anyio._cli._caller import Caller
from plivo_anyio._cli._options import KeyValue, backend_option, json_option
from plivo_anyio._cli._output import Output, Progress
from plivo_anyio._cli._questions import CallMode, Ears, make_script
from plivo_anyio._cli._report import Report
from plivo_anyio._cli._run import run_async
from plivo_anyio._cli._sound import FORMATS, read_scenario, tone, wav_file
from plivo_anyio._cli._target import client_context, parse_url
from plivo_anyio._cli._transcript import Transcript
from plivo_core import LocalProtocolError
from plivo_core.platform import PlatformCall
from plivo_core.wire import WebSocketClient

__all__ = ["call"]

_PROGRESS_EVERY = 0.2  # seconds


@click.command()
@click.argument("url")
@click.option(
    "--scenario",
    "scenario_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play this scenario (TOML) in place of what the other options say.",
)
@click.option("--say", "says", multiple=True, metavar="TEXT", help="The caller says this; repeat.")
@click.option(
    "--press", "presses", multiple=True, metavar="DIGITS", help="The caller presses keys; repeat."
)
@click.option(
    "--wav",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The caller plays this WAV file.",
)
@click.option(
    "--tone", "tone_seconds", type=click.FloatRange(0.02, 3600), help="... or a tone, in seconds."
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    default="mulaw-8000",
    show_default=True,
    help="The format of the stream.",
)
@click.option(
    "--mode",
    type=click.Choice(["agent", "stream", "raw"]),
    help="A managed or text agent, a plain <Stream>, or an agent with raw audio."
    "  [default: stream with sound, raw with sound and words, else agent]",
)
@click.option(
    "--answer",
    default="any",
    show_default=True,
    metavar="NAME",
    help="What counts as an answer: a command's wire name, 'any' or 'none'.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.01, 3600),
    default=5.0,
    show_default=True,
    help="Seconds for each thing that is waited for.",
)
@click.option(
    "--pause",
    type=click.FloatRange(0, 3600),
    default=0.5,
    show_default=True,
    help="Seconds of silence before each word and key.",
)
@click.option(
    "--calls", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many."
)
@click.option(
    "--rate",
    type=click.FloatRange(0.001, 10_000),
    default=10.0,
    show_default=True,
    help="How many begin per second.",
)
@click.option(
    "--header",
    "headers",
    type=KeyValue(),
    multiple=True,
    help="A header of the upgrade request; repeat.",
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Believe certificates of these authorities (PEM).",
)
@click.option("--insecure", is_flag=True, help="Believe any certificate.")
@backend_option
@json_option
@click.pass_context
def call(
    context: click.Context,
    url: str,
    scenario_file: Path | None,
    says: tuple[str, ...],
    presses: tuple[str, ...],
    wav: Path | None,
    tone_seconds: float | None,
    format_name: str,
    mode: CallMode | None,
    answer: str,
    timeout: float,
    pause: float,
    calls: int,
    rate: float,
    headers: tuple[tuple[str, str], ...],
    ca_file: str | None,
    insecure: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Call the server at URL (ws:// or wss://) as Plivo would.

    First the caller says, then presses, then plays what the options name; each time something must
    come back. Then the caller hangs up. Prints what passes (one call) or progress (many), and a
    summary. Exit status 1 if anything was missed.
    """
    if wav is not None and tone_seconds is not None:
        raise click.UsageError("--wav and --tone are both the caller's sound: give one")
    scenario = None
    if scenario_file is not None:
        if says or presses or wav is not None or tone_seconds is not None or mode is not None:
            raise click.UsageError("--scenario says all that the caller does: give it alone")
        scenario = read_scenario(scenario_file)
    format = FORMATS[format_name]
    sound = b""
    if wav is not None:
        sound = wav_file(wav, format)
    elif tone_seconds is not None:
        sound = tone(tone_seconds, format)
    if mode is None:
        mode = "agent" if not sound else ("raw" if says else "stream")
    if mode == "stream" and says:
        raise click.UsageError("a plain stream carries no words (use --wav, or --mode raw)")
    if mode == "agent" and sound:
        raise click.UsageError("a managed agent gets no sound (use --mode raw or stream)")
    if bad := next((digits for digits in presses if set(digits) - set("0123456789*#ABCD")), None):
        raise click.UsageError(f"--press {bad!r}: keys are 0-9, *, # and A-D")
    try:
        target = parse_url(url, client_context(ca_file, insecure=insecure))
    except OSError as error:  # ssl.SSLError is one
        raise click.UsageError(f"--ca-file: {error}") from error
    for header in headers:
        try:
            WebSocketClient(host="-", headers=(header,), random_bytes=bytes, now=0.0)
        except LocalProtocolError:  # its text may quote the value
            raise click.UsageError(
                f"--header {header[0]!r}: the upgrade itself has it, or HTTP cannot carry it"
            ) from None

    output = Output(as_json)
    report = Report(output, calls)

    def make(number: int) -> Caller:
        ears = Ears(answer)
        play = scenario or PlatformCall(
            make_script(
                ears,
                mode=mode,
                says=says,
                presses=presses,
                audio=sound,
                answer=answer,
                within=timeout,
                pause=pause,
            ),
            mode=mode,
            call_uuid=str(uuid.uuid4()),
            agent_session_id=str(uuid.uuid4()),
            stream_id=str(uuid.uuid4()),
            content_type=format.content_type or "",
            sample_rate=format.sample_rate,
        )
        caller = Caller(number, play, target, ears, headers=headers, timeout=timeout)
        if calls == 1:
            transcript = Transcript(output)
            caller.watch(transcript.sent, transcript.received, transcript.end)
        return caller

    seconds = 0.0

    async def place_all() -> None:
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            if calls > 1:
                tasks.start_soon(_show_progress, output, report)
            async with anyio.create_task_group() as placing:
                for number in range(calls):
                    await anyio.sleep_until(began + number / rate)
                    caller = make(number + 1)
                    report.placed(caller)
                    placing.start_soon(_place, caller, report)
            tasks.cancel_scope.cancel()

    async def timed() -> None:
        nonlocal seconds
        began = anyio.current_time()
        try:
            await place_all()
        finally:
            seconds = anyio.current_time() - began

    caught = run_async(backend, output, timed)
    report.summary(seconds, interrupted=caught is not None)
    context.exit(128 + caught if caught is not None else 0 if report.ok else 1)


async def _place(caller: Caller, report: Report) -> None:
    await caller.place()
    report.over(caller.outcome)


async def _show_progress(output: Output, report: Report) -> None:
    progress = Progress(output)
    try:
        while True:
            progress.show(report.progress)
            await anyio.sleep(_PROGRESS_EVERY)
    finally:
        progress.clear()
