"""A batch of a thousand rows, killed twice and finished by repeating the command: paid once a row, every file there.

    .venv/bin/python benchmarks/batch_of_a_thousand.py [ROWS]

Rows whose submit was on the wire when the process was killed are unconfirmed: on 302.AI nobody can look a submit up. A
person finds them in the service's own list; this program does the same in the sandbox's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

from ai302_core.sandbox import RunningSandbox, serve

COMMAND = [sys.executable, "-m", "ai302_core"]
LIMIT = 1800.0
"""Seconds for each run of the command."""


def main() -> int:
    """Do it; 0 when the counts are right."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as home, serve(speed=100, seed=1, balance=10 * rows) as sandbox:
        os.chdir(home)
        for name in [name for name in os.environ if name.startswith(("GEN302_", "AI302_"))]:
            del os.environ[name]
        os.environ |= {"GEN302_SANDBOX": sandbox.url, "GEN302_DEFAULT": "midjourney", "HOME": home,
                       "XDG_DATA_HOME": f"{home}/data"}  # fmt: skip
        Path("skus.csv").write_text("sku,name\n" + "".join(f"S{n:04},mug {n}\n" for n in range(rows)), "utf-8")
        typed = [*COMMAND, "batch", "skus.csv", "--prompt", "studio photo of {name}", "-o", "shots/{sku}-{n}", "-q"]
        begun = time.monotonic()
        for part in (0.25, 0.6):
            _killed(typed, sandbox, int(rows * part))
            print(f"killed when {sandbox.paid} were paid, {len(_pictures())} files there", flush=True)
        code = subprocess.run(typed, stdout=subprocess.DEVNULL, timeout=LIMIT, check=False).returncode
        found = _looked_up(sandbox)
        if found:
            print(f"repeated: exit code {code}, {found} unconfirmed, settled with `jobs reconcile`", flush=True)
            code = subprocess.run(typed, stdout=subprocess.DEVNULL, timeout=LIMIT, check=False).returncode
        there = Counter(name.partition("-")[0] for name in _pictures())
        whole = sum(count == 4 for count in there.values())
        print(f"finished: exit code {code}, {rows} rows, {sandbox.paid} paid, {whole} with all four files, "
              f"{time.monotonic() - begun:.0f} s")  # fmt: skip
        return 0 if (code, sandbox.paid, whole) == (0, rows, rows) else 1


def _killed(typed: list[str], sandbox: RunningSandbox, paid: int) -> None:
    with subprocess.Popen(typed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        until = time.monotonic() + LIMIT
        while sandbox.paid < paid and running.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait(60)


def _pictures() -> list[str]:
    return [path.name for path in Path("shots").glob("*.png")]


def _listed(*arguments: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [*COMMAND, "jobs", "list", *arguments, "--json"], capture_output=True, timeout=300, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _looked_up(sandbox: RunningSandbox) -> int:
    known = {job.get("remote_id") for job in _listed()}
    there = {}
    for task in sandbox.jobs:
        if task["id"] not in known:
            asked = Request(f"{sandbox.url}/mj/task/{task['id']}/fetch", headers={"mj-api-secret": sandbox.key})
            with urlopen(asked, timeout=30) as reply:
                there[json.loads(reply.read())["prompt"]] = task["id"]
    lost = _listed("--status", "unconfirmed")
    for job in lost:
        task_id = there.get(job["request"]["prompt"])  # type: ignore[index]
        how = ["--found", task_id] if task_id else ["--resubmit"]
        subprocess.run([*COMMAND, "jobs", "reconcile", str(job["id"]), *how, "-q"], stdout=subprocess.DEVNULL,
                       timeout=300, check=True)  # fmt: skip
    return len(lost)


if __name__ == "__main__":
    sys.exit(main())
