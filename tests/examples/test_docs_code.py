"""README.md and docs/ keep their word: code runs, links lead somewhere, tables match the code.

The Python blocks of a page are one program: they run in order in one namespace, with ``__name__``
other than ``__main__``. Functions called ``test_*`` are run as well. What serves or calls is then
used by a test of its own.
"""

from __future__ import annotations

import inspect
import re
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import anyio
import anyio.to_thread
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from websockets.sync.client import connect

import plivo_anyio.testing.fuzz
import plivo_core.platform
import plivo_core.testing
from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._registration import WebhookRegistration
from plivo_anyio.testing import Call
from plivo_core import ClientConnection, Ended, Limits, ServerConnection, Session, Timings
from plivo_core.commands import Speak, ToolResult
from plivo_core.events import ToolCall
from plivo_core.platform import (
    Expect,
    HangUp,
    PlatformCall,
    RestFault,
    ScenarioResult,
    caller_presses,
    model_calls_tool,
)
from plivo_core.platform._opening import FORMAT_NAMES
from plivo_core.platform._scenario import _CALL_KEYS as CALL_KEYS
from plivo_core.platform._scenario import _IDLE_KEYS as IDLE_KEYS
from plivo_core.platform._scenario_steps import _FAULT_OPTIONS as FAULT_OPTIONS
from plivo_core.platform._scenario_steps import _VERBS as VERBS
from plivo_core.testing import AgentMachine
from plivo_core.webhooks import (
    FetchOptions,
    Number,
    User,
    Verb,
    WebhookEndpoint,
    WebhookVerifier,
)
from plivo_core.webhooks._callback import CALLBACKS
from plivo_core.webhooks._explanation import _TEXTS as EXPLAINED
from tests.adapter._asgi import connected
from tests.examples.test_voice_examples import hold, served

pytest_plugins = ["plivo_anyio.pytest_plugin"]
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def run_page(page: Path) -> ModuleType:
    """All Python blocks of a page, executed. Line numbers in tracebacks are those of the page."""
    text = text_of(page)
    code = re.sub(r"[^\n]", "", text)  # blank lines, as many
    lines = code.split("\n")
    for block in PYTHON.finditer(text):
        first = text.count("\n", 0, block.start(1))
        body = block[1].splitlines()
        lines[first : first + len(body)] = body
    module = ModuleType(f"code_of_{page.stem.replace('-', '_')}")
    sys.modules[module.__name__] = module
    try:
        exec(compile("\n".join(lines), str(page), "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    return module


# docs/rest.md needs a server: tests/rest/test_docs.py runs it against one.
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "rest"], ids=page_id)
def test_the_code_of_a_page_runs(
    page: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    module = run_page(page)
    for name, function in list(vars(module).items()):
        if name.startswith("test_") and not inspect.iscoroutinefunction(function):
            fixtures = [name for name in inspect.signature(function).parameters if name == "a_call"]
            function(**{name: request.getfixturevalue(name) for name in fixtures})


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page_id(page)} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page_id(page)} links to {target}"


def anchors(page: Path) -> set[str]:
    """As GitHub derives them from headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Limits, Timings])
def test_the_limits_page_states_every_default(cls: type[Limits] | type[Timings]) -> None:
    section = text_of(ROOT / "docs/limits.md").split(f"## {cls.__name__}\n")[1].split("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| `.*$", section, re.MULTILINE)]
    stated = [
        (row[0].strip("`"), row[1].strip("`") if row[2] == "policy" else number(row[1]))
        for row in rows
    ]
    assert stated == [(field.name, field.default) for field in fields(cls)]
    sizes = {"bytes", "count", "levels", "characters", "ms", "policy"}
    units = sizes if cls is Limits else {"s"}
    for _, _, unit, where, beyond in rows:
        assert unit in units
        assert where in ("core", "server")
        assert beyond


def number(text: str) -> float:
    digits, _, unit = text.partition(" ")
    return float(digits) * {"": 1, "KiB": 1024, "MiB": 1024 * 1024}[unit]


@pytest.mark.parametrize(("cls", "column"), [(Limits, 2), (Timings, 3)])
def test_the_asgi_page_says_of_every_bound_whose_it_is(
    cls: type[Limits] | type[Timings], column: int
) -> None:
    text = text_of(ROOT / "docs/asgi.md")
    rows = re.findall(r"^\| (?:Ours, as ever|The server's) \|.*$", text, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[column])]
    assert sorted(named) == sorted(field.name for field in fields(cls))


def public(cls: type[object]) -> set[str]:
    names = {*vars(cls), *getattr(cls, "__annotations__", ())}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("embedding", public(ServerConnection) | {"session", "request", "message_size"}),
        ("embedding", public(ClientConnection) | {"limits", "timings"}),
        ("voice-apps", public(VoiceApp) | public(CallSession)),
        ("webhooks", public(WebhookRegistration) | public(WebhookEndpoint)),
        ("webhooks", public(WebhookVerifier) | {"parts", "Settled", "Verified", "ReplayGuard"}),
        ("webhooks", {"mint", "mint_url", "check", "check_target", "authorize", "SignatureError"}),
        ("webhooks", {"request_from_asgi", "answer_webhook", "refusal", *EXPLAINED}),
        ("asgi", {"asgi", "asgi_app", "handle_starlette", "handle_fastapi", "drain", "lifespan"}),
        ("testing", set(plivo_core.testing.__all__) - {"CallMode"}),
        ("testing", public(Call) | {"a_call", "plivo_backend", "plivo_platform", "plivo_server"}),
        ("testing", {n for n in public(AgentMachine) if re.match("check_|tool|make_|fail$", n)}),
        ("testing", {*plivo_anyio.testing.__all__, *plivo_anyio.testing.fuzz.__all__}),
        ("answer-xml", {cls.__name__ for cls in CALLBACKS.values()} | CALLBACKS.keys()),
        ("answer-xml", {cls.__name__ for cls in (*Verb.__subclasses__(), Number, User)}),
        ("answer-xml", {field.name for field in fields(FetchOptions)}),
        ("testing", set(plivo_core.platform.__all__) - {"Effect", "PlatformEvent", "Step"}),
        ("scenarios", {*VERBS, *FAULT_OPTIONS, *CALL_KEYS, *IDLE_KEYS, *FORMAT_NAMES}),
        ("scenarios", {word for verb in VERBS.values() for word in verb.options.split()}),
        ("scenarios", {field.name for field in (*fields(ScenarioResult), *fields(RestFault))}),
    ],
)
def test_a_page_names_every_public_member(name: str, members: set[str]) -> None:
    text = text_of(ROOT / "docs" / f"{name}.md")
    in_code = " ".join([*re.findall(r"`([^`\n]+)`", text), *PYTHON.findall(text)])
    assert sorted(m for m in members if not re.search(rf"\b{m}\b", in_code)) == []


# --- the programs, used ---------------------------------------------------------------------------

A_CALL = [
    *caller_presses("5"),
    Expect(Speak, "the key is read back", {"text": "You pressed 5."}),
    HangUp(),
]


@contextmanager
def in_a_thread(function: Callable[[], object]) -> Iterator[None]:
    """Run ``function`` beside the block; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(function)
        try:
            yield
        finally:
            outcome.result(20)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


@pytest.mark.anyio
async def test_the_agent_of_the_readme_holds_a_call() -> None:
    agent = run_page(ROOT / "README.md")
    call = PlatformCall(
        [
            *model_calls_tool("t-1", "check_order", {"order_id": "A-1"}, answer=ToolResult),
            *A_CALL,
        ]
    )
    async with served(agent.app.serve) as address:
        heard = await hold(call, address)
    assert heard.all(ToolResult) == [ToolResult("t-1", {"order": "A-1", "status": "shipped"})]


def test_the_bare_loop_of_the_readme_holds_a_call(listener: socket.socket) -> None:
    page = run_page(ROOT / "README.md")

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            page.hold_call(sock)

    url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
    with in_a_thread(serve), connect(url, compression=None) as peer:
        peer.send('{"type": "session.started"}')
        peer.send('{"type": "user.dtmf", "digit": "5"}')
        assert peer.recv(timeout=20) == '{"type":"agent_session.speak","text":"You pressed 5."}'
        peer.send('{"type": "session.ended"}')
        assert list(peer) == []
        assert peer.protocol.close_code == 1000


def test_the_two_programs_of_the_embedding_page_hold_a_call_with_each_other(
    listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run_page(ROOT / "docs/embedding.md")
    call = PlatformCall(A_CALL)
    with in_a_thread(lambda: serve_one(page, listener)):
        ended = page.place_call(call, "127.0.0.1", listener.getsockname()[1])
    assert ended == Ended("remote", 1000, "", "close")
    assert call.missed == []
    assert "over: session.ended 1000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("request_line", "status"), [("GET /health", b"200"), ("GET /x?WS", b"404"), ("?", b"400")]
)
def test_the_program_of_the_embedding_page_answers_http(
    request_line: str, status: bytes, listener: socket.socket
) -> None:
    page = run_page(ROOT / "docs/embedding.md")
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    head = f"{request_line} HTTP/1.1\r\nHost: x\r\n{upgrade if 'WS' in request_line else ''}\r\n"
    with (
        in_a_thread(lambda: serve_one(page, listener)),
        socket.create_connection(listener.getsockname(), timeout=20) as sock,
    ):
        sock.sendall(head.encode())
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    assert answer.split()[1] == status


def serve_one(page: ModuleType, listener: socket.socket) -> None:
    sock, conn = page.accept(listener)
    with sock:
        page.hold_call(sock, conn)


@pytest.mark.anyio
async def test_the_app_of_the_voice_page_holds_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    # In a thread: the page starts an event loop, and here one runs already.
    page = await anyio.to_thread.run_sync(run_page, ROOT / "docs/voice-apps.md")
    call = PlatformCall(
        [
            *model_calls_tool("t-1", "check_order", {"order_id": "A-1"}, answer=ToolResult),
            *caller_presses("12"),
            HangUp(),
        ]
    )
    async with served(page.app.serve) as address:
        await hold(call, address)
    assert "cause='session.ended'" in capsys.readouterr().out


@pytest.mark.anyio
async def test_the_site_of_the_asgi_page_serves_calls_and_pages() -> None:
    page = run_page(ROOT / "docs/asgi.md")
    async with connected(page.site, path="/voice/call") as call:
        await call.accepted()
        call.says('{"type": "user.dtmf", "digit": "5"}')
        assert "You pressed 5." in (await call.gets())["text"]
        call.leaves()
    async with connected(page.api, path="/agents/sales") as call:
        await call.accepted()
        call.leaves()
    scope = {"type": "http", "method": "GET", "path": "/voice/motd"}
    async with connected(page.site, **scope) as request:
        request.to_app.put({"type": "http.request"})
        await request.gets()
        assert (await request.gets())["body"] == b"/voice/motd: we are open.\n"
    await page.before_stop()
    assert page.voice.stats.draining


def test_the_machines_of_the_testing_page_pass_and_fail() -> None:
    page = run_page(ROOT / "docs/testing.md")
    quick = settings(
        max_examples=300,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
    )
    run_state_machine_as_test(page.MyMachine, settings=settings(quick, max_examples=20))
    raised, spoke = r"raised KeyError \('order_id'\) at ToolCall", "had hung up, and sent Speak"
    with pytest.raises(AssertionError, match=f"the agent ({raised}|{spoke})"):
        run_state_machine_as_test(page.MyAppMachine, settings=quick)


def test_the_handler_of_the_readme_is_still_a_function() -> None:
    # docs/testing.md: handlers can be called without an app.
    page = run_page(ROOT / "README.md")
    call = ToolCall(id="t-1", name="check_order", arguments={"order_id": "A-1"})
    answer = anyio.run(page.check_order, Session(now=0.0), call)
    assert answer == {"order": "A-1", "status": "shipped"}
