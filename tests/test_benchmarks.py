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

from benchmarks import (
    data,
    deep_autoencoders,
    deep_problems,
    deep_report,
    deep_trainers,
    environment,
    harness,
    inference,
    instructions,
    kernel_cases,
    machine,
    memory,
    networks,
    plots,
    report,
    roofline,
    startup,
    training,
)
from benchmarks.harness import FunctionSide, Outcome, SideError, interleave, save, summarize
from benchmarks.startup import ProcessSide
from benchmarks.workers.instructions import WORKLOADS

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
    shares = summarize(outcome, units=10, gflop=0.002, peak=80.0)["sides"]
    assert {name: side["peak_share"] for name, side in shares.items()} == {
        "pyae": 0.25,
        "peer": 0.0625,
    }


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
@pytest.mark.parametrize("program", [training, inference, startup])
def test_bad_arguments_are_refused(program: Any, argument: list[str]) -> None:
    with pytest.raises(SystemExit):
        program.arguments(argument)


def test_the_network_forward_is_the_reference_forward() -> None:
    reference = pytest.importorskip("pyae.reference")
    network = networks.NETWORKS["784-32-784"]
    X = np.random.default_rng(0).random((5, 784), dtype=np.float32)
    weights = inference.some_weights(network)
    assert all(np.any(weight != 0) for weight in weights)
    model = reference.Network(network.spec(), X.shape[1], dtype="float64")
    model.set_weights(weights)
    assert harness.difference(networks.forward(network, weights, X), model.forward(X)) < 1e-6
    assert network.forward_gflop == pytest.approx(2 * 2 * 784 * 32 / 1e9)


class FakeWorker:
    """Answers a request for its output with an array."""

    def __init__(self, name: str, output: np.ndarray[Any, Any]) -> None:
        self.name, self._output = name, output

    def ask(self, *, path: str, **_: Any) -> dict[str, Any]:
        np.save(path, self._output)
        return {"saved": True}


def test_a_side_whose_output_differs_is_left_out(tmp_path: Path) -> None:
    expected = np.arange(6.0).reshape(3, 2)
    workers: list[Any] = [
        FakeWorker("right", expected + 1e-6),
        FakeWorker("wrong", expected + 1e-2),
        FakeWorker("nan", expected * np.nan),
        FakeWorker("short", expected[:2]),
    ]
    left_out: dict[str, str] = {}
    answers = inference.ask_each(
        workers, left_out, lambda w: inference.check(w, expected, tmp_path), lambda _: None
    )
    assert answers == {"right": pytest.approx(2e-7)}
    assert set(left_out) == {"wrong", "nan", "short"}
    assert "differs by 0.002" in left_out["wrong"]


def test_the_limits_are_measured_or_the_reason_is_given() -> None:
    limits = roofline.measure(1, quick=True)
    if "unavailable" in limits:
        assert roofline.fma_peak(limits, "float32", 1) is None
        return
    peak = roofline.fma_peak(limits, "float32", 1)
    assert peak is not None
    # Double precision can't be faster, and no processor does 10,000 operations a clock of 1 GHz.
    assert 0 < limits["float64_gflops"]["1"] < 1.5 * peak < 1e4
    assert limits["triad_gb_s"]["1"] > 0


def test_without_a_compiler_there_are_no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    limits = roofline.measure(1)
    assert "no-such-compiler" in limits["unavailable"]
    assert "not measured" in report.limits_text(limits)


@pytest.mark.skipif(memory.peak_mb() is None, reason="the system doesn't tell the memory")
def test_the_peak_of_memory_is_that_of_what_was_allocated() -> None:
    assert memory.reset_peak()
    before = memory.resident_mb()
    np.ones(100_000_000, np.uint8)  # more than the allocator keeps for later use
    after = memory.peak_mb()
    assert before is not None
    assert after is not None
    assert 90 < after - before < 140


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    sides = [
        ProcessSide("import", "good", ["-c", "print('done')"], tmp_path),
        ProcessSide("import", "bad", ["-c", "import no_such_module"], tmp_path),
    ]
    good, bad = startup.time_processes(sides, rounds=1)
    assert good["min_ms"] > 0
    assert sides[0].output == "done\n"
    assert "No module named 'no_such_module'" in bad["left_out"]["bad"]


def test_installed_size_counts_requirements_once() -> None:
    alone = startup.installed_mb(["numpy"], required=False)
    assert alone > 5
    assert startup.installed_mb(["numpy", "NumPy"], required=True) == alone  # it requires nothing
    assert startup.installed_mb(["scikit-learn"], required=True) > alone


def test_instruction_counts_are_compared() -> None:
    before = {"a": 1000.0, "b": 1000.0, "c": 1000.0}
    after = {"a": 500.0, "b": 1029.0, "c": 1031.0}
    text, worse = instructions.compare(before, after, ("old", "new"))
    assert worse == ["c"]
    assert "| a | 1,000 | 500 | 0.500 |" in text


def test_callgrinds_total_is_read() -> None:
    text = "version: 1\nevents: Ir\nsummary: 664400267\nfn=(1)\ntotals: 664400267\n"
    assert instructions.instructions_of(text) == 664400267
    with pytest.raises(instructions.CountError, match="no total"):
        instructions.instructions_of("events: Ir\n")


def test_the_digest_is_of_what_is_compiled(tmp_path: Path) -> None:
    assert instructions.extract(None, tmp_path / "a") == "checkout"
    assert not list((tmp_path / "a" / "pyae").glob("*.so"))
    digest = instructions.compiled_digest(tmp_path / "a")
    (tmp_path / "a" / "pyae" / "model.py").write_text("")
    assert instructions.compiled_digest(tmp_path / "a") == digest
    (tmp_path / "a" / "csrc" / "new.hpp").write_text("")
    assert instructions.compiled_digest(tmp_path / "a") != digest


def test_a_revision_that_git_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(instructions.CountError, match="git rev-parse"):
        instructions.extract("no-such-revision", tmp_path / "a")


def test_every_workload_runs() -> None:
    for make, n_steps in WORKLOADS.values():
        assert n_steps > 0
        make()()


def test_ratios_become_pictures(tmp_path: Path) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    outcome = Outcome({"pyae": [2.0], "torch": [6.0], "somebody": [1.0]})
    cases: list[dict[str, Any]] = [
        {"case": name, "rows": rows, "streaming": False} | summarize(outcome)
        for rows in (1, 256)
        for name in ("64-32-64", "784-1000-500-250-30")
    ]
    (_, first), (_, second) = panels = plots.panels({"benchmark": "inference", "cases": cases})
    assert [title for title, _ in panels] == [
        "predict, 1 row a call",
        "predict, 256 rows a call",
    ]
    assert len(first) == len(second) == 2
    axes = figure.Figure().subplots()
    plots.draw_ratios(axes, first, "title")
    heights = [(bar.get_y(), bar.get_height()) for bar in axes.patches]
    assert heights == [(1, 2.0), (1, 2.0), (1, -0.5), (1, -0.5)]

    save(tmp_path / "inference-2.json", "inference", DESCRIPTION, {"rounds": 1}, cases)
    plots.main(tmp_path)
    assert (tmp_path / "inference-2.png").read_bytes().startswith(b"\x89PNG")


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


def test_inference_runs_and_agrees(tmp_path: Path) -> None:
    record = run(
        tmp_path, "benchmarks.inference", "--networks", "64-32-64", "--peers", "numpy",
        "--stream-rows", "300",
    )  # fmt: skip
    assert [case["rows"] for case in record["cases"]] == [1, 256, 300]
    for case in record["cases"]:
        assert case["left_out"] == {}
        assert set(case["sides"]) == {"pyae", "numpy"}
        assert all(side["difference"] < 1e-6 for side in case["sides"].values())
    text = report.inference_table(record["cases"])
    assert "**300 rows a call**" in text


def test_startup_runs(tmp_path: Path) -> None:
    record = run(tmp_path, "benchmarks.startup", "--peers")
    cases = {case["case"]: case for case in record["cases"]}
    assert not [case for case in record["cases"] if case.get("left_out")]
    assert cases["import numpy"]["min_ms"] > cases["python"]["min_ms"]
    assert 0 < cases["fit with pyae"]["final_loss"] < 0.1
    assert 0 < cases["64-32-64"]["sides"]["pyae"]["peak_mb"] < 100
    assert cases["pyae"]["with_required_mb"] > cases["pyae"]["mb"] > 0
    assert "fit with pyae" in report.startup_table(record["cases"])


def deep_run(optimizer: str, rate: float, *points: tuple[float, float]) -> dict[str, Any]:
    """Return a run that saw these (seconds, training error), a hundred updates a second."""
    return {
        "case": f"curves: {optimizer}, {rate}",
        "problem": "curves",
        "description": "words",
        "optimizer": optimizer,
        "setting": f"learning rate {rate}",
        "learning_rate": rate,
        "batch_size": 200,
        "ended": "budget",
        "points": deep_report.compact([(s, int(100 * s), e, e + 1) for s, e in points]),
    }


DEEP_RUNS = [
    deep_run("adam", 0.1, (0, 250), (10, math.nan)),
    deep_run("adam", 0.01, (0, 250), (5, 4), (10, 2)),
    deep_run("adam", 0.001, (0, 250), (5, 5), (10, 3)),
    deep_run("kfac", 1, (0, 250), (2, 2.5), (3, 1.5), (10, 0.5)),
    deep_run("sgd", 1, (0, 250), (10, 15)),
]


def test_the_best_setting_counts_and_others_are_timed_to_its_end() -> None:
    lines = {line[0]: line for line in deep_report.rows(DEEP_RUNS)}
    assert list(lines) == ["adam", "kfac", "sgd"]
    assert lines["adam"][1] == "learning rate 0.01"
    assert [line[-2] for line in lines.values()] == ["10", "3", "-"]
    assert lines["kfac"][3:8] == ["1,000", "10", "0.5", "1.5", "1.5 at 10 s"]
    (sentence,) = deep_report.tried(DEEP_RUNS)
    assert "learning rate 0.1: inf, learning rate 0.01: 2, learning rate 0.001: 3" in sentence
    assert deep_autoencoders.rates_of("jax adam", DEEP_RUNS) == (0.01,)
    assert len(deep_autoencoders.rates_of("jax adam", [])) == 5


def test_other_random_states_are_told_beside_the_table() -> None:
    others = [
        {**deep_run("kfac", 1, (0, 250), (4, 1), (9, e)), "random_state": s}
        for s, e in ((1, 0.25), (2, 3.5))
    ]
    runs = [*DEEP_RUNS, *others]
    assert deep_report.rows(runs) == deep_report.rows(DEEP_RUNS)
    assert deep_report.tried(runs) == deep_report.tried(DEEP_RUNS)
    assert deep_report.by_random_state(DEEP_RUNS) == []
    (sentence,) = deep_report.by_random_state(runs)
    assert "0: 0.5 / 1.5 (3 s), 1: 0.25 / 1.25 (4 s), 2: 3.5 / 4.5 (4 s)." in sentence
    assert [line[0] for line in deep_report.rows(others)] == ["kfac"]
    (sentence,) = deep_report.by_random_state(others)
    assert sentence.startswith("Training / test errors of kfac")


class FakeTrainer:
    """Takes a second an epoch, of which the evaluation takes none."""

    def __init__(self, n_epochs: int) -> None:
        self.updates, self.ended, self.n_epochs = 0, None, n_epochs
        self.ended: str | None

    def epoch(self) -> None:
        self.updates += 1
        if self.updates == self.n_epochs:
            self.ended = "diverged"

    def weights(self) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("n_epochs", "budget", "updates", "ended"),
    [
        (99, 0, [0, 1], "budget"),
        (99, 4.5, [0, 1, 2, 3, 4], "budget"),
        (3, 4.5, [0, 1, 2, 3], "diverged"),
        (99, 21, [*range(12), 13, 15, 17, 19, 21], "budget"),
    ],
)
def test_only_training_is_timed(
    n_epochs: int, budget: float, updates: list[int], ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, evaluated = FakeTrainer(n_epochs), 0

    def evaluate(weights: list[Any]) -> tuple[float, float]:
        nonlocal evaluated
        evaluated += 1
        return 1.0, 2.0

    clock = lambda: trainer.updates + 1000.0 * evaluated  # noqa: E731
    monkeypatch.setattr(deep_autoencoders.time, "perf_counter", clock)
    points, reason = deep_autoencoders.measure(trainer, evaluate, budget)
    assert [point[:2] for point in points] == [(n, n) for n in updates]
    assert reason == ended


def test_the_published_momentum_schedule() -> None:
    momenta = [deep_trainers.nesterov_schedule(t, 0.99) for t in (0, 249, 250, 500, 750, 10**6)]
    assert momenta == pytest.approx([0.5, 0.5, 0.75, 5 / 6, 7 / 8, 0.99])


def test_a_momentum_that_changes_keeps_velocity_and_order() -> None:
    """Beside NumPy: four epochs of one batch, the momentum another in each."""
    import pyae

    X = np.random.default_rng(0).random((20, 6)).astype(np.float32)
    problem = deep_problems.DeepAutoencoder("small", (6, 4, 2), lambda: (X, X), "numbers")
    momenta = [0.5, 0.9, 0.25, 0.7]
    trainer = deep_trainers.PyaeTrainer(
        problem, X, pyae.optimizers.SGD(0.5, nesterov=True), 20, 1, momentum=momenta.__getitem__
    )
    model = problem.model("sgd", 1)
    w = model.get_weights()
    v = [np.zeros_like(a) for a in w]
    for momentum in momenta:
        model.set_weights(w)
        _, gradients = model.loss_and_gradients(X, X)
        v = [momentum * a - np.float32(0.5) * g for a, g in zip(v, gradients, strict=True)]
        w = [
            a + momentum * b - np.float32(0.5) * g for a, b, g in zip(w, v, gradients, strict=True)
        ]
        trainer.epoch()
    for mine, theirs in zip(w, trainer.weights(), strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-5, atol=1e-6)


def test_batches_grow_between_epochs() -> None:
    """Beside fits of those sizes, one after the other."""
    import pyae

    X = np.random.default_rng(0).random((20, 6)).astype(np.float32)
    problem = deep_problems.DeepAutoencoder("small", (6, 4, 2), lambda: (X, X), "numbers")
    trainer = deep_trainers.PyaeTrainer(
        problem, X, pyae.optimizers.KFAC(), 50, 1, smaller=((4, 5), (9, 8))
    )
    model = problem.model(pyae.optimizers.KFAC(), 1)
    for batch_size, updates in ((5, 4), (8, 7), (8, 10), (20, 11), (20, 12)):
        model.fit(X, epochs=1, batch_size=batch_size)
        trainer.epoch()
        assert trainer.updates == updates
    for mine, theirs in zip(model.get_weights(), trainer.weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", deep_problems.PROBLEMS)
def test_deep_problems_are_mirrored_with_a_linear_code(name: str) -> None:
    problem = deep_problems.PROBLEMS[name]
    assert problem.widths == problem.widths[::-1]
    code = problem.widths[1:].index(min(problem.widths))
    assert [i for i, a in enumerate(problem.activations) if a == "linear"] == [code]
    model = problem.model("sgd", 1)
    for kernel in model.get_weights()[::2]:
        assert ((kernel != 0).sum(axis=0) == min(15, len(kernel))).all()
    X = np.zeros((3, 784), dtype=np.float32)
    expected = np.square(model.predict(X).astype(np.float64)).sum() / 3
    assert deep_problems.squared_error(model, None, X) == pytest.approx(expected, rel=1e-6)


def test_deep_autoencoders_run_and_add_to_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = ("benchmarks.deep_autoencoders", "--problems", "curves", "--optimizers")
    run(tmp_path, *command, "adam", "nesterov")
    record = run(tmp_path, *command, "lbfgs", "adam")
    assert [case["optimizer"] for case in record["cases"]] == ["nesterov", "lbfgs", "adam", "adam"]
    for case in record["cases"]:
        first, last = case["points"][0], case["points"][-1]
        assert (first["seconds"], first["updates"]) == (0, 0)
        assert last["train"] < first["train"]
        assert last["updates"] == (1 if case["optimizer"] == "lbfgs" else 2)
    assert (tmp_path / "out.png").stat().st_size > 10_000
    text = report.render({"deep-autoencoders": record})
    assert "| nesterov | learning rate" in text


def test_deep_autoencoders_start_from_other_random_states(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = ("benchmarks.deep_autoencoders", "--problems", "curves", "--optimizers")
    run(tmp_path, *command, "sgd", "kfac", "--random-states", "0", "1")
    record = run(tmp_path, *command, "kfac", "--random-states", "1")
    cases = record["cases"]
    assert [(case["optimizer"], case["random_state"]) for case in cases] == [
        ("sgd", 0), ("kfac", 0), ("sgd", 1), ("kfac", 1)
    ]  # fmt: skip
    starts = [case["points"][0]["train"] for case in cases]
    assert starts[0] == starts[1] != starts[2] == starts[3]
    text = report.render({"deep-autoencoders": record})
    assert text.count("by random state: 0: ") == 2
