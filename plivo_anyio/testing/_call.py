"""One call as a test leads it: what the caller and the model do, and what the agent must do then.

Methods are steps. They are numbered, and one that is not met raises an AssertionError that names
it, with what came in its place.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeVar, cast

import anyio

from plivo_anyio.testing._line import Line
from plivo_core import Command, Event, InvalidMessage
from plivo_core.commands import Speak, Text, ToolError, ToolResult
from plivo_core.events import AgentEvent, Dtmf, StreamDtmf, StreamEvent, ToolCall, UnknownEvent
from plivo_core.platform import (
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Emit,
    Expect,
    HangUp,
    Interrupt,
    Pause,
    Step,
)

if TYPE_CHECKING:
    from plivo_anyio._app import VoiceApp
    from plivo_anyio.testing._stage import Stage
    from plivo_core.platform import AgentSettings, CallMode
    from plivo_core.wire import Headers

__all__ = ["ACall", "Call", "HandlerError"]

C = TypeVar("C")
E = TypeVar("E", bound=Exception)
T = TypeVar("T")
_ANY: Any = object()
_WITHIN = 2.0  # seconds: longer than a caller would bear, shorter than a test run
_END = 10.0  # seconds: a call ends after its last handlers, which have 5
_SHOWN = 12  # commands and characters of a message: enough to see what happened
_WIDTH = 100
_TICK = 0.01


class ACall(Protocol):
    """The type of the fixture ``a_call``; see :meth:`Platform.a_call`."""

    def __call__(
        self,
        app: VoiceApp,
        *,
        mode: CallMode = "agent",
        target: str = "/",
        headers: Headers = (),
        settings: AgentSettings | None = None,
        content_type: str = "audio/x-mulaw",
        sample_rate: int = 8000,
    ) -> Call: ...


class HandlerError(NamedTuple):
    """What a handler raised, in which call and at which event."""

    call_uuid: str | None
    event: Event | None
    error: Exception


class Call:
    """A call that was accepted; from ``a_call(app)``.

    Times are those of the call: on ``plivo_platform`` they take none. A command that came and that
    no step has taken yet counts for the next that expects it. A handler that raises fails the next
    step, unless that expects it.
    """

    def __init__(self, stage: Stage, app: VoiceApp, line: Line, errors: list[HandlerError]) -> None:
        self._stage = stage
        self._app = app
        self._line = line
        self._errors = errors
        self._steps = 0
        self._step = ""
        self._cause = "the call began"
        self._since = 0  # how many commands had come by then
        self._taken: set[int] = set()
        self._heard: set[int] = set()
        self._heard_ms = 0.0
        self._tools: list[ToolCall] = []
        self._failed = False

    def __repr__(self) -> str:
        return f"<Call {self._state()}, step {self._step or 0}>"

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up, unless that was done. Raises AssertionError for what a handler raised."""
        __tracebackhide__ = True
        if not self._line.over:
            self._do(self._line.play, HangUp())
            self._do(self._line.until, lambda: False, _END)
        self._do(self._over)
        if not self._failed and error is None:
            self._step = "the end of the test"
            self._check_handlers()

    @property
    def commands(self) -> list[Command]:
        """Everything the agent has sent so far, oldest first."""
        return [command for _, command in self._received()]

    @property
    def seconds(self) -> float:
        """How long the call has lasted, by its own clock."""
        return cast("float", self._do(self._line.seconds))

    # -- what the caller does ------------------------------------------------------------------

    def says(self, text: str, *, partials: int = 0) -> None:
        """The caller speaks, which takes its time, over the agent if need be.

        What of it the agent is told depends on the mode and on what it opted in to: see
        :class:`~plivo_core.platform.CallerSays`.
        """
        __tracebackhide__ = True
        self._act("says", (text,), [CallerSays(text, partials=partials)])

    def presses(self, digits: str) -> None:
        """The caller presses these keys."""
        __tracebackhide__ = True
        steps: list[Step] = []
        mode = self._line.mode
        for digit in digits:
            if mode != "stream":
                steps.append(Emit(Dtmf(digit=digit)))
            if mode in ("raw", "stream"):
                steps.append(Emit(StreamDtmf(digit=digit, track="inbound")))
        self._act("presses", (digits,), steps)

    def plays(self, audio: bytes) -> None:
        """The caller makes this sound, in the encoding of the stream and in real playing time."""
        __tracebackhide__ = True
        self._act("plays", (audio,), [CallerPlays(audio)])

    def interrupts(self) -> None:
        """The caller talks over the agent: what is being spoken stops."""
        __tracebackhide__ = True
        self._act("interrupts", (), [Interrupt()])

    def waits(self, seconds: float) -> None:
        """So much time passes."""
        __tracebackhide__ = True
        self._act("waits", (seconds,), [Pause(seconds)])

    def hangs_up(self, reason: str = "caller_hangup") -> None:
        """The caller hangs up, and the call ends: every handler has run."""
        __tracebackhide__ = True
        self._act("hangs_up", (), [HangUp(reason)])
        self._await_end()

    # -- what the platform does ----------------------------------------------------------------

    def model_says(self, text: str, *, wait: bool = True) -> None:
        """The platform's model speaks; ``wait`` for the end of the sentence."""
        __tracebackhide__ = True
        self._act("model_says", (text,), [AgentSpeaks(text, wait=wait)])

    def calls_tool(self, name: str, arguments: Mapping[str, object] | None = None) -> str:
        """The platform's model calls a tool of the agent; the id of that call."""
        __tracebackhide__ = True
        tool = ToolCall(
            id=f"tool-{len(self._tools) + 1}", name=name, arguments=dict(arguments or {})
        )
        self._tools.append(tool)
        self._act("calls_tool", (name, dict(arguments or {})), [Emit(tool)])
        return tool.id

    def receives(self, *events: AgentEvent | StreamEvent | UnknownEvent) -> None:
        """The agent is sent these events, as they are."""
        __tracebackhide__ = True
        self._act("receives", events, [Emit(event) for event in events])

    def plays_steps(self, *steps: Step) -> None:
        """Any other steps of :mod:`plivo_core.platform`, faults of the network included."""
        __tracebackhide__ = True
        self._act("plays_steps", steps, steps)

    # -- what the agent must do ----------------------------------------------------------------

    def expects(self, kind: type[C], *, within: float = _WITHIN, **where: object) -> C:
        """The agent sends such a command; it, once it is there.

        ``where`` are its attributes, of an Update its fields; a mapping must be part of the value.
        """
        __tracebackhide__ = True
        self._begin("expects", (kind, where) if where else (kind,))
        step = Expect(cast("type[Command]", kind), "", where)
        number = self._await(lambda: self._find(step.matches), within)
        if number is None:
            self._fail(f"not within {within:g} s", _as_call(kind.__name__, where))
        self._taken.add(number)
        return cast("C", self._received()[number][1])

    def expects_no(self, kind: type[Command], *, during: float = 1.0, **where: object) -> None:
        """For ``during`` seconds the agent sends no such command, and none has come before."""
        __tracebackhide__ = True
        self._begin("expects_no", (kind, where) if where else (kind,))
        step = Expect(kind, "", where)
        if self._await(lambda: self._find(step.matches), during) is not None:
            self._fail(f"one came in {during:g} s", f"no {_as_call(kind.__name__, where)}")

    def expects_tool(self, name: str, result: object = _ANY, *, within: float = _WITHIN) -> Any:
        """The agent answers its tool ``name``, which :meth:`calls_tool` called; the result.

        Where ``result`` is a mapping, it must be part of that. Raises ValueError when the tool was
        not called, or was answered for another step.
        """
        __tracebackhide__ = True
        args = (name,) if result is _ANY else (name, result)
        self._begin("expects_tool", args, tool=name)
        number, answer = self._await_answer(name, "a result", within)
        if isinstance(answer, ToolError):
            errors = [each.error for each in self._errors if _id(each.event) == answer.id]
            expected = f"tool {name} answers" + (f" {result!r}" if result is not _ANY else "")
            self._fail("the agent answered with an error", expected, cause=errors)
        self._taken.add(number)
        where: dict[str, object] = {} if result is _ANY else {"result": result}
        if not Expect(ToolResult, "", where).matches(answer):
            self._taken.discard(number)
            self._fail("the agent answered something else", f"tool {name} answers {result!r}")
        return answer.result

    def expects_tool_error(self, name: str, *, within: float = _WITHIN) -> str:
        """The agent answers its tool ``name`` with an error; its text. The handler may raise."""
        __tracebackhide__ = True
        self._begin("expects_tool_error", (name,), tool=name)
        number, answer = self._await_answer(name, "an error", within)
        if not isinstance(answer, ToolError):
            self._fail("the agent answered with a result", f"tool {name} answers with an error")
        self._taken.add(number)
        self._errors[:] = [each for each in self._errors if _id(each.event) != answer.id]
        return answer.error

    def hears(self, text: str | re.Pattern[str], *, within: float = _WITHIN) -> str:
        """The agent has these words spoken (``speak``, or its tokens in text mode); all of them.

        Case and white space do not matter; a part of what is spoken will do, as will a pattern.
        """
        __tracebackhide__ = True
        self._begin("hears", (text if isinstance(text, str) else text.pattern,))
        found = self._await(lambda: self._words(text), within)
        if found is None:
            self._fail(f"not within {within:g} s", f"the agent's words hold {text!r}")
        numbers, words = found
        self._heard.update(numbers)
        self._taken.update(numbers)
        return words

    def hears_audio(self, ms: float = 20, *, within: float | None = None) -> float:
        """The caller hears so much audio of the agent's, more than before; how much since then.

        ``within`` is that time and 2 s more, unless given.
        """
        __tracebackhide__ = True
        self._begin("hears_audio", (ms,))
        seconds = _WITHIN + ms / 1000 if within is None else within
        heard = self._do(self._listen, self._heard_ms + ms, seconds)
        gained: float = heard - self._heard_ms
        self._heard_ms = heard
        if gained < ms - 0.001:
            self._fail(f"{gained:g} ms within {seconds:g} s", f"{ms:g} ms of sound")
        return gained

    def expects_error(self, kind: type[E], *, within: float = _WITHIN) -> E:
        """A handler raises such an exception; it."""
        __tracebackhide__ = True
        self._begin("expects_error", (kind,), tool="*")

        def raised() -> HandlerError | None:
            return next((e for e in self._mine() if isinstance(e.error, kind)), None)

        found = self._await(raised, within, poll=True)
        if found is None:
            self._fail(f"not within {within:g} s", f"a handler raises {kind.__name__}")
        self._errors.remove(found)
        return cast("E", found.error)

    def ends(self, *, code: int | None = 1000, within: float = _END) -> None:
        """The call ends, with this close code (None: any), and all handlers of it have run."""
        __tracebackhide__ = True
        self._begin("ends", ())
        self._await_end(code=code, within=within)

    # -- inside --------------------------------------------------------------------------------

    def _accepted(self) -> None:
        """Look whether the call was accepted. Raises AssertionError."""
        __tracebackhide__ = True
        self._step = "the upgrade"
        if not self._line.began:
            ended = self._line.run.result.ended
            self._fail("refused" if ended else "not answered", "the agent accepts the call")

    def _do(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        __tracebackhide__ = True
        return self._stage.do(function, *args)

    def _begin(self, name: str, args: Iterable[object], *, tool: str = "") -> None:
        __tracebackhide__ = True
        self._steps += 1
        shown = ", ".join(_show(arg) for arg in args)
        self._step = f"step {self._steps}, call.{name}({shown})"
        self._check_handlers(tool)

    def _act(self, name: str, args: Iterable[object], steps: Iterable[Step]) -> None:
        __tracebackhide__ = True
        self._begin(name, args)
        if self._line.over:
            self._fail("the call is over", "it still goes on")
        self._cause, self._since = self._step, len(self._received())
        self._do(self._line.play, *steps)
        self._do(self._stage.settle)

    def _received(self) -> list[tuple[float, Command]]:
        return [
            (at, command)
            for at, command in self._line.received
            if not isinstance(command, InvalidMessage)
        ]

    def _find(self, matches: Callable[[Command], bool]) -> int | None:
        for number, (_, command) in enumerate(self._received()):
            if number not in self._taken and matches(command):
                return number
        return None

    def _await(self, look: Callable[[], T], within: float, *, poll: bool = False) -> T:
        """What ``look`` finds, as soon as it does; None at last."""
        __tracebackhide__ = True

        async def wait() -> None:
            if poll:
                with anyio.move_on_after(within):
                    while look() is None:  # noqa: ASYNC110 - a handler raises unheard
                        await anyio.sleep(_TICK)
            else:
                await self._line.until(lambda: look() is not None, within)

        self._do(wait)
        return look()

    def _await_answer(
        self, name: str, what: str, within: float
    ) -> tuple[int, ToolResult | ToolError]:
        __tracebackhide__ = True
        answered = {_id(self._received()[number][1]) for number in self._taken}
        call = next((t for t in self._tools if t.name == name and t.id not in answered), None)
        if call is None:
            raise ValueError(
                f"{self._step}: no call of {name!r} waits; call.calls_tool() makes one"
            )

        def answers(command: Command) -> bool:
            return isinstance(command, (ToolResult, ToolError)) and command.id == call.id

        number = self._await(lambda: self._find(answers), within)
        if number is None:
            self._fail(f"no answer within {within:g} s", f"tool {name} answers with {what}")
        return number, cast("ToolResult | ToolError", self._received()[number][1])

    def _words(self, text: str | re.Pattern[str]) -> tuple[list[int], str] | None:
        """What was spoken and not heard yet, if it fits: the numbers of its commands, and it."""
        tokens: list[int] = []
        commands = self._received()
        for number, (_, command) in enumerate(commands):
            if number in self._heard:
                continue
            if isinstance(command, Speak):
                spoken = [number], command.text
            elif isinstance(command, Text):
                tokens.append(number)
                spoken = list(tokens), "".join(_token(commands[each][1]) for each in tokens)
                if command.last:
                    tokens.clear()
            else:
                continue
            if _fits(text, spoken[1]):
                return spoken
        return None

    async def _listen(self, wanted: float, within: float) -> float:
        playback = self._line.run.call.playback
        with anyio.move_on_after(within):
            # Sound is heard in time, unannounced.
            while (  # noqa: ASYNC110
                playback.heard_ms(anyio.current_time()) < wanted and not self._line.over
            ):
                await anyio.sleep(_TICK)
        return playback.heard_ms(anyio.current_time())

    def _await_end(self, *, code: int | None = None, within: float = _END) -> None:
        __tracebackhide__ = True
        self._do(self._line.until, lambda: False, within)
        ended = self._line.run.result.ended
        if ended is None:
            self._fail(f"it goes on after {within:g} s", "the call ends")
        if code is not None and ended.code != code:
            self._fail(f"it ended with {ended.code} {ended.reason!r}", f"it ends with {code}")
        if not self._do(self._over):
            self._fail(f"a handler still runs after {_END:g} s", "the call ends")
        self._check_handlers()

    async def _over(self) -> bool:
        """Whether the agent's side is over, too, its ``on_disconnect`` included."""
        with anyio.move_on_after(_END):
            # A server tells nobody when a call's last handler has returned.
            while self._app.stats.calls > self._stage.calls_of(self._app):  # noqa: ASYNC110
                await anyio.sleep(_TICK)
            return True
        return False

    def _is_on(self, app: VoiceApp) -> bool:
        """Whether ``app`` has this call still."""
        return self._app is app and not self._line.over

    def _mine(self) -> list[HandlerError]:
        uuid = self._line.call_uuid
        return [each for each in self._errors if each.call_uuid in (None, uuid)]

    def _check_handlers(self, but: str = "") -> None:
        """Fail for what a handler raised, other than of the tool ``but`` (``*``: of any event)."""
        __tracebackhide__ = True
        for found in self._mine() if but != "*" else ():
            if isinstance(found.event, ToolCall) and found.event.name == but:
                continue
            self._errors.remove(found)
            at = (
                "on_connect, on_disconnect or a task" if found.event is None else _show(found.event)
            )
            message = f"{type(found.error).__name__}: {found.error}"
            self._fail(f"the handler of {at} raised {message}", "no handler raises", [found.error])
        if self._line.run.call.invalid:
            wrong = self._line.run.call.invalid[0]
            self._fail(f"the agent sent {wrong.reason}: {_show(wrong.raw)}", "commands only")

    # -- what to say ---------------------------------------------------------------------------

    def _fail(self, what: str, expected: str, cause: Iterable[Exception] = ()) -> NoReturn:
        __tracebackhide__ = True
        self._failed = True
        came = list(enumerate(self._received()))[self._since :]
        lines = [
            f"{self._step}: {what}",
            f"  expected: {expected}",
            f"  since {self._cause}: " + ("" if came else "the agent sent nothing"),
        ]
        began = self._line.began_at
        for number, (at, command) in came[-_SHOWN:]:
            taken = "  (an earlier step took it)" if number in self._taken else ""
            lines.append(f"    {at - began:8.3f} s  {_show(command)}{taken}")
        lines.append(f"  the call: {self._state()}")
        raise AssertionError("\n".join(lines)) from next(iter(cause), None)

    def _state(self) -> str:
        ended = self._line.run.result.ended
        if ended is None:
            return f"goes on, for {self.seconds:.3f} s so far"
        told = f"{ended.code} {ended.reason}".strip() + f", {ended.cause}"
        return f"ended ({told}) after {self.seconds:.3f} s"


def _id(thing: object) -> str | None:
    return thing.id if isinstance(thing, (ToolCall, ToolResult, ToolError)) else None


def _token(command: Command) -> str:
    return command.token if isinstance(command, Text) else ""


def _fits(wanted: str | re.Pattern[str], words: str) -> bool:
    if isinstance(wanted, str):
        return _plain(wanted) in _plain(words)
    return wanted.search(words) is not None


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())


def _as_call(name: str, members: Mapping[str, object]) -> str:
    return f"{name}({', '.join(f'{key}={_show(value)}' for key, value in members.items())})"


def _show(value: object) -> str:
    """In full, unlike repr(): what a test sends is nobody's secret. Cut where it is long."""
    if isinstance(value, type):
        return value.__name__
    if is_dataclass(value):
        members = {f.name: getattr(value, f.name) for f in fields(value)}
        defaults = {f.name: f.default for f in fields(value)}
        told = {key: each for key, each in members.items() if each != defaults[key]}
        told = {key: each for key, each in told.items() if not (key == "extra" and not each)}
        return _as_call(type(value).__name__, told)
    text = repr(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
