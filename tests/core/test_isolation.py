"""The guard around every test holds: loopback only, and nothing of the person who runs them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest


def test_a_connection_out_is_refused_and_noticed(escapes: list[str]) -> None:
    with socket.socket() as out, pytest.raises(OSError, match="loopback only"):
        out.connect(("192.0.2.1", 443))
    assert escapes.pop() == "a connection to 192.0.2.1"


def test_a_look_up_is_refused_and_noticed(escapes: list[str]) -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("api.302.ai", 443)
    assert escapes.pop() == "a look-up of api.302.ai"
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("relay.invalid", 443)


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"here")
            assert accepted.recv(4) == b"here"


def test_nothing_ambient_is_left(home: Path) -> None:
    assert not [name for name in os.environ if name.startswith(("GEN302_", "AI302_")) or name.lower() == "https_proxy"]
    assert Path.home() == home
    assert Path.cwd() == home / "here"
    assert list(Path.cwd().iterdir()) == []
