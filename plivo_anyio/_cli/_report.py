"""The summary of calls: how many, how fast, and what each server owed and did not give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plivo_anyio._cli._caller import Caller, Miss, Outcome
from plivo_anyio._cli._output import Output, milliseconds
from plivo_anyio._cli._questions import Ears

__all__ = ["Report", "percentiles"]

_SHOWN = 10  # kinds of misses for people; programs get every call


@dataclass(frozen=True)
class _Figure:
    key: str
    label: str
    samples: list[float]


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest, each a sample that was taken (nearest rank)."""
    ordered = sorted(samples)
    ranks = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {
        name: ordered[max(0, -(-len(ordered) * rank // 100) - 1)] for name, rank in ranks.items()
    }


class Report:
    """All calls of one command: those that are on, and those that are over."""

    def __init__(self, output: Output, wanted: int) -> None:
        self._output = output
        self._wanted = wanted
        self.outcomes: list[Outcome] = []
        self._ears: list[Ears] = []  # not the callers, which hold connections and scripts
        self.ok = False
        """Whether every call that was wanted ran and nothing was missed."""

    def placed(self, caller: Caller) -> None:
        self.outcomes.append(caller.outcome)
        self._ears.append(caller.ears)

    @property
    def progress(self) -> str:
        done = [outcome for outcome in self.outcomes if outcome.finished]
        failed = sum(not outcome.ok for outcome in done)
        return (
            f"{len(self.outcomes)} of {self._wanted} calls placed,"
            f" {len(self.outcomes) - len(done)} on, {len(done) - failed} completed, {failed} failed"
        )

    def over(self, outcome: Outcome) -> None:
        """One call is over: for programs, at once."""
        self._output.json(
            {
                "call": {
                    "number": outcome.number,
                    "ok": outcome.ok,
                    "answered": outcome.answered,
                    "seconds": round(outcome.seconds, 3),
                    "events": outcome.events,
                    "commands": outcome.commands,
                    "missed": [_miss(miss) for miss in outcome.misses],
                }
            }
        )

    def summary(self, seconds: float, *, interrupted: bool) -> None:
        outcomes = self.outcomes
        done = [outcome for outcome in outcomes if outcome.finished]
        completed = sum(outcome.ok for outcome in done)
        failed = len(done) - completed
        self.ok = completed == self._wanted
        counts: dict[str, object] = {
            "wanted": self._wanted,
            "placed": len(outcomes),
            "answered": sum(outcome.answered for outcome in outcomes),
            "completed": completed,
            "failed": failed,
            "cut_off": len(outcomes) - len(done),
        }
        frames = sum(ears.frames_sent for ears in self._ears)
        back = sum(len(ears.echoes) for ears in self._ears)
        figures = [figure for figure in self._figures() if figure.samples]
        latencies = {
            figure.key: {
                "count": len(figure.samples),
                **{k: round(v * 1000, 2) for k, v in percentiles(figure.samples).items()},
            }
            for figure in figures
        }
        self._output.json(
            {
                "summary": {
                    "ok": self.ok,
                    "interrupted": interrupted,
                    "seconds": round(seconds, 3),
                    **counts,
                    "media_sent": frames,
                    "media_back": back,
                    "latency_ms": latencies,
                    "missed": [{"calls": number, **_miss(miss)} for miss, number in self._missed()],
                }
            }
        )
        if self._output.as_json:
            return
        say = self._output.text
        say()
        self._tell_missed()
        if figures:
            say(f"{'':26}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}", bold=True)
        for figure in figures:
            row = "".join(f"{milliseconds(v):>10}" for v in percentiles(figure.samples).values())
            say(f"{figure.label:<26}{row}   of {len(figure.samples)}")
        if frames:
            say(f"{frames} frames of sound sent, {back} came back as they were")
        if figures or frames:
            say()
        cut = f", {counts['cut_off']} cut off" if counts["cut_off"] else ""
        say(
            f"{'interrupted: ' if interrupted else ''}{counts['placed']} of {self._wanted} calls"
            f" placed, {counts['answered']} answered, {completed} completed, {failed} failed{cut},"
            f" in {seconds:.1f} s",
            colour="green" if self.ok else "red",
        )

    def _tell_missed(self) -> None:
        missed = self._missed()
        for miss, number in missed[:_SHOWN]:
            calls = f" ({number} calls)" if number > 1 else ""
            self._output.text(f"MISSED  {miss.step}{calls}", colour="red")
            if miss.expected != miss.step:
                self._output.text(f"  expected: {miss.expected}")
            self._output.text(f"  came:     {miss.came}")
        if len(missed) > _SHOWN:
            self._output.text(f"... and {len(missed) - _SHOWN} other misses; --json shows all")
        if missed:
            self._output.text()
        if len(self.outcomes) == 1:
            for label in self.outcomes[0].met:
                self._output.text(f"ok      {label}")

    def _missed(self) -> list[tuple[Miss, int]]:
        """What was missed in which number of calls, the most frequent first."""
        counts: dict[Miss, int] = {}
        for outcome in self.outcomes:
            for miss in dict.fromkeys(outcome.misses):
                counts[miss] = counts.get(miss, 0) + 1
        return sorted(counts.items(), key=lambda item: -item[1])

    def _figures(self) -> list[_Figure]:
        outcomes = self.outcomes

        def known(values: list[float | None]) -> list[float]:
            return [value for value in values if value is not None]

        return [
            _Figure("connect", "connect", known([outcome.connect for outcome in outcomes])),
            _Figure("upgrade", "upgrade", known([outcome.upgrade for outcome in outcomes])),
            _Figure(
                "first_command",
                "first command",
                known([outcome.first_command for outcome in outcomes]),
            ),
            _Figure(
                "answer",
                "answer to words and keys",
                [sample for ears in self._ears for sample in ears.answered],
            ),
            _Figure(
                "media_echo",
                "media echo",
                [sample for ears in self._ears for sample in ears.echoes],
            ),
            _Figure(
                "send_lag",
                "(late sent by this tool)",
                [sample for outcome in outcomes for sample in outcome.lag],
            ),
        ]


def _miss(miss: Miss) -> dict[str, object]:
    return {"step": miss.step, "expected": miss.expected, "came": miss.came}
