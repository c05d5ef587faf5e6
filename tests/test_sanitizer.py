"""The core, built with AddressSanitizer and UndefinedBehaviorSanitizer, does its work cleanly."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.sanitizer

EXERCISE = '''
"""Everything once, with sizes that are no multiple of anything."""
import copy, itertools, pickle, sys, threading
import numpy as np
import pyae
from pyae import activations, callbacks, losses, noise, optimizers, regularizers, schedules

assert "sanitize" in sys.argv[1]
rng = np.random.default_rng(0)
SIZES = (1, 2, 7, 8, 9, 15, 17, 31, 33, 64, 65, 100)

# Kernels, exactly as large as their arrays: a vector too many is seen.
for name, n, dtype in itertools.product(activations.names(), SIZES, ("float32", "float64")):
    for scale in (1.0, 1e4):
        x = (scale * rng.normal(size=(3, n))).astype(dtype)
        activations.Activation(name)(x)
        activations.vjp(name, x, np.ones_like(x))
for loss, n, dtype in itertools.product(losses.names(), SIZES, ("float32", "float64")):
    classes = loss == "sparse_categorical_crossentropy"
    p = rng.dirichlet(np.ones(n), 5).astype(dtype)
    t = rng.integers(0, n, 5) if classes else rng.dirichlet(np.ones(n), 5).astype(dtype)
    value = losses.resolve(loss)
    value(t, p, np.ones(5)), value.gradient(t, p, np.ones(5))

def layers(width, outputs, last):
    return [
        pyae.Dense(width, "gelu", kernel_regularizer=regularizers.L1L2(1e-4, 1e-4)),
        pyae.Dense(5, "sigmoid", activity_regularizer=regularizers.KLSparsity(), use_bias=False),
        pyae.Dense(width, "softmax", tied_to=1, bias_regularizer="l2"),
        pyae.Dense(outputs, last, activity_regularizer="l1", kernel_initializer="sparse"),
    ]

OPTIMIZERS = [
    optimizers.SGD(schedules.Piecewise([3], [0.1, 0.01]), 0.9, nesterov=True, clipvalue=1.0),
    optimizers.RMSprop(momentum=0.5, centered=True),
    optimizers.Adagrad(),
    optimizers.Adadelta(),
    optimizers.Adam(schedules.WarmUp(3, then=schedules.Cosine(0.01, 10)), global_clipnorm=0.1),
    optimizers.AdamW(clipnorm=0.1),
    optimizers.Nadam(schedules.InverseTime(0.01, 5, 0.5)),
    optimizers.Muon(clipnorm=0.1),
    optimizers.LBFGS(history_size=2),
]
NOISES = [None, noise.Gaussian(0.1), noise.Masking(0.3), noise.SaltAndPepper(0.2)]
INITIALIZERS = ["glorot_normal", "he_uniform", "lecun_normal", "orthogonal", "zeros", "sparse"]

cases = itertools.product(("float32", "float64"), (1, 3), (1, 9, 33), (1, 17, 70))
for i, (dtype, n_threads, features, n) in enumerate(cases):
    loss = losses.names()[i % len(losses.names())]
    classes = loss == "sparse_categorical_crossentropy"
    outputs = max(features, 2)
    X = rng.uniform(size=(n, features))
    y = rng.integers(0, outputs, n) if classes else rng.uniform(size=(n, outputs))
    model = pyae.Sequential(
        layers(SIZES[i % len(SIZES)], outputs, "softmax" if "categorical" in loss else "sigmoid"),
        loss,
        OPTIMIZERS[i % len(OPTIMIZERS)],
        dtype=dtype,
        n_threads=n_threads,
        random_state=i,
    )
    stopping = callbacks.EarlyStopping(patience=5)
    model.fit(
        X, y, epochs=3, batch_size=(1, 16, 1000)[i % 3], validation_data=(X, y),
        sample_weight=rng.uniform(0.1, 1, n), noise=NOISES[i % 4], shuffle=i % 2 == 0,
        callbacks=[stopping, lambda epoch, logs: model.predict(X)],
    )
    model.loss_and_gradients(X, y)
    model.evaluate(X, y, batch_size=7)
    for upto in range(5):
        model.forward(X, upto=upto)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    twin.fit(X, y)
    model.set_weights(model.get_weights())

# The curvature of each kind of loss and output, and of blocks of a batch.
ends = [
    ("sigmoid", "binary_crossentropy"), ("softmax", "categorical_crossentropy"),
    ("softmax", "sparse_categorical_crossentropy"), ("log_softmax", "log_cosh"), ("gelu", "huber"),
]
for i, (last, loss) in enumerate(ends):
    for optimizer in (optimizers.NewtonCG(max_iterations=3), optimizers.KFAC(inverse_every=2)):
        for units, n_threads, n in ((3, 1, 5), (53, 3, 700)):
            X = rng.uniform(size=(n, 9))
            y = rng.integers(0, units, n) if "sparse" in loss else rng.uniform(size=(n, units))
            weights = rng.uniform(size=n) if i % 2 else None
            end = pyae.Dense(units, last, activity_regularizer="l2")
            model = pyae.Sequential(
                [pyae.Dense(7, "silu"), pyae.Dense(60, "softmax", use_bias=False), end],
                loss, optimizer, n_threads=n_threads, random_state=i,
            )
            model.fit(X, y, epochs=4, batch_size=600, sample_weight=weights)

for initializer in INITIALIZERS:
    for features, units in [(1, 1), (3, 20), (20, 3), (17, 17)]:
        pyae.Sequential([pyae.Dense(units, kernel_initializer=initializer)]).build(features)

# Arrays of all kinds, as large as their memory.
base = rng.integers(0, 100, (37, 11))
for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">i8", "?"):
    a = base.astype(kind)
    raw = np.frombuffer(b"x" + a.tobytes(), dtype=kind, offset=1).reshape(a.shape)
    for X in (a, a[::-1, ::-2], np.asfortranarray(a), a[::3, ::5], raw, a[:1], a[:, :1]):
        model = pyae.Sequential([pyae.Dense(4), pyae.Dense(X.shape[1])], uint8_scale=0.01)
        for shuffle in (True, False):
            model.fit(X, batch_size=8, shuffle=shuffle, noise=noise.SaltAndPepper(0.5))
        model.predict(X)

# Larger products, by several threads, and by several at once.
X = rng.uniform(size=(700, 300)).astype("float32")
model = pyae.Sequential(
    [pyae.Dense(257, "relu"), pyae.Dense(129, "elu"), pyae.Dense(300, "sigmoid")],
    "binary_crossentropy", n_threads=3,
)
model.fit(X, epochs=2, batch_size=256)
threads = [threading.Thread(target=lambda: model.predict(X)) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]

# What is refused, and what goes wrong.
for bad in (np.full((3, 300), np.nan), X[:, :5], X * 1j, np.zeros((0, 300))):
    try:
        model.fit(bad)
    except (TypeError, ValueError):
        pass
def fail(epoch, logs):
    raise KeyError("on purpose")
try:
    model.fit(X, callbacks=fail)
except KeyError:
    pass
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    wild = pyae.Sequential([pyae.Dense(300)], optimizer=optimizers.SGD(1e30), n_threads=2)
    wild.fit(X, epochs=5)
    wild.fit(X, epochs=5, callbacks=callbacks.EarlyStopping("loss"))
try:
    pyae.Sequential([pyae.Dense(2**31 - 1)]).build(2**61)
except ValueError:
    pass
print("clean")
'''


def levels() -> str:
    """Return the level that the preset builds, or one that this processor runs."""
    code = "from pyae import _cpu; print(*_cpu.supported_levels())"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return "x86-64-v3" if "x86-64-v3" in result.stdout.split() else "generic"


def runtime_library(compiler: str, name: str) -> str:
    result = subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    path = Path(result.stdout.strip())
    if not path.is_absolute():
        pytest.skip(f"{compiler} has no {name}")
    return str(path.resolve())


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a core that is built with sanitizers."""
    cmake = shutil.which(
        "cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if cmake is None or shutil.which("g++") is None or importlib.util.find_spec("pybind11") is None:
        pytest.skip("needs CMake, GCC and pybind11")
    if not sys.platform.startswith("linux"):
        pytest.skip("loads the sanitizers' libraries as Linux does")
    folder = tmp_path_factory.mktemp("sanitized")
    path = f"{Path(cmake).parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}"
    env = {**os.environ, "PATH": path + os.environ["PATH"], "CXX": "g++"}
    query = [sys.executable, "-m", "pybind11", "--cmakedir"]
    pybind11 = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    configure = [
        cmake, "--preset", "sanitize", "-S", str(ROOT), "-B", str(folder / "build"),
        f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11}",
        f"-DPYAE_LEVELS={levels()}",
    ]  # fmt: skip
    build = [cmake, "--build", str(folder / "build")]
    install = [cmake, "--install", str(folder / "build"), "--prefix", str(folder)]
    for command in (configure, build, install):
        result = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, (result.stdout + result.stderr)[-5000:]
    ignore = shutil.ignore_patterns("*.so", "_levels.json", "__pycache__")
    shutil.copytree(ROOT / "pyae", folder / "pyae", ignore=ignore, dirs_exist_ok=True)
    assert '"sanitize": "address,undefined"' in (folder / "pyae" / "_levels.json").read_text()
    return folder


def run_sanitized(root: Path, code: str) -> subprocess.CompletedProcess[str]:
    preload = ":".join(runtime_library("g++", f"lib{name}.so") for name in ("asan", "ubsan"))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "sanitize"],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "PYTHONMALLOC": "malloc",  # so that Python's own blocks have borders too
            "LD_PRELOAD": preload,
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1:abort_on_error=0",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


def test_everything_is_clean(sanitized: Path) -> None:
    result = run_sanitized(sanitized, EXERCISE)
    assert "runtime error" not in result.stderr, result.stderr[:5000]
    assert "AddressSanitizer" not in result.stderr, result.stderr[:5000]
    assert result.returncode == 0, result.stderr[:5000]
    assert result.stdout.split() == ["clean"]


def test_the_sanitizer_is_there(sanitized: Path) -> None:
    """A read beyond an array's end is seen, so that the test above can fail."""
    code = """
import ctypes
memory = ctypes.create_string_buffer(8)
ctypes.CDLL(None).memcmp(memory, ctypes.create_string_buffer(8000), 8000)
"""
    result = run_sanitized(sanitized, code)
    assert result.returncode != 0
    assert "AddressSanitizer" in result.stderr
