"""Pictures of the stored results: ``python -m benchmarks.plots`` writes a PNG beside each JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, SUBJECT

Case = dict[str, Any]

# Each library keeps its colour in every picture: Okabe and Ito's, which the colour-blind can tell
# apart.
COLORS = {
    "numpy": "#999999",
    "sklearn": "#E69F00",
    "torch": "#D55E00",
    "torch-compile": "#CC79A7",
    "onnxruntime": "#009E73",
    "jax": "#0072B2",
    "keras": "#56B4E9",
}
UNKNOWN_COLOR = "#000000"
MIXED = "-bfloat16"  # sides that are compared with each other, not with pyae in float32
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def short(network: str) -> str:
    """A network's name on as many lines as it needs below its bars."""
    parts = network.split("-")
    lines = ["-".join(parts[start : start + 4]) for start in range(0, len(parts), 4)]
    return "-\n".join(lines)


def draw_ratios(axes: Any, cases: Sequence[Case], title: str) -> None:
    """Bars of peer / pyae, a group a network, on a logarithmic scale that starts at 1."""
    names = dict.fromkeys(name for case in cases for name in case["ratios"])
    present = [name for name in names if not name.endswith(MIXED)]
    peers = [name for name in COLORS if name in present]
    peers += [name for name in present if name not in COLORS]
    width = 0.84 / max(len(peers), 1)
    for place, peer in enumerate(peers):
        for group, case in enumerate(cases):
            if peer not in case["ratios"]:
                continue
            ratio = case["ratios"][peer]["min"]
            x = group - 0.42 + (place + 0.5) * width
            label = peer if group == _first_with(cases, peer) else None
            color = COLORS.get(peer, UNKNOWN_COLOR)
            axes.bar(x, ratio - 1, 0.92 * width, bottom=1, color=color, label=label)
            axes.annotate(
                f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}",
                (x, max(ratio, 1)),  # above the line even where the bar hangs below it
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                rotation=90,
                fontsize=7,
            )
    axes.set_yscale("log")
    ratios = [ratio["min"] for case in cases for ratio in case["ratios"].values()]
    axes.set_ylim(0.9 * min([0.9, *ratios]), 2 * max([2.0, *ratios]))
    ticks = [tick for tick in TICKS if _in(tick, axes)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axhline(1, color="black", linewidth=1)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xticks(range(len(cases)), [short(case["case"]) for case in cases], fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _first_with(cases: Sequence[Case], peer: str) -> int:
    return next(number for number, case in enumerate(cases) if peer in case["ratios"])


def _in(value: float, axes: Any) -> bool:
    low, high = axes.get_ylim()
    return bool(low <= value <= high)


def panels(record: dict[str, Any]) -> list[tuple[str, list[Case]]]:
    """The panels of a record's picture: title and cases."""
    if record["benchmark"] == "training":
        return [("one training step", record["cases"])]
    return [
        (
            f"predict, {rows:,} row{'s' if rows > 1 else ''} a call",
            [case for case in record["cases"] if case["rows"] == rows],
        )
        for rows in dict.fromkeys(case["rows"] for case in record["cases"])
    ]


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the picture of a training or inference record."""
    from matplotlib.figure import Figure

    parts = panels(record)
    figure = Figure(figsize=(9, 0.7 + 3.2 * len(parts)), layout="constrained")
    figure.suptitle(
        f"Time of each library divided by {SUBJECT}'s: above 1, {SUBJECT} is the faster\n"
        f"{record['machine']['cpu']}, {record['threads']} thread"
        f"{'s' if record['threads'] > 1 else ''} each, fastest rounds, float32",
        fontsize=10,
    )
    handles: dict[str, Any] = {}
    rows = figure.subplots(len(parts), squeeze=False)[:, 0]
    for axes, (title, cases) in zip(rows, parts, strict=True):
        draw_ratios(axes, cases, title)
        found, names = axes.get_legend_handles_labels()
        handles |= dict(zip(names, found, strict=True))
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=8,
        frameon=False,
        fontsize=8,
    )
    figure.savefig(path, dpi=140)


def main(results: Path = RESULTS) -> None:
    for benchmark in ("training", "inference"):
        for source in sorted(results.glob(f"{benchmark}*.json")):
            record = json.loads(source.read_text(encoding="utf-8"))
            target = source.with_suffix(".png")
            draw(record, target)
            print(target.name)


if __name__ == "__main__":
    main()
