"""Callbacks, answer XML, fetch options as users type them. For mypy and pyright; never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import assert_type

from plivo_core import MediaFormat
from plivo_core.events import Number as AnyNumber
from plivo_core.webhooks import (
    AnswerXml,
    Callback,
    Dial,
    FetchOptions,
    GetDigits,
    Hangup,
    HangupCallback,
    IncomingMessage,
    Number,
    Speak,
    Stream,
    User,
    Verb,
    Wait,
    parse_callback,
    split_fetch_options,
)

pairs: list[tuple[str, str]] = []
members: dict[str, object] = {}

hook = HangupCallback.parse(pairs)
assert_type(hook, HangupCallback)
assert_type(hook.duration, AnyNumber | None)
assert_type(hook.from_, str)
assert_type(hook.sip_headers, Mapping[str, str])
assert_type(IncomingMessage.parse(members).media, Sequence[str])
assert_type(parse_callback(members, "hangup"), Callback)
HangupCallback(duration=5, call_uuid="c-1")
parse_callback(members, "hang-up")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
hook.duration = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

answer = AnswerXml(GetDigits(Speak("1"), num_digits=1), Dial(Number("1"), User("sip:a")), Hangup())
assert_type(answer.verbs, tuple[Verb, ...])
Stream("wss://x", media_format=MediaFormat("audio/x-mulaw", 8000))
AnswerXml("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
AnswerXml(Number("1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Dial("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
GetDigits(Wait(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Hangup(reason="tired")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(split_fetch_options("https://x#rc=1"), tuple[str, FetchOptions])
FetchOptions(repeat_on=("ct", "5xx"))
