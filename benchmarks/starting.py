"""How fast it starts: processes beside a bare `python -c pass`, a submit until its first byte is on the wire."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from .firstbyte import Shop, lasted
from .measuring import Row, child_cpu, in_turn, server, told

_BIN = Path(sys.executable).parent
_COMMAND = str(_BIN / "gen302")
ROUNDS = 9
MORE = 17
"""Distributions with a family each, beside the three that are installed."""
_FAMILY = """
from ai302_core.family import Family, ImageRequest, Operation, field, hookimpl, image, post

@hookimpl
def ai302_family() -> Family:
    return Family("{name}", api=1, base_url="https://api.{name}.example", operations=(
        Operation("draw", request=ImageRequest, submit=post("/draw"), body={{"p": field("prompt")}},
                  assets=(image("url"),)),))
"""
_CONNECTED = """
from ai302_core import connect
provider = connect(config={"default": "hero", "providers": {"hero": {"family": "midjourney"}}}, ledger="off")
provider.models()
"""
_LOADED = "import ai302_core, ai302_core.registry\nai302_core.registry.load('midjourney')"


def rows() -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder, server("--polls", "1") as address:
        config = Path(folder, "gen302.toml")
        config.write_text(
            f'ledger = "sqlite:///{folder}/ledger.db"\n[providers.hero]\nfamily = "midjourney"\n'
            f'base_url = "{address}"\napi_key_env = "BENCH_KEY"\n'
        )
        inherited = {name: value for name, value in os.environ.items() if name[:4] != "XDG_"}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        compiled = {"PYTHONPYCACHEPREFIX": f"{folder}/compiled"}  # as an installed package is
        env = {**inherited, **compiled, "BENCH_KEY": "sk-benchmark", "GEN302_CONFIG": str(config), "HOME": folder}
        child_cpu([_COMMAND, "run", "a lantern", "-o", folder], env)

        def python(code: str) -> list[str]:
            return [sys.executable, "-c", code]

        asked: list[tuple[str, list[str], float | None]] = [
            ("python -c pass", python("pass"), None),
            ("import ai302_core", python("import ai302_core"), 1.2),
            ("from ai302_core import connect, ImageRequest", python("from ai302_core import connect, ImageRequest"), 4),
            ("import httpx (for comparison)", python("import httpx"), None),
            ("gen302 --version", [_COMMAND, "--version"], 2),
            ("gen302 --help", [_COMMAND, "--help"], 3),
            ("gen302 jobs list", [_COMMAND, "jobs", "list"], None),
            ("gen302 jobs show last", [_COMMAND, "jobs", "show", "last"], None),
            ("gen302 save last (again, nothing to fetch)", [_COMMAND, "save", "last", "-o", folder], None),
            ("gen302 plugins", [_COMMAND, "plugins"], None),
            ("gen302 submit (whole process, answer read)", [_COMMAND, "submit", "a lantern"], None),
        ]
        least = in_turn([partial(child_cpu, command, env) for _, command, _ in asked], ROUNDS)
        return [
            Row(
                what=what,
                value=f"{1000 * seconds:.0f} ms",
                beside="" if what == asked[0][0] else f"{1000 * least[0]:.0f} ms",
                ratio=None if what == asked[0][0] else seconds / least[0],
                goal=f"≤ {goal:g}×" if goal else "",
                met=seconds / least[0] <= goal if goal else None,
            )
            for (what, _, goal), seconds in zip(asked, least, strict=True)
        ] + [*_first_byte(folder, env, least[0]), *_twenty(folder, env), *_memory(env)]


def _first_byte(folder: str, env: dict[str, str], bare_cpu: float) -> list[Row]:
    """From the start of `gen302 submit` to the first byte of its POST, beside the whole of `python -c pass`."""
    shop = Shop()
    config = Path(folder, "first.toml")
    config.write_text(
        f'ledger = "sqlite:///{folder}/ledger.db"\n[providers.hero]\nfamily = "midjourney"\n'
        f'base_url = "{shop.address}"\napi_key_env = "BENCH_KEY"\n'
    )
    there = {**env, "GEN302_CONFIG": str(config)}
    new = {**there, "XDG_CACHE_HOME": os.devnull}  # nothing is remembered: as at the first start with a configuration
    known, unknown, bare = [], [], []
    for _ in range(ROUNDS):
        known.append(shop.reached([_COMMAND, "submit", "a lantern"], there))
        unknown.append(shop.reached([_COMMAND, "submit", "a lantern"], new))
        bare.append(lasted([sys.executable, "-c", "pass"], env))
    shop.close()
    rows = []
    for what, times in (("", known), (", a new configuration", unknown)):
        wall, spent = (min(kind) for kind in zip(*times, strict=True))
        for unit, ours, beside in (("wall", wall, min(bare)), ("CPU", spent, bare_cpu)):
            rows.append(
                Row(what=f"submit, first byte on the wire{what}: {unit}", value=f"{1000 * ours:.0f} ms",
                    beside=f"{1000 * beside:.0f} ms", ratio=ours / beside, goal="≤ 30×", met=ours / beside <= 30)
            )  # fmt: skip
    return [row for row in rows if row.ratio]  # CPU so far is told by Linux alone


def _twenty(folder: str, env: dict[str, str]) -> list[Row]:
    """The list of families with twenty installed, and the import, beside the same with three."""
    path = Path(folder, "more")
    path.mkdir()
    for number in range(MORE):
        name = f"ai302_more{number}"
        path.joinpath(f"{name}.py").write_text(_FAMILY.format(name=f"more{number}"))
        record = path / f"{name}-1.0.dist-info"
        record.mkdir()
        record.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\nRequires-Dist: ai302-core>=0.1\n"
        )
        record.joinpath("entry_points.txt").write_text(f"[ai302_core.families]\nmore{number} = {name}\n")
    more = {**env, "PYTHONPATH": str(path), "XDG_CACHE_HOME": f"{folder}/cache"}
    Path(folder, "none").mkdir()
    env = {**env, "PYTHONPATH": f"{folder}/none"}  # one more folder to look for modules in, on both sides
    forgetful = [{**where, "XDG_CACHE_HOME": os.devnull} for where in (env, more)]
    listed = [_COMMAND, "plugins"]
    plain = [sys.executable, "-c", "import ai302_core"]
    shown = subprocess.run(listed, env=more, capture_output=True, text=True, check=False, timeout=120).stdout
    if shown.count("more") < MORE:
        sys.exit(f"not all of the {MORE} further families are listed: {shown}")
    found = [sys.executable, "-c", "from ai302_core import registry; registry.installed()"]
    three, twenty = in_turn([partial(child_cpu, listed, where) for where in (env, more)], ROUNDS)
    tried, each = in_turn([partial(child_cpu, listed, where) for where in forgetful], 3)
    works = [partial(child_cpu, command, where) for command in (found, plain) for where in (env, more)]
    few, many, alone, beside = in_turn(works, ROUNDS)
    return [
        Row(what="gen302 plugins with twenty families", value=f"{1000 * twenty:.1f} ms",
            beside=f"with three {1000 * three:.1f} ms", ratio=twenty / three, goal="≤ 5 ms more",
            met=twenty - three <= 0.005),
        Row(what="  when none is known to load: each is tried", value=f"{1000 * each:.0f} ms",
            beside=f"with three {1000 * tried:.0f} ms", ratio=each / tried),
        Row(what="finding twenty families, none tried", value=f"{1000 * many:.1f} ms",
            beside=f"three {1000 * few:.1f} ms", ratio=many / few),
        Row(what="import ai302_core beside twenty families", value=f"{1000 * beside:.1f} ms",
            beside=f"beside three {1000 * alone:.1f} ms", ratio=beside / alone),
    ]  # fmt: skip


def _memory(env: dict[str, str]) -> list[Row]:
    """Resident memory of a whole process, beside a bare interpreter's."""
    try:
        bare, needs, loaded, ready, again = (
            _resident(code, env)
            for code in ("pass", "import httpx, pydantic_settings", _LOADED, _CONNECTED, _CONNECTED)
        )
    except subprocess.CalledProcessError:  # only Linux tells
        return []
    told = f"bare {bare:.0f} MB"
    return [
        Row(what="memory: core with one plugin loaded", value=f"{loaded:.0f} MB", beside=told, goal="≤ 20 MB",
            met=loaded <= 20),
        Row(what="memory: connected, configuration and HTTP ready", value=f"{ready:.0f} MB",
            beside=f"httpx, pydantic {needs:.0f} MB", ratio=ready / needs),
        Row(what="  the same, a configuration that was validated before", value=f"{again:.0f} MB", beside=told),
    ]  # fmt: skip


def _resident(code: str, env: dict[str, str]) -> float:
    told = f"{code}\nfrom resource import *\nprint(open('/proc/self/statm').read().split()[1], getpagesize())"
    run = subprocess.run([sys.executable, "-c", told], env=env, capture_output=True, text=True, check=True, timeout=60)
    pages, size = map(int, run.stdout.split())
    return pages * size / 2**20


if __name__ == "__main__":
    told(rows())
