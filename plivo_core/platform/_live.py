"""A call whose script is written while it plays: by a test, or by hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

from plivo_core.platform._call import PlatformCall
from plivo_core.platform._scenario import RestFault, Scenario
from plivo_core.platform._settings import CallMode
from plivo_core.platform._steps import Step

__all__ = ["LiveCall", "LiveScenario"]


class LiveCall(PlatformCall):
    """A :class:`PlatformCall` that goes on with whatever it is told next."""

    def play(self, *steps: Step, now: float) -> None:
        """Go on with ``steps``. Raises ConfigError for what the mode of the call cannot play."""
        self._check(steps)
        self._script.extend(steps)
        self.handle_timeout(now=now)

    @property
    def waiting(self) -> bool:
        """Whether a step is not over yet."""
        return self._step is not None or bool(self._script)


@dataclass(frozen=True, kw_only=True)
class LiveScenario(Scenario):
    """A call without a script, for a ScenarioRun. ``title`` is the call's id."""

    filename: str = ""
    mode: CallMode = "agent"
    content_type: str = "audio/x-mulaw"
    sample_rate: int = 8000
    steps: tuple[Step, ...] = ()
    rest: tuple[RestFault, ...] = ()

    def call(self) -> LiveCall:
        return LiveCall(
            mode=self.mode,
            settings=self.settings,
            call_uuid=self.title,
            agent_session_id=f"session-of-{self.title}",
            stream_id=f"stream-of-{self.title}",
            seconds_per_character=self.seconds_per_character,
            content_type=self.content_type,
            sample_rate=self.sample_rate,
        )
