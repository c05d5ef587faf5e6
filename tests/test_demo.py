"""The demonstration, and the command that runs it."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import pyae
from pyae import cli, demo
from pyae.datasets import load_digits

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for moments only, where what is learned does not matter."""
    monkeypatch.setattr(demo, "EPOCHS", 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo.DemoResult, str]:
    """The whole demonstration, once: its result and what it printed."""
    stream = io.StringIO()
    result = demo.run(tmp_path_factory.mktemp("demo") / "digits.png", stream=stream)
    return result, stream.getvalue()


def test_autoencoder_is_clearly_better_than_pca(whole: tuple[demo.DemoResult, str]) -> None:
    result, _ = whole
    assert result["error_pyae"] < 0.6 * result["error_pca_best"]
    assert result["error_pca_best"] < result["error_pca"] < result["error_noisy"]


def test_pca_is_scikit_learns(whole: tuple[demo.DemoResult, str]) -> None:
    from sklearn.decomposition import PCA  # type: ignore[import-untyped, unused-ignore]

    result, _ = whole
    X, _ = load_digits()
    rows = np.arange(len(X))
    train, test = X[rows % 5 != 4], X[rows % 5 == 4]
    assert (result["n_train"], result["n_test"]) == (len(train), len(test)) == (1438, 359)
    noise = np.random.default_rng(0).standard_normal(test.shape, dtype=np.float32)
    noisy = test + np.float32(result["noise_stddev"]) * noise

    def error(n_components: int) -> float:
        pca = PCA(n_components, svd_solver="full").fit(train)
        restored = pca.inverse_transform(pca.transform(noisy))
        return float(((restored - test) ** 2).sum(axis=1).mean())

    errors = {k: error(k) for k in range(1, 65)}
    assert result["pca_best_components"] == min(errors, key=lambda k: errors[k])
    assert result["error_pca_best"] == pytest.approx(min(errors.values()), rel=1e-4)
    assert result["error_pca"] == pytest.approx(errors[result["code_units"]], rel=1e-4)
    expected = ((noisy - test).astype(float) ** 2).sum(axis=1).mean()
    assert result["error_noisy"] == pytest.approx(expected, rel=1e-6)


def test_picture(whole: tuple[demo.DemoResult, str]) -> None:
    from matplotlib.image import imread

    result, _ = whole
    pixels = imread(result["output"])
    assert pixels.shape == (810, 1560, 4)
    assert pixels[..., 3].min() == 1  # readable on a dark page, too
    assert len(np.unique(pixels[..., :3])) > 50


def test_text(whole: tuple[demo.DemoResult, str]) -> None:
    result, text = whole
    lines = text.splitlines()
    for label, key in [
        ("noisy", "error_noisy"),
        ("PCA, 32 components", "error_pca"),
        (f"PCA, {result['pca_best_components']} components", "error_pca_best"),
        ("pyae, code of 32", "error_pyae"),
    ]:
        value = result[key]  # type: ignore[literal-required]
        assert any(re.match(rf"  {re.escape(label)} +{value:.3f}\b", line) for line in lines)
    assert any(line.startswith(f"epoch {demo.EPOCHS}/{demo.EPOCHS} ") for line in lines)
    assert lines[-1] == f"picture: {result['output']}"


@pytest.mark.usefixtures("short")
def test_a_seed_repeats(tmp_path: Path) -> None:
    errors = [
        demo.run(tmp_path / "a.svg", seed=seed, verbose=0)["error_pyae"] for seed in (0, 0, 1)
    ]
    assert errors[0] == errors[1] != errors[2]


@pytest.mark.usefixtures("short")
def test_no_window_and_no_global_state(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    demo.run(tmp_path / "a.png", verbose=0)
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        pytest.fail("it should not have come so far")

    monkeypatch.setattr(demo, "load_digits", fail)
    with pytest.raises(ValueError, match=r"suffix '\.doc'; allowed are .*\.png"):
        demo.run(tmp_path / "a.doc")
    with pytest.raises(ValueError, match="suffix ''"):
        demo.run(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        demo.run(tmp_path / "none" / "a.png")
    with pytest.raises(ValueError, match="seed=-1; allowed are integers >= 0"):
        demo.run(tmp_path / "a.png", seed=-1)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'pyae[plot]'")):
        demo.run(tmp_path / "a.png")


# The command


@pytest.mark.usefixtures("short")
def test_command_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    assert cli.main(["demo", "--output", str(path), "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(f"picture: {path}\n")
    assert err == ""
    path.unlink()
    assert cli.main(["demo", "--output", str(path), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert path.stat().st_size > 1000


@pytest.mark.usefixtures("short")
def test_command_demo_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    assert cli.main(["demo", "-o", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["output"] == str(path)
    assert f"picture: {path}" in err


def test_command_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"pyae {pyae.__version__}\n"
    assert cli.main(["demo", "--help"]) == 0
    assert "--seed N" in capsys.readouterr().out
    assert cli.main([]) == 2
    assert "demo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["demo", "--seed", "x"], "Invalid value for '--seed': 'x'; allowed are integers from 0"),
        (["demo", "--seed=-1"], "Invalid value for '--seed': '-1'"),
        (["demo", "--seed", "9" * 5000], "Invalid value for '--seed'"),
        (["demo", "--loud"], "No such option"),
        (["demo", "--output"], "Option '--output' requires an argument"),
    ],
)
def test_command_lines_that_make_no_sense(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pyae: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("bad\nvalue"), 1, "pyae: bad value\n"),
        (ImportError("pip install it"), 1, "pyae: pip install it\n"),
        (FileNotFoundError(2, "No such file", "a.png"), 1, "pyae: a.png: No such file"),
        (RuntimeError("odd"), 1, "pyae: RuntimeError: odd\n"),
        (KeyboardInterrupt(), 130, "pyae: interrupted\n"),
    ],
)
def test_errors_are_one_line(
    error: BaseException,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(demo, "run", fail)
    assert cli.main(["demo"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
