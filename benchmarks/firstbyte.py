"""How soon a paid request is on the wire: from the start of a process to the first byte that reaches the server."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_BODY = b'{"code": 1, "description": "ok", "result": "1700000000000001"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
PATIENCE = 60.0
"""Seconds for one process at most."""


class Shop:
    """A service that takes one submit at a time; it lives in this process, the command in another."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def reached(self, command: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
        """(seconds on the wall, seconds of CPU) until the first byte of the command's request was here."""
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd="/tmp")
        try:
            line, _ = self._socket.accept()
            with line:
                line.settimeout(PATIENCE)
                line.recv(1, socket.MSG_PEEK)
                wall = time.monotonic() - start
                time.sleep(0.01)  # it waits for the answer now, and the system has counted what it took
                cpu = _cpu_so_far(process.pid)
                _take(line)
                line.sendall(_ANSWER)
                process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
        return wall, cpu

    def close(self) -> None:
        """Take no more."""
        self._socket.close()


def lasted(command: Sequence[str], env: dict[str, str]) -> float:
    """Seconds on the wall of a whole process."""
    start = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd="/tmp", check=False,
                   timeout=PATIENCE)  # fmt: skip
    return time.monotonic() - start


def _cpu_so_far(pid: int) -> float:
    """CPU seconds of all threads of a running process; 0.0 where the system does not tell (it is not Linux)."""
    try:
        spent = [path.read_text().split()[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        return 0.0
    return sum(map(int, spent)) / 1e9


def _take(line: socket.socket) -> None:
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += line.recv(65536)
    head, _, body = seen.partition(b"\r\n\r\n")
    match = _LENGTH.search(head)
    length = int(match[1]) if match else 0
    while len(body) < length:
        body += line.recv(65536)
