"""The kernels that are measured: for each, the call of pyae and the same in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import SideError
from benchmarks.networks import NETWORKS
from pyae import reference
from pyae.reference.activations import ACTIVATIONS
from pyae.reference.corruption import CORRUPTIONS
from pyae.reference.losses import LOSSES

Array = NDArray[Any]
Call = Callable[[], Any]

DTYPES = ("float32", "float64")
CUBES = (512, 1024, 2048)
BATCH = (256, 784)  # a batch of images: stays in the cache
LARGE = (2048, 2048)  # does not


@dataclass(frozen=True)
class KernelCase:
    """One kernel on one input.

    `make` creates the input and returns the call of each side by its name.
    """

    group: str
    name: str
    dtype: str
    make: Callable[[], dict[str, Call]]
    n_values: int
    gflop: float | None = None


def _core() -> Any:
    try:
        from pyae import _backend
    except ImportError as error:
        raise SideError(f"pyae has no compiled module: {error}") from None
    return _backend.core


def product_shapes() -> dict[str, list[tuple[int, int, int]]]:
    """(m, k, n) of the networks' products in each form, without repetition.

    Forward is ``x W``, the kernel's gradient ``x^T dz``, the input's gradient ``dz W^T``.
    """
    forms: dict[str, list[tuple[int, int, int]]] = {"A.B": [], "A^T.B": [], "A.B^T": []}
    for network in NETWORKS.values():
        batch = network.batch_size
        for number, (n_in, n_out) in enumerate(network.shapes):
            forms["A.B"].append((batch, n_in, n_out))
            forms["A^T.B"].append((n_in, batch, n_out))
            if number > 0:
                forms["A.B^T"].append((batch, n_out, n_in))
    cubes = [(size, size, size) for size in CUBES]
    return {form: [*dict.fromkeys(shapes), *cubes] for form, shapes in forms.items()}


def _make_product(form: str, shape: tuple[int, int, int], dtype: str) -> dict[str, Call]:
    m, k, n = shape
    rng = np.random.default_rng(0)
    transpose_a, transpose_b = form == "A^T.B", form == "A.B^T"
    a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    left, right = (a.T if transpose_a else a), (b.T if transpose_b else b)
    return {
        "pyae": lambda: _core().matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b),
        "numpy": lambda: left @ right,
    }


def products() -> Iterator[KernelCase]:
    for dtype in DTYPES:
        for form, shapes in product_shapes().items():
            for shape in shapes:
                m, k, n = shape
                yield KernelCase(
                    group=f"products {form}, {dtype} (m x k x n)",
                    name=f"{m} x {k} x {n}",
                    dtype=dtype,
                    make=partial(_make_product, form, shape, dtype),
                    n_values=m * n,
                    gflop=2 * m * k * n / 1e9,
                )


def _make_activation(name: str, shape: tuple[int, int], dtype: str) -> dict[str, Call]:
    x = (3 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    value = ACTIVATIONS[name].value

    def own() -> Any:
        from pyae import activations

        return getattr(activations, name)(x)

    return {"pyae": own, "numpy": lambda: value(x)}


def _make_vjp(name: str, shape: tuple[int, int], dtype: str) -> dict[str, Call]:
    rng = np.random.default_rng(0)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    dy = rng.standard_normal(shape).astype(dtype)
    vjp = ACTIVATIONS[name].vjp

    def own() -> Any:
        from pyae import activations

        return activations.vjp(name, x, dy)

    return {"pyae": own, "numpy": lambda: vjp(x, dy)}


def _inputs() -> Iterator[tuple[tuple[int, int], str]]:
    """Shapes and dtypes of the elementwise kernels' inputs."""
    yield BATCH, "float32"
    yield LARGE, "float32"
    yield BATCH, "float64"


def activations() -> Iterator[KernelCase]:
    for shape, dtype in _inputs():
        where = f"{dtype}, {shape[0]} x {shape[1]}"
        for kind, make in (("value", _make_activation), ("vjp", _make_vjp)):
            for name in ACTIVATIONS:
                yield KernelCase(
                    group=f"activations, {kind}, {where}",
                    name=name,
                    dtype=dtype,
                    make=partial(make, name, shape, dtype),
                    n_values=shape[0] * shape[1],
                )


def draw(domain: str, shape: tuple[int, int], dtype: str, rng: np.random.Generator) -> Array:
    """Random values of a loss argument's domain."""
    if domain == "classes":
        return rng.integers(0, shape[1], shape[0])
    if domain == "real":
        return rng.standard_normal(shape).astype(dtype)
    if domain == "nonnegative":
        return np.asarray(3 * rng.random(shape)).astype(dtype)
    values = rng.uniform(0.01, 0.99, shape)
    if domain == "probabilities":
        values /= values.sum(axis=1, keepdims=True)
    return np.asarray(values).astype(dtype)


def class_name(loss: str) -> str:
    """Name of the class of a loss: mean_squared_error -> MeanSquaredError."""
    words = ["KL" if word == "kl" else word.capitalize() for word in loss.split("_")]
    return "".join(words)


def _make_loss(name: str, shape: tuple[int, int], dtype: str, gradient: bool) -> dict[str, Call]:
    rng = np.random.default_rng(0)
    t = draw(LOSSES[name].targets, shape, dtype, rng)
    p = draw(LOSSES[name].predictions, shape, dtype, rng)
    compute = reference.losses.loss_gradient if gradient else reference.losses.loss

    def own() -> Any:
        from pyae import losses

        loss = getattr(losses, class_name(name))()
        return loss.gradient(t, p) if gradient else loss(t, p)

    return {"pyae": own, "numpy": lambda: compute(name, t, p)}


def losses() -> Iterator[KernelCase]:
    for shape, dtype in _inputs():
        where = f"{dtype}, {shape[0]} x {shape[1]}"
        for kind in ("value", "gradient"):
            for name in LOSSES:
                yield KernelCase(
                    group=f"losses, {kind}, {where}",
                    name=name,
                    dtype=dtype,
                    make=partial(_make_loss, name, shape, dtype, kind == "gradient"),
                    n_values=shape[0] * shape[1],
                )


NOISES: dict[str, dict[str, float]] = {
    "gaussian": {"stddev": 0.3},
    "masking": {"rate": 0.3},
    "salt_and_pepper": {"rate": 0.3, "low": 0.0, "high": 1.0},
}


def _make_corruption(name: str, shape: tuple[int, int], dtype: str) -> dict[str, Call]:
    x = np.random.default_rng(0).random(shape).astype(dtype)
    rows = np.arange(shape[0], dtype=np.int64)
    params = NOISES[name]
    compute: Callable[..., Array] = CORRUPTIONS[name]  # type: ignore[assignment]
    return {
        "pyae": lambda: _core().corrupt(
            {"name": name, **params}, x, seed=0, epoch=0, rows=rows, lows=[], highs=[]
        ),
        "numpy": lambda: compute(x, rows, 0, 0, **params),
    }


def corruptions() -> Iterator[KernelCase]:
    for shape, dtype in _inputs():
        for name in NOISES:
            yield KernelCase(
                group=f"corruption, {dtype}, {shape[0]} x {shape[1]}",
                name=name,
                dtype=dtype,
                make=partial(_make_corruption, name, shape, dtype),
                n_values=shape[0] * shape[1],
            )


def all_cases() -> Iterator[KernelCase]:
    yield from products()
    yield from activations()
    yield from losses()
    yield from corruptions()
