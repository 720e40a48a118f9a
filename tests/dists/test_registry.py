"""Plugins as real distributions on disk: listed without importing, loaded alone, each fault told with its remedy.

A process of its own prints what the registry says of those that are installed for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOOD = """
from ai302_core.family import Endpoint, Family, ImageRequest, Operation, field, hookimpl, image, post

@hookimpl
def ai302_family() -> Family:
    return Family("{name}", api={api}, base_url="https://api.{name}.example", operations=(
        Operation("draw", request=ImageRequest, submit=post("/draw"), body={{"p": field("prompt")}},
                  assets=(image("url"),)),))
"""

Run = Callable[..., Any]


def source(name: str = "acme", api: object = 1) -> str:
    return GOOD.format(name=name, api=api)


def install(
    site: Path,
    text: str | None,
    *,
    name: str = "acme",
    distribution: str = "",
    version: str = "1.2",
    module: str = "",
    requires: str = "ai302-core>=0.1,<9",
) -> None:
    """What pip leaves behind: a module (none when `text` is None), METADATA, entry_points.txt, RECORD."""
    distribution, module = distribution or f"ai302-{name}", module or f"ai302_{name}"
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}", f"Requires-Dist: {requires}"]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "entry_points.txt").write_text(f"[ai302_core.families]\n{name} = {module}\n")
    files = [f"{info.name}/METADATA", f"{info.name}/entry_points.txt", f"{info.name}/RECORD"]
    if text is not None:
        (site / f"{module}.py").write_text(text)
        files.append(f"{module}.py")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.fixture
def run(site: Path, told_by: Run) -> Run:
    """Runs a program that sets `told`, with the distributions of `site` (and others) first on the path."""

    def run(program: str, *before: Path) -> Any:
        return told_by(
            f"sys.path[:0] = {[str(folder) for folder in (*before, site)]!r}\n"
            "from ai302_core import registry\n"
            "from ai302_core.errors import ConfigError, PluginError\n"
            "def fails(*args, **options):\n"
            "    try:\n"
            "        registry.load(*args, **options)\n"
            "    except PluginError as problem:\n"
            "        return [problem.message, problem.hint]\n"
            f"{program}"
        )

    return run


def test_listing_imports_nothing(site: Path, run: Run) -> None:
    install(site, "raise SystemExit('imported')", name="loud")
    install(
        site, None, name="gone", distribution="Gone.Plugin", requires="ai302_core[images] (>=2) ; python_version>'3'"
    )
    broken = site / "other-1.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_text("[ai302_core.families]\nno equals sign\n")
    told = run(
        "told = [[entry.name, entry.module, entry.distribution, entry.version, entry.requires, entry.location]\n"
        "        for entry in registry.installed() if entry.name in ('loud', 'gone')]\n"
        "told.append([name for name in ('pluggy', 'pydantic', 'httpx', 'ai302_loud') if name in sys.modules])"
    )
    assert told == [
        ["gone", "ai302_gone", "Gone.Plugin", "1.2", ">=2", str(site)],
        ["loud", "ai302_loud", "ai302-loud", "1.2", ">=0.1,<9", str(site)],
        [],
    ]


def test_a_plugin_installed_while_running_is_seen(site: Path, run: Run) -> None:
    staged = site.parent / "staged"
    install(staged, source())
    told = run(
        "before = [entry.name for entry in registry.installed()]\n"
        f"for path in os.listdir({str(staged)!r}):\n"
        f"    os.rename(os.path.join({str(staged)!r}, path), os.path.join({str(site)!r}, path))\n"
        "told = ['acme' in before, 'acme' in [entry.name for entry in registry.installed()]]"
    )
    assert told == [False, True]


def test_loading_imports_one(site: Path, run: Run) -> None:
    install(site, source("acme"))
    install(site, source("zeta"), name="zeta")
    told = run(
        "family = registry.load('acme')\n"
        "told = [family.name, family is registry.load('acme'), 'ai302_zeta' in sys.modules,\n"
        "        *[registry.serves(*asked) for asked in (('acme', 'image'), ('acme', 'video'), ('nobody', 'image'))],\n"
        "        registry.load_plugin('acme').sandbox()]"
    )
    assert told == ["acme", True, False, True, False, False, None]


def test_the_sandbox_hook(site: Path, run: Run) -> None:
    hook = "\n@hookimpl\ndef ai302_sandbox():\n    {}\n"
    install(site, source("acme") + hook.format("return 'routes'"))
    install(site, source("zeta") + hook.format("raise ValueError('no routes')"), name="zeta")
    told = run(
        "told = [registry.load_plugin('acme').sandbox(), registry.load('zeta').name]\n"
        "try:\n"
        "    registry.load_plugin('zeta').sandbox()\n"
        "except PluginError as problem:\n"
        "    told.append(problem.message)"
    )
    assert told[:2] == ["routes", "zeta"]
    assert "ai302-zeta 1.2 cannot be used: its ai302_sandbox fails: ValueError: no routes" in told[2]


NO_OPERATIONS = """
from ai302_core.family import Family, hookimpl

@hookimpl
def ai302_family():
    return Family("acme", api=1, base_url="https://x.example", operations=())
"""
HOOK = "from ai302_core.family import Family, hookimpl\n@hookimpl\ndef ai302_family("
FAULTS: dict[str, tuple[str | None, str, str]] = {
    "raises": ("1 / 0", "importing it fails: ZeroDivisionError: division by zero", "Upgrade or uninstall ai302-acme"),
    "exits": ("raise SystemExit(3)", "importing it fails: SystemExit: 3", "Upgrade or uninstall ai302-acme"),
    "exits in its hook": (f"{HOOK}):\n    raise SystemExit", "its ai302_family fails: SystemExit", "or ai302-core"),
    "raises what nobody catches": (
        "class Panic(BaseException): pass\nraise Panic('at the disco')",
        "Panic: at the disco",
        "report it to its author",
    ),
    "no syntax": ("def", "importing it fails: SyntaxError", "Upgrade or uninstall ai302-acme"),
    "missing dependency": (
        "import torchvisionary.ops",
        "it needs torchvisionary, which is not",
        "Install torchvisionary",
    ),
    "missing module": (None, "its module ai302_acme is not there", "Install ai302-acme again"),
    "wants a newer core": (
        "from ai302_core.family import telepathy",
        "importing it fails: ImportError: cannot import name 'telepathy'",
        "Upgrade ai302-acme or ai302-core. ai302-acme 1.2 declares ai302-core>=0.1,<9; installed is ",
    ),
    "wants a part of a newer core": (
        "import ai302_core.telepathy",
        "it wants ai302_core.telepathy, which this ai302-core does not have",
        "Upgrade ai302-acme or ai302-core",
    ),
    "no hook": ("x = 1", "it has no hook ai302_family", "Upgrade ai302-acme"),
    "hook not marked": ("def ai302_family(): ...", "its ai302_family lacks @hookimpl", "report it to its author"),
    "hook with an argument": (f"{HOOK}settings):\n    ...", "'settings'", "Hooks of this version: ai302_family"),
    "hook misspelt": (
        "from ai302_core.family import hookimpl\n@hookimpl\ndef ai302_famly(): ...",
        "unknown hook 'ai302_famly'",
        "Hooks of this version: ai302_family, ai302_sandbox",
    ),
    "no family": (f"{HOOK}):\n    return 'acme'", "its ai302_family gives str, not a Family", "Upgrade ai302-acme"),
    "nothing": (f"{HOOK}):\n    return None", "its ai302_family gives NoneType, not a Family", "Upgrade ai302-acme"),
    "newer api": (source(api=2), "made for api=2, this ai302-core knows api=1", "Upgrade ai302-core. ai302-acme 1.2"),
    "older api": (source(api=0), "made for api=0", "Upgrade ai302-acme. ai302-acme 1.2 declares ai302-core>=0.1,<9"),
    "api as text": (source(api="'1'"), "made for api='1'", "Upgrade ai302-acme"),
    "another name": (
        source("acne"),
        "calls its family 'acne', and its entry point calls it 'acme'",
        "Upgrade ai302-acme",
    ),
}


def test_a_broken_plugin_costs_only_itself(site: Path, run: Run) -> None:
    names = {fault: f"acme{number}" for number, fault in enumerate(FAULTS)}
    for fault, (text, _, _) in FAULTS.items():
        install(site, text and text.replace("acme", names[fault]), name=names[fault])
    install(site, source("zeta"), name="zeta")
    told = run(
        "told = {}\n"
        f"for fault, name in {names!r}.items():\n"
        "    told[fault] = [fails(name), fails('zeta'), registry.serves(name, 'image'), fails(name) is not None]"
    )
    for fault, (_, reason, remedy) in FAULTS.items():
        name, ((message, hint), *rest) = names[fault], told[fault]
        assert message.startswith(f"Family '{name}' of ai302-{name} 1.2 cannot be used: "), fault
        assert message.endswith("Nothing was sent."), fault
        assert reason.replace("acme", name) in message, fault
        assert remedy.replace("acme", name) in hint, fault
        assert rest == [None, False, True], fault


def test_ctrl_c_while_importing_is_the_users(site: Path, run: Run) -> None:
    install(site, "raise KeyboardInterrupt")
    told = run("try:\n    told = fails('acme')\nexcept KeyboardInterrupt:\n    told = 'interrupted'")
    assert told == "interrupted"


def test_an_unknown_name(site: Path, run: Run) -> None:
    install(site, source("unified_image"), name="unified_image")
    message, hint = run("told = fails('unified-imge')")
    assert "No family 'unified-imge' is installed (did you mean 'unified_image'?)" in message
    assert "Install the distribution that brings 'unified-imge'" in hint


def test_two_distributions_of_one_family(site: Path, run: Run) -> None:
    install(site, source())
    install(site, source().replace("/draw", "/other"), distribution="other-acme", module="other_acme")
    told = run(
        "told = [fails('acme'), fails('acme', choice='third'),\n"
        "        registry.load('acme', choice='Other_Acme').operations[0].submit.path,\n"
        "        registry.load('acme', choice='ai302-acme').operations[0].submit.path, fails('acme')]"
    )
    assert "offered by ai302-acme 1.2 and other-acme 1.2" in told[0][0]
    assert 'family = "acme", plugin = "ai302-acme"' in told[0][1]
    assert "shall come from third, which does not offer it here; ai302-acme 1.2, other-acme 1.2 does" in told[1][0]
    assert told[2:] == ["/other", "/draw", told[0]]


def test_a_file_of_the_same_name_in_front(site: Path, run: Run, tmp_path: Path) -> None:
    install(site, source())
    front = tmp_path / "front"
    front.mkdir()
    (front / "ai302_acme.py").write_text(source())
    message, hint = run("told = fails('acme')", front)
    assert f"the module ai302_acme is another one, from {front / 'ai302_acme.py'}" in message
    assert "Rename or remove" in hint


def test_an_older_copy_further_down_is_hidden(site: Path, run: Run, tmp_path: Path) -> None:
    install(site, source())
    install(tmp_path / "older", source(), version="0.9")
    told = run(
        f"sys.path.append({str(tmp_path / 'older')!r})\n"
        "told = [[entry.version for entry in registry.installed() if entry.name == 'acme'], fails('acme')]"
    )
    assert told == [["1.2"], None]


def test_the_report_survives_everything(site: Path, run: Run) -> None:
    install(site, "print('noise')\n" + source())
    install(site, source(), name="alias", module="ai302_acme", distribution="ai302-alias")
    install(site, "import os\nos._exit(0)", name="quits")
    install(site, "import os, signal\nos.abort()", name="aborts")
    told = run(
        "told = {one.plugin.name: [one.ok, one.operations, one.gateways, one.reason, one.remedy]\n"
        "        for one in registry.report(limit=240)}\n"
        "told['loaded'] = [name for name in sys.modules if name.startswith('ai302_') and '.' not in name]"
    )
    assert told["acme"] == [True, ["draw"], ["302ai"], "", ""]
    assert told["alias"][0] is False
    assert "calls its family 'acme'" in told["alias"][3] or "is another one" in told["alias"][3]
    assert "ends Python itself (exit code 0)" in told["quits"][3]
    assert "ends Python itself (exit code" in told["aborts"][3]
    assert told["loaded"] == ["ai302_core"]


def test_plugins_in_order_share_one_process_and_a_broken_one_has_its_own(site: Path, run: Run) -> None:
    names = [f"fine{number}" for number in range(4)]
    for name in names:
        install(site, source(name), name=name)
    program = (
        "started = []\n"
        "sys.addaudithook(lambda event, _: started.append(event) if event == 'subprocess.Popen' else None)\n"
        f"told = [one.ok for one in registry.report(limit=240) if one.plugin.name in {[*names, 'quits']}]\n"
        "told.append(len(started))"
    )
    assert run(program) == [True, True, True, True, 1]
    install(site, "import os\nos._exit(0)", name="quits")
    told = run(program)
    assert told[:-1] == [True, True, True, True, False]
    assert told[-1] > 1


def test_the_report_does_not_wait_for_ever(site: Path, run: Run) -> None:
    install(
        site,
        "import subprocess, sys, threading\n"
        # It would hold the pipe open if it could.
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(10)'])\n"
        "threading.Event().wait()",
        name="hangs",
    )
    told = run("told = [[one.reason, one.remedy] for one in registry.report(limit=1) if one.plugin.name == 'hangs'][0]")
    assert "takes longer than 1 s" in told[0]
    assert "Upgrade or uninstall ai302-hangs" in told[1]


def test_an_installed_family_is_a_provider_by_its_own_name(site: Path, run: Run) -> None:
    install(site, "raise SystemExit('imported')")
    told = run(
        "from ai302_core import config\n"
        "told = [config.Settings().provider('acme').family]\n"
        "try:\n"
        "    config.Settings().provider('acne')\n"
        "except ConfigError as problem:\n"
        "    told.append(problem.message)"
    )
    assert told[0] == "acme"
    assert "There is no provider 'acne' (did you mean 'acme'?)" in told[1]
