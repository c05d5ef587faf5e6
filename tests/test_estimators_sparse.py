"""Sparse autoencoders: a planted dictionary comes back; lengths, dead units, reports."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import assert_close
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from pyae import Dense, DivergenceWarning, Sequential, SparseAutoencoder
from pyae.activations import Activation
from pyae.optimizers import SGD
from pyae.regularizers import L1, KLSparsity

Floats = npt.NDArray[np.float64]
DIGITS = load_digits().data / 16


def planted(n_samples: int, seed: int) -> tuple[Floats, Floats]:
    """Return samples that are sums of 5 of 128 unit features in 64 dimensions, and the features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(128, 64))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    code = np.zeros((n_samples, 128))
    active = np.argsort(rng.random((n_samples, 128)), axis=1)[:, :5]
    np.put_along_axis(code, active, rng.uniform(0.5, 1.5, size=(n_samples, 5)), axis=1)
    return code @ features, features


def recovery(model: SparseAutoencoder, features: Floats) -> float:
    """Return the mean over features of the largest cosine similarity to an entry."""
    entries = model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True)
    return float((features @ entries.T).max(axis=1).mean())


@pytest.mark.parametrize("tied", [False, True])
def test_recovers_a_planted_dictionary(tied: bool) -> None:
    X, features = planted(6000, seed=0)
    model = SparseAutoencoder(128, n_active=5, tied_weights=tied, max_epochs=20, random_state=0)
    model.fit(X)
    assert recovery(model, features) >= 0.95
    assert not len(model.dead_units_)
    report = model.sparsity_report(X)
    assert report["l0"] <= 5
    assert not len(report["dead_units"])
    assert report["explained_variance"] > 0.8


def test_penalty_recovers_it_too() -> None:
    X, features = planted(6000, seed=0)
    model = SparseAutoencoder(
        128, n_active=None, activity_regularizer=L1(2e-3), max_epochs=20, random_state=0
    ).fit(X)
    assert recovery(model, features) >= 0.95
    assert not len(model.dead_units_)
    assert_close(np.linalg.norm(model.components_, axis=1), np.ones(128), terms=64)


def test_normalised_entries_leave_the_function() -> None:
    from pyae.estimators._dictionary import Upkeep

    model = SparseAutoencoder(
        30, n_active=None, activity_regularizer=L1(1e-3), max_epochs=2, dtype="float64"
    ).fit(DIGITS)
    W, b, V, c = model.model_.get_weights()
    scale = np.linspace(0.5, 2, 30)
    model.model_.set_weights([W / scale, b / scale, V * scale[:, np.newaxis], c])
    before = model.reconstruct(DIGITS)
    Upkeep.normalise(model.model_)
    assert_close(model.reconstruct(DIGITS), before, scale=1)
    assert_close(np.linalg.norm(model.components_, axis=1), np.ones(30))


@pytest.mark.parametrize("revive", [False, True])
def test_dead_units_are_revived(revive: bool) -> None:
    X, features = planted(3000, seed=1)
    model = SparseAutoencoder(
        128, n_active=5, revive_dead_units=revive, max_epochs=1, warm_start=True, random_state=0
    ).fit(X)
    weights = model.model_.get_weights()
    weights[1][:40] = -100  # no sample can make them positive
    model.model_.set_weights(weights)
    model.set_params(max_epochs=20).fit(X)
    assert len(model.dead_units_) == (0 if revive else 40)
    assert (recovery(model, features) > 0.95) == revive


def plane(seed: int) -> Floats:
    """Return 200 standardised samples of 4 features, near a plane."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(200, 4))
    return np.asarray(StandardScaler().fit_transform(X))


def ball(seed: int) -> Floats:
    """Return 200 standardised samples of 4 features that have nothing to do with each other."""
    X = np.random.default_rng(seed).normal(size=(200, 4))
    return np.asarray(StandardScaler().fit_transform(X))


@pytest.mark.parametrize("max_epochs", [3, 10, 30])
@pytest.mark.parametrize("data", [plane, ball])
def test_revival_does_no_harm_to_short_fits(data: Any, max_epochs: int) -> None:
    scores = {}
    for revive in (False, True):
        models = [
            SparseAutoencoder(revive_dead_units=revive, max_epochs=max_epochs, random_state=seed)
            for seed in range(5)
        ]
        scores[revive] = [model.fit(data(i)).score(data(i)) for i, model in enumerate(models)]
    assert np.mean(scores[True]) >= np.mean(scores[False]) - np.std(scores[False])
    assert min(scores[True]) > 0.95


def test_few_units_die_on_digits() -> None:
    without, model = (
        SparseAutoencoder(256, max_epochs=30, revive_dead_units=revive, random_state=0).fit(DIGITS)
        for revive in (False, True)
    )
    assert len(without.dead_units_) > 100
    assert len(model.dead_units_) < 10
    assert model.score(DIGITS) > without.score(DIGITS) + 0.02


def test_a_code_that_is_all_dead_comes_back() -> None:
    model = SparseAutoencoder(
        20, n_active=4, max_epochs=1, warm_start=True, learning_rate=1e-3, random_state=0
    ).fit(DIGITS)
    weights = model.model_.get_weights()
    weights[1][:] = -100
    model.model_.set_weights(weights)
    model.set_params(max_epochs=20).fit(DIGITS)
    assert not len(model.dead_units_)
    assert model.score(DIGITS) > 0.5


def test_constant_samples_have_nothing_to_revive_for() -> None:
    X = np.full((50, 6), 0.25)
    model = SparseAutoencoder(10, n_active=2, max_epochs=5, random_state=0).fit(X)
    # Adam makes steps of its rate out of rounding errors, hence no more than two digits.
    np.testing.assert_allclose(model.reconstruct(X), X, atol=0.01)


@pytest.mark.parametrize("n_active", [None, 1, 8])
def test_a_new_dictionary_has_the_best_scale(n_active: int | None) -> None:
    from pyae.estimators._dictionary import initialise

    code = Activation("relu") if n_active is None else Activation("top_k", k=n_active)
    model = Sequential([Dense(100, code), Dense(64)], dtype="float64", random_state=0).build(64)
    initialise(model, DIGITS, None, seed=0)
    centred = DIGITS - DIGITS.mean(axis=0)
    outputs = model.predict(DIGITS) - DIGITS.mean(axis=0)
    # Another factor has no smaller squared error: the derivative by it is 0.
    slope = np.sum((centred - outputs) * outputs)
    assert_close(slope, 0.0, scale=np.square(outputs).sum())
    assert np.square(centred - outputs).sum() < np.square(centred).sum()
    assert_close(np.linalg.norm(model.get_weights()[2], axis=1), np.ones(100))


@pytest.mark.parametrize("weighted", [False, True])
def test_held_out_samples_revive_nothing(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyae.estimators import _sparse

    kept: list[Any] = []
    trained: list[Any] = []

    class Watched(_sparse.Upkeep):
        def __init__(self, X: Any, revive_until: int, seed: int) -> None:
            super().__init__(X, revive_until, seed)
            kept.append(X)

    def watched_fit(self: Sequential, X: Any, *args: Any, **kwargs: Any) -> Any:
        trained.append((X, kwargs["validation_data"][0]))
        return fit(self, X, *args, **kwargs)

    fit = Sequential.fit
    monkeypatch.setattr(_sparse, "Upkeep", Watched)
    monkeypatch.setattr(Sequential, "fit", watched_fit)
    weights = np.arange(len(DIGITS)) % 3 if weighted else None  # a third of them 0
    model = SparseAutoencoder(
        30, n_active=3, max_epochs=2, early_stopping=True, validation_fraction=0.25, random_state=0
    ).fit(DIGITS, sample_weight=weights)
    [(X, held_out)] = trained
    assert len(X) + len(held_out) == (len(DIGITS) if weights is None else np.count_nonzero(weights))
    assert len(held_out) > 200
    np.testing.assert_array_equal(kept, [X])
    assert_close(model.activation_frequency_, (model.transform(X) > 0).mean(axis=0))


def test_kl_sparsity_sets_the_mean_activity() -> None:
    means = []
    for beta in (0.0, 1.0):
        model = SparseAutoencoder(
            50,
            n_active=None,
            activity_regularizer=KLSparsity(rho=0.05, beta=beta),
            max_epochs=60,
            random_state=0,
        ).fit(DIGITS)
        assert model.model_.layers[0].activation == Activation("sigmoid")
        means.append(model.transform(DIGITS).mean())
    assert means[1] < 0.08 < means[0]


def test_report_against_numpy() -> None:
    model = SparseAutoencoder(40, n_active=3, max_epochs=3, random_state=0).fit(DIGITS)
    code = model.transform(DIGITS)
    report = model.sparsity_report(DIGITS)
    assert_close(report["activation_frequency"], (code > 0).mean(axis=0))
    assert_close(model.activation_frequency_, (code > 0).mean(axis=0))
    assert_close(report["l0"], (code > 0).sum(axis=1).mean())
    assert report["l0"] <= 3  # exactly: a sum of rounded shares might be more
    np.testing.assert_array_equal(report["dead_units"], np.flatnonzero((code <= 0).all(axis=0)))
    kernel, bias, components, mean = (w.astype(np.float64) for w in model.model_.get_weights())
    z = DIGITS @ kernel + bias
    kth = np.sort(z, axis=1)[:, [-3]]
    active = np.where(z >= kth, np.maximum(z, 0), 0)
    assert_close(code, active, scale=1, terms=64)
    assert_close(model.reconstruct(DIGITS), active @ components + mean, scale=1, terms=64)
    unexplained = np.square(DIGITS - active @ components - mean).sum()
    explained = 1 - unexplained / np.square(DIGITS - DIGITS.mean(axis=0)).sum()
    # In float32 each of the 64 numbers of a sample is off by a few of its units.
    assert report["explained_variance"] == pytest.approx(explained, abs=1e-6)


def test_hidden_layers_have_sparse_codes_but_no_dictionary() -> None:
    model = SparseAutoencoder(
        40, n_active=4, hidden_layer_sizes=(32,), max_epochs=3, random_state=0
    ).fit(DIGITS)
    assert ((model.transform(DIGITS) > 0).sum(axis=1) <= 4).all()
    with pytest.raises(AttributeError, match="without hidden layers only"):
        _ = model.components_


@pytest.mark.parametrize("attribute", ["components_", "dead_units_"])
def test_attributes_of_what_is_not_fitted(attribute: str) -> None:
    with pytest.raises(AttributeError, match=r"^the estimator is not fitted yet: call fit$"):
        getattr(SparseAutoencoder(), attribute)
    assert not hasattr(SparseAutoencoder(), attribute)


def test_digits_need_few_active_units() -> None:
    # Eight of 128 parts a digit explain more than eight principal components do.
    from sklearn.decomposition import PCA

    pca = PCA(8).fit(DIGITS)
    error = np.square(DIGITS - pca.inverse_transform(pca.transform(DIGITS))).sum(axis=1).mean()
    model = SparseAutoencoder(128, n_active=8, max_epochs=60, random_state=0).fit(DIGITS)
    assert model.reconstruction_error(DIGITS).mean() < 0.8 * error


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("dtype", "scale"), [("float32", 1e38), ("float32", 1e300), ("float64", 1e160)]
)
@pytest.mark.parametrize("tied", [False, True])
def test_samples_that_are_too_large(tied: bool, dtype: str, scale: float) -> None:
    if tied and dtype == "float64":
        scale = 1e307
    X = DIGITS * scale * 16
    model = SparseAutoencoder(20, tied_weights=tied, dtype=dtype, max_epochs=1)
    with pytest.raises(ValueError, match=f"^X has values too large for a dictionary in {dtype}"):
        model.fit(X)
    assert not hasattr(model, "model_")


@pytest.mark.parametrize(("units", "active"), [(3, 3), (8, 8), (64, 8)])
def test_few_units_are_active_by_default(units: int, active: int) -> None:
    a, b = (
        SparseAutoencoder(units, max_epochs=1, random_state=0, **given).fit(DIGITS)
        for given in ({}, {"n_active": active})
    )
    assert a.model_.layers[0].activation == Activation("top_k", k=active)
    np.testing.assert_array_equal(a.components_, b.components_)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_active": None}, ValueError, "nothing makes the code sparse"),
        ({"n_active": 0}, ValueError, "n_active must be at least 1"),
        ({"n_active": 2.5}, TypeError, "n_active must be an integer"),
        ({"n_active": "all"}, TypeError, "n_active must be an integer, 'auto' or None, got 'all'"),
        ({"n_active": 65}, ValueError, "n_active must be at most n_components=64, got 65"),
        ({"n_components": 4, "n_active": 5}, ValueError, "n_active must be at most n_components=4"),
        ({"code_activation": "rleu"}, ValueError, "Did you mean 'relu'"),
        ({"code_activation": 5}, TypeError, "code_activation"),
        (
            {"revive_dead_units": "no", "hidden_layer_sizes": (8,)},
            TypeError,
            "revive_dead_units must be True or False",
        ),
        (
            {"revive_dead_units": 1, "optimizer": "lbfgs"},
            TypeError,
            "revive_dead_units must be True or False",
        ),
        (
            {"n_active": None, "activity_regularizer": "l1", "code_activation": "rel"},
            ValueError,
            "Did you mean 'relu'",
        ),
    ],
)
def test_bad_parameters(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SparseAutoencoder(**params).fit(DIGITS)


@pytest.mark.parametrize("rate", [1e6, 1e10, 1e30])
def test_weights_that_diverged_are_told_where_fit_was_called(rate: float) -> None:
    X = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    model = SparseAutoencoder(4, optimizer=SGD(rate), random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    (told,) = [w for w in caught if w.category is DivergenceWarning]
    assert told.filename == __file__
    assert [w for w in caught if "overflow" in str(w.message)] == []
