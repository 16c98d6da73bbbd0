"""Every command as a frozen value, valid by construction.

What the platform would reject (PROTOCOL.md 11, D-26), and what is of the wrong type, raises
:class:`~plivo_core.errors.InvalidCommandError` in the constructor, so that a command that exists
can be sent.

Commands hold the objects they are given (``result``, the values of ``fields``);
:func:`~plivo_core.commands.serialize_command` copies them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal, TypeAlias, cast

from plivo_core._redact import redact, redact_member, show_size
from plivo_core.commands._checks import (
    destinations,
    require_bool,
    require_dial_mode,
    require_mapping,
    require_rate,
    require_seconds,
    require_share,
    require_text,
    require_tones,
)
from plivo_core.errors import InvalidCommandError

__all__ = [
    "Checkpoint",
    "ClearAudio",
    "Command",
    "DialMode",
    "ExtendWait",
    "Hangup",
    "Inject",
    "Play",
    "PlayAudio",
    "PlayBackground",
    "RawCommand",
    "SendDtmf",
    "SendStreamDtmf",
    "Speak",
    "StopBackground",
    "Text",
    "ToolError",
    "ToolResult",
    "Transfer",
    "Update",
]

DialMode: TypeAlias = Literal["parallel", "sequential"]

_Masks: TypeAlias = Mapping[str, Callable[[object], object]]


class _Command:
    """What the commands share: one masked repr, one equality and one hash for all of them.

    The dataclass decorator would otherwise compile three functions per class at import.
    """

    __slots__: tuple[str, ...] = ()
    type: ClassVar[str]
    """The name on the wire; empty for :class:`RawCommand`."""

    # Where the field's name alone would show too much or too little.
    _masks: ClassVar[_Masks] = {}

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __repr__(self) -> str:
        shown: list[str] = []
        for name, value in zip(self.__slots__, self._values(), strict=True):
            mask = self._masks.get(name)
            masked = mask(value) if mask else redact_member(name, value)
            shown.append(f"{name}={masked!r}")
        return f"{self.__class__.__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Command) and other.__class__ is self.__class__:
            return self._values() == other._values()
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.__class__, self._values()))


# --- agent level: the name travels under "type" ---


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ToolResult(_Command):
    """Answers the :class:`~plivo_core.events.ToolCall` of that ``id`` with any JSON value."""

    type: ClassVar[str] = "tool.result"
    id: str
    result: object

    def __post_init__(self) -> None:
        require_text(self.id, "id")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ToolError(_Command):
    """Answers the :class:`~plivo_core.events.ToolCall` of that ``id`` with a text for the model."""

    type: ClassVar[str] = "tool.error"
    id: str
    error: str

    def __post_init__(self) -> None:
        require_text(self.id, "id")
        require_text(self.error, "error")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Text(_Command):
    """A piece of the answer in text mode; ``last`` ends the turn."""

    type: ClassVar[str] = "text"
    _masks: ClassVar[_Masks] = {"token": redact}  # of a language model, not a credential
    token: str
    _: KW_ONLY
    last: bool = False

    def __post_init__(self) -> None:
        require_text(self.token, "token")
        require_bool(self.last, "last")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ExtendWait(_Command):
    """Asks the platform for more patience before it judges the caller idle."""

    type: ClassVar[str] = "agent_session.extend_wait"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Update(_Command):
    """Changes the running agent; known ``fields`` are events, system_prompt, tools, llm, tts, stt
    and semantic_vad. None is sent as null. Presets are not expanded here.
    """

    type: ClassVar[str] = "agent_session.update"
    fields: Mapping[str, object]

    def __post_init__(self) -> None:
        require_mapping(self.fields, "fields")
        # Copied, so that what was checked here cannot change behind the command's back.
        object.__setattr__(self, "fields", dict(self.fields))
        if "type" in self.fields:
            raise InvalidCommandError(
                "fields must not hold 'type': the message is named by it",
                argument="fields",
                hint="send_raw() sends messages of your own making",
            )


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Inject(_Command):
    """Adds a line to what the model knows, unspoken."""

    type: ClassVar[str] = "agent_session.inject"
    content: str

    def __post_init__(self) -> None:
        require_text(self.content, "content")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Speak(_Command):
    """Has the agent say ``text`` word for word."""

    type: ClassVar[str] = "agent_session.speak"
    text: str

    def __post_init__(self) -> None:
        require_text(self.text, "text")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Play(_Command):
    """Plays a recording: ``audio_data`` is base64 of a WAV file (16-bit PCM, any rate)."""

    type: ClassVar[str] = "agent_session.play"
    _masks: ClassVar[_Masks] = {"audio_data": show_size}
    audio_data: str
    _: KW_ONLY
    allow_interruption: bool = True

    def __post_init__(self) -> None:
        require_text(self.audio_data, "audio_data")
        require_bool(self.allow_interruption, "allow_interruption")


@dataclass(frozen=True, slots=True, repr=False, eq=False, init=False)
class Transfer(_Command):
    """Dials numbers or SIP addresses and hands the caller over.

    ``timeout`` is in seconds. A blank ``caller_id`` equals None.
    """

    type: ClassVar[str] = "agent_session.transfer"
    destination: tuple[str, ...]
    dial_mode: DialMode
    timeout: float
    caller_id: str | None

    # Written out for its first argument: what goes in (a str, any iterable) is wider than what
    # the field holds.
    def __init__(
        self,
        destination: str | Iterable[str],
        *,
        dial_mode: DialMode = "parallel",
        timeout: float = 30,
        caller_id: str | None = None,
    ) -> None:
        require_dial_mode(dial_mode, "dial_mode")
        require_seconds(timeout, "timeout")
        if caller_id is not None:
            require_text(caller_id, "caller_id")
        put = object.__setattr__
        put(self, "destination", destinations(destination))
        put(self, "dial_mode", dial_mode)
        put(self, "timeout", timeout)
        put(self, "caller_id", caller_id or None)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SendDtmf(_Command):
    """Sends key tones into the agent's call; ``w`` and ``W`` pause."""

    type: ClassVar[str] = "agent_session.send_dtmf"
    digits: str

    def __post_init__(self) -> None:
        require_tones(self.digits, "digits")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Hangup(_Command):
    """Ends an agent's call. A plain stream has no such command: hang up by REST."""

    type: ClassVar[str] = "agent_session.hangup"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PlayBackground(_Command):
    """Mixes a sound of the platform ("office", "typing", ...) under the call; volume 0 to 1."""

    type: ClassVar[str] = "audio.mix"
    sound: str
    _: KW_ONLY
    volume: float = 0.5
    loop: bool = True

    def __post_init__(self) -> None:
        require_text(self.sound, "sound")
        require_share(self.volume, "volume")
        require_bool(self.loop, "loop")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class StopBackground(_Command):
    """Ends what :class:`PlayBackground` began."""

    type: ClassVar[str] = "audio.mix_enable"


# --- stream level: the name travels under "event" ---


@dataclass(frozen=True, slots=True, repr=False, eq=False, init=False)
class PlayAudio(_Command):
    """Queues audio behind what already plays; ``payload`` is base64, ``sample_rate`` in Hz.

    Only types are checked (and that the rate is positive): this is built 50 times a second per
    call, and the content is the application's.
    """

    type: ClassVar[str] = "playAudio"
    payload: str
    _: KW_ONLY
    content_type: str = "audio/x-mulaw"
    sample_rate: int = 8000

    # By hand, in a quarter of the time: the generated one sets each field by its name.
    def __init__(
        self, payload: str, *, content_type: str = "audio/x-mulaw", sample_rate: int = 8000
    ) -> None:
        require_text(payload, "payload")
        require_text(content_type, "content_type")
        require_rate(sample_rate, "sample_rate")
        _set_payload(self, payload)
        _set_content_type(self, content_type)
        _set_sample_rate(self, sample_rate)


def _setter(name: str) -> Callable[[PlayAudio, object], None]:
    return cast("Callable[[PlayAudio, object], None]", getattr(PlayAudio, name).__set__)


_set_payload = _setter("payload")
_set_content_type = _setter("content_type")
_set_sample_rate = _setter("sample_rate")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Checkpoint(_Command):
    """Marks the end of the audio queued so far; ``playedStream`` echoes ``name``.

    ``stream_id`` None (or empty) is filled in by the session.
    """

    type: ClassVar[str] = "checkpoint"
    name: str
    _: KW_ONLY
    stream_id: str | None = None

    def __post_init__(self) -> None:
        require_text(self.name, "name")
        _settle_stream_id(self, self.stream_id)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ClearAudio(_Command):
    """Empties the platform's audio queue. ``stream_id`` as in :class:`Checkpoint`."""

    type: ClassVar[str] = "clearAudio"
    _: KW_ONLY
    stream_id: str | None = None

    def __post_init__(self) -> None:
        _settle_stream_id(self, self.stream_id)


def _settle_stream_id(command: Checkpoint | ClearAudio, stream_id: str | None) -> None:
    # On the wire "no stream yet" is the empty text (D-25); here it has one spelling, None.
    if stream_id is not None:
        require_text(stream_id, "stream_id")
        if not stream_id:
            object.__setattr__(command, "stream_id", None)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SendStreamDtmf(_Command):
    """Sends key tones into a plain audio stream; the same alphabet as :class:`SendDtmf`."""

    type: ClassVar[str] = "sendDTMF"
    digits: str

    def __post_init__(self) -> None:
        require_tones(self.digits, "digits")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RawCommand(_Command):
    """A message this library does not know, sent as it is."""

    type: ClassVar[str] = ""
    message: Mapping[str, object]

    def __post_init__(self) -> None:
        require_mapping(self.message, "message")
        object.__setattr__(self, "message", dict(self.message))


Command: TypeAlias = (
    ToolResult
    | ToolError
    | Text
    | ExtendWait
    | Update
    | Inject
    | Speak
    | Play
    | Transfer
    | SendDtmf
    | Hangup
    | PlayBackground
    | StopBackground
    | PlayAudio
    | Checkpoint
    | ClearAudio
    | SendStreamDtmf
    | RawCommand
)
