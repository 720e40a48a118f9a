"""How late and how often: our schedule beside fixed intervals, backoff and doubling, and beside the optimum.

Numbers over durations as long as real ones, no server: `python -m benchmarks.polling` prints the table, with
`--plot FILE.svg` it draws it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from statistics import NormalDist, mean

from ai302_core import _policies

from .measuring import Row, told

POINTS = 5000
PATIENCE = 1800.0
Point = tuple[float, float]
"""Mean lateness in seconds, looks per job."""


def durations(fastest: float, median: float, spread: float, tail: float) -> list[float]:
    """Seconds jobs take, by stratified quantiles: log-normal from `fastest` on, a twentieth of them far longer."""
    bell = NormalDist(math.log(median - fastest), spread)
    body = [fastest + math.exp(bell.inv_cdf((n + 0.5) / POINTS)) for n in range(POINTS * 19 // 20)]
    far = [tail * (1 - (n + 0.5) / (POINTS // 20)) ** -0.4 for n in range(POINTS // 20)]
    return sorted(min(seconds, PATIENCE) for seconds in (*body, *far))


# As long as the services take (wire/midjourney.md 7.5 and the vendor's own figures, 2026-11-21), with the numbers a
# family's record gives without any history.
KINDS: dict[str, tuple[list[float], tuple[float, float]]] = {
    "Midjourney, 20 to 90 s": (durations(15, 42, 0.55, 95), (15.0, 90.0)),
    "Veo, 60 to 400 s": (durations(50, 140, 0.65, 400), (50.0, 400.0)),
    "images, 3 to 40 s": (durations(2.5, 10, 0.75, 40), (3.0, 40.0)),
}


def judged(taken: list[float], looks: Callable[[], Iterator[float]]) -> Point:
    """What a schedule, the ages it looks at, costs over these durations."""
    ages: list[float] = []
    source = looks()
    while not ages or ages[-1] < taken[-1]:
        ages.append(next(source))
    late = count = 0.0
    for seconds in taken:
        number = bisect_left(ages, seconds)
        late += ages[number] - seconds
        count += number + 1
    return late / len(taken), count / len(taken)


def ours(plan: _policies.Schedule) -> Iterator[float]:
    """The ages our schedule looks at."""
    age = plan.wait(0.0, looked=False)
    while True:
        yield age
        age += plan.wait(age, looked=True)


def fixed(interval: float) -> Iterator[float]:
    """Every so many seconds."""
    return itertools.count(interval, interval)


def growing(first: float, factor: float, ceiling: float) -> Iterator[float]:
    """Each wait longer than the last, up to a ceiling."""
    age, wait = 0.0, first
    while True:
        age += wait
        yield age
        wait = min(ceiling, wait * factor)


def optimum(taken: list[float], price: float, step: float) -> Point:
    """The best any schedule can do that knows the distribution, when a second of lateness costs `price` looks.

    Dynamic programming, backwards over a grid of ages: the next look is where its own cost, the lateness up to it and
    what comes after it together are least.
    """
    size = int(taken[-1] / step) + 2
    edges = [n * step for n in range(size)]
    done = [bisect_left(taken, edge + 1e-9) for edge in edges]
    sums = list(itertools.accumulate(taken, initial=0.0))
    total = len(taken)
    cost, nxt = [0.0] * size, [0] * size
    for start in range(size - 2, -1, -1):
        best = math.inf
        left = total - done[start]
        for stop in range(start + 1, size):
            ended = done[stop] - done[start]
            late = ended * edges[stop] - (sums[done[stop]] - sums[done[start]])
            value = left + price * late + cost[stop]
            if value < best:
                best, nxt[start] = value, stop
            elif price * late + left > best:
                break
        cost[start] = best

    def looks() -> Iterator[float]:
        at = 0
        while at < size - 1:
            at = nxt[at]
            yield edges[at]
        yield from itertools.count(edges[-1] + step, step)

    return judged(taken, looks)


def at_equal_lateness(late: float, curve: list[Point]) -> float:
    """Looks per job a curve needs for that mean lateness, between its points."""
    points = sorted(curve)
    for (one, first), (two, second) in itertools.pairwise(points):
        if one <= late <= two:
            return first + (second - first) * (late - one) / (two - one)
    return points[0][1] if late < points[0][0] else points[-1][1]


INTERVALS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0)
RIVALS: dict[str, Callable[[], Iterator[float]]] = {
    "fixed 2 s": lambda: fixed(2),
    "fixed 5 s": lambda: fixed(5),
    "fixed 10 s": lambda: fixed(10),
    "backoff 1 s × 1.5, to 30 s": lambda: growing(1, 1.5, 30),
    "doubling 1 s, to 60 s": lambda: growing(1, 2, 60),
}


class Curves:
    """Everything about one kind of job: our points, the rivals', the optimum's."""

    def __init__(self, taken: list[float], usual: Point) -> None:
        history = taken[2 :: len(taken) // 200]
        ages = {}
        for name, known in (("without", ()), ("with", history)):
            for interval in INTERVALS:
                plan = _policies.schedule(usual, known, interval, max(60.0, 3 * interval), watched=False)
                ages[name, interval] = judged(taken, lambda plan=plan: ours(plan))  # type: ignore[misc]
        self.without = [ages["without", interval] for interval in INTERVALS]
        self.known = [ages["with", interval] for interval in INTERVALS]
        self.default = ages["with", 2.0]
        self.plain = ages["without", 2.0]
        self.rivals = {name: judged(taken, looks) for name, looks in RIVALS.items()}
        self.fixed = [judged(taken, lambda gap=gap: fixed(gap)) for gap in INTERVALS]  # type: ignore[misc]
        step = 0.25
        self.best = [optimum(taken, price, step) for price in (90, 60, 40, 25, 15, 10, 6, 4, 2, 1, 0.5, 0.2, 0.1, 0.03)]


def rows() -> list[Row]:
    """The figures."""
    found: list[Row] = []
    for name, (taken, usual) in KINDS.items():
        curves = Curves(taken, usual)
        late, looks = curves.plain
        same = at_equal_lateness(late, curves.fixed)
        found.append(Row(what=f"{name}: without history, {late:.1f} s late",
                         value=f"{looks:.1f} looks",
                         beside=f"fixed {same:.1f}", ratio=looks / same, goal="≤ 1.10×",
                         met=looks <= 1.1 * same))  # fmt: skip
        late, looks = curves.default
        best = at_equal_lateness(late, curves.best)
        found.append(Row(what=f"{name}: with history, {late:.1f} s late", value=f"{looks:.1f} looks",
                         beside=f"optimum {best:.1f}", ratio=looks / best, goal="≤ 1.10×",
                         met=looks <= 1.1 * best))  # fmt: skip
        beaten = [
            rival
            for rival, (their_late, their_looks) in curves.rivals.items()
            for curve in (curves.without, curves.known)
            if at_equal_lateness(their_late, curve) > their_looks * 1.001
        ]
        found.append(Row(what=f"{name}: rivals that beat ours at their own lateness", value=f"{len(set(beaten))} of 5",
                         beside=", ".join(sorted(set(beaten))), goal="0", met=not beaten))  # fmt: skip
    return found


def plot(path: str) -> None:
    """Both axes for each kind of job, as one picture."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "ai302"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(KINDS), figsize=(13, 4.4), layout="constrained")
    for panel, (name, (taken, usual)) in zip(panels, KINDS.items(), strict=True):
        curves = Curves(taken, usual)
        for points, label, style in (
            (curves.best, "optimum for the true distribution", "k--"),
            (curves.known, "ours, with the ledger's history", "o-"),
            (curves.without, "ours, without history", "s-"),
            (curves.fixed, "fixed interval", "x:"),
        ):
            panel.plot(*zip(*points, strict=True), style, label=label, markersize=4)
        for rival, point in curves.rivals.items():
            if not rival.startswith("fixed"):
                panel.plot(*point, "D", label=rival)
        panel.set(title=f"{name} (mean {mean(taken):.0f} s)", xlabel="seconds late, mean", xscale="log", yscale="log")
    panels[0].set_ylabel("looks per job")
    panels[-1].legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", metavar="FILE.svg")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.plot:
        plot(options.plot)
        sys.exit()
    told(rows())
