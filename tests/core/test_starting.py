"""What a start must not import: deterministic, where a benchmark only tells how long it took."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from ai302_core import Asset, ImageRequest, Job, Status, _sqlite
from ai302_core.ledger import FileRecord

VALIDATION = {"pydantic", "pydantic_settings", "pydantic_core"}
HEAVY = VALIDATION | {"httpx", "asyncio", "pluggy", "sqlite3", "ssl", "importlib.metadata", "rich"}
NO_PARSER = HEAVY | {"argparse", "dataclasses", "json", "pathlib", "typing"}


def modules(code: str, environment: dict[str, str]) -> set[str]:
    """The modules a fresh interpreter holds after `code`."""
    script = f"import sys\n{code}\nprint()\nprint(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return set(run.stdout.splitlines()[-1].split())


@cache
def bare() -> set[str]:
    """The modules a fresh interpreter holds by itself."""
    return modules("pass", {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")})


def loaded(code: str, env: dict[str, str] | None = None) -> set[str]:
    """The modules a fresh interpreter holds after `code`, without those a bare one holds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return modules(code, environment | (env or {})) - bare()


@pytest.fixture
def bought(tmp_path: Path) -> dict[str, str]:
    """An environment whose ledger holds one finished, saved job."""
    ledger = _sqlite.open_ledger(f"sqlite:///{tmp_path}/ledger.db", data_dir=tmp_path)
    asset = Asset(kind="image", index=1, url="http://127.0.0.1:9/one.png")
    now = datetime.now(UTC)
    job = Job(id="261121-k3v9xq2m", provider="hero", family="midjourney", operation="imagine", status=Status.SUCCEEDED,
              created_at=now, finished_at=now, remote_id="7", base_url="http://127.0.0.1:9", billed="yes",
              request=ImageRequest("a lantern"), assets=(asset,))  # fmt: skip
    ledger.write(job)
    file = tmp_path / "one.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n0000")
    content = file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    ledger.add_files(job.id, [FileRecord(path=str(file), sha256=sha256, size=len(content), role="final", index=1,
                                         asset=asset.to_json())])  # fmt: skip
    ledger.close()
    config = tmp_path / "gen302.toml"
    config.write_text(f'ledger = "sqlite:///{tmp_path.as_posix()}/ledger.db"\n')
    return {"GEN302_CONFIG": str(config), "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    "code",
    [
        "import ai302_core",
        "from ai302_core import ImageRequest, Job, Status, Ai302Error",
        "from ai302_core import ImageRequest, aconnect, connect",
    ],
)
def test_importing_the_core_is_light(code: str) -> None:
    found = loaded(code)
    assert "ai302_core" in found
    assert found & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]], ids=["version", "help"])
def test_the_command_tells_of_itself_without_any_parser(arguments: list[str]) -> None:
    assert loaded(f"from ai302_core.cli import main; main({arguments!r})") & NO_PARSER == set()


@pytest.mark.parametrize("arguments", [["jobs", "list"], ["jobs", "show", "last"]], ids=" ".join)
def test_a_look_into_the_ledger_needs_the_ledger_only(arguments: list[str], bought: dict[str, str]) -> None:
    found = loaded(f"from ai302_core.cli import main; assert main({arguments!r}) == 0", bought)
    assert "sqlite3" in found
    assert found & (HEAVY - {"sqlite3"}) == set()


def test_httpx_comes_without_its_command_unless_somebody_asks_for_it() -> None:
    command = {"httpx._main", "rich", "click", "pygments"}
    found = loaded("import ai302_core._http")
    assert ("httpx" in found, found & command) == (True, set())
    assert loaded("import ai302_core._http, httpx._main") >= command
    assert loaded("import httpx, ai302_core._http") >= command


def test_saving_validates_no_configuration_and_loads_no_family(bought: dict[str, str], tmp_path: Path) -> None:
    arguments = ["save", "last", "-o", str(tmp_path / "one.png"), "--json"]
    code = f"from ai302_core.cli import main; assert main({arguments!r}) == 0"
    found = loaded(code, bought)
    assert "ai302_core.downloads" in found
    assert found & (VALIDATION | {"ai302_midjourney", "click", "rich"}) == set()


class Accepting(http.server.BaseHTTPRequestHandler):
    """A service that takes whatever is sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"code": 1, "description": "ok", "result": "7"}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def accepting() -> Iterator[str]:
    """The address of such a service."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accepting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_list_of_families_opens_no_connection_and_tries_none_that_is_known_to_load() -> None:
    code = "from ai302_core.cli import main; assert main(['plugins']) == 0"
    loaded(code)
    found = loaded(code)
    assert "ai302_core._plugins.remembering" in found
    never = {"httpx", "asyncio", "ssl", "sqlite3", "subprocess", "importlib.metadata", "ai302_midjourney"} | VALIDATION
    assert found & never == set()


LATER = {
    f"ai302_core.{name}" for name in ("downloads", "_crowd", "_many", "_loopthread", "async_providers", "_observing")
}
LATER |= {f"ai302_core._files.{name}" for name in ("fetching", "opening", "parts", "placing", "sidecar", "cutting")}
LATER |= {"rich", "click", "aiohttp"}


def test_a_submit_brings_nothing_that_only_files_or_many_jobs_need(accepting: str, tmp_path: Path) -> None:
    config = tmp_path / "gen302.toml"
    config.write_text(
        f'ledger = "sqlite:///{tmp_path.as_posix()}/ledger.db"\n'
        f'[providers.hero]\nfamily = "midjourney"\nbase_url = "{accepting}"\n'
    )
    env = {"GEN302_CONFIG": str(config), "AI302_API_KEY": "sk-one-two-three"}
    found = loaded('from ai302_core.cli import main; assert main(["submit", "a lantern"]) == 0', env)
    assert "ai302_core._http" in found
    assert found & LATER == set()
    again = loaded('from ai302_core.cli import main; assert main(["submit", "a lantern"]) == 0', env)
    assert again & (VALIDATION | {"importlib.metadata"}) == set()  # that configuration is known to be good


ON_A_LOOP = """
import asyncio, sys, threading
from datetime import UTC, datetime
from ai302_core import ImageRequest, Job, Status, aconnect

class Imported:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread():
            print(name)

async def main():
    provider = aconnect("hero", api_key="sk-x", base_url="http://127.0.0.1:9", ledger="off",
                        config={"providers": {"hero": {"family": "midjourney", "timeouts": {"wait": 0.01}}}})
    job = Job(id="261121-k3v9xq2m", provider="hero", family="midjourney", operation="imagine", remote_id="7",
              status=Status.RUNNING, created_at=datetime.now(UTC), base_url="http://127.0.0.1:9",
              request=ImageRequest("a lantern"), route={"speed": ""})
    provider._connection.ledger.write(job)
    sys.meta_path.insert(0, Imported())
    print("only", [type(outcome.error).__name__ async for outcome in provider.resume()])
    await provider.aclose()

asyncio.run(main())
print("aiohttp" in sys.modules, "anyio" in sys.modules)
"""


def test_nothing_is_imported_on_a_loop_that_follows_jobs() -> None:
    kept = {name for name in os.environ if not name.startswith("COVERAGE_") and not name.lower().endswith("_proxy")}
    environment = {name: os.environ[name] for name in kept}
    run = subprocess.run(
        [sys.executable, "-c", ON_A_LOOP], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.split("\n") == ["only ['JobTimeout']", "True False", ""], "aiohttp alone carries looks"
