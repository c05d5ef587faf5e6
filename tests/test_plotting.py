"""The pictures: what they show is compared with numbers computed here, and all of it is drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyae

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from pyae import plotting  # noqa: E402
from pyae.plotting.images import as_image_shape, mosaic  # noqa: E402

rng = np.random.default_rng(0)
IMAGES = rng.random((30, 64))
LABELS = np.arange(30) % 3
CODE = np.maximum(rng.normal(-1, 1, (200, 12)), 0)
CODE[:, 4] = 0


@pytest.fixture(scope="module")
def network() -> pyae.Sequential:
    """A small trained autoencoder, 64-20-3-20-64."""
    model = pyae.Sequential(
        [pyae.Dense(20, "relu"), pyae.Dense(3), pyae.Dense(20, "relu"), pyae.Dense(64)],
        random_state=0,
    )
    model.fit(IMAGES, epochs=5, validation_data=IMAGES[:8])
    return model


@pytest.fixture(scope="module")
def autoencoder() -> Any:
    return pyae.Autoencoder(3, hidden_layer_sizes=(20,), max_epochs=5, random_state=0).fit(IMAGES)


# One way to make each display, from numbers alone.
MAKERS: dict[str, Callable[..., Any]] = {
    "learning": lambda **kw: plotting.LearningCurveDisplay.from_history(
        {"loss": [3.0, 1.0, 0.1], "val_loss": [3.0, 1.5, 1.6]}, **kw
    ),
    "reconstruction": lambda **kw: plotting.ReconstructionDisplay.from_predictions(
        IMAGES, 0.9 * IMAGES, **kw
    ),
    "latent": lambda **kw: plotting.LatentSpaceDisplay.from_predictions(
        CODE, np.arange(200) % 4, **kw
    ),
    "grid": lambda **kw: plotting.LatentGridDisplay.from_images(
        IMAGES, (0, 1, 0, 2), n_columns=6, **kw
    ),
    "filters": lambda **kw: plotting.FiltersDisplay.from_weights(IMAGES - 0.5, **kw),
    "activity": lambda **kw: plotting.CodeActivityDisplay.from_predictions(CODE, **kw),
    "errors": lambda **kw: plotting.ErrorDistributionDisplay.from_predictions(
        np.square(IMAGES).sum(axis=1), quantile=0.9, **kw
    ),
}


# ------------------------------------------------------------------------------ all displays alike


@pytest.mark.parametrize("name", MAKERS)
def test_draws_into_a_given_axes_and_on_its_own(name: str, tmp_path: Path) -> None:
    figure = Figure(layout="constrained")
    ax = figure.add_subplot(1, 2, 1)
    display = MAKERS[name](ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    again = display.plot()
    assert again is display
    assert display.ax_ is not ax
    path = display.save(tmp_path / "a.svg" if name == "latent" else tmp_path / "a.png")
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_cut_off_and_no_texts_overlap(name: str) -> None:
    display = MAKERS[name]()
    figure = display.figure_
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    whole = figure.bbox
    ax = display.ax_
    texts = [ax.xaxis.label, ax.yaxis.label]
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        texts += [label for place, label in ticks if low <= place <= high]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    for box in boxes:
        inside = (box.x0 > -1, box.y0 > -1, box.x1 < whole.x1 + 1, box.y1 < whole.y1 + 1)
        assert all(inside), (name, box)
    for i, a in enumerate(boxes):
        assert not any(a.padded(-1).overlaps(b.padded(-1)) for b in boxes[i + 1 :])


@pytest.mark.parametrize("name", MAKERS)
def test_a_notebook_shows_it(name: str) -> None:
    png = MAKERS[name]()._repr_png_()
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", MAKERS)
def test_repr_tells_the_sizes_of_arrays(name: str) -> None:
    display = MAKERS[name]()
    text = repr(display)
    assert text.startswith(f"{type(display).__name__}(")
    assert "\n" not in text
    assert len(text) < 400
    for field, value in vars(display).items():
        if not field.endswith("_"):
            assert f"{field}=" in text
        if isinstance(value, np.ndarray):
            assert f"{field}=<array {value.shape} of {value.dtype}>" in text


def test_repr_of_long_lists_and_of_a_few_numbers() -> None:
    few, many = [3.0, 1.0, 0.5], [0.25] * 1000
    display = plotting.LearningCurveDisplay.from_history({"loss": many, "val_loss": many})
    assert "{'loss': <list of 1000>, 'val_loss': <list of 1000>}" in repr(display)
    display = plotting.LearningCurveDisplay.from_history({"loss": few})
    assert "{'loss': [3.0, 1.0, 0.5]}" in repr(display)


def test_no_global_state_is_touched() -> None:
    code = (
        "import sys, numpy as np\n"
        "from pyae import plotting\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plotting.CodeActivityDisplay.from_predictions(np.eye(4))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pyplot_s_figures_are_left_to_pyplot() -> None:
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, ax = pyplot.subplots()
    try:
        display = MAKERS["learning"](ax=ax)
        assert display._repr_png_() is None  # the notebook shows it already
        assert pyplot.get_fignums() == [figure.number]
    finally:
        pyplot.close(figure)
    assert MAKERS["learning"]()._repr_png_() is not None
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", MAKERS)
def test_without_matplotlib_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'pyae[plot]'")):
        MAKERS[name]()


def test_an_axes_must_be_one() -> None:
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        MAKERS["learning"](ax=3)


def test_save_refuses_unknown_suffixes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"suffix '\.doc'; allowed are .*\.png"):
        MAKERS["learning"]().save(tmp_path / "a.doc")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (None, TypeError, "^path must be a path, got None"),
        (1, TypeError, "^path must be a path, got 1"),
        ("", ValueError, "^path must be the path of a file, got ''"),
        ("a.doc", ValueError, r"^path='a\.doc' has the suffix '\.doc'"),
        ("no/such/folder/a.png", FileNotFoundError, "^path='no/such/folder/a.png': there is no"),
    ],
)
def test_save_refuses_paths_by_name(path: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MAKERS["learning"]().save(path)


# --------------------------------------------------------------------------------- learning curves


def test_learning_curve_marks_the_best_epoch(network: pyae.Sequential, autoencoder: Any) -> None:
    display = plotting.LearningCurveDisplay.from_estimator(network)
    held_out = network.history.history["val_loss"]
    assert display.best_epoch == int(np.argmin(held_out))
    x, y = display.lines_[1].get_data()
    assert x.tolist() == [1, 2, 3, 4, 5]
    assert list(y) == held_out
    assert display.best_ is not None
    assert display.best_.get_xdata() == [display.best_epoch + 1]
    display = plotting.LearningCurveDisplay.from_estimator(autoencoder)
    assert len(display.lines_) == 1
    assert display.best_ is None


@pytest.mark.parametrize(
    ("losses", "scale", "expected"),
    [
        ([3.0, 2.0], "auto", "linear"),
        ([3.0, 0.01], "auto", "log"),
        ([3.0, -0.01], "auto", "linear"),
        ([3.0, 2.0], "log", "log"),
        ([3.0, float("nan"), 2.0], "auto", "linear"),
        ([3.0], "auto", "linear"),
    ],
)
def test_learning_curve_scale(losses: list[float], scale: str, expected: str) -> None:
    display = plotting.LearningCurveDisplay.from_history({"loss": losses}, scale=scale)
    assert display.ax_.get_yscale() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"history": {"loss": []}}, "at least one epoch"),
        ({"history": {"loss": [1.0], "val_loss": [1.0, 2.0]}}, "must have 1 epochs"),
        ({"history": {"loss": [-1.0]}, "scale": "log"}, "positive losses"),
        ({"history": {"loss": [1.0]}, "scale": "cubic"}, "allowed are 'auto', 'linear', 'log'"),
    ],
)
def test_learning_curve_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plotting.LearningCurveDisplay.from_history(**arguments)


def test_learning_curve_needs_a_fit() -> None:
    with pytest.raises(ValueError, match="no training history"):
        plotting.LearningCurveDisplay.from_estimator(pyae.Sequential([pyae.Dense(2)]))


# --------------------------------------------------------------------------------- reconstructions


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((4, 4), None),
        ((4, 4), (4, 4)),
        ((2, 8), (2, 8)),
        ((1, 16), (1, 16)),
        ((2, 2, 3), (2, 2, 3)),
    ],
)
def test_tiles_hold_the_images(shape: tuple[int, ...], given: Any) -> None:
    X = rng.random((6, int(np.prod(shape))))
    shown = as_image_shape(given, X.shape[1])
    whole = mosaic(X.reshape(2, 3, -1), shown)
    found = whole[np.isfinite(whole)].reshape(2, shape[0], 3, *shape[1:])
    assert (found.swapaxes(1, 2).reshape(6, -1) == X).all()


def test_rows_and_errors(network: pyae.Sequential) -> None:
    noisy = IMAGES + rng.normal(0, 0.2, IMAGES.shape)
    display = plotting.ReconstructionDisplay.from_estimator(
        network, noisy, X_clean=IMAGES, n_images=4
    )
    assert list(display.rows) == ["clean", "noisy", "restored"]
    assert (display.rows["noisy"] == noisy[:4]).all()
    assert display.errors["noisy"] == pytest.approx(((noisy - IMAGES) ** 2).sum(axis=1).mean())
    expected = ((network.predict(noisy) - IMAGES) ** 2).sum(axis=1).mean()
    assert display.errors["restored"] == pytest.approx(expected, rel=1e-6)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels[0] == "clean"
    assert labels[1] == f"noisy\nerror {display.errors['noisy']:.3g}"


def test_images_keep_their_shape_and_colour() -> None:
    X = rng.random((5, 6, 7, 3))
    display = plotting.ReconstructionDisplay.from_predictions(X, X, samples=[4, 0])
    assert display.image_shape == (6, 7, 3)
    pixels = np.asarray(display.im_.get_array())
    low, high = X[[4, 0]].min(), X[[4, 0]].max()
    assert np.allclose(pixels[:6, :7, :3], (X[4] - low) / (high - low))
    assert (pixels[..., 3] == 0).any()  # gaps are empty


def test_strips_are_a_matrix() -> None:
    X = rng.random((5, 13))
    display = plotting.ReconstructionDisplay.from_predictions(X, 0.5 * X, image_shape=(1, 13))
    pixels = display.im_.get_array()
    assert pixels is not None
    assert pixels.shape == (5, 13 + 1 + 13)
    assert np.allclose(pixels[:, :13], X)
    assert np.allclose(pixels[:, 14:], 0.5 * X)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"X": rng.random((5, 13)), "restored": rng.random((5, 13))},
            ValueError,
            "13 features are",
        ),
        ({"image_shape": (3, 3)}, ValueError, "does not fit 64 features"),
        ({"image_shape": (4, 8, 2)}, ValueError, "channels must be 1, 3 or 4"),
        ({"restored": IMAGES[:5]}, ValueError, r"must have shape \(30, 64\)"),
        ({"X": np.full((3, 4), np.nan)}, ValueError, "must be finite"),
        ({"X": [["a", "b"]]}, TypeError, "X must hold numbers"),
        ({"X": [1.0, 2.0]}, ValueError, "matrix of samples"),
        ({"samples": [30]}, ValueError, "indices from 0 to 29"),
        ({"n_images": 0}, ValueError, "n_images must be at least 1"),
    ],
)
def test_reconstruction_refuses(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plotting.ReconstructionDisplay.from_predictions(
            **{"X": IMAGES, "restored": IMAGES, **arguments}
        )


# --------------------------------------------------------------------------------- codes


def test_latent_space_of_two_units_and_by_class() -> None:
    code = rng.normal(size=(30, 2))
    display = plotting.LatentSpaceDisplay.from_predictions(code, LABELS)
    assert (display.points == code).all()
    assert display.ax_.get_xlabel() == "code unit 0"
    for label, points in enumerate(display.scatters_):
        assert (np.asarray(points.get_offsets()) == code[label == LABELS]).all()
    assert [text.get_text() for text in display.texts_] == ["0", "1", "2"]


def test_latent_space_of_more_units_is_their_principal_components() -> None:
    from sklearn.decomposition import PCA  # type: ignore[import-untyped, unused-ignore]

    display = plotting.LatentSpaceDisplay.from_predictions(CODE)
    pca = PCA(2).fit(CODE)
    assert np.allclose(np.abs(display.points), np.abs(pca.transform(CODE)))
    share = f"{pca.explained_variance_ratio_[0]:.0%}"
    assert display.labels[0] == f"principal component 1 of the 12 code units ({share})"
    chosen = plotting.LatentSpaceDisplay.from_predictions(CODE, components=(7, 2))
    assert (chosen.points == CODE[:, [7, 2]]).all()
    assert chosen.labels == ("code unit 7 of 12", "code unit 2 of 12")


def test_latent_space_of_one_unit() -> None:
    display = plotting.LatentSpaceDisplay.from_predictions(CODE[:30, :1], LABELS)
    assert (display.points[:, 0] == CODE[:30, 0]).all()
    rows = [display.points[label == LABELS, 1] for label in range(3)]
    assert rows[0].min() > rows[1].max()
    assert rows[1].min() > rows[2].max()


@pytest.mark.parametrize(
    ("y", "n_scatters", "legend"),
    [
        (None, 1, 0),
        (np.array(["left", "right"])[np.arange(200) % 2], 2, 2),
        (np.arange(200) / 7, 1, 0),  # values: a colour scale
        (np.array([f"name {i % 30}" for i in range(200)]), 20, 20),  # 19 and all others
        (np.arange(200) % 12, 12, 0),  # short names: written into the picture
    ],
)
def test_labels_of_all_kinds(y: Any, n_scatters: int, legend: int) -> None:
    display = plotting.LatentSpaceDisplay.from_predictions(CODE, y)
    assert len(display.scatters_) == n_scatters
    box = display.ax_.get_legend()
    assert (0 if box is None else len(box.get_texts())) == legend
    total = sum(len(np.asarray(points.get_offsets())) for points in display.scatters_)
    assert total == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"components": (0, 12)}, "two different indices from 0 to 11"),
        ({"components": (1, 1)}, "two different indices"),
        ({"components": "tsne"}, "allowed are 'pca'"),
        ({"y": [1, 2]}, r"y must have shape \(200,\)"),
        ({"y": np.zeros((200, 1))}, r"y must have one dimension, got shape \(200, 1\)"),
        ({"y": ["a", None] * 100}, "y must hold labels of one type .*, got NoneType and str"),
        ({"y": [None, 1] * 100}, "y must hold labels of one type .*, got NoneType and int"),
        ({"y": [(1, 2), "a"] * 100}, "y must hold one label a sample"),
        ({"legend": "off"}, "allowed are 'auto'"),
    ],
)
def test_latent_space_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        plotting.LatentSpaceDisplay.from_predictions(CODE, **arguments)


def test_grid_decodes_the_plane(network: pyae.Sequential, autoencoder: Any) -> None:
    display = plotting.LatentGridDisplay.from_estimator(
        autoencoder, IMAGES, n_images=3, extent=(-1, 1, -2, 2), components=(0, 2)
    )
    code = autoencoder.transform(IMAGES)
    middle = np.median(code[:, 1])
    corner = autoencoder.inverse_transform(np.array([[-1, middle, 2]], dtype=np.float32))
    assert np.allclose(display.images[0, 0], corner[0], atol=1e-6)
    centre = autoencoder.inverse_transform(np.array([[0, middle, 0]], dtype=np.float32))
    assert np.allclose(display.images[1, 1], centre[0], atol=1e-6)
    left, right, bottom, top = display.im_.get_extent()
    assert left < -1 < 1 < right
    assert bottom < -2 < 2 < top

    of_network = plotting.LatentGridDisplay.from_estimator(network, IMAGES, n_images=2)
    code = network.forward(IMAGES, upto=2).astype(float)
    mean = code.mean(axis=0)
    axes = np.linalg.svd(code - mean, full_matrices=False)[2]
    left, _, _, top = of_network.extent
    corner_code = (mean + left * axes[0] + top * axes[1]).astype(np.float32)
    W1, b1, W2, b2 = network.get_weights()[4:]
    expected = np.maximum(corner_code @ W1 + b1, 0) @ W2 + b2
    assert np.allclose(of_network.images[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"extent": (1, 0, 0, 1), "n_columns": 6}, "left < right"),
        ({"extent": (0, 1, 0), "n_columns": 6}, r"must be \(left, right, bottom, top\)"),
        ({"extent": (0, 1, 0, 1), "n_columns": 7}, "does not make rows of 30 images"),
    ],
)
def test_grid_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plotting.LatentGridDisplay.from_images(IMAGES, **arguments)


# --------------------------------------------------------------------------------- filters


def test_filters_are_the_weights(network: pyae.Sequential, autoencoder: Any) -> None:
    weights = network.get_weights()
    encoder = plotting.FiltersDisplay.from_estimator(network)
    assert (encoder.weights == weights[0].T).all()
    decoder = plotting.FiltersDisplay.from_estimator(network, layer="decoder")
    assert (decoder.weights == weights[-2]).all()
    assert encoder.im_.norm.vmin == -encoder.im_.norm.vmax  # type: ignore[operator]
    of_estimator = plotting.FiltersDisplay.from_estimator(autoencoder)
    assert (of_estimator.weights == autoencoder.model_.get_weights()[0].T).all()


def test_filters_of_tied_weights() -> None:
    encoder = pyae.Dense(5)
    model = pyae.Sequential([encoder, pyae.Dense(64, tied_to=encoder)], random_state=0).build(64)
    display = plotting.FiltersDisplay.from_estimator(model, layer="decoder")
    assert (display.weights == model.get_weights()[0].T).all()


def test_the_largest_filters_are_shown() -> None:
    W = rng.normal(size=(50, 9)) * np.linspace(0.1, 2, 50)[:, None]
    display = plotting.FiltersDisplay.from_weights(W, max_units=10)
    largest = np.sort(np.argsort(-np.linalg.norm(W, axis=1))[:10])
    assert (display.weights == W[largest]).all()
    assert display.ax_.get_xlabel() == "10 of 50 units"


def test_each_filter_on_its_own_scale() -> None:
    W = rng.normal(size=(6, 9)) * np.array([1, 1e-3, 1, 1, 0, 1])[:, None]
    display = plotting.FiltersDisplay.from_weights(W, scale="each", n_columns=6)
    pixels = np.asarray(display.im_.get_array()).astype(float)
    tiles = pixels[:, 4:7]
    assert np.nanmax(np.abs(tiles)) == 1
    assert (display.im_.norm.vmin, display.im_.norm.vmax) == (-1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_units": 0}, "max_units must be at least 1"),
        ({"n_columns": 0}, "n_columns must be at least 1"),
        ({"scale": "none"}, "allowed are 'shared', 'each'"),
        ({"image_shape": (5, 5)}, "does not fit 64 features"),
    ],
)
def test_filters_refuse(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plotting.FiltersDisplay.from_weights(IMAGES, **arguments)
    with pytest.raises(TypeError, match="fitted network of pyae, got int"):
        plotting.FiltersDisplay.from_estimator(3)


# --------------------------------------------------------------------------------- activity


def test_activity_counts_and_marks_the_dead() -> None:
    display = plotting.CodeActivityDisplay.from_predictions(CODE)
    assert np.allclose(display.rates, (CODE > 0).mean(axis=0))
    assert display.dead_units.tolist() == [4]
    assert display.mean_active == pytest.approx((CODE > 0).sum(axis=1).mean())
    assert display.bars_ is not None
    assert sum(bar.get_height() for bar in display.bars_) == 11
    assert display.dead_bar_ is not None
    assert display.dead_bar_[0].get_height() == 1


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_every_living_unit_is_in_a_bar(scale: str) -> None:
    active = rng.random((1000, 60)) < np.geomspace(0.001, 1, 60)
    display = plotting.CodeActivityDisplay.from_predictions(active.astype(float), scale=scale)
    assert display.bars_ is not None
    alive = int((active.sum(axis=0) > 0).sum())
    assert sum(bar.get_height() for bar in display.bars_) == alive


def test_activity_with_a_threshold_and_extremes(network: pyae.Sequential) -> None:
    display = plotting.CodeActivityDisplay.from_estimator(network, IMAGES, threshold=0.5)
    code = network.forward(IMAGES, upto=2)
    assert np.allclose(display.rates, (np.abs(code) > 0.5).mean(axis=0))
    all_dead = plotting.CodeActivityDisplay.from_predictions(np.zeros((5, 3)))
    assert all_dead.bars_ is None
    assert len(all_dead.dead_units) == 3
    none_dead = plotting.CodeActivityDisplay.from_predictions(np.ones((5, 3)))
    assert none_dead.dead_bar_ is None
    with pytest.raises(ValueError, match="threshold must be a number of at least 0"):
        plotting.CodeActivityDisplay.from_predictions(CODE, threshold=-1)


# --------------------------------------------------------------------------------- errors


def test_error_distribution(network: pyae.Sequential, autoencoder: Any) -> None:
    display = plotting.ErrorDistributionDisplay.from_estimator(network, IMAGES, quantile=0.9)
    expected = ((network.predict(IMAGES) - IMAGES) ** 2).sum(axis=1)
    assert np.allclose(display.errors[""], expected)
    assert display.threshold == pytest.approx(np.quantile(expected, 0.9))
    assert display.line_ is not None
    assert "3 above" in str(display.line_.get_label())
    by_estimator = plotting.ErrorDistributionDisplay.from_estimator(autoencoder, IMAGES)
    assert np.allclose(by_estimator.errors[""], autoencoder.reconstruction_error(IMAGES))


def _heights(patch: Any) -> float:
    """Return the sum of a step histogram's heights, from its outline."""
    x, y = patch.get_path().vertices.T
    forth = x[: np.argmax(x) + 1]  # the outline comes back along the bottom
    tops = y[: len(forth)][np.flatnonzero(np.diff(forth) > 0)]
    return float(tops.sum())


@pytest.mark.parametrize("scale", ["linear", "log", "auto"])
def test_every_sample_is_in_a_bar_of_its_group(scale: str) -> None:
    errors = np.concatenate([[0.0], np.geomspace(1e-3, 100, 59)])
    y = np.array(["a", "b"])[np.arange(60) % 2]
    display = plotting.ErrorDistributionDisplay.from_predictions(
        errors, y, scale=scale, threshold=1
    )
    assert list(display.errors) == ["a", "b"]
    for patch in display.ax_.patches:
        assert _heights(patch) == pytest.approx(1)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]  # type: ignore[union-attr]
    above = [int((errors[y == name] > 1).sum()) for name in "ab"]
    assert texts[-1] == f"threshold 1: {above[0]} and {above[1]} above"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"errors": [-1.0]}, "not negative"),
        ({"errors": [[1.0]]}, "one number a sample"),
        ({"errors": []}, "one number a sample"),
        ({"errors": [np.inf]}, "finite"),
        ({"errors": [1.0], "quantile": 1.0}, "between 0 and 1"),
        ({"errors": [1.0], "quantile": 0.5, "threshold": 1.0}, "not both"),
        ({"errors": np.arange(6), "y": np.arange(6)}, "1 to 5 groups, got 6"),
        ({"errors": {"a": [1.0]}, "y": [0]}, "y must be None"),
        ({"errors": [0.0], "scale": "log"}, "all are 0"),
        ({"errors": [1.0, 2.0], "y": [1]}, "y must have shape"),
        ({"errors": [1.0, 2.0], "y": ["a", None]}, "y must hold labels of one type"),
    ],
)
def test_error_distribution_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        plotting.ErrorDistributionDisplay.from_predictions(**arguments)


# --------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plotting.LatentSpaceDisplay.from_estimator(object(), IMAGES),
        lambda: plotting.ReconstructionDisplay.from_estimator(object(), IMAGES),
        lambda: plotting.CodeActivityDisplay.from_estimator(object(), IMAGES),
    ],
)
def test_what_is_no_autoencoder_is_refused(draw: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="must be a fitted autoencoder with"):
        draw()


def test_a_network_of_one_layer_has_no_code() -> None:
    model = pyae.Sequential([pyae.Dense(64)], random_state=0).build(64)
    with pytest.raises(ValueError, match="a network of one layer has no code"):
        plotting.LatentSpaceDisplay.from_estimator(model, IMAGES)
