"""Markdown tables of the stored results: ``python -m benchmarks.report`` writes RESULTS.md.

It writes README's two tables of times, too, between the marks that stand there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import deep_report
from benchmarks.harness import RESULTS, SUBJECT

Case = dict[str, Any]


def number(value: float | None) -> str:
    """At most four significant digits, without an exponent where that reads well."""
    if value is None:
        return "-"
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; its first column is left-aligned, the others right-aligned."""
    lines = [
        "| " + " | ".join(header) + " |",
        "|" + "|".join(["---", *["---:"] * (len(header) - 1)]) + "|",
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.3g} %"


def _left_out(case: Case) -> str:
    return "Left out: " + "; ".join(f"{k}: {v}" for k, v in case["left_out"].items()) + "."


def training_table(cases: Sequence[Case]) -> str:
    """One table a network: microseconds a step of each side, ratios to pyae, and losses."""
    blocks = []
    for case in cases:
        rows = []
        for name, side in case["sides"].items():
            ratio = case["ratios"].get(name, {})
            rows.append(
                [
                    name,
                    number(side["min_us"]),
                    number(side["median_us"]),
                    "1" if name == SUBJECT else number(ratio.get("min")),
                    "1" if name == SUBJECT else number(ratio.get("median")),
                    number(side["gflops"]),
                    percent(side.get("peak_share")),
                    f"{side['final_loss']:.5g}" if "final_loss" in side else "-",
                ]
            )
        header = ["side", "min µs", "median µs", "min ratio", "median ratio"]
        header += ["GFLOP/s", "of FMA peak", "loss"]
        text = [f"**{case['case']}** ({case['description']})", "", table(header, rows), ""]
        text.append(
            f"Loss before training {case['first_loss']:.5g}, "
            f"after {case['epochs_trained']} epochs as in the table."
        )
        if case["left_out"]:
            text.append(_left_out(case))
        blocks.append("\n".join(text))
    return "\n\n".join(blocks)


def inference_table(cases: Sequence[Case]) -> str:
    """One table a number of rows: microseconds a call of each side, beside ratios to pyae."""
    blocks = []
    for rows in dict.fromkeys(case["rows"] for case in cases):
        members = [case for case in cases if case["rows"] == rows]
        names = dict.fromkeys(name for case in members for name in case["sides"])
        peers = [name for name in names if name != SUBJECT]
        own = ["min µs", "median µs", "of FMA peak"]
        if members[0]["streaming"]:
            own += ["rows/s", "workspace MB"]
        header = ["network", *own]
        for peer in peers:
            header += [f"{peer} µs", "ratio (median)"]
            header += [f"{peer} MB"] if members[0]["streaming"] else []
        lines = []
        for case in members:
            side = case["sides"].get(SUBJECT, {})
            low = side.get("min_us")
            line = [case["case"], number(low), number(side.get("median_us"))]
            line += [percent(side.get("peak_share"))]
            if case["streaming"]:
                line += [
                    number(rows / low * 1e6 if low else None),
                    number(side.get("workspace_mb")),
                ]
            for peer in peers:
                side, ratio = case["sides"].get(peer, {}), case["ratios"].get(peer, {})
                line += [number(side.get("min_us"))]
                line += [f"{number(ratio.get('min'))} ({number(ratio.get('median'))})"]
                line += [number(side.get("workspace_mb"))] if case["streaming"] else []
            lines.append(line)
        blocks.append(f"**{rows:,} row{'s' if rows > 1 else ''} a call**\n\n{table(header, lines)}")
        blocks += [f"{case['case']}: {_left_out(case)}" for case in members if case["left_out"]]
    return "\n\n".join(blocks)


def startup_table(cases: Sequence[Case]) -> str:
    """Times, memory and sizes, a table a kind."""
    headers = {
        "time": ["process", "min ms", "median ms", "beyond import numpy: min ms", "median ms"],
        "memory": ["fit", "side", "peak MB beyond NumPy and data", "4 parameters + a batch, MB"],
        "size": ["package", "MB", "with what it requires, MB"],
    }
    blocks = []
    for group in dict.fromkeys(case["group"] for case in cases):
        members = [case for case in cases if case["group"] == group]
        kind = members[0]["kind"]
        lines: list[list[str]] = []
        for case in members:
            if kind == "memory":
                bound = number(case["state_mb"])
                lines += [
                    [case["case"], name, number(side["peak_mb"]), bound]
                    for name, side in case["sides"].items()
                ]
            elif kind == "size":
                lines.append([case["case"], number(case["mb"]), number(case["with_required_mb"])])
            else:
                keys = ("min_ms", "median_ms", "min_beyond_ms", "median_beyond_ms")
                lines.append([case["case"], *(number(case.get(key)) for key in keys)])
        blocks.append(f"**{group}**\n\n{table(headers[kind], lines)}")
        blocks += [f"{case['case']}: {_left_out(case)}" for case in members if case.get("left_out")]
    return "\n\n".join(blocks)


def deep_table(cases: Sequence[Case]) -> str:
    """One table a problem: each optimizer's errors at its end, of the setting that was best."""
    blocks = []
    for problem in dict.fromkeys(case["problem"] for case in cases):
        members = [case for case in cases if case["problem"] == problem]
        blocks.append(f"**{problem}** ({members[0]['description']})")
        blocks.append(table(deep_report.HEADER, deep_report.rows(members)))
        blocks += deep_report.tried(members) + deep_report.by_random_state(members)
    return "\n\n".join(blocks)


def kernels_table(cases: Sequence[Case]) -> str:
    """One table a group: pyae and NumPy in microseconds a call, and their ratio."""
    blocks = []
    for group in dict.fromkeys(case["group"] for case in cases):
        members = [case for case in cases if case["group"] == group]
        with_gflops = any("gflop" in case for case in members)
        header = ["case", "pyae min µs", "median µs", "numpy min µs", "median µs"]
        header += ["min ratio", "median ratio"]
        header += ["pyae GFLOP/s", "of FMA peak"] if with_gflops else []
        header += ["numpy GFLOP/s", "of FMA peak"] if with_gflops else []
        header += ["difference"]
        rows = []
        for case in members:
            row = [case["case"]]
            sides = [case["sides"].get(name, {}) for name in (SUBJECT, "numpy")]
            for side in sides:
                row += [number(side.get("min_us")), number(side.get("median_us"))]
            ratio = case["ratios"].get("numpy", {})
            row += [number(ratio.get("min")), number(ratio.get("median"))]
            for side in sides if with_gflops else []:
                row += [number(side.get("gflops")), percent(side.get("peak_share"))]
            row += [number(case.get("difference"))]
            rows.append(row)
        blocks.append(f"### {group}\n\n{table(header, rows)}")
        for case in members:
            for name, reason in case["left_out"].items():
                blocks.append(f"{case['case']}: {name} is left out: {reason}.")
    return "\n\n".join(blocks)


def conditions(record: dict[str, Any]) -> str:
    """The machine and the versions of one run, in a few lines."""
    machine = record["machine"]
    own = record["pyae"]
    pyae = own.get("unavailable") or (
        f"{own.get('version')}, instruction-set level {own.get('level')}, "
        f"OpenMP {own.get('openmp')}, {own.get('compiler')}"
    )
    lines = [
        f"- {record['date']}, {machine['cpu']}, {machine['cores_available']} cores available, "
        f"{machine['memory_gib']} GiB, {machine['system']} {machine['architecture']}",
        f"- {record['threads']} thread(s) a side, {_extent(record['settings'])}",
        f"- pyae {pyae}",
        f"- NumPy's BLAS: {record['numpy_blas']}",
        "- " + ", ".join(f"{k} {v}" for k, v in record["versions"].items() if k != "pyae"),
    ]
    if "roofline" in record:
        lines.append(f"- At most: {limits_text(record['roofline'])}")
    return "\n".join(lines + [f"- {note}" for note in record["notes"]])


def _extent(settings: dict[str, Any]) -> str:
    if "budget_seconds" in settings:
        return f"at most {number(settings['budget_seconds'])} s of training a run"
    return f"{settings['rounds']} rounds counted"


def limits_text(limits: dict[str, Any]) -> str:
    """The machine's limits, by number of threads."""
    if "unavailable" in limits:
        return f"not measured, {limits['unavailable']}"
    units = {
        "float32_gflops": "GFLOP/s in float32",
        "float64_gflops": "GFLOP/s in float64",
        "triad_gb_s": "GB/s (triad)",
    }
    return ", ".join(
        f"{number(value)} {unit}, {threads} thread{'s' if threads != '1' else ''}"
        for key, unit in units.items()
        for threads, value in limits[key].items()
    )


def side_notes(cases: Sequence[Case]) -> str:
    """How each training side is set up, once each."""
    notes: dict[str, dict[str, list[str]]] = {}
    for case in cases:
        for name, side in case["sides"].items():
            notes.setdefault(name, {}).setdefault(side["note"], []).append(case["case"])
    lines = []
    for name, texts in notes.items():
        for text, where in texts.items():
            suffix = f" ({', '.join(where)})" if len(texts) > 1 else ""
            lines.append(f"- {name}: {text}{suffix}")
    return "\n".join(lines)


TABLES = {
    "kernels": ("Microseconds are of one call.", kernels_table),
    "training": ("Microseconds are of one training step.", training_table),
    "inference": ("Microseconds are of one call.", inference_table),
    "startup": ("Times are of whole processes.", startup_table),
    "deep-autoencoders": (
        "Errors are squared errors an image: summed over its 784 pixels, averaged over images.",
        deep_table,
    ),
}


def render(records: dict[str, dict[str, Any]]) -> str:
    """RESULTS.md of the records, by the names of their files."""
    parts = [
        "# Results",
        "Written by `python -m benchmarks.report` from the files in `results/`. "
        "Ratios are peer / pyae: above 1, pyae is the faster one. README.md says how to read them.",
    ]
    for name, record in records.items():
        parts.append(f"## {name}")
        parts.append(conditions(record))
        unit, write = TABLES[record["benchmark"]]
        parts += [unit, write(record["cases"])]
        if record["benchmark"] in ("training", "inference"):
            parts.append(side_notes(record["cases"]))
        if record["benchmark"] == "deep-autoencoders":
            parts.append(f"![Errors against seconds and updates](results/{name}.png)")
    return "\n\n".join(parts) + "\n"


def _best_in_bold(times: Sequence[float | None]) -> list[str]:
    least = min(time for time in times if time is not None)
    return [f"**{number(time)}**" if time == least else number(time) for time in times]


_TRAINING_COLUMNS = {
    "pyae": "pyae",
    "numpy": "NumPy",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
    "jax": "JAX",
    "keras": "Keras",
}
_INFERENCE_COLUMNS = {"pyae": "pyae", "onnxruntime": "onnxruntime", "torch": "PyTorch"}


def readme_training(cases: Sequence[Case]) -> str:
    """README's table: the least microseconds of a training step, the best of each line in bold."""
    lines = []
    for case in cases:
        sides = case["sides"]
        times = [sides.get(name, {}).get("min_us") for name in _TRAINING_COLUMNS]
        lines.append([case["case"], *_best_in_bold(times)])
    return table(["network", *_TRAINING_COLUMNS.values()], lines)


def readme_inference(cases: Sequence[Case]) -> str:
    """README's table: the least microseconds of a call, for each number of rows."""
    numbers = list(dict.fromkeys(case["rows"] for case in cases))
    by_place = {(case["case"], case["rows"]): case["sides"] for case in cases}
    header = ["network"]
    for rows in numbers:
        first, *others = _INFERENCE_COLUMNS.values()
        header += [f"{rows:,} row{'s' if rows > 1 else ''}: {first}", *others]
    lines = []
    for network in dict.fromkeys(case["case"] for case in cases):
        line = [network]
        for rows in numbers:
            sides = by_place[network, rows]
            line += _best_in_bold([sides[name]["min_us"] for name in _INFERENCE_COLUMNS])
        lines.append(line)
    return table(header, lines)


# README's tables, by the file whose results they show.
README_TABLES = {
    "training-2-threads": readme_training,
    "inference-2-threads": readme_inference,
}


def with_tables(readme: str, records: dict[str, dict[str, Any]]) -> str:
    """Return README with the tables of these results between their marks."""
    for name, write in README_TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, rest = readme.split(begin)
        _, after = rest.split(end)
        readme = before + begin + write(records[name]["cases"]) + end + after
    return readme


def stored(results: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Return the stored results by the names of their files."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for benchmark in TABLES
        for path in sorted(results.glob(f"{benchmark}*.json"))
    }


def main(results: Path = RESULTS) -> None:
    records = stored(results)
    target = results.parent / "RESULTS.md"
    target.write_text(render(records), encoding="utf-8")
    print(f"{target.name}: {len(records)} run(s)")
    readme = results.parents[1] / "README.md"
    if records.keys() >= README_TABLES.keys():
        text = readme.read_text(encoding="utf-8")
        readme.write_text(with_tables(text, records), encoding="utf-8")


if __name__ == "__main__":
    main()
