"""The scenarios of the examples: the agent satisfies them, the same way under every clock."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, get_args

import anyio
import pytest

from plivo_anyio import VoiceApp
from plivo_core.commands import Checkpoint
from plivo_core.events import Dtmf
from plivo_core.platform import Fault, Scenario, ScenarioResult
from plivo_core.platform._scenario import _MODES
from plivo_core.platform._steps import FaultKind
from tests.platform._clocks import EXAMPLES, all_in_real_time, by_hand, in_real_time, load_agent
from tests.quiet import rounds

FILES = {path.stem: path for path in sorted(EXAMPLES.glob("scenarios/*.toml"))}
SCENARIOS = {
    name: Scenario.parse(path.read_text("utf-8"), filename=path.name)
    for name, path in FILES.items()
}
every_scenario = pytest.mark.parametrize("name", SCENARIOS)


class Played(NamedTuple):
    results: dict[str, ScenarioResult]
    seconds: float
    """Of real time, for all of them."""


@pytest.fixture(scope="module")
def manual() -> Played:
    agent, began = load_agent(), time.perf_counter()
    results = {name: by_hand(scenario, agent) for name, scenario in SCENARIOS.items()}
    return Played(results, time.perf_counter() - began)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def real(request: pytest.FixtureRequest) -> Played:
    for measured in rounds():
        with measured:
            began = time.perf_counter()
            results = anyio.run(
                all_in_real_time, list(SCENARIOS.values()), load_agent(), backend=request.param
            )
            played = Played(dict(zip(SCENARIOS, results, strict=True)), time.perf_counter() - began)
        measured.again = measured.stalled
    return played


@every_scenario
def test_the_agent_satisfies_it_under_the_manual_clock(name: str, manual: Played) -> None:
    result = manual.results[name]
    assert result.missed == ()
    assert result.steps
    assert result.invalid == ()


@every_scenario
def test_the_real_clock_gives_the_same_steps(name: str, manual: Played, real: Played) -> None:
    by_clock, by_watch = manual.results[name], real.results[name]
    assert by_watch.sequence == by_clock.sequence
    assert by_watch.missed == ()
    assert by_clock.ended is not None
    assert by_watch.ended is not None
    assert by_watch.ended.code == by_clock.ended.code


def test_the_manual_clock_takes_no_time(manual: Played) -> None:
    assert manual.seconds < 5
    assert sum(result.seconds for result in manual.results.values()) > 3  # of calls


def test_the_real_clock_takes_less_than_a_minute(real: Played) -> None:
    assert real.seconds < 60
    # Not a jump of a clock: each took its time.
    assert real.results["agent_idle"].seconds > 1


def test_the_scenarios_cover_all_modes_and_all_faults() -> None:
    assert len(SCENARIOS) >= 20
    assert {scenario.mode for scenario in SCENARIOS.values()} == set(_MODES)
    steps = [step for scenario in SCENARIOS.values() for step in scenario.steps]
    assert {step.kind for step in steps if isinstance(step, Fault)} == set(get_args(FaultKind))
    assert {fault.status for s in SCENARIOS.values() for fault in s.rest} == {429, 503}


@every_scenario
def test_its_first_line_says_what_it_shows(name: str) -> None:
    first = FILES[name].read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_the_agent_is_small() -> None:
    assert len((EXAMPLES / "scenario_agent.py").read_text("utf-8").splitlines()) < 120


def test_latencies_are_those_of_the_agent(real: Played) -> None:
    latencies = real.results["agent_tool_timeout"].latencies
    assert latencies["the agent asks for patience"] < 0.3
    # 0.6 s of work, of which 0.2 s passed before the platform said that it is too slow.
    assert 0.3 < latencies["the answer comes late"] < 1


# --- red ------------------------------------------------------------------------------------------


def test_an_agent_that_does_nothing_misses_steps() -> None:
    deaf = VoiceApp()
    missed = {name: by_hand(scenario, deaf).missed for name, scenario in SCENARIOS.items()}
    satisfied = {name for name, labels in missed.items() if not labels}
    assert satisfied == {"agent_idle_answered"}
    assert "the key is read back" in missed["agent_keys"]
    assert "the echo" in missed["stream_echo"]


@pytest.mark.parametrize("clock", ["manual", "asyncio", "trio"])
def test_a_bug_of_the_agent_is_named_by_its_step(clock: str) -> None:
    broken = load_agent()

    @broken.on(Dtmf, replace=True)
    async def mishears(session: Any, event: Dtmf) -> None:
        session.speak("You pressed something.")

    if clock == "manual":
        result = by_hand(SCENARIOS["agent_keys"], broken)
    else:
        result = anyio.run(in_real_time, SCENARIOS["agent_keys"], broken, backend=clock)
    assert result.missed == ("the key is read back",)
    assert ("the keys are sent", True) in result.sequence


def test_what_must_not_come_is_seen() -> None:
    broken = load_agent()

    @broken.on("voicemail.detected")
    async def talks_to_the_machine(session: Any, event: object) -> None:
        session.speak("Hello?")

    result = by_hand(SCENARIOS["agent_voicemail"], broken)
    assert result.missed[0] == "not a word before the beep"


def test_commands_that_nobody_expected_are_listed(manual: Played) -> None:
    commands = manual.results["stream_echo"].unexpected
    assert Checkpoint("first packet", stream_id="stream-1") in commands
