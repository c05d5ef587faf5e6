"""Predict with five networks, pyae and its peers in turns: ``python -m benchmarks.inference``."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import data, machine, roofline
from benchmarks.environment import prefer_installed_packages
from benchmarks.harness import (
    RESULTS,
    SUBJECT,
    SideError,
    difference,
    interleave,
    save,
    significant,
    summarize,
)
from benchmarks.networks import NETWORKS, Array, BenchmarkNetwork, first_weights, forward
from benchmarks.protocol import PAUSE, Job, Peer, Turn, Worker, start_workers
from benchmarks.report import inference_table

SIDES = {
    SUBJECT: Peer("benchmarks.workers.pyae_predict"),
    "numpy": Peer("benchmarks.workers.numpy_predict"),
    "onnxruntime": Peer("benchmarks.workers.onnx_runtime"),
    "torch": Peer("benchmarks.workers.torch_inference"),
    "jax": Peer("benchmarks.workers.jax_predict", (("JAX_PLATFORMS", "cpu"),)),
}
BATCHES = (1, 256)
TOLERANCE = 1e-4  # of a float32 output, relative to its largest entry


@dataclass(frozen=True)
class Settings:
    threads: int
    rounds: int
    stream_rows: int
    stream_rounds: int
    at_least: float = 0.02  # seconds of calls in a round


def some_weights(network: BenchmarkNetwork) -> list[Array]:
    """First weights with biases that aren't zero, so that a lost bias would be seen."""
    rng = np.random.default_rng(1)
    weights = first_weights(network)
    for number in range(1, len(weights), 2):
        weights[number] = rng.uniform(-0.1, 0.1, weights[number].shape).astype(np.float32)
    return weights


def check(worker: Worker, expected: Array, folder: Path) -> float:
    """Return the difference of a side's output from `expected`; a `SideError` if it is large."""
    path = folder / f"{worker.name}.npy"
    worker.ask(do="output", rows=len(expected), path=str(path))
    found = difference(np.load(path), expected)
    if not found <= TOLERANCE:
        raise SideError(f"its output differs by {found:.2g} of the largest entry")
    return significant(found, 2)


def run_network(
    network: BenchmarkNetwork,
    X: Array,
    names: Sequence[str],
    settings: Settings,
    peak: float | None = None,
    tell: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Measure one network on the named sides and return a record for each number of rows.

    `peak` is what the processor can do at most, in GFLOP/s.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        weights = some_weights(network)
        expected = forward(network, weights, X)
        job = Job.write(folder, network.name, X, weights, settings.threads)
        sides = [(name, SIDES[name]) for name in names]
        workers, left_out = start_workers(stack, sides, job, tell)
        differences = ask_each(workers, left_out, lambda w: check(w, expected, folder), tell)
        records = []
        for rows in (*BATCHES, settings.stream_rows):
            if rows == 0:
                continue
            streaming = rows not in BATCHES
            workspaces: dict[str, Any] = {}
            if streaming:
                question = partial(Worker.ask, do="workspace", rows=rows)
                workspaces = ask_each(workers, left_out, question, tell)
            request = {"do": "predict", "rows": rows, "at_least": settings.at_least}
            turns = [Turn(worker, request) for worker in workers if worker.name not in left_out]
            rounds = settings.stream_rounds if streaming else settings.rounds
            outcome = interleave(turns, rounds, warmups=1, pause=PAUSE)
            left_out |= outcome.dropped
            gflop = network.forward_gflop * rows
            record = summarize(outcome, gflop=gflop, peak=peak)
            record["left_out"] = dict(left_out)
            notes = {worker.name: worker.greeting["note"] for worker in workers}
            for name, side in record["sides"].items():
                side |= {"note": notes[name], "difference": differences[name]}
                if (workspace := workspaces.get(name, {}).get("mb")) is not None:
                    side["workspace_mb"] = significant(workspace, 3)
            case = {"case": network.name, "rows": rows, "streaming": streaming, "unit": "call"}
            records.append(case | {"gflop": significant(gflop)} | record)
    return records


def ask_each(
    workers: Sequence[Worker],
    left_out: dict[str, str],
    question: Callable[[Worker], Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Return each worker's answer; those that fail are added to `left_out`, and not asked again."""
    answers: dict[str, Any] = {}
    for worker in workers:
        if worker.name in left_out:
            continue
        try:
            answers[worker.name] = question(worker)
        except SideError as error:
            left_out[worker.name] = str(error)
            tell(f"  {worker.name} is left out: {error}")
    return answers


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--threads", type=int, default=cores, help="of every side (%(default)s)")
    parser.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME",
        help="of: " + ", ".join(NETWORKS),
    )  # fmt: skip
    peers = [name for name in SIDES if name != SUBJECT]
    parser.add_argument(
        "--peers", nargs="*", choices=peers, default=peers, metavar="NAME",
        help="beside pyae, of: " + ", ".join(peers),
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9, help="counted (%(default)s)")
    parser.add_argument(
        "--stream-rows", type=int, default=100_000,
        help="rows of the large array; 0 for none (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--stream-rounds", type=int, default=2, help="counted, of the large array (%(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds; saved only with --output"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args(argv)
    if not 1 <= options.threads <= cores:
        parser.error(f"--threads must be from 1 to the {cores} available, got {options.threads}")
    if options.rounds < 1 or options.stream_rounds < 1:
        parser.error("--rounds and --stream-rounds must be at least 1")
    if options.stream_rows < 0 or options.stream_rows in BATCHES:
        parser.error("--stream-rows must be 0 or a large number")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    cores = len(machine.cores_available())
    options = arguments(argv)
    prefer_installed_packages()
    settings = Settings(options.threads, options.rounds, options.stream_rows, options.stream_rounds)
    if options.quick:
        stream_rows = min(settings.stream_rows, 2000)
        settings = replace(settings, rounds=2, stream_rows=stream_rows, at_least=0.0)
    limits = roofline.measure(settings.threads, quick=options.quick)
    peak = roofline.fma_peak(limits, "float32", settings.threads)
    names = [SUBJECT, *options.peers]
    cases = []
    for chosen in options.networks:
        network = NETWORKS[chosen]
        X, source = data.load(network.data, max(BATCHES))
        print(network.name, flush=True)
        for case in run_network(network, X, names, settings, peak):
            case["data"] = source
            cases.append(case)
    print(inference_table(cases), flush=True)
    output = options.output
    if output is None and not options.quick:
        output = RESULTS / f"inference-{settings.threads}-threads.json"
    if output is not None:
        save(
            output,
            "inference",
            machine.describe(settings.threads, cores) | {"roofline": limits},
            {
                "quick": options.quick,
                "rounds": settings.rounds,
                "stream_rounds": settings.stream_rounds,
                "round_seconds_at_least": settings.at_least,
                "pause_seconds": PAUSE,
                "dtype": "float32",
            },
            cases,
        )


if __name__ == "__main__":
    main()
