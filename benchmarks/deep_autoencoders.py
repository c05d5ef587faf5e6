"""Optimizers on deep autoencoders, a time budget each: ``python -m benchmarks.deep_autoencoders``.

The error is squared, summed over the 784 pixels and averaged over the images, of training and of
test; it is evaluated outside of the measured time. Learning rates of SGD are given for the loss
summed over pixels, as in the literature; pyae's loss is their mean, and the rate 784 times that.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import deep_report, machine
from benchmarks.deep_problems import PROBLEMS, Array, DeepAutoencoder, squared_error
from benchmarks.deep_trainers import (
    DeepTrainer,
    JaxAdamTrainer,
    PyaeTrainer,
    nesterov_schedule,
)
from benchmarks.environment import limit_threads
from benchmarks.harness import RESULTS, save
from benchmarks.report import deep_table

PIXELS = 784
ADAM_EPSILON = 1e-7 / PIXELS  # Adam's default for a loss that is summed over pixels
WHOLE = 2**31  # batch size: all images
GROWTH = 1.1  # of the time from one evaluation to the next
QUICK_ROWS = 400
_UNTOLD = ("nesterov", "epsilon")  # settings that the optimizer's name implies


@dataclass(frozen=True)
class Contender:
    """An optimizer by the name of its class, and how it is run."""

    optimizer: str
    settings: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 200
    smaller: tuple[tuple[int, int], ...] = ()  # (updates, batch size until then), in order
    rates: tuple[float, ...] = ()  # learning rates to try; none: the optimizer's default
    rate_unit: float = 1.0
    init_scale: float = 1.0
    largest_momentum: float | None = None  # of Nesterov's schedule
    in_jax: bool = False

    def setting(self, rate: float | None) -> str:
        words = [] if rate is None else [f"learning rate {rate:g}"]
        words += [
            f"{k} {v:g}" for k, v in self.settings.items() if k not in ("nesterov", "epsilon")
        ]
        words += [f"batches of {size} until update {until}" for until, size in self.smaller]
        if self.largest_momentum is not None:
            words.append(f"momentum up to {self.largest_momentum:g}")
        return ", ".join(words) or "defaults"

    def trainer(
        self, problem: DeepAutoencoder, X: Array, rate: float | None, threads: int
    ) -> DeepTrainer:
        """Return the trainer, ready to start; ImportError or AttributeError if there is none."""
        if self.in_jax:
            assert rate is not None
            return JaxAdamTrainer(problem, X, rate, ADAM_EPSILON, self.batch_size, threads)
        import pyae

        given: dict[str, Any] = {}
        if rate is not None:
            given["learning_rate"] = rate * self.rate_unit
        optimizer = getattr(pyae.optimizers, self.optimizer)(**given, **self.settings)
        momentum = None
        if self.largest_momentum is not None:
            momentum = partial(nesterov_schedule, largest=self.largest_momentum)
        return PyaeTrainer(
            problem,
            X,
            optimizer,
            self.batch_size,
            threads,
            self.init_scale,
            momentum,
            self.smaller,
        )


_ADAM_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
CONTENDERS = {
    "sgd": Contender("SGD", rates=(0.1,), rate_unit=PIXELS),
    "momentum": Contender("SGD", {"momentum": 0.9}, rates=(0.01,), rate_unit=PIXELS),
    "nesterov": Contender(
        "SGD", {"nesterov": True}, rates=(0.01,), rate_unit=PIXELS, largest_momentum=0.99
    ),
    "adam": Contender("Adam", {"epsilon": ADAM_EPSILON}, rates=_ADAM_RATES),
    "jax adam": Contender("Adam", rates=_ADAM_RATES, in_jax=True),
    "muon": Contender("Muon", rates=(1.5e-3, 5e-3, 0.015)),
    "lbfgs": Contender("LBFGS", batch_size=WHOLE),
    "newton-cg": Contender("NewtonCG", batch_size=WHOLE),
    "kfac": Contender("KFAC", batch_size=2000, smaller=((200, 500), (400, 1000))),
    "control": Contender(
        "SGD", {"momentum": 0.9}, rates=(0.01,), rate_unit=PIXELS, init_scale=0.25
    ),
}


def measure(
    trainer: DeepTrainer,
    evaluate: Callable[[list[Array]], tuple[float, float]],
    budget: float,
) -> tuple[list[tuple[float, int, float, float]], str]:
    """Train for `budget` seconds and return (seconds, updates, train, test), and what ended it.

    An epoch that would not end in the budget, were it as long as the mean of those before, is not
    begun.
    """
    seconds, epochs, due = 0.0, 0, 0.0
    points = [(0.0, 0, *evaluate(trainer.weights()))]
    while True:
        start = time.perf_counter()
        trainer.epoch()
        seconds += time.perf_counter() - start
        epochs += 1
        over = trainer.ended is not None or seconds * (1 + 1 / epochs) > budget
        if over or seconds >= due:
            points.append((seconds, trainer.updates, *evaluate(trainer.weights())))
            due = GROWTH * seconds
        if over:
            return points, trainer.ended or "budget"


def rates_of(name: str, done: Sequence[dict[str, Any]]) -> tuple[float | None, ...]:
    """Return the learning rates to try: JAX's Adam takes the one that was pyae's best, if any."""
    contender = CONTENDERS[name]
    best = deep_report.best_runs(done).get("adam") if contender.in_jax else None
    if best is not None:
        return (float(best["learning_rate"]),)
    return contender.rates or (None,)


def runs(
    problem: DeepAutoencoder,
    names: Sequence[str],
    budget: float,
    threads: int,
    quick: bool,
    done: Sequence[dict[str, Any]],
) -> Iterator[dict[str, Any] | str]:
    """Yield a record of each run, or why an optimizer is left out."""
    done = list(done)
    try:
        train, test = problem.load()
    except ImportError as error:
        yield f"{problem.name}: left out: {error}"
        return
    if quick:
        train, test = train[:QUICK_ROWS], test[:QUICK_ROWS]
    judge = problem.model("sgd", threads)

    def evaluate(weights: list[Array]) -> tuple[float, float]:
        error = squared_error(judge, weights, train)
        return error, squared_error(judge, None, test)

    for name in names:
        contender = CONTENDERS[name]
        for rate in rates_of(name, done)[: 2 if quick else None]:
            try:
                trainer = contender.trainer(problem, train, rate, threads)
            except (ImportError, AttributeError) as error:
                yield f"{problem.name}: {name} is left out: {error}"
                break
            points, ended = measure(trainer, evaluate, budget)
            start = f", random state {problem.random_state}" if problem.random_state else ""
            record = {
                "case": f"{problem.name}: {name}, {contender.setting(rate)}{start}",
                "problem": problem.name,
                "description": problem.describe(),
                "optimizer": name,
                "setting": contender.setting(rate),
                "learning_rate": rate,
                "random_state": problem.random_state,
                "batch_size": min(contender.batch_size, len(train)),
                "ended": ended,
                "points": deep_report.compact(points),
            }
            done.append(record)
            yield record


def kept_runs(
    output: Path | None, conditions: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the runs and notes of a file that is to be added to.

    ValueError if its runs can't be compared with those under the present conditions.
    """
    if output is None or not output.exists():
        return [], []
    stored = json.loads(output.read_text(encoding="utf-8"))
    for key in ("threads", "settings"):
        if stored[key] != conditions[key]:
            raise ValueError(f"{output.name} has {key} {stored[key]}, not {conditions[key]}")
    if stored["machine"]["cpu"] != conditions["machine"]["cpu"]:
        raise ValueError(f"{output.name} was measured on {stored['machine']['cpu']}")
    return list(stored["cases"]), list(stored["notes"])


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cores = len(machine.cores_available())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.deep_autoencoders", description=__doc__
    )
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument(
        "--optimizers", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME",
        help="of: " + ", ".join(CONTENDERS) + "; the file's other runs stay in it",
    )  # fmt: skip
    parser.add_argument(
        "--budget", type=float, default=900.0, help="seconds of training a run (%(default)s)"
    )
    parser.add_argument(
        "--random-states", nargs="+", type=int, default=[0], metavar="STATE",
        help="first weights and order of images; tables have the first one, and a line for others",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=cores, help="of every side (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="an epoch of 400 images; saved only with --output"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write or to add to")
    options = parser.parse_args(argv)
    if not options.budget > 0:
        parser.error("--budget must be positive")
    if not all(0 <= state < 2**64 for state in options.random_states):
        parser.error("--random-states must be from 0 to 2^64 - 1")
    if not 1 <= options.threads <= cores:
        parser.error(f"--threads must be from 1 to the {cores} available, got {options.threads}")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    cores = len(machine.cores_available())
    options = arguments(argv)
    limit_threads(options.threads)
    output: Path | None = options.output
    if output is None and not options.quick:
        output = RESULTS / "deep-autoencoders.json"
    budget = 0.0 if options.quick else options.budget
    settings = {"quick": options.quick, "budget_seconds": budget, "dtype": "float32"}
    description = machine.describe(options.threads, cores)
    cases, notes = kept_runs(output, {**description, "settings": settings})
    for name, state in product(options.problems, options.random_states):
        problem = replace(PROBLEMS[name], random_state=state)
        print(f"{name}, random state {state}: {problem.describe()}", flush=True)
        of_problem = [case for case in cases if case["problem"] == name]
        for run in runs(
            problem, options.optimizers, budget, options.threads, options.quick, of_problem
        ):
            if isinstance(run, str):
                print(run, flush=True)
                notes += [run] if run not in notes else []
                continue
            last = run["points"][-1]
            print(
                f"{run['case']}: train {last['train']}, test {last['test']}, "
                f"{last['updates']} updates, {last['seconds']} s, {run['ended']}",
                flush=True,
            )
            cases = [case for case in cases if case["case"] != run["case"]] + [run]
            if output is not None:
                save(output, "deep-autoencoders", description, settings, cases, notes)
    print(deep_table(cases))
    if output is not None and cases:
        try:
            deep_report.plot(cases, output.with_suffix(".png"))
        except ImportError as error:
            print(f"no picture: {error}")


if __name__ == "__main__":
    main()
