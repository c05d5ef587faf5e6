"""precision="mixed_bfloat16": products of rounded factors, everything else in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import rounded_to_bfloat16

import pyae

X = pyae.datasets.load_digits()[0].astype(np.float32)


def trained(precision: str | None, n_threads: int = 1, epochs: int = 20) -> pyae.Sequential:
    model = pyae.Sequential(
        [pyae.Dense(32, "relu"), pyae.Dense(64, "sigmoid")],
        loss="binary_crossentropy",
        precision=precision,
        n_threads=n_threads,
        random_state=0,
    )
    model.fit(X, epochs=epochs, batch_size=64)
    return model


def test_it_trains_as_well_as_float32() -> None:
    full, mixed = (trained(precision) for precision in (None, "mixed_bfloat16"))
    ends = [model.history.history["loss"][-1] for model in (full, mixed)]
    assert ends[0] != ends[1]
    assert ends[1] == pytest.approx(ends[0], rel=0.01)
    assert mixed.predict(X).dtype == np.float32
    # a product's factors have an error of at most 2^-9 each
    np.testing.assert_allclose(mixed.predict(X), full.predict(X), atol=0.1)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    first, *others = (trained("mixed_bfloat16", n, epochs=3) for n in (1, 2, 3))
    for other in others:
        for a, b in zip(first.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_gradients_are_those_of_rounded_factors() -> None:
    """One linear layer: the gradient x^T dz, from rounded x and rounded dz."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 7)).astype("f"), rng.normal(size=(40, 5)).astype("f")
    model = pyae.Sequential([pyae.Dense(5)], precision="mixed_bfloat16", random_state=0).build(7)
    W, b = model.get_weights()
    z = rounded_to_bfloat16(x) @ rounded_to_bfloat16(W) + b
    dz = (2 / y.size) * (z - y)
    loss, (dW, db) = model.loss_and_gradients(x, y)
    assert loss == pytest.approx(float(np.square(z - y).mean()), rel=1e-5)
    np.testing.assert_allclose(
        dW, rounded_to_bfloat16(x).T @ rounded_to_bfloat16(dz), rtol=1e-2, atol=1e-4
    )
    np.testing.assert_allclose(db, dz.sum(axis=0), rtol=1e-4, atol=1e-6)


def test_files_and_copies_keep_it(tmp_path: Path) -> None:
    model = trained("mixed_bfloat16", epochs=1)
    model.save(tmp_path / "model.safetensors")
    loaded = pyae.load(tmp_path / "model.safetensors")
    assert loaded.precision == "mixed_bfloat16"
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_estimators_take_it() -> None:
    common: dict[str, Any] = {"max_epochs": 5, "random_state": 0}
    full = pyae.Autoencoder(8, **common).fit(X)
    mixed = pyae.Autoencoder(8, precision="mixed_bfloat16", **common).fit(X)
    assert (full.transform(X) != mixed.transform(X)).any()
    assert mixed.score(X) == pytest.approx(full.score(X), abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "float16"}, r"precision must be None or 'mixed_bfloat16', got 'float16'"),
        ({"precision": 16}, r"precision must be None or 'mixed_bfloat16', got 16"),
        ({"precision": "mixed_bfloat16", "dtype": "float64"}, r"needs dtype='float32'"),
    ],
)
def test_what_it_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pyae.Sequential([pyae.Dense(2)], **arguments)


def test_the_configuration_says_what_the_processor_has() -> None:
    assert pyae.show_config(as_dict=True)["bfloat16"] in ("in hardware", "by rounding floats")
