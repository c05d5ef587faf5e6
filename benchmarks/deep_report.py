"""What the comparison of optimizers says: a table of final errors, and curves of errors."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import significant

Run = dict[str, Any]
YARDSTICK = "adam"  # whose best end the others are timed to


def final_error(run: Run, of: str = "train") -> float:
    """Return a run's last error; infinity for one that is not finite any more."""
    value = run["points"][-1][of]
    return float("inf") if value is None else float(value)


def random_state(run: Run) -> int:
    """Return a run's random state: 0 where a file is older than the name."""
    return int(run.get("random_state", 0))


def first_state(runs: Sequence[Run]) -> int:
    """Return the smallest random state of all."""
    return min(map(random_state, runs), default=0)


def of_first_state(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with that."""
    first = first_state(runs)
    return [run for run in runs if random_state(run) == first]


def best_runs(runs: Sequence[Run]) -> dict[str, Run]:
    """Return each optimizer's run, of the first state, with the least training error at its end."""
    best: dict[str, Run] = {}
    for run in of_first_state(runs):
        name = run["optimizer"]
        if name not in best or final_error(run) < final_error(best[name]):
            best[name] = run
    return best


def seconds_to(run: Run, error: float) -> float | None:
    """Return when a run's training error was first seen at `error` or below."""
    for point in run["points"]:
        if point["train"] is not None and point["train"] <= error:
            return float(point["seconds"])
    return None


def least_test_error(run: Run) -> str:
    """Return the smallest test error that was seen, and when."""
    seen = [(p["test"], p["seconds"]) for p in run["points"] if p["test"] is not None]
    error, seconds = min(seen, default=(float("inf"), 0.0))
    return f"{error:.4g} at {seconds:.0f} s"


def rows(runs: Sequence[Run]) -> list[list[str]]:
    """Return one line an optimizer, as text."""
    best = best_runs(runs)
    goal = final_error(best[YARDSTICK]) if YARDSTICK in best else None
    lines = []
    for name, run in best.items():
        last = run["points"][-1]
        needed = None if goal is None else seconds_to(run, goal)
        lines.append(
            [
                name,
                run["setting"],
                f"{run['batch_size']:,}",
                f"{last['updates']:,}",
                f"{last['seconds']:.0f}",
                *(f"{final_error(run, of):.4g}" for of in ("train", "test")),
                least_test_error(run),
                "-" if needed is None else f"{needed:.3g}",
                run["ended"],
            ]
        )
    return lines


HEADER = (
    "optimizer",
    "setting",
    "batch",
    "updates",
    "seconds",
    "train error",
    "test error",
    "least test error",
    f"seconds to {YARDSTICK}'s end",
    "ended by",
)


def tried(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each optimizer of which the first state has several settings."""
    sentences = []
    runs = of_first_state(runs)
    for name in dict.fromkeys(run["optimizer"] for run in runs):
        own = [run for run in runs if run["optimizer"] == name]
        if len(own) > 1:
            ends = ", ".join(f"{run['setting']}: {final_error(run):.4g}" for run in own)
            sentences.append(f"Training errors of {name} by setting: {ends}.")
    return sentences


def by_random_state(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each setting that was run with others than the first state."""
    best = best_runs(runs)
    goal = final_error(best[YARDSTICK]) if YARDSTICK in best else 0.0
    first = first_state(runs)
    sentences = []
    for name, setting in dict.fromkeys((run["optimizer"], run["setting"]) for run in runs):
        own = [run for run in runs if (run["optimizer"], run["setting"]) == (name, setting)]
        if all(random_state(run) == first for run in own):
            continue
        needed = [seconds_to(run, goal) for run in own]
        ends = [
            f"{random_state(run)}: {final_error(run):.4g} / {final_error(run, 'test'):.4g}"
            + ("" if seconds is None else f" ({seconds:.3g} s)")
            for run, seconds in zip(own, needed, strict=True)
        ]
        within = f" (seconds to {YARDSTICK}'s end of the table)" if any(needed) else ""
        sentences.append(
            f"Training / test errors{within} of {name}, {setting}, by random state: "
            f"{', '.join(ends)}."
        )
    return sentences


def compact(points: Sequence[tuple[float, int, float, float]]) -> list[dict[str, Any]]:
    """Return (seconds, updates, train, test) as what is stored; None for no finite number."""

    def error(value: float) -> float | None:
        return significant(value, 5) if abs(value) < float("inf") else None

    return [
        {"seconds": significant(s, 5), "updates": n, "train": error(a), "test": error(b)}
        for s, n, a, b in points
    ]


def plot(runs: Sequence[Run], path: Path) -> None:
    """Draw errors against seconds and against updates, a row of pictures a problem."""
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(run["problem"] for run in runs))
    figure = Figure(figsize=(11, 4.5 * len(problems)), layout="constrained")
    axes = figure.subplots(len(problems), 2, squeeze=False)
    names = list(dict.fromkeys(run["optimizer"] for run in runs))
    for problem, pair in zip(problems, axes, strict=True):
        best = best_runs([run for run in runs if run["problem"] == problem])
        for axis, of in zip(pair, ("seconds", "updates"), strict=True):
            for name, run in best.items():
                points = [p for p in run["points"][1:] if p["train"] is not None]
                along = [p[of] for p in points]
                color = f"C{names.index(name)}"
                axis.plot(along, [p["train"] for p in points], color=color, label=name)
                axis.plot(along, [p["test"] for p in points], color=color, linestyle=":")
            axis.set(xscale="log", yscale="log", xlabel=of)
            axis.set_title(f"{problem}: squared error an image (dotted: test)")
            axis.grid(alpha=0.3)
        pair[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
