"""A scenario against the core's own server, byte by byte, under a clock turned by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core import (
    Command,
    InvalidMessage,
    Limits,
    RequestReceived,
    ServerConnection,
    SessionCommands,
    parse_command,
)
from plivo_core.commands import Hangup, RawCommand, Speak
from plivo_core.events import Dtmf, Ended, Prompt, StreamMedia, ToolCall
from plivo_core.platform import Scenario, ScenarioResult, ScenarioRun, SocketAction
from plivo_core.testing import chunkings, play_scenario
from tests.core.calls import bytes_of, frames, random_bytes

React = Callable[[SessionCommands, object], None]

KEY = '[[steps]]\npress = "1"\n'
HEARD = '[[steps]]\nexpect = "agent_session.speak"\nlabel = "heard"\n'


def agent(session: SessionCommands, event: object) -> None:
    if isinstance(event, Dtmf):
        session.speak(event.digit)
    elif isinstance(event, ToolCall):
        session.send_tool_result(event.id, "done")
    elif isinstance(event, StreamMedia):
        session.send_media(event.payload)


def silent(session: SessionCommands, event: object) -> None:
    pass


def play(text: str, react: React = agent, **options: Any) -> ScenarioResult:
    return play_scenario(Scenario.parse(text), react, **options)


def closes(code: int) -> str:
    return f'[[steps]]\ncloses = {code}\nlabel = "c"\n'


def test_a_scenario_is_played_and_its_steps_are_told() -> None:
    result = play(f'title = "one key"\n{KEY}{HEARD}[[steps]]\npause = 600\n[[steps]]\npause = 1')
    assert result.ok
    assert result.title == "one key"
    assert result.sequence == (("heard", True),)
    assert result.latencies == {"heard": 0}
    assert result.ended == Ended("remote", 1000, "", "close")
    assert result.seconds == 601
    assert result.unexpected == result.invalid == ()


def test_what_is_missed_is_named() -> None:
    result = play(f"{KEY}{HEARD}", silent)
    assert not result.ok
    assert result.missed == ("heard",)
    assert result.steps[0].at == 2
    assert result.latencies == {}


def test_time_counts_from_the_beginning_of_the_run() -> None:
    result = play(f"[[steps]]\npause = 1\n{KEY}{HEARD}", now=1000)
    assert [step.at for step in result.steps] == [1]
    assert result.seconds == 1


def test_unexpected_commands_and_texts_that_are_none_are_kept() -> None:
    def chatter(session: SessionCommands, event: object) -> None:
        if isinstance(event, Dtmf):
            session.send_raw({"type": "novelty"})

    result = play(f"{KEY}[[steps]]\npause = 1", chatter)
    assert result.unexpected == (RawCommand({"type": "novelty"}),)


def test_two_servers_meet_the_same_call() -> None:
    text = f"{KEY}{HEARD}"
    assert play(text) == play(text)


def test_a_server_may_be_brought_along() -> None:
    server = ServerConnection(now=0, limits=Limits(max_message=100))
    text = '[[steps]]\nfault = "oversized"\nsize = 101\n[[steps]]\ncloses = 1009'
    assert play(text, server=server).ok


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "sequence"),
    [
        (f'[[steps]]\nfault = "split"\nlabel = "f"\n{KEY}{HEARD}', ["f", "heard"]),
        (f'[[steps]]\nfault = "split"\nsize = 7\nlabel = "f"\n{KEY}{HEARD}', ["f", "heard"]),
        (f'[[steps]]\nfault = "garbage"\nlabel = "f"\n{KEY}{HEARD}', ["f", "heard"]),
        (f'[[steps]]\nfault = "binary"\nlabel = "f"\n{KEY}{HEARD}', ["f", "heard"]),
        (
            f'[[steps]]\nfault = "bad_frame"\nlabel = "f"\n{KEY}{closes(1002)}',
            ["f", "c"],
        ),
        ('[[steps]]\nfault = "oversized"\nlabel = "f"', ["f"]),
        (f'{KEY}{HEARD}[[steps]]\nfault = "drop"\nlabel = "f"', ["heard", "f"]),
        (
            f'[[steps]]\nfault = "half_close"\nlabel = "f"\n{KEY}{closes(1006)}',
            ["f", "c"],
        ),
    ],
)
def test_a_fault_happens_and_is_told(steps: str, sequence: list[str]) -> None:
    assert play(steps).sequence == tuple((label, True) for label in sequence)


def test_a_duplicate_is_one_message_twice() -> None:
    result = play(f'[[steps]]\nfault = "duplicate"\n{KEY}{HEARD}{HEARD}{KEY}{HEARD}')
    assert result.ok
    assert result.unexpected == ()


def test_reordered_messages_change_places() -> None:
    seen: list[str] = []

    def note(session: SessionCommands, event: object) -> None:
        if isinstance(event, Dtmf):
            seen.append(event.digit)

    play('[[steps]]\nfault = "reorder"\n[[steps]]\npress = "123"\n[[steps]]\npause = 1', note)
    assert seen == ["2", "1", "3"]


def test_a_message_that_waits_to_be_overtaken_leaves_with_the_end() -> None:
    seen: list[type] = []

    def note(session: SessionCommands, event: object) -> None:
        seen.append(type(event))

    play('[[steps]]\nfault = "reorder"', note)
    assert [kind.__name__ for kind in seen] == ["AgentSessionStarted", "AgentSessionEnded", "Ended"]


def test_nothing_is_read_during_a_stall() -> None:
    result = play(
        f'[[steps]]\nfault = "stall"\nseconds = 5\n{KEY}'
        '[[steps]]\nnever = "agent_session.speak"\nduring = 4.9\nlabel = "nothing"\n'
        f"{HEARD}"
    )
    assert result.sequence == (("step 1: stall", True), ("nothing", True), ("heard", True))
    assert result.steps[-1].at == 5


def test_a_stall_that_is_too_long_costs_the_call() -> None:
    result = play(f'[[steps]]\nfault = "stall"\nseconds = 60\n{KEY}[[steps]]\npause = 90')
    assert result.ended is not None
    assert result.ended.code != 1000
    assert result.seconds < 90


# --- servers that do not keep to the script -------------------------------------------------------


def a_run(text: str, **options: Any) -> ScenarioRun:
    return ScenarioRun(Scenario.parse(text), random_bytes=random_bytes, now=0, **options)


def upgraded(run: ScenarioRun) -> ServerConnection:
    """A server that has taken the call and sent nothing."""
    server = ServerConnection(now=0)
    server.receive_data(run.data_to_send(), now=0)
    assert isinstance(server.next_event(), RequestReceived)
    server.accept(now=0)
    run.receive_data(bytes_of(server), now=0)
    return server


def test_a_server_that_never_answers_is_given_up() -> None:
    run = a_run(f"{KEY}{HEARD}")
    while not run.finished:
        run.data_to_send()
        due = run.deadline()
        assert due is not None
        run.handle_timeout(now=due)
    assert run.result.missed == ("heard",)
    assert run.result.ended is not None
    assert run.result.ended.error is not None


def test_a_server_that_refuses_is_told_as_it_said() -> None:
    received: list[object] = []
    run = a_run(f"{KEY}{HEARD}", on_received=received.append)
    run.data_to_send()
    run.receive_data(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", now=0)
    assert run.result.ended is not None
    assert run.result.ended.reason == "HTTP 503"
    assert received == []
    assert run.result.missed == ("heard",)


def test_a_server_that_answers_with_garbage_is_given_up() -> None:
    run = a_run(KEY)
    run.data_to_send()
    run.receive_data(b"garbage\r\n\r\n", now=0)
    assert run.data_to_send() == b""
    assert run.finished


def test_a_server_that_hangs_up_early_leaves_steps_unmet() -> None:
    run = a_run(f"[[steps]]\npause = 1\n{KEY}{HEARD}")
    server = upgraded(run)
    server.close(1011, "oops", now=0)
    run.receive_data(bytes_of(server), now=0)
    assert run.result.missed == ("heard",)
    assert run.result.ended == Ended("remote", 1011, "oops", "close")


@pytest.mark.parametrize("how", ["eof", "failure"])
def test_a_transport_that_breaks_ends_the_run(how: str) -> None:
    run = a_run(f"{KEY}{HEARD}")
    upgraded(run)
    if how == "eof":
        run.receive_eof(now=1)
    else:
        run.send_failed(now=1)
    assert run.data_to_send() == b""
    assert run.finished
    assert run.deadline() is None
    assert run.result.seconds == 1


def test_a_server_that_does_not_close_is_closed() -> None:
    run = a_run("[[steps]]\npause = 1")
    upgraded(run)
    times = []
    while (due := run.deadline()) is not None:
        times.append(due)
        run.handle_timeout(now=due)
        while run.data_to_send():
            pass
    assert times[:2] == [1, 2]  # the end of the script, and of our patience
    assert run.result.ended is not None
    assert run.result.ended.initiator == "local"


def test_a_close_that_is_expected_is_waited_for() -> None:
    run = a_run('[[steps]]\nhang_up = "x"\n[[steps]]\ncloses = 1000\nwithin = 9\nlabel = "c"')
    upgraded(run)
    assert run.deadline() == 9
    run.handle_timeout(now=9)
    run.handle_timeout(now=9)
    assert run.result.missed == ("c",)


def test_a_script_leaves_whole_however_much_it_says_at_once() -> None:
    steps = '[[steps]]\nfault = "oversized"\nsize = 1000000\n' * 3
    run = a_run(f"{steps}{KEY}")
    upgraded(run)
    found = [(opcode, len(payload)) for opcode, payload in frames(bytes_of_run(run))]
    assert [size for _, size in found[1:4]] == [1_000_000] * 3
    assert len(found) == 6  # session.started, three, the key, session.ended


@pytest.mark.parametrize("size", [1, 3])
def test_split_bytes_leave_in_pieces(size: int) -> None:
    run = a_run(f'[[steps]]\nfault = "split"\nsize = {size}\n{KEY}')
    upgraded(run)
    pieces = list(iter(run.data_to_send, b""))
    assert max(len(piece) for piece in pieces) == size
    assert len(frames(b"".join(pieces))) == 3


def test_every_message_can_be_watched() -> None:
    sent: list[object] = []
    received: list[Command | InvalidMessage] = []
    run = a_run(KEY, on_sent=sent.append, on_received=received.append)
    server = upgraded(run)
    server.receive_data(bytes_of_run(run), now=0)
    while server.next_event() is not None:
        pass
    assert [type(event).__name__ for event in sent] == [
        "AgentSessionStarted",
        "Dtmf",
        "AgentSessionEnded",
    ]
    assert received == []


def test_texts_that_are_no_commands_are_kept() -> None:
    run = a_run("[[steps]]\npause = 1")
    upgraded(run)
    run.receive_data(b"\x81\x01{", now=0)
    assert run.result.invalid == (InvalidMessage("{", "invalid_json"),)
    assert parse_command("{") == run.result.invalid[0]


def bytes_of_run(run: ScenarioRun) -> bytes:
    return b"".join(iter(run.data_to_send, b""))


def test_actions_come_behind_the_bytes_before_them() -> None:
    run = a_run(f'{KEY}[[steps]]\nfault = "half_close"\n[[steps]]\npause = 1')
    upgraded(run)
    assert bytes_of_run(run) != b""
    assert run.next_action() is SocketAction.HALF_CLOSE
    assert run.next_action() is None
    assert bytes_of_run(run) == b""
    run.handle_timeout(now=1)
    assert bytes_of_run(run) == b""  # not even the end


@settings(max_examples=30)
@given(st.data())
def test_cutting_the_bytes_changes_nothing(data: st.DataObject) -> None:
    run = a_run(f"{KEY}{HEARD}[[steps]]\npause = 1")
    server = ServerConnection(now=0)
    for piece in data.draw(chunkings(bytes_of_run(run))):
        server.receive_data(piece, now=0)
    server.next_event()
    server.accept(now=0)
    server.send(Speak("1"), now=0)
    server.send(Hangup(), now=0)
    for piece in data.draw(chunkings(bytes_of(server))):
        run.receive_data(piece, now=0)
    assert run.result.sequence == (("heard", True),)
    assert run.result.unexpected == (Hangup(),)


def test_text_mode_hears_and_answers() -> None:
    def model(session: SessionCommands, event: object) -> None:
        if isinstance(event, Prompt) and event.is_final:
            session.send_text(event.text.upper(), last=True)

    text = """
    [call]
    mode = "text"
    [[steps]]
    say = "hello"
    [[steps]]
    until = "turn.completed"
    where = { agent_text = "HELLO" }
    """
    assert play(text, model).ok


def test_a_fault_leaves_behind_what_the_connection_itself_has_to_say() -> None:
    # After 20 s both ends ping: a pong may wait while the fault's message is too large to join it.
    oversized = '[[steps]]\nfault = "oversized"\nlabel = "big"\n'
    result = play(f"[[steps]]\npause = 100\n{oversized}{closes(1009)}")
    assert result.sequence == (("big", True), ("c", True))


@pytest.mark.timeout(20)  # when each piece copied the rest, it took minutes
def test_a_million_pieces_are_cut_in_a_moment() -> None:
    faults = '[[steps]]\nfault = "split"\nsize = 1\nlabel = "s"\n[[steps]]\nfault = "oversized"\n'
    run = ScenarioRun(Scenario.parse(f"{faults}{KEY}"), random_bytes=random_bytes, now=0)
    server = ServerConnection(now=0)
    server.receive_data(run.data_to_send(), now=0)
    assert isinstance(server.next_event(), RequestReceived)
    server.accept(now=0)
    run.receive_data(server.data_to_send(), now=0)
    pieces = 0
    while data := run.data_to_send():
        assert len(data) == 1
        pieces += 1
    assert pieces > 1024 * 1024
    assert not run.finished
