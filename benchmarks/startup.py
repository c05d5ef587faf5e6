"""Start-up, memory and size of pyae and its peers: ``python -m benchmarks.startup``."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.environment import ROOT, limit_threads, prefer_installed_packages
from benchmarks.harness import RESULTS, SUBJECT, SideError, interleave, save, significant
from benchmarks.memory import MB
from benchmarks.report import startup_table

PEERS = ("sklearn", "torch", "jax", "keras", "onnxruntime")
BASE = "import numpy"  # what the times of the other processes are compared with
IMPORTS = {
    "sklearn": "import sklearn.neural_network",
    "torch": "import torch",
    "jax": "import jax",
    "keras": "import keras",
    "onnxruntime": "import onnxruntime",
}
DISTRIBUTIONS = {
    "pyae": ("pyae",),
    "sklearn": ("scikit-learn",),
    "torch": ("torch",),
    "jax": ("jax", "jaxlib"),
    "keras": ("keras",),
    "onnxruntime": ("onnxruntime",),
}
FITTING = (SUBJECT, "sklearn", "torch", "jax", "keras")
MEMORY_STEPS = 3  # of a fit whose memory is measured
PROCESS_LIMIT = 300.0  # seconds


@dataclass
class ProcessSide:
    """A whole process, from its start to its end; satisfies `harness.Side`."""

    group: str
    name: str
    arguments: Sequence[str]  # of the interpreter
    folder: Path  # where it runs: not the checkout, whose pyae would hide the installed one
    output: str = ""

    def measure(self) -> float:
        start = time.perf_counter()
        try:
            done = subprocess.run(
                [sys.executable, *self.arguments],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=PROCESS_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SideError(f"it didn't end within {PROCESS_LIMIT:.0f} s") from None
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise SideError(said[-1] if said else f"it ended with {done.returncode}")
        self.output = done.stdout
        return seconds


def processes(peers: Sequence[str], folder: Path, data: Path) -> list[ProcessSide]:
    """The processes to be timed."""
    codes = {
        "python": "pass",
        BASE: BASE,
        "import pyae": "import pyae",
        "import numpy, pyae": "import numpy, pyae",
        "from pyae import Dense, Sequential": "from pyae import Dense, Sequential",
    } | {IMPORTS[peer]: IMPORTS[peer] for peer in peers}
    sides = [ProcessSide("import", name, ["-c", code], folder) for name, code in codes.items()]
    help_code = "import sys; from pyae.cli import main; sys.exit(main(['--help']))"
    sides.append(ProcessSide("command", "pyae --help", ["-c", help_code], folder))
    for name in FITTING:
        if name == SUBJECT or name in peers:
            script = ROOT / "benchmarks" / "first_fit" / f"with_{name}.py"
            sides.append(
                ProcessSide("first fit", f"fit with {name}", [str(script), str(data)], folder)
            )
    return sides


GROUPS = {
    "import": "Imports",
    "command": "The command",
    "first fit": "Import, build, ten epochs of 64-32-64 on digits",
}


def time_processes(sides: Sequence[ProcessSide], rounds: int) -> list[dict[str, Any]]:
    """Run `sides` in turns and return a record of each."""
    outcome = interleave(sides, rounds, warmups=1)
    base = outcome.seconds.get(BASE)
    records = []
    for side in sides:
        record: dict[str, Any] = {"group": GROUPS[side.group], "kind": "time", "case": side.name}
        if side.name in outcome.dropped:
            record["left_out"] = {side.name: outcome.dropped[side.name]}
            records.append(record)
            continue
        seconds = outcome.seconds[side.name]
        record |= {
            "min_ms": significant(min(seconds) * 1e3),
            "median_ms": significant(median(seconds) * 1e3),
            "rounds": len(seconds),
        }
        if base and side.name != BASE:
            record["min_beyond_ms"] = significant((min(seconds) - min(base)) * 1e3, 3)
            record["median_beyond_ms"] = significant((median(seconds) - median(base)) * 1e3, 3)
        if side.group == "first fit":
            record["final_loss"] = significant(float(side.output.split()[-1]), 5)
        records.append(record)
    return records


def fit_memory(
    names: Sequence[str], networks: Sequence[str], threads: int, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Peak memory of a few steps of training, beyond the interpreter with NumPy and the data."""
    from benchmarks import data
    from benchmarks.networks import NETWORKS, first_weights
    from benchmarks.protocol import Job, start_workers
    from benchmarks.training import SIDES

    records = []
    for name in networks:
        network = NETWORKS[name]
        X, _ = data.load(network.data, MEMORY_STEPS * network.batch_size)
        sides: dict[str, dict[str, float]] = {}
        left_out: dict[str, str] = {}
        for side in names:  # one at a time: their memory is the matter
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                job = Job.write(folder, network.name, X, first_weights(network), threads)
                workers, reasons = start_workers(stack, [(side, SIDES[side])], job, tell)
                left_out |= reasons
                for worker in workers:
                    try:
                        worker.ask(do="epoch")
                        memory = worker.ask(do="memory")
                    except SideError as error:
                        left_out[side] = str(error)
                        continue
                    if memory["peak_mb"] is None or memory["start_mb"] is None:
                        left_out[side] = "the system doesn't tell the memory"
                        continue
                    peak = memory["peak_mb"] - memory["start_mb"]
                    sides[side] = {"peak_mb": significant(peak, 3)}
        parameters = sum(n_in * n_out + n_out for n_in, n_out in network.shapes)
        # of a batch: the input, and each layer's output and its derivative
        batch = network.batch_size * (network.widths[0] + 2 * sum(network.widths[1:]))
        records.append(
            {
                "group": "Memory of a fit",
                "kind": "memory",
                "case": network.name,
                "parameters": parameters,
                "state_mb": significant(4 * (4 * parameters + batch) / MB, 3),
                "sides": sides,
                "left_out": left_out,
            }
        )
    return records


def _requirements(distribution: importlib.metadata.Distribution) -> list[str]:
    """Names of what is required without extras; those for other systems aren't installed."""
    names = []
    for requirement in distribution.requires or []:
        name = re.match(r"[\w.-]+", requirement)
        if name and "extra ==" not in requirement:
            names.append(name[0])
    return names


def _file_bytes(distribution: importlib.metadata.Distribution) -> int:
    total = 0
    for file in distribution.files or []:
        path = Path(str(file.locate()))
        if path.is_file() and "__pycache__" not in path.parts:
            total += path.stat().st_size
    return total


def installed_mb(names: Sequence[str], required: bool) -> float:
    """Size of the files of distributions, and of all that they require."""
    todo, seen, total = list(names), set(), 0
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in names:
                raise
            continue
        total += _file_bytes(distribution)
        if required:
            todo += _requirements(distribution)
    return total / MB


def sizes(names: Sequence[str]) -> list[dict[str, Any]]:
    """Installed sizes of the packages that are there."""
    records = []
    for name in names:
        distributions = DISTRIBUTIONS[name]
        record: dict[str, Any] = {
            "group": "Installed size",
            "kind": "size",
            "case": " + ".join(distributions),
        }
        try:
            record["mb"] = significant(installed_mb(distributions, required=False), 3)
            record["with_required_mb"] = significant(installed_mb(distributions, required=True), 3)
        except importlib.metadata.PackageNotFoundError:
            continue
        records.append(record)
    return records


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--threads", type=int, default=cores, help="of every side (%(default)s)")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, default=list(PEERS), metavar="NAME",
        help="beside pyae and NumPy, of: " + ", ".join(PEERS),
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9, help="counted (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="one round, one network; saved only with --output"
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
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("KERAS_BACKEND", "jax")

    import numpy as np

    from benchmarks import data
    from benchmarks.networks import NETWORKS

    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npy"
        np.save(path, data.load("digits", 1797)[0])
        cases = time_processes(processes(options.peers, Path(folder), path), rounds)
    fitting = [name for name in FITTING if name == SUBJECT or name in options.peers]
    networks = list(NETWORKS)[:1] if options.quick else list(NETWORKS)
    cases += fit_memory(fitting, networks, options.threads, print)
    cases += sizes([SUBJECT, *options.peers])
    print(startup_table(cases))
    output = options.output
    if output is None and not options.quick:
        output = RESULTS / f"startup-{options.threads}-threads.json"
    if output is not None:
        save(
            output,
            "startup",
            machine.describe(options.threads, cores),
            {"quick": options.quick, "rounds": rounds, "memory_steps": MEMORY_STEPS},
            cases,
        )


if __name__ == "__main__":
    main()
