"""Two processes, one port: the kernel deals the calls out between them (SO_REUSEPORT).

    python examples/two_workers.py --port 9000 --workers 2

A call stays with the worker that took it. On SIGTERM or Ctrl-C every worker drains: its calls go on
for up to --drain-timeout seconds while new ones get 503; a second signal closes them at once. A
worker that dies is not started again: that is a supervisor's work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from types import FrameType

from plivo_anyio import CallSession, VoiceApp
from plivo_core.events import Dtmf

app = VoiceApp()


@app.on(Dtmf)
async def key_pressed(session: CallSession, event: Dtmf) -> None:
    session.speak(f"Worker {os.getpid()} heard {event.digit}.")


def work(options: argparse.Namespace) -> None:
    """One worker: a process with an event loop of its own."""
    app.run(
        options.host,
        options.port,
        backend=options.backend,
        reuse_port=True,
        drain_timeout=options.drain_timeout,
    )


def main(options: argparse.Namespace) -> int:
    # "spawn": a child that was forked would share the parent's signal handlers and locks.
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(options,)) for _ in range(options.workers)]
    for worker in workers:
        worker.start()

    def pass_on(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()  # SIGTERM

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the workers as well
    for worker in workers:
        worker.join()
    return max(abs(worker.exitcode or 0) for worker in workers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--drain-timeout", type=float, default=60.0)
    sys.exit(main(parser.parse_args()))
