"""The house: arrows point down, decisions do no I/O, plugins have no private door, names and sizes keep to the plan."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core/src/ai302_core"
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))

# Floors, from the ground up: a module imports from its own floor (without a circle) and from those below.
DATA, FILES, DECISIONS, PERFORMERS, PROVIDERS, SANDBOX, TESTING, COMMAND = range(8)
FLOORS = {
    DATA: """
        _display errors assets requests money jobs events family ledger hookspecs _vocabulary _gateway_302ai _steps
        _paths _visible _links _policies _frozen _version
    """,
    FILES: "_files",  # what flows have done with files: no network, no clock
    DECISIONS: "_accounts _flows _wire _batch downloads",
    PERFORMERS: """
        _clock _bells _threads _turns _stopping _http _transport _drivers _remembered config _config registry _plugins
        _sqlite _observing observers
    """,
    PROVIDERS: "_opening _connection _crowd _many _loopthread _targets providers async_providers notebooks webhooks",
    SANDBOX: "sandbox",
    TESTING: "testing",
    COMMAND: "cli __main__",
}
ROOMS = {name: floor for floor, names in FLOORS.items() for name in names.split()}

HTTP = {"_http", "_clock"}
LEDGER = {"_sqlite"}  # the ledger asks the operating system, and waits for it
CLOCKS = HTTP | LEDGER | {"sandbox", "testing"}
SLEEPS = HTTP | LEDGER | {"sandbox", "testing"}
CLOCK_CALLS = {
    *(f"time.{name}" for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
}
SLEEP_CALLS = {"time.sleep", "asyncio.sleep", "anyio.sleep", "trio.sleep"}
PERFORMING = {"asyncio", "http", "multiprocessing", "random", "secrets", "socket", "sqlite3", "ssl", "subprocess"}
PERFORMING |= {"threading", "time", "urllib.request", "uuid", "concurrent.futures"}

FASTER = "ai302_core._transport.fast"
DOORS = {"ai302_core", "ai302_core.family", "ai302_core.errors", "ai302_core.testing", "ai302_core.sandbox"}
DOORS |= {"ai302_core.events"}  # what observers hear
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"}
VENDORS = {"ai302", "302ai", ".ai302"}
LINES = 320
CHECKING = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


@dataclass(frozen=True)
class Module:
    """A source file, read but not run."""

    path: Path
    name: str

    @cached_property
    def tree(self) -> ast.Module:
        """Read when somebody looks."""
        return ast.parse(self.path.read_text("utf-8"), str(self.path))

    @property
    def room(self) -> str:
        """Its name inside its distribution: the first part after the package."""
        return self.name.partition(".")[2].partition(".")[0] or "__init__"


def read(source: Path) -> Iterator[Module]:
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield Module(path, name)


CORE_MODULES = list(read(CORE.parent))
PLUGIN_MODULES = [module for plugin in PLUGINS for module in read(ROOT / "plugins" / plugin / "src")]
MODULES = CORE_MODULES + PLUGIN_MODULES
PRESENT = {module.room for module in CORE_MODULES} - {"__init__"}


def statements(tree: ast.AST, *, checking: bool = False) -> Iterator[ast.stmt]:
    """Every statement, `if TYPE_CHECKING:` left out unless asked for."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if (
            isinstance(node, ast.If)
            and not checking
            and isinstance(node.test, (ast.Name, ast.Attribute))
            and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        ):
            waiting += node.orelse
            continue
        if isinstance(node, ast.stmt):
            yield node
        waiting += (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


@cache
def imports(module: Module, *, checking: bool = False) -> list[tuple[str, str, str]]:
    """(module, name, local name) of everything imported, wherever in the file; name "" for a plain import."""
    return list(imported(module, checking))


def imported(module: Module, checking: bool) -> Iterator[tuple[str, str, str]]:
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for node in statements(module.tree, checking=checking):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, "", alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield origin, alias.name, alias.asname or alias.name


def rooms(module: Module, *, checking: bool = False) -> set[str]:
    """The rooms of the core that the module imports."""
    found = set()
    for origin, name, _ in imports(module, checking=checking):
        if origin.partition(".")[0] == "ai302_core":
            found.add(origin.split(".")[1] if "." in origin else name if name in PRESENT else "__init__")
    return found - {module.room}


def calls(module: Module) -> Iterator[tuple[str, int]]:
    """Dotted names used in the module, imports resolved, with their lines."""
    origins = {
        local: f"{origin}.{name}" if name else (origin if local == origin else origin.partition(".")[0])
        for origin, name, local in imports(module)
    }
    origins |= {local: origin for origin, name, local in imports(module) if not name and "." not in origin}
    for node in ast.walk(module.tree):
        parts: list[str] = []
        head: ast.AST = node
        while isinstance(head, ast.Attribute):
            parts.append(head.attr)
            head = head.value
        if isinstance(head, ast.Name) and isinstance(node, (ast.Attribute, ast.Name)):
            yield ".".join([origins.get(head.id, head.id), *reversed(parts)]), node.lineno


def where(module: Module, line: int = 1) -> str:
    return f"{module.path.relative_to(ROOT)}:{line}"


def test_there_is_something_to_look_at() -> None:
    assert len(CORE_MODULES) > 10
    assert PLUGINS
    assert PLUGIN_MODULES


def test_every_module_has_a_room() -> None:
    unknown = PRESENT - set(ROOMS)
    assert not unknown, f"no floor for {sorted(unknown)}: put them where they belong in FLOORS"


def test_no_room_is_only_planned() -> None:
    missing = set(ROOMS) - PRESENT
    assert not missing, f"FLOORS names modules that are not there: {sorted(missing)}"


def test_arrows_point_down() -> None:
    wrong = [
        f"{where(module)} imports {room}, which is above it"
        for module in CORE_MODULES
        if module.room in ROOMS
        for room in sorted(rooms(module, checking=True) & set(ROOMS))
        if ROOMS[room] > ROOMS[module.room]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_room_imports_the_front_door() -> None:
    wrong = [
        where(module)
        for module in CORE_MODULES
        if module.room not in {"__init__", "cli", "__main__", "sandbox", "testing"} and "__init__" in rooms(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circles() -> None:
    known = {module.name for module in MODULES}
    graph = {
        module.name: {
            whole if (whole := f"{origin}.{name}") in known else origin
            for origin, name, _ in imports(module)
            if origin in known or f"{origin}.{name}" in known
        }
        for module in MODULES
        if module.name not in {"ai302_core", "ai302_core.cli"}  # doors that open everything, later
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"imports in a circle: {' -> '.join(circle.args[1])}")


def test_only_http_imports_httpx() -> None:
    wrong = [
        where(module)
        for module in MODULES
        if module.room not in HTTP or module in PLUGIN_MODULES
        for origin, _, _ in imports(module, checking=True)
        if origin.partition(".")[0] in {"httpx", "httpcore", "httpx2"}
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_faster_client_imports_its_library() -> None:
    wrong = [
        where(module)
        for module in MODULES
        if module.name != FASTER
        for origin, _, _ in imports(module, checking=True)
        if origin.partition(".")[0] in {"aiohttp", "yarl"}
    ]
    users = [
        where(module)
        for module in CORE_MODULES
        if module.room not in {"_http", "_transport"}
        for origin, name, _ in imports(module)
        if FASTER in (origin, f"{origin}.{name}")
    ]
    assert wrong + users == []


def test_nobody_else_sleeps_or_reads_a_clock() -> None:
    wrong = []
    for module in MODULES:
        room = "a plugin" if module in PLUGIN_MODULES else module.room
        forbidden = (set() if room in CLOCKS else CLOCK_CALLS) | (set() if room in SLEEPS else SLEEP_CALLS)
        wrong += [f"{where(module, line)} uses {name}" for name, line in calls(module) if name in forbidden]
    assert not wrong, "\n".join(wrong)


def test_the_map_for_contributors_shows_every_room() -> None:
    shown = re.findall(r"`(\w+)(?:/|\.py)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Tests")[0])
    assert sorted(shown) == sorted([*ROOMS, "_flows"])  # that one is spoken of once more


def test_decisions_do_no_io() -> None:
    wrong = [
        f"{where(module)} imports {origin}"
        for module in [*CORE_MODULES, *PLUGIN_MODULES]
        if module in PLUGIN_MODULES or ROOMS.get(module.room, COMMAND) in {DATA, DECISIONS}
        for origin, name, _ in imports(module)
        if origin in PERFORMING or f"{origin}.{name}" in PERFORMING
    ]
    assert not wrong, "\n".join(wrong)


def exported(module: Module) -> list[str] | None:
    """The module's `__all__`, or None."""
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")], value=value):
                return [str(name) for name in ast.literal_eval(value)]
            case ast.AnnAssign(target=ast.Name("__all__"), value=ast.expr() as value):
                return [str(name) for name in ast.literal_eval(value)]
    return None


def test_plugins_have_no_private_door() -> None:
    public = {module.name: set(exported(module) or ()) for module in CORE_MODULES if module.name in DOORS}
    wrong = []
    for module in PLUGIN_MODULES:
        for origin, name, _ in imports(module, checking=True):
            if origin.partition(".")[0] != "ai302_core":
                continue
            if origin not in DOORS or name not in public.get(origin, set()):
                wrong.append(f"{where(module)} takes {name or 'all'} from {origin}")
    assert not wrong, "\n".join(wrong)


def test_a_file_says_its_one_purpose_and_stays_small() -> None:
    wrong = []
    for module in MODULES:
        lines = len(module.path.read_text("utf-8").splitlines())
        first = (ast.get_docstring(module.tree) or "").partition("\n")[0]
        if len(first.split()) < 3:
            wrong.append(f"{where(module)}: the first line names the purpose")
        if not first.endswith((".", ":")):
            wrong.append(f"{where(module)}: the first line is a sentence")
        if lines > LINES:
            wrong.append(f"{where(module)} has {lines} lines; two purposes?")
    assert not wrong, "\n".join(wrong)


def test_names_say_something() -> None:
    wrong = []
    for folder in ("core", "plugins", "tests", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if "__pycache__" in path.parts or path.name == "node_modules":
                continue
            if VAGUE & set(re.split(r"[_.-]", path.name.lower())):
                wrong.append(f"{path.relative_to(ROOT)} names no purpose")
            code = path.suffix in {".py", ".toml"} or any(path.glob("*.py"))
            if code and path.stem.lower() in VENDORS:
                wrong.append(f"{path.relative_to(ROOT)} is a name of the vendor's")
    assert not wrong, "\n".join(wrong)


def order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions: the order the linter keeps."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def test_exported_names_exist_and_are_sorted() -> None:
    told = {module.name: names for module in MODULES if (names := exported(module)) is not None}
    assert len(told) > 10
    wrong = []
    for name, names in told.items():
        loaded = importlib.import_module(name)
        if names != sorted(set(names), key=order):
            wrong.append(f"{name}: the names of __all__ in the order the linter keeps, each once")
        missing = [entry for entry in names if not hasattr(loaded, entry) or entry not in dir(loaded)]
        wrong += [f"{name} has no {entry}, or does not list it" for entry in missing]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(DOORS))
def test_every_door_says_what_is_public(name: str) -> None:
    assert any(module.name == name and exported(module) for module in CORE_MODULES)
