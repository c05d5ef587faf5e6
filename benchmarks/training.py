"""Train five networks with pyae and its peers, in turns: ``python -m benchmarks.training``."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import data, machine, roofline
from benchmarks.environment import prefer_installed_packages
from benchmarks.harness import RESULTS, SUBJECT, interleave, save, significant, summarize
from benchmarks.networks import NETWORKS, Array, BenchmarkNetwork, first_weights, training_loss
from benchmarks.protocol import PAUSE, Job, Peer, Turn, start_workers
from benchmarks.report import training_table

SIDES = {
    SUBJECT: Peer("benchmarks.workers.pyae_fit"),
    "numpy": Peer("benchmarks.workers.numpy_reference"),
    "sklearn": Peer("benchmarks.workers.sklearn_mlp"),
    "torch": Peer("benchmarks.workers.torch_eager"),
    "torch-compile": Peer("benchmarks.workers.torch_compiled"),
    "jax": Peer("benchmarks.workers.jax_scan", (("JAX_PLATFORMS", "cpu"),)),
    "keras": Peer(
        "benchmarks.workers.keras_jax", (("JAX_PLATFORMS", "cpu"), ("KERAS_BACKEND", "jax"))
    ),
    "pyae-bfloat16": Peer("benchmarks.workers.pyae_bfloat16"),
    "torch-bfloat16": Peer("benchmarks.workers.torch_bfloat16"),
}


@dataclass(frozen=True)
class Settings:
    threads: int
    rounds: int
    warmups: int


def run_network(
    network: BenchmarkNetwork,
    X: Array,
    names: Sequence[str],
    settings: Settings,
    peak: float | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure one network on the named sides and return its record.

    `peak` is what the processor can do at most, in GFLOP/s.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        weights = first_weights(network)
        job = Job.write(folder, network.name, X, weights, settings.threads)
        sides = [(name, SIDES[name]) for name in names]
        workers, left_out = start_workers(stack, sides, job, tell)
        turns = [Turn(worker, {"do": "epoch"}) for worker in workers]
        outcome = interleave(turns, settings.rounds, warmups=settings.warmups, pause=PAUSE)
        outcome.dropped |= left_out
        steps = len(X) // network.batch_size
        record = summarize(outcome, units=steps, gflop=network.step_gflop, peak=peak)
        for name, side in record["sides"].items():
            if name.endswith("-bfloat16"):
                side.pop("peak_share", None)  # the peak is float32's
        for worker in workers:
            if worker.name not in record["sides"]:
                tell(f"  {worker.name} is left out: {outcome.dropped[worker.name]}")
                continue
            side = record["sides"][worker.name]
            side["note"] = worker.greeting["note"]
            if worker.greeting["same_objective"]:
                path = folder / f"{worker.name}.npz"
                worker.ask(do="weights", path=str(path))
                with np.load(path) as archive:
                    trained = [archive[f"arr_{i}"] for i in range(len(archive.files))]
                side["final_loss"] = significant(training_loss(network, trained, X), 5)
    return {
        "case": network.name,
        "description": network.describe(),
        "unit": "training step",
        "step_gflop": significant(network.step_gflop),
        "steps_a_round": steps,
        "epochs_trained": settings.warmups + settings.rounds,
        "first_loss": significant(training_loss(network, weights, X), 5),
        **record,
    }


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
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
    parser.add_argument("--warmups", type=int, default=2, help="not counted (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="two rounds of a few steps; saved only with --output"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args(argv)
    if not 1 <= options.threads <= cores:
        parser.error(f"--threads must be from 1 to the {cores} available, got {options.threads}")
    if options.rounds < 1 or options.warmups < 1:
        parser.error("--rounds and --warmups must be at least 1")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    cores = len(machine.cores_available())
    options = arguments(argv)
    prefer_installed_packages()
    settings = Settings(options.threads, options.rounds, options.warmups)
    if options.quick:
        settings = replace(settings, rounds=2, warmups=1)
    limits = roofline.measure(settings.threads, quick=options.quick)
    peak = roofline.fma_peak(limits, "float32", settings.threads)
    names = [SUBJECT, *options.peers]
    cases = []
    for chosen in options.networks:
        network = NETWORKS[chosen]
        steps = min(network.n_steps, 3) if options.quick else network.n_steps
        X, source = data.load(network.data, steps * network.batch_size)
        print(f"{network.name}: {network.describe()}", flush=True)
        case = run_network(network, X, names, settings, peak)
        case["data"] = source
        cases.append(case)
        print(training_table([case]), flush=True)
    output = options.output
    if output is None and not options.quick:
        output = RESULTS / f"training-{settings.threads}-threads.json"
    if output is not None:
        save(
            output,
            "training",
            machine.describe(settings.threads, cores) | {"roofline": limits},
            {
                "quick": options.quick,
                "rounds": settings.rounds,
                "warmups": settings.warmups,
                "pause_seconds": PAUSE,
                "dtype": "float32",
            },
            cases,
        )


if __name__ == "__main__":
    main()
