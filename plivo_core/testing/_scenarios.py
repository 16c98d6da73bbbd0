"""Hypothesis strategies for whole sessions: a call with its settings, its steps and its faults."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from plivo_core.events import Dtmf, StreamDtmf, ToolCall
from plivo_core.platform import (
    AgentSettings,
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Emit,
    Fault,
    HangUp,
    Interrupt,
    Pause,
    Scenario,
    Step,
)
from plivo_core.platform import CallMode as PlatformMode

__all__ = ["scenarios"]

_MODES: tuple[PlatformMode, ...] = ("agent", "text", "speech", "raw", "stream")
_words = st.text("abc ä0", min_size=1, max_size=12)
_keys = st.sampled_from("0123456789*#")
_seconds = st.sampled_from([0.02, 0.5, 3.0, 20.0])
_sizes = st.sampled_from([1, 7, 100])
_FAULTS: dict[str, Callable[[st.DrawFn], Fault]] = {
    "split": lambda draw: Fault("split", "cut", size=draw(_sizes)),
    "stall": lambda draw: Fault("stall", "stalled", seconds=draw(_seconds)),
    "reorder": lambda draw: Fault("reorder", "swapped"),
    "duplicate": lambda draw: Fault("duplicate", "said twice"),
    "garbage": lambda draw: Fault("garbage", "garbage", text=draw(st.text(max_size=20))),
    "binary": lambda draw: Fault("binary", "bytes", size=draw(_sizes)),
    "half_close": lambda draw: Fault("half_close", "half closed"),
    "bad_frame": lambda draw: Fault("bad_frame", "bad frame"),
    "oversized": lambda draw: Fault("oversized", "too long", size=70_000),
    "drop": lambda draw: Fault("drop", "dropped"),
}


@st.composite
def _scenario(draw: st.DrawFn, mode: PlatformMode, faults: bool, max_steps: int) -> Scenario:
    silent = mode in ("raw", "stream")
    kinds = ["presses", "pause", "plays" if silent else "says"]
    if mode != "stream":
        kinds += ["tool", "interrupt"]
    if mode in ("agent", "speech"):
        kinds.append("speaks")
    if faults:
        kinds.append("fault")
    steps: list[Step] = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=max_steps))):
        if kind == "presses":
            digit = draw(_keys)
            stream_key = StreamDtmf(digit=digit, track="inbound")
            steps.append(Emit(stream_key if mode == "stream" else Dtmf(digit=digit)))
        elif kind == "pause":
            steps.append(Pause(draw(_seconds)))
        elif kind == "plays":
            steps.append(CallerPlays(bytes([0x7F]) * 160 * draw(st.integers(1, 5))))
        elif kind == "says":
            steps.append(CallerSays(draw(_words), partials=draw(st.integers(0, 2))))
        elif kind == "tool":
            name = draw(st.sampled_from(["check_order", "end_call"]))
            steps.append(Emit(ToolCall(id=f"tool-{number}", name=name)))
        elif kind == "interrupt":
            steps.append(Interrupt())
        elif kind == "speaks":
            steps.append(AgentSpeaks(draw(_words), wait=draw(st.booleans())))
        else:
            steps.append(_FAULTS[draw(st.sampled_from(sorted(_FAULTS)))](draw))
    settings = AgentSettings(
        welcome_greeting="" if mode == "stream" else draw(st.sampled_from(["", "Hello!"])),
        no_response_timeout_s=draw(st.sampled_from([None, 10.0])),
        events=draw(st.sets(st.sampled_from(["metrics_events", "turn_events", "vad_events"]))),
    )
    return Scenario(
        title="drawn",
        filename="<hypothesis>",
        mode=mode,
        settings=settings,
        content_type="audio/x-mulaw",
        sample_rate=8000,
        seconds_per_character=0.06,
        steps=(*steps, HangUp()),
        rest=(),
    )


def scenarios(
    mode: PlatformMode | None = None, *, faults: bool = False, max_steps: int = 8
) -> st.SearchStrategy[Scenario]:
    """Whole sessions for :func:`~plivo_core.testing.play_scenario`, from the first event to the
    caller's hang-up; they expect nothing.

    ``mode`` None draws one of the five. With ``faults`` the line stalls, cuts, swaps, repeats,
    garbles or breaks in between.
    """
    if mode is not None:
        return _scenario(mode, faults, max_steps)
    return st.sampled_from(_MODES).flatmap(lambda drawn: _scenario(drawn, faults, max_steps))
