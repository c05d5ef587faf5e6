"""The autoencoders: what they compute, what they reach, how they are described."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import assert_close
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import pyae
from pyae import Autoencoder, DenoisingAutoencoder
from pyae._parts import tail

DIGITS = load_digits().data / 16
PCA_FLOOR = {2: 3.3553, 8: 1.5304, 16: 0.7068, 32: 0.1579}  # squared error a sample, by the SVD


def linear(k: int, **params: Any) -> Autoencoder:
    settings: dict[str, Any] = {
        "optimizer": pyae.optimizers.LBFGS(history_size=50),
        "max_epochs": 1500,
        "dtype": "float64",
        "random_state": 0,
    }
    return Autoencoder(k, **{**settings, **params})


def largest_angle(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return the largest principal angle between the spaces that two matrices' rows span."""
    qa, qb = np.linalg.qr(a.T)[0], np.linalg.qr(b.T)[0]
    sines = np.linalg.svd(qb - qa @ (qa.T @ qb), compute_uv=False)
    return float(np.arcsin(np.clip(sines.max(), 0, 1)))


# ---- shapes and consistency ----------------------------------------------------------------------


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("sizes", [(), (20,), (20, 10)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_encoder_and_decoder_make_the_network(
    dtype: str, sizes: tuple[int, ...], tied: bool
) -> None:
    X = DIGITS[:200]
    model = Autoencoder(
        5,
        hidden_layer_sizes=sizes,
        activation="tanh",
        code_activation="sigmoid",
        tied_weights=tied,
        max_epochs=3,
        dtype=dtype,
        random_state=0,
    ).fit(X)
    code = model.transform(X)
    assert code.shape == (200, 5)
    assert code.dtype == dtype
    np.testing.assert_array_equal(model.inverse_transform(code), model.reconstruct(X))
    # Once more in NumPy, layer by layer.
    weights = iter(model.model_.get_weights())
    kernels: list[Any] = []
    y = X.astype(dtype).astype(np.float64)
    for layer in model.model_.layers:
        index = layer.tied_to if layer.tied_to is None else model.model_.layers.index(layer.tied_to)
        kernels.append(next(weights) if index is None else kernels[index].T)
        z = y @ kernels[-1].astype(np.float64) + next(weights)
        y = {"tanh": np.tanh, "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "linear": lambda v: v}[
            layer.activation.name
        ](z)
    assert [layer.units for layer in model.model_.layers] == [*sizes, 5, *sizes[::-1], 64]
    assert_close(model.reconstruct(X), y, scale=1, terms=64)
    errors = np.square(X - model.reconstruct(X).astype(np.float64))
    assert_close(model.reconstruction_error(X, per_feature=True), errors)
    assert_close(model.reconstruction_error(X), errors.sum(axis=1))
    expected = 1 - errors.sum() / np.square(X - X.mean(axis=0)).sum()
    assert_close(model.score(X), expected, scale=1)


def test_decoder_follows_changed_weights() -> None:
    X = DIGITS[:50]
    model = Autoencoder(4, max_epochs=1, random_state=0).fit(X)
    code = model.transform(X)
    model.model_.set_weights([2 * w for w in model.model_.get_weights()])
    np.testing.assert_array_equal(model.inverse_transform(2 * code), model.model_.predict(X))


def test_any_decoder() -> None:
    model = Autoencoder(3, hidden_layer_sizes=(16,), decoder_layer_sizes=(8, 24), max_epochs=1).fit(
        DIGITS[:40]
    )
    assert [layer.units for layer in model.model_.layers] == [16, 3, 8, 24, 64]
    assert model.inverse_transform(np.zeros((2, 3))).shape == (2, 64)
    with pytest.raises(ValueError, match="tied_weights=True needs the mirrored decoder"):
        Autoencoder(3, decoder_layer_sizes=(8,), tied_weights=True).fit(DIGITS)
    with pytest.raises(ValueError, match="activation must be one for all layers"):
        Autoencoder(3, hidden_layer_sizes=(9,), activation=["relu"], decoder_layer_sizes=(8,)).fit(
            DIGITS
        )


def test_an_activation_for_each_layer_is_mirrored() -> None:
    model = Autoencoder(
        3, hidden_layer_sizes=(9, 7), activation=["relu", "tanh"], max_epochs=1
    ).fit(DIGITS[:40])
    names = [layer.activation.name for layer in model.model_.layers]
    assert names == ["relu", "tanh", "linear", "tanh", "relu", "linear"]


def test_tail_owns_the_transposes_of_tied_kernels() -> None:
    first, second = pyae.Dense(5, "tanh"), pyae.Dense(3)
    model = pyae.Sequential(
        [first, second, pyae.Dense(5, "tanh", tied_to=second), pyae.Dense(8, tied_to=first)],
        dtype="float64",
        random_state=0,
    ).build(8)
    X = DIGITS[:20, :8]
    for start in range(1, 4):
        np.testing.assert_array_equal(
            tail(model, start).predict(model.forward(X, upto=start)), model.predict(X)
        )


@pytest.mark.parametrize(
    "codes", [np.zeros((3, 5)), np.zeros(4), np.full((2, 4), np.nan)], ids=["wide", "1-d", "nan"]
)
def test_refuses_other_codes(codes: Any) -> None:
    model = Autoencoder(4, max_epochs=1).fit(DIGITS[:40])
    with pytest.raises(ValueError, match="X"):
        model.inverse_transform(codes)


# ---- what they reach -----------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "tied"), [(2, False), *((k, True) for k in PCA_FLOOR)])
def test_linear_is_pca(k: int, tied: bool) -> None:
    pca = PCA(k).fit(DIGITS)
    floor = np.square(DIGITS - pca.inverse_transform(pca.transform(DIGITS))).sum(axis=1).mean()
    assert floor == pytest.approx(PCA_FLOOR[k], abs=1e-4)  # as they are written above
    model = linear(k, tied_weights=tied).fit(DIGITS)
    assert_close(model.reconstruction_error(DIGITS).mean(), floor, "optimum")
    weights = model.model_.get_weights()
    decoder = weights[0].T if tied else weights[2]
    assert largest_angle(decoder, pca.components_) < 1e-3


@pytest.mark.parametrize("strength", [50.0, 500.0])
def test_regularized_linear_reaches_its_closed_form(strength: float) -> None:
    # min ||X - X W1 W2||^2 + strength (||W1||^2 + ||W2||^2), Kunin et al., ICML 2019; the biases
    # take the mean.
    centred = DIGITS - DIGITS.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    k = 8
    kept = values[:k][values[:k] > strength]
    optimum = (2 * strength - strength**2 / kept).sum() + values[len(kept) :].sum()
    # The network's loss is the mean over samples and features.
    factor = strength / DIGITS.size
    model = linear(k, kernel_regularizer=pyae.regularizers.L2(factor)).fit(centred)
    loss = model.model_.evaluate(centred, batch_size=len(centred)) * DIGITS.size
    assert_close(loss, optimum, "optimum")


def test_defaults_beat_pca_on_standardised_data() -> None:
    X = StandardScaler().fit_transform(load_digits().data)
    train, test = X[np.arange(len(X)) % 5 != 4], X[np.arange(len(X)) % 5 == 4]
    model = Autoencoder(8, hidden_layer_sizes=(128,), max_epochs=60, random_state=0).fit(train)
    pca = PCA(8).fit(train)
    error = np.square(test - pca.inverse_transform(pca.transform(test))).sum(axis=1).mean()
    assert model.reconstruction_error(test).mean() < 0.8 * error


def test_weights_count_as_repetitions() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, size=60)
    params: dict[str, Any] = {"batch_size": 1000, "max_epochs": 30, "dtype": "float64"}
    a = Autoencoder(3, random_state=0, **params).fit(DIGITS[:60], sample_weight=weights)
    b = Autoencoder(3, random_state=0, **params).fit(DIGITS[:60].repeat(weights, axis=0))
    assert_close(a.transform(DIGITS), b.transform(DIGITS), "training", scale=1)
    unweighted = Autoencoder(3, random_state=0, **params).fit(DIGITS[:60])
    assert np.abs(a.transform(DIGITS) - unweighted.transform(DIGITS)).max() > 1e-3


def test_score_counts_constant_features_and_weights() -> None:
    X = DIGITS[:100]  # with pixels that are always 0
    model = Autoencoder(3, max_epochs=2, random_state=0).fit(X)
    weights = np.random.default_rng(0).integers(1, 4, size=100)
    repeated = model.score(X.repeat(weights, axis=0))
    assert_close(model.score(X, sample_weight=weights), repeated, scale=1)
    assert model.score(X[:1]) == 0
    perfect = Autoencoder(64, max_epochs=1, dtype="float64").fit(X)
    perfect.model_.set_weights([np.eye(64), np.zeros(64)] * 2)
    assert perfect.score(X[:1]) == perfect.score(X) == 1


# ---- noise ---------------------------------------------------------------------------------------


def noisy(X: npt.NDArray[Any], stddev: float, seed: int) -> npt.NDArray[Any]:
    return X + np.random.default_rng(seed).normal(0, stddev, X.shape)


@pytest.mark.parametrize("paired", [False, True])
def test_removes_more_noise_than_the_best_pca(paired: bool) -> None:
    held_out = np.arange(len(DIGITS)) % 5 == 4
    train, test = DIGITS[~held_out], DIGITS[held_out]
    X = noisy(test, 0.5, seed=1)
    errors = []
    for k in range(2, 64, 2):
        pca = PCA(k).fit(noisy(train, 0.5, seed=2))
        errors.append(np.square(pca.inverse_transform(pca.transform(X)) - test).sum(1).mean())
    model = DenoisingAutoencoder(
        32, hidden_layer_sizes=(256,), noise_level=0.5, max_epochs=60, random_state=0
    )
    if paired:
        model.set_params(kernel_regularizer=pyae.regularizers.L2(1e-5))
        copies = np.tile(train, (4, 1))
        model.set_params(max_epochs=15).fit(noisy(copies, 0.5, seed=3), copies)
    else:
        model.fit(train)
    assert np.square(model.denoise(X) - test).sum(axis=1).mean() < 0.75 * min(errors)
    assert model.score(X, test) > model.score(X)


@pytest.mark.parametrize(
    ("noise", "same"),
    [
        ("gaussian", pyae.noise.Gaussian(0.2)),
        ("masking", pyae.noise.Masking(0.2)),
        ("salt_and_pepper", pyae.noise.SaltAndPepper(0.2)),
        ({"name": "masking", "rate": 0.3}, pyae.noise.Masking(0.3)),
    ],
)
def test_names_of_noise(noise: Any, same: Any) -> None:
    params: dict[str, Any] = {"noise_level": 0.2, "max_epochs": 2, "random_state": 0}
    a = DenoisingAutoencoder(4, noise=noise, **params).fit(DIGITS[:100])
    b = DenoisingAutoencoder(4, noise=same, **params).fit(DIGITS[:100])
    clean = DenoisingAutoencoder(4, noise=None, **params).fit(DIGITS[:100])
    np.testing.assert_array_equal(a.transform(DIGITS), b.transform(DIGITS))
    assert np.abs(a.transform(DIGITS) - clean.transform(DIGITS)).max() > 1e-3
    plain = Autoencoder(4, max_epochs=2, random_state=0).fit(DIGITS[:100])
    np.testing.assert_array_equal(clean.transform(DIGITS), plain.transform(DIGITS))


def test_validation_inputs_are_corrupted_and_targets_clean() -> None:
    # Of a network that copies its input the loss is the noise's variance.
    X = DIGITS[:500]
    model = DenoisingAutoencoder(
        64, noise_level=0.5, max_epochs=1, learning_rate=1e-9, random_state=0, warm_start=True
    ).fit(X)
    identity = [np.eye(64), np.zeros(64), np.eye(64), np.zeros(64)]
    model.model_.set_weights(identity)
    model.fit(X, X_val=X)
    # 32,000 squares of normal numbers: their mean's standard deviation is 0.8 %.
    assert model.history_["val_loss"][-1] == pytest.approx(0.25, rel=0.02)


def test_pairs_are_checked() -> None:
    X = DIGITS[:50]
    model = DenoisingAutoencoder(4, max_epochs=1, random_state=0)
    labels = np.arange(50) % 2
    np.testing.assert_array_equal(
        model.fit(X, labels).transform(X), model.fit(X).transform(X)
    )  # a pipeline hands labels on
    with pytest.raises(ValueError, match="y must hold the clean samples, of the shape"):
        model.fit(X, X[:, :5])
    with pytest.raises(ValueError, match="y contains NaN"):
        model.fit(X, np.full_like(X, np.nan))
    for val in (X, (X, X, X)):
        with pytest.raises(ValueError, match="X_val must be"):
            model.fit(X, X, X_val=val)
    with pytest.raises(ValueError, match="X_val must be"):
        model.fit(X, X_val=(X, X))
    model.fit(X, X, X_val=(X, X))
    with pytest.raises(ValueError, match=r"unknown noise 'gausian'.*'gaussian'"):
        DenoisingAutoencoder(noise="gausian").fit(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_clean_samples_of_one_feature_are_no_labels(method: str) -> None:
    X = DIGITS[:50, 20:21]
    fit = getattr(DenoisingAutoencoder(1, max_epochs=1, random_state=0), method)
    with pytest.warns(UserWarning, match=r"is taken for labels.* shape \(n_samples, 1\)") as caught:
        fit(X, X[:, 0])
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for no_clean in (None, np.arange(50) % 3, (np.arange(50) % 3).astype(float), ["a"] * 50):
            fit(X, no_clean)
        fit(X, X)
        getattr(DenoisingAutoencoder(1, max_epochs=1), method)(DIGITS[:50], X[:, 0])


def test_codes_are_as_exact_as_float32_allows() -> None:
    X = DIGITS[:20].astype(np.float32)
    model = Autoencoder(4, max_epochs=1, random_state=0).fit(X)
    W, b, *_ = (w.astype(np.float64) for w in model.model_.get_weights())
    code = X.astype(np.float64) @ W + b
    assert_close(model.transform(X), code, scale=np.abs(X) @ np.abs(W) + np.abs(b), terms=16)


@pytest.mark.parametrize(
    ("optimizer", "updates"),
    [("adam", 2 * 79), ("muon", 2 * 13), ("kfac", 2 * 2), ("newton_cg", 2), ("lbfgs", 2)],
)
def test_optimizers_get_batches_of_a_size_that_suits_them(optimizer: str, updates: int) -> None:
    X = np.random.default_rng(0).normal(size=(2500, 4))
    model = pyae.Autoencoder(2, optimizer=optimizer, max_epochs=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two epochs are few
        model.fit(X)
    assert model.model_._built_network().n_updates == updates


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [("adam", 0.003), ("muon", 0.015), (pyae.optimizers.Muon(0.02), 0.02), ("sgd", 0.01)],
    ids=["adam", "muon", "object", "sgd"],
)
def test_rates_by_default(optimizer: Any, rate: float) -> None:
    """They fall over the fit where the optimizer is given by one of some names."""
    model = pyae.Autoencoder(4, optimizer=optimizer, max_epochs=2, random_state=0).fit(DIGITS[:400])
    schedule = pyae.schedules.Cosine(rate, 4 if optimizer == "muon" else 26)
    expected = schedule if optimizer in ("adam", "muon") else rate
    assert model.model_.optimizer.learning_rate == expected
