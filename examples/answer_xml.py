"""Answer XML for a few whole flows, printed: python examples/answer_xml.py

Pure: nothing is served and nothing is sent. Each function is what a handler of an answer URL or of
an action URL returns.
"""

from __future__ import annotations

from plivo_core import MediaFormat
from plivo_core.webhooks import (
    AnswerCallback,
    AnswerXml,
    Dial,
    DigitsCallback,
    FetchOptions,
    GetDigits,
    Hangup,
    Number,
    Play,
    Record,
    Redirect,
    Speak,
    Stream,
    Wait,
    with_fetch_options,
)

BASE = "https://agent.example.com"
QUICK = FetchOptions(connect_ms=1000, read_ms=5000, repeats=2)


def menu(call: AnswerCallback) -> AnswerXml:
    """Answer a call: greet, then ask for a key."""
    greeting = f"Hello {call.caller_name}." if call.caller_name else "Hello."
    return AnswerXml(
        GetDigits(
            Speak(f"{greeting} Press 1 for our assistant, 2 for a human."),
            action=with_fetch_options(f"{BASE}/menu", QUICK),
            num_digits=1,
            valid_digits="12",
            retries=2,
        ),
        Speak("We did not hear a key. Goodbye."),
    )


def chosen(pressed: DigitsCallback) -> AnswerXml:
    """Answer the key: an assistant, a human, or the menu once more."""
    if pressed.digits == "1":
        return assistant(pressed.call_uuid)
    if pressed.digits == "2":
        return human(pressed.to)
    return AnswerXml(Redirect(f"{BASE}/answer"))


def assistant(call_uuid: str) -> AnswerXml:
    """Stream the audio both ways; the verbs after it run when the stream is over."""
    return AnswerXml(
        Stream(
            f"wss://agent.example.com/call?call_uuid={call_uuid}",
            bidirectional=True,
            keep_call_alive=True,
            media_format=MediaFormat("audio/x-l16", 16000),
            status_callback_url=f"{BASE}/stream-status",
        ),
        Speak("Goodbye."),
        Hangup(),
    )


def human(caller_id: str) -> AnswerXml:
    """Ring two phones at once; when nobody answers, take a message."""
    return AnswerXml(
        Dial(
            Number("+14155550140"),
            Number("+14155550141", send_digits="ww9"),
            caller_id=caller_id,
            timeout=20,
        ),
        Speak("Nobody is here. Leave a message after the tone."),
        Record(action=f"{BASE}/message", max_length=120, finish_on_key="#"),
    )


def rejected() -> AnswerXml:
    """Do not answer at all."""
    return AnswerXml(Hangup(reason="busy"))


def on_hold() -> AnswerXml:
    """Wait a moment, then play music without end."""
    return AnswerXml(Wait(2), Play(f"{BASE}/music.mp3", loop=0))


def main() -> None:
    # What a verifier hands over; the caller chose the name.
    form = [("CallUUID", "c-1"), ("To", "+14155550199"), ("CallerName", "Ann & <Bob>")]
    for title, answer in {
        "menu": menu(AnswerCallback.parse(form)),
        "assistant": chosen(DigitsCallback.parse([*form, ("Digits", "1")])),
        "human": chosen(DigitsCallback.parse([*form, ("Digits", "2")])),
        "again": chosen(DigitsCallback.parse(form)),
        "rejected": rejected(),
        "hold": on_hold(),
    }.items():
        print(f"{title}: {answer}")


if __name__ == "__main__":
    main()
