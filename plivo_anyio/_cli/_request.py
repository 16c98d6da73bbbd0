"""A webhook request in a file: read for ``verify``, written by ``listen --save``.

The file is the request as HTTP/1.1 has it: request line, headers, an empty line, the body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from plivo_core import ConfigError, Request

__all__ = ["SavedRequest", "read_request", "save_request"]

_LINE = re.compile(r"([A-Z]+) (\S+)(?: HTTP/1\.[01])?")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class SavedRequest:
    """A request as far as it was given."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def read_request(data: bytes) -> SavedRequest:
    """The request in ``data``. Raises ConfigError, which quotes none of it."""
    end = _END_OF_HEAD.search(data)
    head, body = (data[: end.start()], data[end.end() :]) if end else (data.rstrip(), b"")
    first, *lines = head.decode("latin-1").splitlines() or [""]
    found = _LINE.fullmatch(first.strip())
    if found is None:
        raise ConfigError(
            "the request does not begin with a request line",
            hint="expected POST /path HTTP/1.1, then headers, an empty line and the body",
        )
    headers: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=2):
        name, colon, value = line.partition(":")
        if not colon:
            raise ConfigError(f"line {number} of the request is no header (NAME: VALUE)")
        headers.append((name.strip(), value.strip()))
    # An editor ends the last line; a server would never have read beyond the length.
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if len(lengths) == 1 and lengths[0].isdecimal() and not body[int(lengths[0]) :].strip():
        body = body[: int(lengths[0])]
    return SavedRequest(found[1], found[2], tuple(headers), body)


def save_request(folder: Path, number: int, request: Request) -> Path:
    """Write it into a new file that only the owner may read: it is all there, numbers too.

    Its name is ``number``, or the next that is free.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while (path := folder / f"{number:04}.http").exists():
        number += 1
    head = [f"{request.method} {request.target} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in request.headers]
    path.touch(mode=0o600)
    path.write_bytes("\r\n".join([*head, "", ""]).encode("latin-1") + request.body)
    return path
