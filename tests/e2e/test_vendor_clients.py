"""302.AI's own published clients work against the sandbox unchanged. `make vendor` alone: it needs the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai302_core.sandbox import RunningSandbox, serve

pytestmark = [pytest.mark.vendor, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv/vendor"
SDK = "@302ai/ai-sdk@0.0.22"

PROGRAM = """
(async () => {
  const { createAI302 } = require("@302ai/ai-sdk");
  const ai = createAI302({ baseURL: process.argv[2], apiKey: process.argv[3] });
  const ask = (providerOptions) =>
    ai.image("midjourney/7.0").doGenerate({ prompt: "a lantern", n: 1, aspectRatio: "3:2", providerOptions });
  const tiles = await ask({});
  const single = await ask({ ai302: { upscaleIndexes: [2] } });
  const heads = (made) => made.images.map((image) => Buffer.from(image, "base64").subarray(1, 4).toString());
  console.log(JSON.stringify({ tiles: heads(tiles), single: heads(single) }));
})();
"""


def done(command: list[str], **options: Any) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return str(ran.stdout)


@pytest.fixture(scope="module")
def cli() -> list[str]:
    """The vendor's command line, in an environment of its own."""
    program = HOME / "python" / ("Scripts/302ai.exe" if os.name == "nt" else "bin/302ai")
    if not program.exists():
        done([sys.executable, "-m", "venv", str(HOME / "python")])
        python = str(program.with_name("python.exe" if os.name == "nt" else "python"))
        # Alone: the older `ai302` brings the same import package and would lie over it.
        pins = (ROOT / "requirements/vendor.txt").read_text("utf-8").split()
        done([python, "-m", "pip", "install", "-q", next(pin for pin in pins if pin.startswith("cli-302ai=="))])
    return [str(program)]


@pytest.fixture(scope="module")
def node() -> list[str]:
    """A program that uses the vendor's JavaScript SDK."""
    npm, program = shutil.which("npm"), shutil.which("node")
    if npm is None or program is None:
        pytest.skip("there is no Node.js on this machine")
    folder = HOME / "javascript"
    if not (folder / "node_modules/@302ai/ai-sdk").exists():
        folder.mkdir(parents=True, exist_ok=True)
        done([npm, "install", "--no-fund", "--no-audit", "--prefix", str(folder), SDK], cwd=folder)
    script = folder / "program.cjs"
    script.write_text(PROGRAM, "utf-8")
    return [program, str(script)]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with serve(speed=100.0) as running:
        yield running


def told(cli: list[str], sandbox: RunningSandbox, home: Path, *words: str) -> dict[str, Any]:
    """What the command line prints, pointed at the sandbox by its own variables."""
    own = {"AI302_BASE_URL": sandbox.url, "AI302_KEY": sandbox.key, "AI302_CONFIG_DIR": str(home), "HOME": str(home)}
    printed: dict[str, Any] = json.loads(done([*cli, *words], env={**os.environ, **own}))
    return printed


def test_the_command_line_makes_pictures(cli: list[str], sandbox: RunningSandbox, tmp_path: Path) -> None:
    picture = ["--prompt", "a paper lantern", "--model", "gemini-2.5-flash-image"]
    at_once = told(cli, sandbox, tmp_path, "image", "generate", *picture)
    assert at_once["status"] == "completed"
    assert at_once["image_urls"][0].startswith(sandbox.url)
    assert at_once["cost"]["cost"] > 0  # by the dashboard's record of this very request
    waited = told(cli, sandbox, tmp_path, "image", "create", "--wait", *picture)
    assert waited["status"] == "completed"
    assert waited["image_urls"][0].startswith(sandbox.url)
    ids = waited["raw_fetch"]["ai302_cost_request_ids"]
    record = told(cli, sandbox, tmp_path, "record", "get", ",".join(ids))
    assert '"cost": 0.04,' in json.dumps(record)
    assert (sandbox.paid, sandbox.leaks) == (2, 0)


def test_the_command_line_makes_clips(cli: list[str], sandbox: RunningSandbox, tmp_path: Path) -> None:
    if all(seen != "veo" for seen in families(sandbox)):
        pytest.skip("the family veo is not installed")
    words = ("video", "create", "--wait", "--prompt", "a paper lantern", "--model", "google-veo3.1-t2v")
    waited = told(cli, sandbox, tmp_path, *words)
    assert waited["status"] == "completed"
    assert waited["video_url"].startswith(sandbox.url)
    assert (sandbox.paid, sandbox.leaks) == (1, 0)


def families(sandbox: RunningSandbox) -> set[str]:
    """What the sandbox emulates."""
    import httpx

    return set(httpx.get(sandbox.url).text.strip().rstrip(".").partition("Families: ")[2].split(", "))


def test_the_javascript_sdk_makes_midjourneys(node: list[str], sandbox: RunningSandbox) -> None:
    """Its release has no handler for the unified doors, so those are the command line's to show."""
    made = json.loads(done([*node, sandbox.url, sandbox.key]))
    assert made == {"tiles": ["PNG"] * 4, "single": ["PNG"]}
    assert sandbox.paid_by == {("midjourney", "imagine"): 2, ("midjourney", "action"): 1}
    assert sandbox.leaks == 0
