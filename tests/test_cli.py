"""The commands, end to end on files; what they write is compared with the library's own results."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyae
from pyae import cli
from pyae.cli import commands, tables, training
from pyae.cli.samples import Reading
from pyae.cli.trained import Trained

N = 80
NAMES = ["height", "weight", "age", "income"]


def samples() -> np.ndarray[Any, Any]:
    """Samples on a curved line through four features of very different scales, with noise."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, N)
    X = np.column_stack([170 + 10 * t, 70 + 8 * t + 4 * t**2, 40 + 5 * t**3, 30000 + 9000 * t])
    return X + rng.normal(size=X.shape) * [1, 1, 0.5, 500]


X = samples()
KINDS = np.array(["left", "right"])[(X[:, 0] > 170).astype(int)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file with an identifier, four numbers and a label."""
    path = tmp_path_factory.mktemp("data") / "people.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *NAMES, "kind"])
        writer.writerows([f"n{i}", *map(repr, X[i].tolist()), KINDS[i]] for i in range(N))
    return path


@pytest.fixture(scope="module")
def model(table: Path) -> Path:
    """A model of it, with two code units."""
    path = table.with_name("model.safetensors")
    arguments = [
        "train",
        str(table),
        "-o",
        str(path),
        "--drop",
        "name,kind",
        "--epochs",
        "60",
        "-q",
    ]
    assert cli.main(arguments) == 0
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as 8-bit images, (100, 8, 8)."""
    path = tmp_path_factory.mktemp("digits") / "digits.npy"
    values = pyae.datasets.load_digits()[0][:100]
    np.save(path, np.rint(values * 255).astype(np.uint8).reshape(-1, 8, 8))
    return path


@pytest.fixture(scope="module")
def denoiser(digits: Path) -> Path:
    path = digits.with_name("denoiser.safetensors")
    options = [
        "--kind",
        "denoising",
        "--noise",
        "gaussian:0.2",
        "--code",
        "16",
        "--epochs",
        "40",
        "-q",
    ]
    assert cli.main(["train", str(digits), "-o", str(path), *options]) == 0
    return path


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the columns a and b, with two code units."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "two.csv").write_text("a,b\n1,2\n2,4\n3,5\n")
    path = folder / "two.safetensors"
    assert cli.main(["train", str(folder / "two.csv"), "-o", str(path), "--epochs", "2", "-q"]) == 0
    return path


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def rows_of(path: Path) -> tuple[list[str], list[list[str]]]:
    with open(path, encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def numbers(rows: list[list[str]], columns: slice) -> Any:
    return np.array([row[columns] for row in rows], dtype=float)


def standardized(values: Any) -> Any:
    return (values - X.mean(axis=0)) / X.std(axis=0)


# ------------------------------------------------------------------------------ first ten minutes


def test_first_ten_minutes(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, as a newcomer would go about it: the errors on the way say what to do."""
    model, codes, picture = (tmp_path / n for n in ("m.safetensors", "codes.csv", "codes.png"))
    assert run("train", table, "-o", model) == 1
    err = capsys.readouterr().err
    assert "column 'name' is not numeric: 'n0' in line 2" in err
    assert "--drop name,kind" in err

    assert run("train", table, "-o", model, "--drop", "name,kind") == 0
    out, err = capsys.readouterr()
    assert "Autoencoder with 2 code units, trained on 80 samples of 4 features" in out
    assert "of the variance explained" in out
    assert "not used: name, kind" in err

    assert run("encode", model, table, "-o", codes, "--keep", "name") == 0
    head, rows = rows_of(codes)
    assert head == ["name", "code0", "code1"]
    assert len(rows) == N
    assert run("plot", "latent", model, table, "-o", picture, "--labels", "kind") == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("info", model) == 0
    assert "height, weight, age, income" in capsys.readouterr().out


# ------------------------------------------------------------------------------ each command


def test_train_says_what_came_out(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.safetensors"
    options = ["--columns", "height,age", "--code", "1", "--hidden", "8,4", "--epochs", "30"]
    assert run("train", table, "-o", path, *options, "--patience", "5", "--json") == 0
    out, _ = capsys.readouterr()
    result = json.loads(out)
    trained = Trained.load(path)
    network = trained.estimator.model_
    assert [layer.units for layer in network.layers] == [8, 4, 1, 4, 8, 2]
    assert trained.names == ["height", "age"]
    assert result["n_features"] == 2
    assert result["epochs"] == trained.estimator.n_iter_
    assert result["val_loss"] is not None
    scaled = standardized(X)[:, [0, 2]]
    restored = network.predict(scaled.astype(np.float32))
    error = ((restored - scaled) ** 2).sum(axis=1).mean()
    assert result["error"] == pytest.approx(error, rel=1e-5)
    assert result["explained_variance"] == pytest.approx(1 - error / 2, rel=1e-5)


def test_the_scale_is_part_of_the_model(model: Path, table: Path, tmp_path: Path) -> None:
    trained = Trained.load(model)
    network, scaled = trained.estimator.model_, standardized(X).astype(np.float32)
    assert run("encode", model, table, "-o", tmp_path / "codes.npy") == 0
    code = np.load(tmp_path / "codes.npy")
    np.testing.assert_allclose(code, network.forward(scaled, upto=2), rtol=1e-4, atol=1e-5)
    assert run("reconstruct", model, table, "-o", tmp_path / "restored.csv", "--keep", "name") == 0
    head, rows = rows_of(tmp_path / "restored.csv")
    assert head == ["name", *NAMES]
    assert [row[0] for row in rows[:2]] == ["n0", "n1"]
    expected = network.predict(scaled) * X.std(axis=0) + X.mean(axis=0)
    np.testing.assert_allclose(numbers(rows, slice(1, None)), expected, rtol=1e-5)
    # and from the codes alone
    assert run("decode", model, tmp_path / "codes.npy", "-o", tmp_path / "decoded.npz") == 0
    with np.load(tmp_path / "decoded.npz") as archive:
        np.testing.assert_allclose(archive["data"], expected, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".npy", ".npz", ".parquet"])
def test_codes_go_through_every_kind_of_file(
    model: Path, table: Path, suffix: str, tmp_path: Path
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    codes, decoded = tmp_path / f"codes{suffix}", tmp_path / "decoded.npy"
    assert run("encode", model, table, "-o", codes) == 0
    assert run("decode", model, codes, "-o", decoded) == 0
    assert run("reconstruct", model, table, "-o", tmp_path / "restored.npy") == 0
    np.testing.assert_allclose(np.load(decoded), np.load(tmp_path / "restored.npy"), rtol=1e-6)


def test_python_is_told_of_the_scale(
    model: Path, denoiser: Path, table: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """What the warning says to do gives the codes of the command."""
    codes = tmp_path / "codes.npy"
    assert run("encode", model, table, "-o", codes, "--drop", "name,kind") == 0
    pyae.load(denoiser)  # images are not scaled
    assert len(recwarn) == 0
    with pytest.warns(
        UserWarning, match=r"scaled features \(standard\).*\(X - offset\) / scale"
    ) as w:
        estimator = pyae.load(model)
    assert w[0].filename == __file__
    scaling = estimator.input_description_["scaling"]
    scaled = pd.DataFrame((X - scaling["offset"]) / scaling["scale"], columns=NAMES)
    np.testing.assert_array_equal(estimator.transform(scaled), np.load(codes))


def test_columns_are_found_by_name(model: Path, table: Path, tmp_path: Path) -> None:
    """In whatever order they are; a table without one of them is refused."""
    head, rows = rows_of(table)
    order = [4, 2, 0, 1, 3, 5]
    with open(tmp_path / "other.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[row[i] for i in order] for row in [head, *rows]])
    for source, name in ((table, "a.npy"), (tmp_path / "other.csv", "b.npy")):
        assert run("encode", model, source, "-o", tmp_path / name) == 0
    assert (np.load(tmp_path / "a.npy") == np.load(tmp_path / "b.npy")).all()


def test_score_finds_outliers(
    model: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, rows = rows_of(table)
    rows[7][2] = "140"  # a weight that does not fit the height
    odd = tmp_path / "odd.csv"
    with open(odd, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    scores = tmp_path / "scores.csv"
    assert run("score", model, odd, "--quantile", "0.99", "-o", scores, "--keep", "name") == 0
    assert "sample 8 " in capsys.readouterr().out
    head, rows = rows_of(scores)
    assert head == ["name", "error", "outlier"]
    assert rows[7][0] == "n7"
    assert float(rows[7][2]) == 1

    assert run("score", model, table, "--quantile", "0.9", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    trained = Trained.load(model)
    scaled = standardized(X)
    restored = trained.estimator.model_.predict(scaled.astype(np.float32))
    errors = ((restored - scaled) ** 2).sum(axis=1)
    np.testing.assert_allclose(result["errors"], errors, rtol=1e-4, atol=1e-6)
    assert result["n_outliers"] == N // 10  # of its own training data
    assert result["threshold"] == pytest.approx(np.quantile(errors, 0.9), rel=0.02)
    assert run("score", model, table, "--threshold", "0.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_outliers"] == int((errors > 0.5).sum())
    assert run("score", model, odd, "--quantile", "0.5", "--against", "input", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_outliers"] == N // 2


def test_images_are_denoised(denoiser: Path, digits: Path, tmp_path: Path) -> None:
    clean = np.load(digits) / 255
    noisy = clean + np.random.default_rng(1).normal(0, 0.2, clean.shape)
    np.save(tmp_path / "noisy.npy", noisy)
    assert run("denoise", denoiser, tmp_path / "noisy.npy", "-o", tmp_path / "clean.npy") == 0
    restored = np.load(tmp_path / "clean.npy")
    assert restored.shape == clean.shape
    assert 0 <= restored.min() < restored.max() <= 1
    assert np.square(restored - clean).mean() < 0.7 * np.square(noisy - clean).mean()


def test_pairs_of_noisy_and_clean(digits: Path, tmp_path: Path) -> None:
    clean = np.load(digits) / 255
    noisy = np.clip(clean + np.random.default_rng(1).normal(0, 0.3, clean.shape), 0, 1)
    np.savez(tmp_path / "pairs.npz", noisy=noisy)
    np.save(tmp_path / "clean.npy", clean)
    path = tmp_path / "m.safetensors"
    options = ["--kind", "denoising", "--clean", tmp_path / "clean.npy", "--code", 16, "-q"]
    assert run("train", tmp_path / "pairs.npz", "-o", path, *options, "--epochs", 60) == 0
    trained = Trained.load(path)
    restored = trained.restore(noisy.reshape(-1, 64))
    assert (
        np.square(restored - clean.reshape(-1, 64)).mean() < 0.5 * np.square(noisy - clean).mean()
    )


def test_folders_of_images(digits: Path, tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    folder = tmp_path / "digits"
    folder.mkdir()
    pixels = np.load(digits)
    for i, image in enumerate(pixels):
        image_module.fromarray(image).save(folder / f"digit{i:03}.png")
    (folder / "notes.txt").write_text("not an image")
    path, out = tmp_path / "m.safetensors", tmp_path / "restored"
    assert run("train", folder, "-o", path, "--code", 8, "--epochs", 30, "-q") == 0
    assert run("reconstruct", path, folder, "-o", out) == 0
    assert sorted(p.name for p in out.iterdir())[:2] == ["digit000.png", "digit001.png"]
    with image_module.open(out / "digit005.png") as image:
        written = np.asarray(image)
    trained = Trained.load(path)
    expected = trained.restore((pixels[5:6].reshape(1, 64) / 255).astype(np.float32))
    assert np.abs(written.ravel() - np.rint(expected[0] * 255)).max() <= 1
    assert run("encode", path, folder, "-o", tmp_path / "codes.csv", "--size", "8x8") == 0


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".npy", ".parquet"])
def test_images_to_files_of_all_kinds_and_back(suffix: str, digits: Path, tmp_path: Path) -> None:
    """The names of images are carried along wherever there is a place for them."""
    image_module = pytest.importorskip("PIL.Image")
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    folder, model = tmp_path / "images", tmp_path / "m.safetensors"
    folder.mkdir()
    pixels = np.load(digits)[:20]
    for i, image in enumerate(pixels):
        image_module.fromarray(image).save(folder / f"{i:02}.png")
    assert run("train", folder, "-o", model, "--code", "3", "--epochs", "2", "-q") == 0
    codes, back, again = (tmp_path / f"{name}{suffix}" for name in ("codes", "back", "again"))
    keep = [] if suffix == ".npy" else ["--keep", "file"]
    assert run("encode", model, folder, "-o", codes) == 0
    assert run("decode", model, codes, "-o", back, *keep) == 0
    assert run("reconstruct", model, folder, "-o", again) == 0
    made, expected = (tables.read_table(path, Reading(keep=keep[1:])) for path in (back, again))
    np.testing.assert_allclose(made.values, expected.values, atol=1e-6)
    names = [] if suffix == ".npy" else [f"{i:02}.png" for i in range(20)]
    assert made.texts.get("file", []) == expected.texts.get("file", []) == names
    assert run("decode", model, codes, "-o", tmp_path / "made", *keep) == 0
    made_names = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert made_names == (names or [f"{i:02}.png" for i in range(1, 21)])
    assert run("encode", model, folder, "-o", tmp_path / "c.csv", "--keep", "name") == 1


def test_names_that_numpy_savez_cannot_store(model: Path, table: Path, tmp_path: Path) -> None:
    head, rows = rows_of(table)
    source, codes = tmp_path / "a.csv", tmp_path / "codes.npz"
    with open(source, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file", *head[1:]], *rows])
    assert run("encode", model, source, "-o", codes, "--keep", "file,kind") == 0
    with np.load(codes) as archive:
        assert archive.files == ["data", "file", "kind"]
        assert archive["data"].shape == (N, 2)
        assert archive["file"].tolist() == [row[0] for row in rows]
        assert archive["kind"].tolist() == KINDS.tolist()


def test_links_stay_links(model: Path, table: Path, tmp_path: Path) -> None:
    for name in ("codes.csv", "picture.png", "m.onnx", "m.safetensors"):
        (tmp_path / name).symlink_to(tmp_path / f"real-{name}")
    columns = ["--columns", "age,height", "--epochs", "1", "-q"]
    assert run("encode", model, table, "-o", tmp_path / "codes.csv") == 0
    assert run("plot", "latent", model, table, "-o", tmp_path / "picture.png") == 0
    assert run("train", table, "-o", tmp_path / "m.safetensors", *columns) == 0
    assert run("export", model, "-o", tmp_path / "m.onnx") == 0
    for name in ("codes.csv", "picture.png", "m.onnx", "m.safetensors"):
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / f"real-{name}").is_file()
    assert len(list(tmp_path.iterdir())) == 8


def test_info(
    model: Path, denoiser: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", model, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["layers"] == [4, 128, 2, 128, 4]
    assert result["features"] == NAMES
    assert result["scale"] == "standard"
    assert result["parameters"] == sum(
        w.size for w in Trained.load(model).estimator.model_.get_weights()
    )
    assert run("info", denoiser) == 0
    out = capsys.readouterr().out
    assert "DenoisingAutoencoder, 64-128-16-128-64" in out
    assert "images         8 x 8" in out
    assert run("info") == 0
    pyae.show_config()
    both = capsys.readouterr().out.splitlines()
    assert both[: len(both) // 2] == both[len(both) // 2 :]
    assert run("info", "--json") == 0
    assert json.loads(capsys.readouterr().out) == pyae.show_config(as_dict=True)


PLOTS_OF_TABLES = ["learning", "latent", "errors", "reconstruction", "filters", "activity"]


@pytest.mark.parametrize("kind", PLOTS_OF_TABLES)
def test_plots_of_tables(kind: str, model: Path, table: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.png"
    inputs = [] if kind in ("learning", "filters") else [table]
    assert run("plot", kind, model, *inputs, "-o", picture) == 0
    assert picture.stat().st_size > 3000


@pytest.mark.parametrize(
    "arguments",
    [["grid"], ["reconstruction", "--images", "5", "--cmap", "gray_r"], ["filters"]],
    ids=lambda arguments: arguments[0],
)
def test_plots_of_images(
    arguments: list[str], denoiser: Path, digits: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    kind, *options = arguments
    assert run("plot", kind, denoiser, digits, "-o", tmp_path / "a.svg", *options) == 0
    assert (tmp_path / "a.svg").stat().st_size > 3000


def test_export_takes_the_scale_along(model: Path, table: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    output = tmp_path / "model.onnx"
    assert run("export", model, "-o", output) == 0
    session = runtime.InferenceSession(output.read_bytes(), providers=["CPUExecutionProvider"])
    restored, code = session.run(["reconstruction", "code"], {"X": X.astype(np.float32)})
    trained = Trained.load(model)
    np.testing.assert_allclose(code, trained.encode(standardized(X)), rtol=1e-3, atol=1e-3)
    expected = trained.restore(standardized(X))
    assert np.abs((restored - expected) / X.std(axis=0)).max() < 1e-3


def test_models_of_64_bits_take_values_of_64_bits(tmp_path: Path) -> None:
    values = np.array([[1.0, 2.0], [3.0, 1e200]])
    estimator = pyae.Autoencoder(1, max_epochs=1, dtype="float64", random_state=0).fit(np.eye(2))
    estimator.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "a.npy", values)
    assert (
        run("encode", tmp_path / "m.safetensors", tmp_path / "a.npy", "-o", tmp_path / "c.npy") == 0
    )
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), estimator.transform(values))


def test_export_of_a_scale_that_weights_cannot_hold(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("onnx")
    source, path = tmp_path / "a.csv", tmp_path / "m.safetensors"
    source.write_text("a,b\n1e-40,1\n3e-40,2\n2e-40,3\n")
    assert run("train", source, "-o", path, "--epochs", 2, "-q") == 0
    assert run("export", path, "-o", tmp_path / "m.onnx") == 1
    err = capsys.readouterr().err
    assert "m.safetensors: the scale of the features makes weights too large" in err
    assert not (tmp_path / "m.onnx").exists()


def test_sparse_codes(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.safetensors"
    options = [
        "--kind",
        "sparse",
        "--code",
        40,
        "--hidden",
        "",
        "--active",
        5,
        "--epochs",
        20,
        "-q",
    ]
    assert run("train", digits, "-o", path, *options) == 0
    assert run("encode", path, digits, "-o", tmp_path / "codes.npy") == 0
    assert (np.load(tmp_path / "codes.npy") != 0).sum(axis=1).max() <= 5


# ------------------------------------------------------------------------------ scripts and shells


@pytest.mark.parametrize(
    "command",
    [name for name in commands.pyae.commands if name != "demo"],  # which has a test of its own
)
def test_json_is_all_there_is_on_the_standard_output(
    command: str,
    model: Path,
    denoiser: Path,
    table: Path,
    digits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command == "export":
        pytest.importorskip("onnx")
    codes = tmp_path / "codes.csv"
    assert run("encode", model, table, "-o", codes) == 0
    capsys.readouterr()
    arguments = {
        "train": [table, "-o", tmp_path / "m.safetensors", "--drop", "name,kind", "--epochs", 2],
        "encode": [model, table, "-o", tmp_path / "a.csv"],
        "reconstruct": [model, table, "-o", tmp_path / "a.csv"],
        "decode": [model, codes, "-o", tmp_path / "a.csv"],
        "plot": ["errors", model, table, "-o", tmp_path / "a.png"],
        "denoise": [denoiser, digits, "-o", tmp_path / "a.npy"],
        "score": [model, table, "-o", tmp_path / "a.csv", "--quantile", "0.9"],
        "export": [model, "-o", tmp_path / "a.onnx"],
        "info": [model],
    }[command]
    assert run(command, *arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out)


NO_HEADER = "no header found: columns are called 1, 2, ...; give --header if the first line is one"


@pytest.mark.parametrize(
    ("text", "options", "notes"),
    [
        ("a,b\n1,2\n3,4\n", [], []),
        ("1,2\n3,4\n5,7\n", [], [NO_HEADER]),
        ("1,2\n3,4\n5,7\n", ["--no-header"], []),
        ("2019,2020\n3,4\n5,7\n", ["--header"], []),
        ("a,b,c\n1,2,x\n3,4,y\n", ["--drop", "c"], ["not used: c"]),
        ("a,b,c,d\n1,2,x,u\n3,4,y,v\n", ["--drop", "c", "--drop", "d"], ["not used: c, d"]),
        ("a,b,c,d\n1,2,x,u\n3,4,y,v\n", ["--columns", "a", "--columns", "b"], ["not used: c, d"]),
    ],
)
def test_what_was_not_asked_for_is_noted_but_not_if_quiet(
    text: str, options: list[str], notes: list[str], tmp_path: Path, capsys: Any
) -> None:
    source = tmp_path / "a.csv"
    source.write_text(text)
    arguments = ["train", source, "-o", tmp_path / "m.safetensors", "--epochs", 2, *options]
    assert run(*arguments) == 0
    out, err = capsys.readouterr()
    assert "Autoencoder with 2 code units, trained on" in out
    said = [line for line in err.splitlines() if line.startswith("pyae: ")]
    assert len(said) == len(notes)
    for line, note in zip(said, notes, strict=True):
        assert note in line
    assert run(*arguments, "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert run(*arguments, "-q", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["n_features"] == 2
    assert err == ""


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(
    ("method", "category"),
    [("fit", UserWarning), ("fit", RuntimeWarning), ("reconstruction_error", UserWarning)],
)
def test_warnings_are_one_line_and_none_if_quiet(
    method: str,
    category: type[Warning],
    quiet: bool,
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In training and after it; of Python's file:line nothing is left."""
    original = getattr(pyae.Autoencoder, method)

    def warning(*args: Any, **kwargs: Any) -> Any:
        warnings.warn("not converged\n  in time", category, stacklevel=1)
        return original(*args, **kwargs)

    monkeypatch.setattr(pyae.Autoencoder, method, warning)
    options = ["--columns", "height,age", "--epochs", 2, *(["-q"] if quiet else [])]
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a process of its own
        assert run("train", table, "-o", tmp_path / "m.safetensors", *options) == 0
    err = capsys.readouterr().err
    if quiet:
        assert err == ""
    else:
        assert "pyae: warning: not converged in time\n" in err
        assert "test_cli" not in err
        assert "UserWarning" not in err


@pytest.mark.parametrize(
    "options",
    [
        ["--columns", "age,height", "--learning-rate", "1e30"],
        ["--columns", "age,height", "--loss", "mse2"],
        ["--columns", "age,name"],
        [],
    ],
    ids=["diverged", "unknown loss", "words", "no choice"],
)
def test_a_run_that_fails_leaves_the_model_there_was(
    options: list[str], model: Path, table: Path, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(model.read_bytes())
    assert run("train", table, "-o", path, "-q", *options) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert path.read_bytes() == model.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "options",
    [
        ["--keep", "name,kind"],
        ["--keep", "name", "--keep", "kind"],
        ["--keep", '"name", kind', "--keep", "name"],
    ],
)
def test_repeated_options_add_up(
    options: list[str], model: Path, table: Path, tmp_path: Path
) -> None:
    assert run("encode", model, table, "-o", tmp_path / "codes.csv", *options) == 0
    assert rows_of(tmp_path / "codes.csv")[0] == ["name", "kind", "code0", "code1"]


def test_a_name_with_a_comma(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the error says to write is what the option takes."""
    source, path = tmp_path / "a.csv", tmp_path / "m.safetensors"
    source.write_text('x,"it\'s a name, of sorts",y,k\n1,u,2,v\n2,v,4,w\n')
    assert run("train", source, "-o", path) == 1
    message = capsys.readouterr().err
    option = message.partition("--drop ")[2].partition(", or choose")[0]
    assert run("train", source, "-o", path, "--epochs", 1, "--drop", *shlex.split(option)) == 0
    assert Trained.load(path).names == ["x", "y"]


def test_as_a_process(tmp_path: Path) -> None:
    """Exit codes, one-line errors and completion, as a shell sees them."""

    def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pyae.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )

    failed = shell("encode", str(tmp_path / "none.safetensors"), "x.csv", "-o", "y.csv")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith("pyae: there is no model file")
    assert failed.stderr.count("\n") == 1
    completed = shell(_PYAE_COMPLETE="bash_complete", COMP_WORDS="pyae rec", COMP_CWORD="1")
    assert completed.stdout == "plain,reconstruct\n"
    assert "_PYAE_COMPLETE=bash_complete" in shell(_PYAE_COMPLETE="bash_source").stdout


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--help"], ["pyae encode model.safetensors data.csv -o codes.csv"]),
        (["--help"], ['eval "$(_PYAE_COMPLETE=bash_source pyae)"']),
        (
            ["plot", "--help"],
            [
                "latent          codes as points in the plane",
                "errors          the distribution of reconstruction errors",
            ],
        ),
        *(([name, "--help"], []) for name in commands.pyae.commands),
    ],
)
def test_help_keeps_its_lines(
    arguments: list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 0
    out = capsys.readouterr().out
    assert "\\b" not in out
    assert "\b" not in out
    assert set(lines) <= {line.strip() for line in out.splitlines()}


def test_help_is_there_at_once() -> None:
    """What takes time to import is imported by the commands that need it."""
    code = (
        "import sys\n"
        "from pyae import cli\n"
        "assert cli.main(['--help']) == 0\n"
        "assert cli.main(['train', '--help']) == 0\n"
        "assert cli.main(['--version']) == 0\n"
        "heavy = {'numpy', 'sklearn', 'matplotlib', 'scipy', 'pandas', 'pyarrow', 'PIL', 'rich'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------ errors


BAD_LINES: list[tuple[list[str], str]] = [
    ([], "Usage: pyae"),
    (["nothing"], "No such command 'nothing'"),
    (["encod"], "No such command 'encod'"),
    (["train"], "Missing argument 'INPUT'"),
    (["train", "{table}"], "Missing option '-o'"),
    (["train", "{table}", "-o", "{new}", "--code", "0"], "0 is not in the range x>=1"),
    (["train", "{table}", "-o", "{new}", "--hidden", "a"], "write sizes such as 128,64"),
    (["train", "{table}", "-o", "{new}", "--kind", "deep"], "'deep' is not one of"),
    (
        ["train", "{table}", "-o", "{new}", "--noise", "gaussian:1"],
        "--noise is for --kind denoising",
    ),
    (["train", "{table}", "-o", "{new}", "--active", "3"], "--active is for --kind sparse"),
    (
        ["train", "{table}", "-o", "{new}", "--kind", "sparse", "--code-activation", "relu"],
        "--code-activation cannot be used with --kind sparse",
    ),
    *(
        (
            ["train", "{table}", "-o", "{new}", "--learning-rate", value],
            f"'--learning-rate': '{value}' is not a finite number",
        )
        for value in ("nan", "inf", "-nan")
    ),
    *(
        (["score", "{model}", "{table}", *options, value], f"'{value}' is not a finite number")
        for options in (["--threshold"], ["--json", "--threshold"])
        for value in ("nan", "NaN", "inf")
    ),
    (["score", "{model}", "{table}", "--quantile", "nan"], "'nan' is not a finite number"),
    (
        ["plot", "errors", "{model}", "{table}", "-o", "{png}", "--quantile", "nan"],
        "'nan' is not a finite number",
    ),
    (["train", "{table}", "-o", "{new}", "--seed", "-1"], "allowed are integers from 0 to"),
    (["train", "{table}", "-o", "{new}", "--delimiter", "ab"], "one character or 'tab'"),
    (["train", "{table}", "-o", "{new}", "--size", "8*8"], "such as 28x28"),
    (["plot", "latent", "{model}", "-o", "{png}"], "'plot latent' needs samples"),
    (["plot", "latent", "{model}", "{table}", "-o", "{png}", "--components", "1"], "two numbers"),
    (["score", "{model}", "{table}", "--quantile", "1.5"], "1.5 is not in the range"),
    (["score", "{model}", "{table}", "--quantile", "0.9", "--threshold", "1"], "not both"),
    (["train", "{table}", "-o", "{new}", "--drop", "name", "kind"], "written with commas"),
    (
        ["train", "{table}", "-o", "{new}", "--columns", "age", "--columns", "name", "--drop=kind"],
        "give --columns or --drop, not both",
    ),
    (["train", "{table}", "-o", "{new}", "--columns", "age", "--drop", "name"], "not both"),
]
FAILURES: list[tuple[list[str], str]] = [
    (["train", "none.csv", "-o", "{new}"], "there is no file or folder 'none.csv'"),
    (["train", "{table}", "-o", "{table}"], "has the suffix '.csv'"),
    (["train", "{table}", "-o", "m.txt"], "allowed are .safetensors"),
    (["train", "{table}", "-o", "none/m.safetensors"], "there is no folder 'none'; make it first"),
    (
        ["train", "{table}", "-o", "{new}", "--drop", "names"],
        "--drop: no column 'names' (did you mean 'name'?); columns: name, height",
    ),
    (
        ["train", "{table}", "-o", "{new}", "--drop", "kind", "--drop", "names,age"],
        "--drop: no column 'names'",
    ),
    (["train", "{table}", "-o", "{new}", "--columns", "age", "--columns", "age"], "there twice"),
    (["encode", "{model}", "{table}", "-o", "{csv}", "--keep", "nmae"], "did you mean 'name'?"),
    (["encode", "{model}", "{table}", "-o", "{csv}", "--drop", "age"], "the model needs column"),
    (
        ["train", "{table}", "-o", "{new}", "--columns", "age", "--loss", "mse2"],
        "unknown loss 'mse2'",
    ),
    (["train", "{table}", "-o", "{new}", "--columns", "age", "--activation", "rely"], "'relu'"),
    (
        [
            "train",
            "{table}",
            "-o",
            "{new}",
            "--columns",
            "age,height",
            "--learning-rate",
            "1e30",
            "-q",
        ],
        "training diverged in epoch 1 of 200; try a smaller --learning-rate",
    ),
    (
        [
            *("train", "{table}", "-o", "{new}", "--columns", "age,height"),
            *("--code", str(2**31 - 1), "--hidden", str(2**23)),
        ],
        " parameters alone, more than there is: use smaller layers (--code, --hidden, --batch-size",
    ),
    *(
        (
            ["train", "{huge}", "-o", "{new}", "--scale", scale],
            "column 'b' has values from 2 to 1e+200, too large for numbers of 32 bits; bring",
        )
        for scale in ("standard", "minmax", "none")
    ),
    (["encode", "{of_two}", "{huge}", "-o", "{csv}"], "column 'b' has values from 2 to 1e+200"),
    (["score", "{of_two}", "{huge}"], "column 'b' has values from 2 to 1e+200"),
    (
        ["decode", "{of_two}", "{huge}", "-o", "{csv}", "--columns", "a,b"],
        "column 'b' has values from 2 to 1e+200",
    ),
    (
        ["train", "{table}", "-o", "{new}", "--columns", "age", "--loss", "binary_crossentropy"],
        "use --scale minmax",
    ),
    (["encode", "none", "{table}", "-o", "{csv}"], "there is no model file 'none'"),
    (["encode", "{table}", "{table}", "-o", "{csv}"], "people.csv' is a .csv file; give a file"),
    *(
        (
            [*command, "{table}", "{model}", *output],
            "people.csv' is a .csv file, and INPUT '{model}' a model; did you swap them?",
        )
        for command, output in (
            (["encode"], ["-o", "{csv}"]),
            (["decode"], ["-o", "{csv}"]),
            (["reconstruct"], ["-o", "{csv}"]),
            (["denoise"], ["-o", "{csv}"]),
            (["score"], []),
            (["plot", "latent"], ["-o", "{png}"]),
        )
    ),
    (["score", "{folder}", "{model}"], "is a folder, and INPUT '{model}' a model; did you swap"),
    (["info", "{folder}"], "is a folder; give a file that 'pyae train' made"),
    (["info", "{table}"], "people.csv' is a .csv file; give a file that 'pyae train' made"),
    (["export", "{digits}", "-o", "m.onnx"], "digits.npy' is a .npy file; give a file that"),
    (["encode", "{model}", "{model}", "-o", "{csv}"], "this is a model, not its samples"),
    (["train", "{model}", "-o", "{new}"], "this is a model, not its samples"),
    (["train", "{one}", "-o", "{new}", "--patience", "3"], "--patience holds out samples, but"),
    (
        ["encode", "{model}", "{table}", "-o", "{table}"],
        "is also an input and would be overwritten",
    ),
    (["encode", "{model}", "{table}", "-o", "a.doc"], "suffix '.doc'"),
    (
        ["encode", "{model}", "{digits}", "-o", "{csv}"],
        "64 features, but the model was trained on 4",
    ),
    (
        ["decode", "{model}", "{digits}", "-o", "{csv}"],
        "64 columns, but codes of this model have 2",
    ),
    (
        ["encode", "{model}", "{named}", "-o", "{csv}", "--keep", "code1"],
        "a column 'code1' already",
    ),
    (["encode", "{model}", "{named}", "-o", "{npz}", "--keep", "data"], "a column 'data' already"),
    (["encode", "{model}", "{table}", "-o", "{npy}", "--keep", "name"], "a .npy file holds no"),
    (
        ["reconstruct", "{model}", "{table}", "-o", "{csv}", "--keep", "age"],
        "a column 'age' already",
    ),
    (["decode", "{model}", "{table}", "-o", "{csv}", "--keep", "age"], "a column 'age' already"),
    (["score", "{model}", "{named}", "-o", "{csv}", "--keep", "error"], "a column 'error' already"),
    (["reconstruct", "{denoiser}", "{digits}", "-o", "{folder}"], "is there already; choose"),
    (["denoise", "{model}", "{table}", "-o", "{csv}"], "train with --kind denoising"),
    (["plot", "grid", "{model}", "{table}", "-o", "{png}"], "trained on a table"),
    (["plot", "errors", "{model}", "{table}", "-o", "a.doc"], "suffix '.doc'"),
    (["plot", "latent", "{model}", "{table}", "-o", "{png}", "--labels", "no"], "no column 'no'"),
    (["plot", "latent", "{model}", "{table}", "-o", "{png}", "--components", "0,5"], "from 0 to 1"),
    (
        ["plot", "latent", "{denoiser}", "{rgb}", "-o", "{png}"],
        "images of 4 x 4 x 3, but the model",
    ),
    (["export", "{model}", "-o", "m.pb"], "allowed are .onnx"),
]


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [(*case, 2) for case in BAD_LINES] + [(*case, 1) for case in FAILURES],
)
def test_errors_say_what_to_do(
    arguments: list[str],
    message: str,
    code: int,
    model: Path,
    table: Path,
    digits: Path,
    denoiser: Path,
    of_two: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "rgb.npy", np.zeros((5, 4, 4, 3), np.uint8))
    head, rows = rows_of(table)
    named = tmp_path / "named.csv"
    with open(named, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [[*head, "code1", "data", "error"], *(r + ["1"] * 3 for r in rows)]
        )
    huge = tmp_path / "huge.csv"
    huge.write_text("a,b\n1,2\n2,1e200\n")
    one = tmp_path / "one.csv"
    one.write_text("a,b\n1,2\n")
    places = {
        "one": one,
        "of_two": of_two,
        "huge": huge,
        "model": model,
        "table": table,
        "digits": digits,
        "denoiser": denoiser,
        "new": tmp_path / "new.safetensors",
        "csv": tmp_path / "new.csv",
        "png": tmp_path / "new.png",
        "rgb": tmp_path / "rgb.npy",
        "npz": tmp_path / "new.npz",
        "npy": tmp_path / "new.npy",
        "folder": table.parent,
        "named": named,
    }
    before = {path: path.read_bytes() for path in (model, table, digits)}
    capsys.readouterr()
    assert run(*[argument.format(**places) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message.format(**places) in err
    if arguments:
        assert err.startswith("pyae: ")
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "huge.csv",
        "named.csv",
        "one.csv",
        "rgb.npy",
    ]


def test_ctrl_c_leaves_no_file(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pyae.Autoencoder, "fit", interrupted)
    options = ["--columns", "age,height", "-o", tmp_path / "m.safetensors"]
    assert run("train", table, *options) == 130
    assert capsys.readouterr().err == "pyae: interrupted\n"
    assert list(tmp_path.iterdir()) == []


class InterruptAfter(pyae.callbacks.Callback):
    """Stands for Ctrl-C after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: object) -> None:
        if epoch + 1 == self.epochs:
            raise KeyboardInterrupt


def interrupt_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = training._estimator

    def interrupted(*args: Any) -> Any:
        return made(*args).set_params(callbacks=InterruptAfter(epochs))

    monkeypatch.setattr(training, "_estimator", interrupted)


@pytest.mark.parametrize("options", [[], ["-q"], ["--json"]], ids=repr)
@pytest.mark.parametrize("kind", ["autoencoder", "sparse", "denoising"])
def test_ctrl_c_leaves_the_model_so_far(
    kind: str,
    options: list[str],
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    interrupt_after(3, monkeypatch)
    path = tmp_path / "m.safetensors"
    arguments = ["--columns", "age,height", "--kind", kind, "-o", path, *options]
    assert run("train", table, *arguments) == 130
    out, err = capsys.readouterr()
    said = f"pyae: interrupted after 3 of 200 epochs; the model so far: {path}\n"
    assert out == ""
    assert err == said if options == ["-q"] else err.endswith(said)  # below the progress bar
    assert Trained.load(path).estimator.n_iter_ == 3
    assert run("score", path, table, "--quantile", 0.9, "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["threshold"] == pytest.approx(np.quantile(scores["errors"], 0.9), rel=1e-6)


def test_ctrl_c_leaves_the_model_there_was(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old file stays, and so does what an earlier Ctrl-C left."""
    interrupt_after(2, monkeypatch)
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    for name in ("m.interrupted.safetensors", "m.interrupted2.safetensors"):
        assert run("train", table, "--columns", "age,height", "-o", path) == 130
        message = f"the model so far: {tmp_path / name}; {path} is as it was\n"
        assert capsys.readouterr().err.endswith(message)
        assert Trained.load(tmp_path / name).estimator.n_iter_ == 2
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("after", [None, 2])
def test_ctrl_c_while_errors_are_computed_leaves_the_model(
    after: int | None, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """After a whole training, or the second Ctrl-C of two."""

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    if after is not None:
        interrupt_after(after, monkeypatch)
    monkeypatch.setattr(Trained, "learn_errors", interrupted)
    path = tmp_path / "m.safetensors"
    assert run("train", table, "--columns", "age,height", "--epochs", 4, "-o", path) == 130
    assert f"interrupted after {after or 4} of 4 epochs" in capsys.readouterr().err
    assert Trained.load(path).estimator.n_iter_ == (after or 4)


def test_an_output_is_replaced_whole_or_not_at_all(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "codes.csv"
    output.write_text("old")

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(output))

    with monkeypatch.context() as patch:
        patch.setattr("pyae.cli.csv_files.write_csv", broken)
        assert run("encode", model, table, "-o", output) == 1
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]
    assert run("encode", model, table, "-o", output) == 0
    assert output.read_text() != "old"
