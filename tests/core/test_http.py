"""HTTP over real sockets: what counts as sent, what is never done twice, what never leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import respx
import trustme

from ai302_core import _clock, _http
from ai302_core._drivers import AsyncDriver
from ai302_core._http import Transport
from ai302_core._policies import Timeouts
from ai302_core._steps import Call, Flow, Reply, Stream
from ai302_core._transport import bodies, carriers
from ai302_core.errors import DownloadError, TransportError
from ai302_core.ledger import Ledger

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
Talk = Callable[[socket.socket, bytes, int], None]


class Server:
    """A raw server: every connection and every request head is kept; `talk` answers."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.talk = talk
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = self.ended = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.open: list[socket.socket] = []
        self.closing = False
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            peer, _ = self.socket.accept()
            if self.closing:
                return peer.close()
            self.connections += 1
            self.open.append(peer)
            self.threads.append(threading.Thread(target=self._serve, args=(peer,), daemon=True))
            self.threads[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        buffer = b""
        try:
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
                self.open.append(peer)
            while True:
                while b"\r\n\r\n" not in buffer:
                    piece = peer.recv(65536)
                    if not piece:
                        return
                    buffer += piece
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
                length = int(lengths[0].split(b":")[1]) if lengths else 0
                while len(buffer) < length:
                    piece = peer.recv(65536)
                    if not piece:
                        return
                    buffer += piece
                buffer = buffer[length:]
                self.requests.append(head)
                self.talk(peer, head, len(self.requests))
        except OSError:
            return
        finally:
            peer.close()
            self.ended += 1

    def close(self) -> None:
        """A socket is closed when no thread waits on it: its number is the next one's, whose calls it would take."""
        self.closing = True
        socket.create_connection(self.socket.getsockname(), timeout=30).close()
        self.threads[0].join(30)
        self.socket.close()
        for peer in self.open:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(30)


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], Server]]:
    servers: list[Server] = []

    def start(talk: Talk, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(talk, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answering(reply: bytes) -> Talk:
    return lambda peer, head, number: peer.sendall(reply)


def dropping(peer: socket.socket, head: bytes, number: int) -> None:
    raise OSError


class Looking(Transport):
    """Sends everything of the async world as a look, which a faster library may carry."""

    async def send_async(self, call: Call) -> Reply:
        return await super().send_async(replace(call, purpose="poll"))


@pytest.fixture(params=["httpx", "aiohttp"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    monkeypatch.setattr(carriers, "of_looks", lambda: request.param)
    made = Looking(Timeouts(connect=60, submit=60, poll=60, download=60))
    yield made
    made.close()


def post(url: str, **more: Any) -> Call:
    return Call("POST", url, body=b"{}", secret=("mj-api-secret", "sk-SENTINEL"), purpose="submit", **more)


def both(transport: Transport, call: Call) -> list[Any]:
    """The outcome in the sync and in the async world."""

    async def later() -> Any:
        try:
            return await transport.send_async(call)
        finally:
            await transport.aclose()

    outcomes: list[Any] = []
    for send in (lambda: transport.send(call), lambda: asyncio.run(later())):
        try:
            outcomes.append(send())
        except TransportError as problem:
            outcomes.append(problem)
    return outcomes


def test_a_dropped_answer_counts_as_sent_and_nothing_is_repeated(serve: Any, transport: Transport) -> None:
    server = serve(dropping)
    for outcome in both(transport, post(server.url)):
        assert isinstance(outcome, TransportError)
        assert (outcome.sent, outcome.billed) == (True, "unknown")
        assert "SENTINEL" not in f"{outcome!r}{outcome.__dict__}{outcome.__cause__!r}{outcome.__context__!r}"
    assert len(server.requests) == 2


def test_a_refused_connection_counts_as_unsent(transport: Transport) -> None:
    with socket.socket() as deaf:  # bound, so that nobody else gets the port, and not listening
        deaf.bind(("127.0.0.1", 0))
        for outcome in both(transport, post(f"http://127.0.0.1:{deaf.getsockname()[1]}")):
            assert (type(outcome), outcome.sent) == (TransportError, False)
            assert "refuses connections" in str(outcome)


def test_a_name_that_does_not_exist_is_a_typo_or_no_network(transport: Transport) -> None:
    for outcome in both(transport, post("http://no-such-host.invalid")):
        assert outcome.sent is False
        assert "cannot be resolved" in str(outcome)


@pytest.mark.parametrize("url", ["http://", "nonsense", "http://[::1", "ftp://x.example/"])
def test_an_unusable_address_counts_as_unsent(transport: Transport, url: str) -> None:
    for outcome in both(transport, post(url)):
        assert outcome.sent is False


def test_silence_counts_as_sent(serve: Any, transport: Transport, until: Any) -> None:
    server = serve(lambda peer, head, number: None)
    for outcome in both(transport, post(server.url, timeout=0.2)):
        assert outcome.sent is True
        assert "did not answer in time" in str(outcome)
    until(lambda: len(server.requests) == 2)


def test_a_dripping_answer_ends(serve: Any, transport: Transport) -> None:
    def drip(peer: socket.socket, head: bytes, number: int) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(1200):
            peer.sendall(b" ")
            time.sleep(0.05)

    server = serve(drip)
    quick = Transport(Timeouts(connect=1, submit=0.3))
    started = time.monotonic()
    with pytest.raises(TransportError, match=r"drips|in time"):
        quick.send(post(server.url))
    assert time.monotonic() - started < 30
    quick.close()


def test_an_endless_answer_is_cut(serve: Any, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 10_000)
    server = serve(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n" + b"x" * 90000))
    for outcome in both(transport, post(server.url)):
        assert outcome.sent is True
        assert "larger than" in str(outcome)


def test_redirects_are_not_followed_and_cookies_not_kept(serve: Any, transport: Transport) -> None:
    server = serve(
        answering(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nset-cookie: a=1\r\ncontent-length: 0\r\n\r\n")
    )
    for outcome in both(transport, post(server.url)) + both(transport, post(server.url)):
        assert outcome.status == 302
    assert all(b"elsewhere" not in head and b"cookie" not in head.lower() for head in server.requests)


def test_the_key_is_in_exactly_one_header(serve: Any, transport: Transport) -> None:
    server = serve(answering(OK))
    both(transport, post(f"{server.url}/a?b=c"))
    for head in server.requests:
        assert head.count(b"SENTINEL") == 1
        assert b"mj-api-secret: sk-SENTINEL" in head
        assert b"user-agent: ai302-core/" in head.lower()


def test_a_paid_request_takes_no_connection_that_idled(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _http._FRESH == 0.5, "seconds; a busy machine may take as long between two lines"
    for fresh, connections in ((60.0, 1), (0.05, 3)):
        monkeypatch.setattr(_http, "_FRESH", fresh)
        server, transport = serve(answering(OK)), Transport(Timeouts())
        for _ in range(3):
            transport.send(post(server.url), paid=True)
            time.sleep(0.1)
        assert server.connections == connections
        transport.close()


def test_the_answer_to_another_request_is_nobodys_receipt(serve: Any, transport: Transport) -> None:
    def twice(peer: socket.socket, head: bytes, number: int) -> None:
        peer.sendall(OK * 2 if number % 3 == 1 else OK)  # in one piece: what is left over waits on the connection

    server = serve(twice)
    call = post(server.url)
    assert transport.send(call, paid=True).status == 200
    with pytest.raises(TransportError, match="belongs to another") as caught:
        transport.send(call, paid=True)
    assert (caught.value.sent, caught.value.billed) == (True, "unknown")
    assert transport.send(call, paid=True).status == 200
    # The server may not have read what was sent on a connection that was given up at once.
    assert (len(server.requests) <= 3, server.connections) == (True, 2), "nothing is repeated, nothing believed after"

    async def looks() -> list[object]:
        said: list[object] = []
        for _ in range(3):
            try:
                said.append((await transport.send_async(call)).status)
            except TransportError as problem:
                said.append(problem.message)
        await transport.aclose()
        return said

    said = asyncio.run(looks())
    assert said in ([200, 200, 200], [200, caught.value.message, 200]), "aiohttp itself keeps no such connection"
    assert len(server.requests) <= 6, "nothing is repeated"


def test_a_connection_closed_behind_our_back_costs_a_poll_nothing_but_itself(
    serve: Any, transport: Transport, until: Any
) -> None:
    def once(peer: socket.socket, head: bytes, number: int) -> None:
        peer.sendall(OK)
        raise OSError

    server = serve(once)
    for number in range(1, 6):
        assert transport.send(post(server.url), paid=True).status == 200
        until(lambda number=number: server.ended == number)
    assert len(server.requests) == 5


def test_proxies_of_the_environment_are_used(serve: Any, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(answering(OK))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    fresh = Transport(Timeouts())
    assert fresh.send(post("http://api.example/x")).status == 200
    assert proxy.requests[0].startswith(b"POST http://api.example/x")
    refusing = serve(answering(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"))
    monkeypatch.setenv("HTTPS_PROXY", refusing.url)
    other = Transport(Timeouts())
    with pytest.raises(TransportError) as caught:
        other.send(post("https://api.example/x"))
    assert caught.value.sent is False
    fresh.close()
    other.close()


@pytest.mark.parametrize(
    ("failure", "sent"),
    [
        (httpx.ConnectError("x"), False),
        (httpx.ConnectTimeout("x"), False),
        (httpx.PoolTimeout("x"), False),
        (httpx.ProxyError("x"), False),
        (httpx.UnsupportedProtocol("x"), False),
        (httpx.ReadError("x"), True),
        (httpx.ReadTimeout("x"), True),
        (httpx.WriteError("x"), True),
        (httpx.WriteTimeout("x"), True),
        (httpx.RemoteProtocolError("x"), True),
        (httpx.LocalProtocolError("Illegal header value b'sk-SENTINEL'"), True),
        (httpx.DecodingError("x"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_transport_failure_is_told_apart(failure: Exception, sent: bool) -> None:
    transport = Transport(Timeouts())
    with respx.mock(base_url="https://api.302.ai") as router:
        route = router.post("/x").mock(side_effect=failure)
        for outcome in both(transport, post("https://api.302.ai/x")):
            assert (outcome.sent, "SENTINEL" in str(outcome)) == (sent, False)
        assert route.call_count == 2
    transport.close()


def test_an_untrusted_certificate_is_refused_and_a_custom_authority_is_believed(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    server = serve(answering(OK), tls)
    url = server.url.replace("http:", "https:")
    refusing = Transport(Timeouts(connect=60))
    for outcome in both(refusing, post(url)):
        assert (type(outcome), outcome.sent) == (TransportError, False)
        assert "is not trusted" in str(outcome)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    believing = Transport(Timeouts(connect=60))
    assert [outcome.status for outcome in both(believing, post(url))] == [200, 200]
    refusing.close()
    believing.close()


def test_two_loops_in_a_row_a_thread_and_a_second_close(serve: Any, transport: Transport) -> None:
    server = serve(answering(OK))

    async def once() -> int:
        first = await asyncio.gather(*[transport.send_async(post(server.url)) for _ in range(20)])
        await transport.aclose()
        await transport.aclose()
        return len(first)

    assert [asyncio.run(once()) for _ in range(2)] == [20, 20]
    threads = [threading.Thread(target=lambda: transport.send(post(server.url))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    transport.close()
    transport.close()
    assert transport.send(post(server.url)).status == 200, "usable again after a close"
    assert len(server.requests) == 49


def test_a_thread_that_comes_while_a_child_forgets_gets_no_connection_of_its_parent(
    serve: Any, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda peer, head, n: peer.sendall(OK))
    transport.send(Call("POST", server.url), paid=True)
    parents = list(transport._clients)
    taken: list[Any] = []
    here, lock = os.getpid(), threading.Lock

    def in_between() -> Any:
        if not taken:
            taken.append(None)
            taken.append(transport._taken(server.url, paid=True)[0])  # another thread of the child
        return lock()

    monkeypatch.setattr(threading, "Lock", in_between)
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    transport._ready()
    assert taken[1] not in parents
    for line in (*parents, taken[1]):
        line.client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_uses_connections_of_its_own(serve: Any, transport: Transport) -> None:
    server = serve(answering(OK))
    transport.send(post(server.url))
    child = os.fork()
    if child == 0:
        os._exit(0 if transport.send(post(server.url)).status == 200 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert transport.send(post(server.url)).status == 200
    assert server.connections == 2, "the child opened its own, the parent kept its own"


def file_reply(body: bytes, *head: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *head, b"", b""]) + body


@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content", ""], ids=["whole", "rest", "silence"])
def test_whoever_stops_a_download_leaves_nobody_who_writes_into_its_file(
    serve: Any, transport: Transport, tmp_path: Path, status: str
) -> None:
    asked, go = threading.Event(), threading.Event()
    path = tmp_path / "x.part"

    def talk(peer: socket.socket, head: bytes, number: int) -> None:
        begin = b"HTTP/1.1 %s\r\ncontent-length: 200000\r\n\r\n" % (status or "200 OK").encode()
        if status:
            peer.sendall(begin + b"a" * 100_000)
        asked.set()
        go.wait(60)
        with contextlib.suppress(OSError):  # it may have gone
            peer.sendall((b"" if status else begin + b"a" * 100_000) + b"a" * 100_000)

    server = serve(talk)
    driver = AsyncDriver(transport, cast("Ledger", None))

    def flow() -> Flow[None]:
        yield from Stream(f"{server.url}/a", path, private=True)

    async def main() -> None:
        task = asyncio.create_task(driver.run(flow()))
        await asyncio.to_thread(asked.wait, 60)
        async with asyncio.timeout(60):
            while status and not (path.exists() and path.stat().st_size):
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    path.write_bytes(b"somebody else's")
    go.set()
    driver._pools["files"].shutdown(wait=True)
    assert path.read_bytes() == b"somebody else's"


def test_a_file_is_streamed_without_the_key_and_appended_on_206(
    serve: Any, transport: Transport, tmp_path: Path
) -> None:
    def talk(peer: socket.socket, head: bytes, number: int) -> None:
        if b"range:" in head.lower():
            peer.sendall(b"HTTP/1.1 206 P\r\ncontent-length: 3\r\ncontent-range: bytes 3-5/6\r\n\r\ndef")
        else:
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc")
            raise OSError

    server = serve(talk)
    path = tmp_path / "x.part"
    first = transport.stream(Stream(f"{server.url}/a", path, private=True))
    assert (first.status, first.size, bool(first.broken)) == (200, 3, True)
    second = transport.stream(Stream(f"{server.url}/a", path, headers={"range": "bytes=3-"}, private=True))
    assert (second.status, second.size, second.broken, path.read_bytes()) == (206, 6, "", b"abcdef")
    assert all(b"SENTINEL" not in head and b"authorization" not in head.lower() for head in server.requests)


def test_private_addresses_are_refused_before_anything_is_sent(
    serve: Any, transport: Transport, tmp_path: Path
) -> None:
    server = serve(answering(file_reply(b"x")))
    port = server.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"):
        with pytest.raises(DownloadError, match="private"):
            transport.stream(Stream(f"http://{host}:{port}/a", tmp_path / "x"))
    assert (server.connections, list(tmp_path.iterdir())) == (0, [])


def test_an_endless_file_stops_at_its_limit(serve: Any, transport: Transport, tmp_path: Path) -> None:
    def endless(peer: socket.socket, head: bytes, number: int) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1000):
            peer.sendall(b"x" * 65536)

    server = serve(endless)
    got = transport.stream(Stream(server.url, tmp_path / "x", limit=1_000_000, private=True))
    assert "limit" in got.broken
    assert got.size < 1_200_000


def test_a_refused_file_shows_its_first_bytes(serve: Any, transport: Transport, tmp_path: Path) -> None:
    body = b"This content is no longer available."
    server = serve(answering(b"HTTP/1.1 404 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)))
    got = transport.stream(Stream(server.url, tmp_path / "x", private=True))
    assert (got.status, got.head, (tmp_path / "x").exists()) == (404, body, False)


def test_the_clock_never_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    after = _clock.now()
    assert before <= after
    assert (after - before).total_seconds() < 60
    assert json.dumps(_clock.new_id()).startswith(f'"{after:%y%m%d}-')


@pytest.mark.parametrize("status", [301, 303, 308])
@pytest.mark.parametrize("location", ["https:done", "mailto:x", "http://[::1", "x" * 70_000])
def test_a_redirect_with_an_odd_address_was_sent_all_the_same(
    serve: Any, transport: Transport, status: int, location: str
) -> None:
    head = f"HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    server = serve(answering(head.encode()))
    for outcome in both(transport, post(server.url)):
        assert not isinstance(outcome, TransportError) or outcome.sent is True
    assert len(server.requests) == 2


def test_closing_does_not_tear_a_paid_call_nor_keep_its_connection(serve: Any, transport: Transport) -> None:
    def slow(peer: socket.socket, head: bytes, number: int) -> None:
        time.sleep(0.3)
        peer.sendall(OK)

    server = serve(slow)
    statuses: list[int] = []
    paying = threading.Thread(target=lambda: statuses.append(transport.send(post(server.url), paid=True).status))
    paying.start()
    while not server.requests:
        time.sleep(0.005)
    transport.close()
    paying.join(60)
    assert transport.send(post(server.url), paid=True).status == 200
    assert (statuses, server.connections) == ([200], 2)


def test_a_key_repeated_by_the_service_is_cut_out(serve: Any, transport: Transport) -> None:
    body = b'{"error":{"message":"Incorrect key: sk-SENTINEL"}}'
    server = serve(
        answering(b"HTTP/1.1 401 No\r\nx-key: sk-SENTINEL\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    )
    for outcome in both(transport, post(server.url)):
        assert "SENTINEL" not in f"{outcome.text}{outcome.headers}"


def test_a_short_key_is_cut_out_of_no_id(serve: Any, transport: Transport) -> None:
    told = {"result": "1712345678", "description": "123456 is no key, nor is Bearer%20:123456!", "123456": 1}
    body = json.dumps(told).encode()
    server = serve(answering(OK.replace(b"length: 2", b"length: %d" % len(body))[:-2] + body))
    for reply in both(transport, replace(post(server.url), secret=("mj-api-secret", "123456"))):
        assert reply.document == {**told, "description": "*** is no key, nor is Bearer%20:***!"}


@pytest.mark.parametrize(
    ("name", "value"), [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("HTTPS_PROXY", "foo://x"), ("ALL_PROXY", "socks5://h:1")]
)
def test_an_unusable_environment_is_told_and_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    for outcome in both(Transport(Timeouts()), post("https://api.example/x")):
        assert (type(outcome), outcome.sent, outcome.billed) == (TransportError, False, "no")
        assert "settings of the environment" in str(outcome)
