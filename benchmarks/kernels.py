"""Every kernel of pyae against NumPy, in turns: ``python -m benchmarks.kernels``."""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, roofline
from benchmarks.environment import limit_threads, prefer_installed_packages
from benchmarks.harness import (
    RESULTS,
    FunctionSide,
    Outcome,
    difference,
    interleave,
    save,
    significant,
    summarize,
)
from benchmarks.protocol import PAUSE
from benchmarks.report import kernels_table

if TYPE_CHECKING:  # imports NumPy, which has to wait until the threads are limited
    from benchmarks.kernel_cases import KernelCase

QUICK_GFLOP = 0.1
QUICK_VALUES = 10**6


def run_case(
    case: KernelCase, rounds: int, at_least: float, pause: float, peak: float | None
) -> dict[str, Any]:
    """Compare the two results, then measure both sides."""
    calls = case.make()
    results: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name, call in calls.items():
        try:
            results[name] = call()
        except Exception as error:  # a missing kernel is a note, the others go on
            left_out[name] = f"{type(error).__name__}: {error}"
    record: dict[str, Any] = {"group": case.group, "case": case.name, "unit": "call"}
    if case.gflop is not None:
        record["gflop"] = significant(case.gflop)
    if len(results) == 2:
        record["difference"] = significant(difference(results["pyae"], results["numpy"]), 2)
    sides = [FunctionSide(name, calls[name]) for name in results]
    results.clear()
    for side in sides:
        side.calibrate(at_least)
    outcome: Outcome = interleave(sides, rounds, warmups=1, pause=pause)
    outcome.dropped |= left_out
    return record | summarize(outcome, gflop=case.gflop, peak=peak)


def run(
    cases: Sequence[KernelCase],
    rounds: int,
    at_least: float,
    pause: float,
    peak: Callable[[str], float | None],
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure `cases`; tell of each group when it begins.

    `peak` says what the processor can do at most with numbers of a dtype, in GFLOP/s.
    """
    records = []
    group = ""
    for case in cases:
        if case.group != group:
            group = case.group
            tell(group)
        rest = pause if case.gflop else pause / 8  # only products start NumPy's threads
        records.append(run_case(case, rounds, at_least, rest, peak(case.dtype)))
    return records


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--threads", type=int, default=cores, help="of both sides (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="counted (%(default)s)")
    parser.add_argument("--only", default="", help="regular expression for 'group: case'")
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds, small inputs; saved with --output"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args(argv)
    if not 1 <= options.threads <= cores:
        parser.error(f"--threads must be from 1 to the {cores} available, got {options.threads}")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    cores = len(machine.cores_available())
    options = arguments(argv)
    prefer_installed_packages()
    limit_threads(options.threads)

    from benchmarks.kernel_cases import all_cases

    pattern = re.compile(options.only)
    cases = [case for case in all_cases() if pattern.search(f"{case.group}: {case.name}")]
    rounds, at_least = options.rounds, 0.02
    pause = PAUSE if options.threads > 1 else 0.0  # a BLAS on one thread has none that spin
    if options.quick:
        rounds, at_least, pause = 2, 0.0, 0.0
        cases = [
            case
            for case in cases
            if case.n_values <= QUICK_VALUES and (case.gflop or 0) <= QUICK_GFLOP
        ]
    try:
        import pyae

        pyae.set_num_threads(options.threads)
    except (ImportError, AttributeError) as error:
        warnings.warn(f"pyae can't be measured: {error}", stacklevel=1)
    limits = roofline.measure(options.threads, quick=options.quick)
    records = run(
        cases,
        rounds,
        at_least,
        pause,
        lambda dtype: roofline.fma_peak(limits, dtype, options.threads),
        lambda text: print(text, flush=True),
    )
    print(kernels_table(records))
    output = options.output
    if output is None and not options.quick and not options.only:
        output = RESULTS / f"kernels-{options.threads}-threads.json"
    if output is not None:
        save(
            output,
            "kernels",
            machine.describe(options.threads, cores) | {"roofline": limits},
            {
                "quick": options.quick,
                "rounds": rounds,
                "round_seconds_at_least": at_least,
                "pause_seconds": pause,
            },
            records,
        )


if __name__ == "__main__":
    main()
