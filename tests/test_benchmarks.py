"""The benchmarks' harness on fake sides, and tiny runs that only have to work."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import data, environment, harness, kernel_cases, machine, networks, report, training
from benchmarks.harness import FunctionSide, Outcome, SideError, interleave, save, summarize

ROOT = Path(__file__).resolve().parent.parent


class FakeSide:
    """Returns prepared times, and writes down when it was asked."""

    def __init__(self, name: str, times: list[float], log: list[str]) -> None:
        self.name, self._times, self._log = name, iter(times), log

    def measure(self) -> float:
        self._log.append(self.name)
        seconds = next(self._times)
        if math.isnan(seconds):
            raise SideError("broke")
        return seconds


def test_sides_take_turns_in_rotated_order() -> None:
    log: list[str] = []
    sides = [FakeSide(name, [1.0] * 4, log) for name in "abc"]
    interleave(sides, rounds=3, warmups=1, sleep=lambda _: None)
    assert "".join(log) == "abcbcacababc"


def test_warmups_are_not_counted_and_each_turn_is_preceded_by_a_pause() -> None:
    log: list[str] = []
    pauses: list[float] = []
    sides = [FakeSide("a", [9, 9, 1, 2], log), FakeSide("b", [8, 8, 3, 4], log)]
    outcome = interleave(sides, rounds=2, warmups=2, pause=0.5, sleep=pauses.append)
    assert outcome.seconds == {"a": [1, 2], "b": [3, 4]}
    assert pauses == [0.5] * 8


def test_a_side_that_fails_is_left_out_and_the_others_go_on() -> None:
    log: list[str] = []
    sides = [FakeSide("a", [1] * 4, log), FakeSide("b", [1, 1, math.nan], log)]
    outcome = interleave(sides, rounds=3, warmups=1, sleep=lambda _: None)
    assert outcome.seconds == {"a": [1, 1, 1]}
    assert outcome.dropped == {"b": "broke"}
    assert log.count("b") == 3


def test_two_sides_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        interleave([FakeSide("a", [1], []), FakeSide("a", [1], [])], rounds=1)


def test_minimum_median_ratio_and_gflops() -> None:
    outcome = Outcome(
        seconds={"pyae": [2e-3, 1e-3, 6e-3, 3e-3], "peer": [4e-3, 9e-3, 5e-3]},
        dropped={"absent": "not installed"},
    )
    record = summarize(outcome, units=10, gflop=0.002)
    assert record["sides"]["pyae"] == {
        "min_us": 100.0,
        "median_us": 250.0,  # between 2 ms and 3 ms, of 10 units
        "rounds": 4,
        "gflops": 20.0,
    }
    assert record["sides"]["peer"]["gflops"] == 5.0
    assert record["ratios"] == {"peer": {"min": 4.0, "median": 2.0}}
    assert record["left_out"] == {"absent": "not installed"}


def test_without_pyae_there_are_times_and_no_ratios() -> None:
    record = summarize(Outcome(seconds={"peer": [1.0]}))
    assert record["sides"]["peer"]["min_us"] == 1e6
    assert record["ratios"] == {}


def test_a_function_side_counts_its_repeats() -> None:
    calls: list[int] = []
    side = FunctionSide("f", lambda: calls.append(1), repeats=5)
    assert side.measure() >= 0
    assert len(calls) == 5
    side.calibrate(at_least=1e-3)
    assert side.repeats > 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no module in /home/someone/lib/x.so: bad", "no module in x.so: bad"),
        (r"C:\Users\someone\x.dll", "x.dll"),
        ("scipy-openblas 0.3.31, 3.5 GFLOP/s, A/B", "scipy-openblas 0.3.31, 3.5 GFLOP/s, A/B"),
    ],
)
def test_paths_are_cut_to_their_last_part(text: str, expected: str) -> None:
    assert harness.without_paths({"a": [text]}) == {"a": [expected]}


DESCRIPTION: dict[str, Any] = {
    "date": "2000-01-01",
    "machine": {
        "cpu": "a processor",
        "architecture": "x86_64",
        "system": "Linux",
        "cores_available": 4,
        "memory_gib": 8.0,
    },
    "threads": 2,
    "versions": {"python": "3.12", "numpy": "2.0", "pyae": "1.0"},
    "numpy_blas": "a blas",
    "pyae": {"version": "1.0", "level": "x86-64-v3", "compiler": "c", "openmp": "o"},
}


def test_saved_runs_read_back_and_become_tables(tmp_path: Path) -> None:
    case = {
        "case": "64-32-64",
        "description": "words",
        "unit": "training step",
        "epochs_trained": 3,
        "first_loss": 0.5,
        **summarize(
            Outcome({"pyae": [1e-5], "jax": [2e-5]}, {"keras": "gone"}), gflop=1e-4, peak=10
        ),
    }
    for side in case["sides"].values():
        side |= {"note": "as it is", "final_loss": 0.25}
    path = tmp_path / "results" / "training-2-threads.json"
    saved = save(path, "training", DESCRIPTION, {"rounds": 1}, [case], ["a note"])
    assert json.loads(path.read_text()) == saved
    assert set(saved) == {"schema", "benchmark", *DESCRIPTION, "settings", "notes", "cases"}

    kernel = {"group": "products", "case": "2 x 2 x 2", "unit": "call", "gflop": 1.0} | summarize(
        Outcome({"pyae": [1.0], "numpy": [3.0]}), gflop=1.0
    )
    save(tmp_path / "results" / "kernels.json", "kernels", DESCRIPTION, {"rounds": 1}, [kernel])
    report.main(tmp_path / "results")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| jax | 20 | 20 | 2 | 2 | 5 | 50 % | 0.25 |" in text
    assert "| 2 x 2 x 2 | 1,000,000 | 1,000,000 | 3,000,000 | 3,000,000 | 3 | 3 |" in text
    assert "keras: gone" in text
    assert "a note" in text


def test_step_work_is_that_of_the_products() -> None:
    network = networks.NETWORKS["64-32-64"]
    # forward 2, kernel gradient 2, input gradient 1, each 2 * 32 * 64 * 32
    assert network.step_gflop == pytest.approx(5 * 2 * 32 * 64 * 32 / 1e9)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_the_judging_loss_is_the_reference_loss(name: str) -> None:
    reference = pytest.importorskip("pyae.reference")
    network = networks.NETWORKS[name]
    X, _ = data.load(network.data, 40)
    model = reference.Network(network.spec(), X.shape[1], dtype="float64")
    weights = networks.first_weights(network)
    model.set_weights(weights)
    expected, _ = model.loss_and_gradients(X, X)
    assert networks.training_loss(network, weights, X) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["digits", "images"])
def test_images_are_in_the_unit_interval_and_repeatable(kind: str) -> None:
    X, _ = data.load(kind, 30)
    assert X.dtype == np.float32
    assert X.min() >= 0
    assert X.max() <= 1
    np.testing.assert_array_equal(X, data.load(kind, 30)[0])


def test_every_product_shape_of_the_networks_is_measured() -> None:
    shapes = kernel_cases.product_shapes()
    assert (256, 784, 1000) in shapes["A.B"]
    assert (784, 256, 1000) in shapes["A^T.B"]
    assert (256, 500, 1000) in shapes["A.B^T"]
    assert all((size, size, size) in form for form in shapes.values() for size in (512, 1024, 2048))


def test_the_chosen_cores_are_available_ones() -> None:
    available = machine.cores_available()
    chosen = environment.choose_cores(len(available))
    assert sorted(chosen) == available
    assert len(environment.choose_cores(1)) == 1


@pytest.mark.parametrize("argument", [["--threads", "0"], ["--rounds", "0"], ["--peers", "nobody"]])
def test_bad_arguments_are_refused(argument: list[str]) -> None:
    with pytest.raises(SystemExit):
        training.arguments(argument)


def run(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Run a benchmark as a user does, in a process of its own, and return what it saved."""
    output = tmp_path / "out.json"
    finished = subprocess.run(
        [sys.executable, "-m", *arguments, "--quick", "--threads", "1", "--output", str(output)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    record: dict[str, Any] = json.loads(output.read_text())
    assert str(ROOT) not in output.read_text()
    return record


def test_training_runs(tmp_path: Path) -> None:
    record = run(tmp_path, "benchmarks.training", "--networks", "64-32-64", "--peers", "numpy")
    (case,) = record["cases"]
    assert case["left_out"] == {}
    assert set(case["sides"]) == {"pyae", "numpy"}
    assert set(case["ratios"]) == {"numpy"}
    losses = [side["final_loss"] for side in case["sides"].values()]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)  # the sides shuffle differently
    assert max(losses) < case["first_loss"]


@pytest.mark.parametrize(
    "only", ["products.*float32.*: 32 x", "value, float32.*: (softmax|huber)", "corruption.*mask"]
)
def test_kernels_run_and_agree_with_numpy(tmp_path: Path, only: str) -> None:
    record = run(tmp_path, "benchmarks.kernels", "--only", only)
    assert record["cases"]
    for case in record["cases"]:
        assert case["left_out"] == {}
        assert set(case["sides"]) == {"pyae", "numpy"}
        assert case["difference"] < 1e-4
