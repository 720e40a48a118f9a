"""An installed plugin checked in a process of its own: the registry's rules, the weight of its import, the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

from ai302_core import registry
from ai302_core.errors import ConfigError, PluginError
from ai302_core.registry import Installed

from .terms import Finding

__all__ = ["CheckReport", "check"]

_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ai302_core._plugins.weighing import weigh; weight = weigh(sys.argv[2], sys.argv[3]); "
    "from ai302_core.testing.checking import answer; answer(sys.argv[2], sys.argv[3], *weight)"
)


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """How a plugin fares: what it must mend, out of how many tests."""

    plugin: Installed
    tests: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Nothing to mend."""
        return not self.findings


def check(name: str, choice: str | None = None, limit: float = 300.0) -> CheckReport:
    """Check the installed family of that name, within `limit` seconds.

    Raises PluginError when none is installed, or several are and `choice` names none of them; ConfigError when the
    sandbox's packages are missing.
    """
    entry = registry.chosen(name, choice)
    command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path), entry.name, entry.distribution]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, our own words
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=limit, check=False,
        )  # fmt: skip
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return _only(entry, f"it is not done after {limit:g} s: something in it never ends")
    except ValueError:
        return _only(entry, f"it ends Python itself (exit code {done.returncode})")
    if told.get("missing"):
        raise ConfigError(
            f"The contract needs the package {told['missing']}.",
            hint='In the project\'s folder: pip install "./core[testing]"',
        )
    return CheckReport(plugin=entry, tests=told["tests"], findings=tuple(Finding(**one) for one in told["findings"]))


def _only(entry: Installed, message: str) -> CheckReport:
    return CheckReport(plugin=entry, tests=1, findings=(Finding(test="import", sample="", message=message),))


def answer(name: str, distribution: str, printed: str, heavy: list[str], called: list[str]) -> None:
    """What the child does: run the contract, write one JSON document, end without waiting for anything."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    told: dict[str, object]
    try:
        tests, found = _examined(name, distribution, _besides(printed, heavy, called))
        told = {"tests": tests, "findings": [asdict(finding) for finding in found]}
    except ConfigError as problem:
        told = {"missing": str(problem.message).removeprefix("The sandbox needs the package ").rstrip(".")}
    out.write(json.dumps(told).encode())
    out.flush()
    os._exit(0)


def _besides(printed: str, heavy: list[str], called: list[str]) -> list[Finding]:
    """What importing it must not do."""
    said: list[str] = []
    if printed:
        said.append(f"importing it prints {printed[:80]!r}")
    if heavy:
        said.append(f"importing it loads {', '.join(heavy)}: import it inside the function that needs it")
    if called:
        said.append(
            f"importing it connects to {called[0]}, and every command would wait for that: ask in a flow, Send(Call(…))"
        )
    return [Finding(test="import", sample="", message=text) for text in said]


def _emulated(plugin: registry.Plugin) -> list[Finding]:
    """What is wrong with the hook for the sandbox, if it is there."""
    from ai302_core.sandbox import Emulation

    module = sys.modules[plugin.installed.module]
    try:
        emulation = plugin.sandbox()
    except PluginError as problem:
        return [Finding(test="sandbox", sample="", message=f"{problem.message} {problem.__cause__}")]
    wrong = ""
    if emulation is None and callable(getattr(module, "ai302_sandbox", None)):
        wrong = "ai302_sandbox lacks @hookimpl, or gives None: the sandbox answers with the samples"
    elif emulation is not None and not isinstance(emulation, Emulation):
        wrong = f"ai302_sandbox gives {type(emulation).__name__}, not an Emulation: the sandbox leaves the family out"
    elif isinstance(emulation, Emulation) and emulation.family != plugin.family.name:
        wrong = f"ai302_sandbox gives the Emulation of {emulation.family!r}: its family must be {plugin.family.name!r}"
    return [Finding(test="sandbox", sample="", message=wrong)] if wrong else []


def _examined(name: str, distribution: str, found: list[Finding]) -> tuple[int, list[Finding]]:
    try:
        plugin = registry.load_plugin(name, choice=distribution)
    except PluginError as problem:
        return 1, [Finding(test="registry", sample="", message=f"{problem.message} {problem.hint}")]
    from ai302_core.sandbox import serve
    from ai302_core.sandbox.samples import samples_of

    from .contract import FamilyContract
    from .terms import count, findings

    serve(families=[]).stop()  # raises ConfigError when its packages are missing
    try:
        samples = samples_of(plugin.installed.module)
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with the files, their author must hear it
        return 2, [*found, Finding(test="samples", sample="", message=str(problem))]
    contract = type("Checked", (FamilyContract,), {"family": plugin.family, "samples": samples})
    told = findings(contract)
    return 3 + count(contract), [*found, *_emulated(plugin), *told]
