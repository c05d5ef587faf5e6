"""Every example runs, and what it claims holds."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyae

pytest.importorskip("matplotlib")

FOLDER = Path(__file__).parents[1] / "examples"
if not FOLDER.is_dir():
    pytest.skip("the examples are not installed with the package", allow_module_level=True)


def linear_autoencoder_is_pca(results: dict[int, dict[str, float]]) -> None:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped, unused-ignore]
    from sklearn.decomposition import PCA  # type: ignore[import-untyped, unused-ignore]

    X = load_digits().data / 16
    for k, result in results.items():
        pca = PCA(k, svd_solver="full").fit(X)
        floor = np.square(pca.inverse_transform(pca.transform(X)) - X).sum(axis=1).mean()
        assert result["error"] == pytest.approx(floor, rel=1e-6)
        assert result["error"] >= floor * (1 - 1e-9)  # float32 images, float64 sums
        assert result["angle"] < 1e-3
    assert list(results) == [2, 8, 16, 32]


def denoising_digits(errors: dict[str, float]) -> None:
    assert errors["noisy"] == pytest.approx(64 * 0.25, rel=0.05)
    assert errors["pyae"] < 0.65 * errors["PCA"] < errors["PCA"] < 0.5 * errors["noisy"]


def digits_in_two_dimensions(results: dict[str, dict[str, float]]) -> None:
    by_pca, by_pyae = results["PCA"], results["autoencoder"]
    assert by_pyae["explained"] > 1.6 * by_pca["explained"]
    assert by_pyae["neighbours"] > by_pca["neighbours"] + 0.2


def swiss_roll(results: dict[str, dict[str, float]]) -> None:
    by_pca, by_pyae = results["PCA"], results["autoencoder"]
    assert by_pyae["error"] < 0.05 * by_pca["error"]
    assert by_pyae["place"] > by_pca["place"] + 0.1


def sparse_parts_of_digits(results: dict[str, float]) -> None:
    assert results["sparse"] > results["pca"] + 0.1
    assert results["most_active"] <= 6
    assert results["dead"] <= 6


def universal_approximation(results: dict[str, Any]) -> None:
    assert results["set_error"] == 0
    assert results["learned_error"] < 1e-6
    built, learned = list(results["built"].values()), list(results["learned"].values())
    assert built == sorted(built, reverse=True)
    assert built[-1] < built[-2] / 3.5  # twice the width, about a quarter of the error
    assert learned == sorted(learned, reverse=True)
    assert all(a < b for a, b in zip(learned, built, strict=True))


def logistic_regression(results: dict[str, Any]) -> None:
    of_pyae, of_sklearn = results["objectives"].values()
    assert of_pyae <= of_sklearn * (1 + 1e-8)
    assert results["same"] == 1
    assert results["accuracy"] > 0.94
    assert results["gradient_error"] < 1e-12


def regularization(results: dict[str, dict[str, float]]) -> None:
    nothing = results["nothing"]
    for name, result in results.items():
        if name != "nothing":
            assert result["train"] > nothing["train"]
            assert result["test"] < nothing["test"]
    assert results["L1"]["small"] == max(result["small"] for result in results.values())


def specific_to_its_data(results: dict[str, dict[str, float]]) -> None:
    assert results["digits"]["share"] < 0.12
    assert results["digits"]["found"] < 0.02
    for name in ("shuffled pixels", "photographs"):
        assert results[name]["share"] > 10 * results["digits"]["share"]
        assert results[name]["found"] > 0.95


def not_better_than_jpeg(ratios: dict[str, dict[str, list[float]]]) -> None:
    for of_picture in ratios.values():
        assert len(of_picture["this"]) >= 4
        assert min(of_picture["this"]) > 1  # JPEG's error is smaller at every size
        assert np.mean(of_picture["other"]) > np.mean(of_picture["this"])


def second_order(results: dict[str, dict[str, list[float]]]) -> None:
    ours = results.pop("K-FAC")["error"]
    best = np.min([result["error"] for result in results.values()], axis=0)  # epoch by epoch
    assert len(results) == 3
    assert best[9] > 4.5  # the mean digit's error is 4.7
    assert ours[19] < 4
    assert ours[29] < 0.75 * best[29]
    assert ours[59] < 0.75 * best[59]
    assert ours[59] < best[239]


CLAIMS: dict[str, Callable[[Any], None]] = {
    claim.__name__: claim
    for claim in (
        denoising_digits,
        digits_in_two_dimensions,
        swiss_roll,
        sparse_parts_of_digits,
        linear_autoencoder_is_pca,
        universal_approximation,
        logistic_regression,
        regularization,
        specific_to_its_data,
        not_better_than_jpeg,
        second_order,
    )
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from matplotlib.image import imread

    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    picture = tmp_path / "picture.png"
    results = example.main(str(picture))
    assert f"picture: {picture}" in capsys.readouterr().out
    CLAIMS[name](results)
    pixels = imread(picture)
    assert min(pixels.shape[:2]) > 250
    assert pixels[..., :3].std() > 0.02


def test_every_example_is_here_and_in_the_list() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names == set(CLAIMS)
    listed = re.findall(r"\[(\w+)\.py\]\((\w+)\.py\)", (FOLDER / "README.md").read_text("utf-8"))
    assert listed == [(name, name) for name in CLAIMS]


def test_as_a_script(tmp_path: Path) -> None:
    """It writes into the current folder when no path is given."""
    done = subprocess.run(
        [sys.executable, FOLDER / "logistic_regression.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(pyae.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert (tmp_path / "logistic_regression.png").stat().st_size > 3000
