"""The same bits for any number of threads, and how many of them are used."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyae
from pyae import noise, optimizers, regularizers

ROOT = Path(pyae.__file__).parents[1]
THREADS = [1, 2, 3, 4, 8]
LINUX = sys.platform.startswith("linux")
CPUS = len(os.sched_getaffinity(0)) if LINUX else os.cpu_count() or 1
needs_two_cpus = pytest.mark.skipif(CPUS < 2 or not LINUX, reason="needs two processors and Linux")


def sizes(*units: int, hidden: str, output: str, **code: Any) -> tuple[int, list[pyae.Dense]]:
    """Return the number of features and the layers of an autoencoder; `code` is for its middle."""
    layers = [pyae.Dense(u, hidden) for u in units[1:-1]]
    middle = len(layers) // 2
    layers[middle] = pyae.Dense(units[middle + 1], hidden, **code)
    return units[0], [*layers, pyae.Dense(units[-1], output)]


STACKED = (784, 1000, 500, 250, 30, 250, 500, 1000, 784)
BCE, MSE = "binary_crossentropy", "mean_squared_error"
# name: ((n_features, layers), loss, batch size, samples): the networks of the benchmarks, with a
# short last batch
NETWORKS: dict[str, tuple[tuple[int, list[pyae.Dense]], str, int, int]] = {
    "64-32-64": (sizes(64, 32, 64, hidden="relu", output="linear"), MSE, 32, 300),
    "784-32-784": (sizes(784, 32, 784, hidden="relu", output="sigmoid"), BCE, 256, 600),
    "784-128-64-32-64-128-784": (
        sizes(784, 128, 64, 32, 64, 128, 784, hidden="relu", output="sigmoid"),
        BCE,
        256,
        600,
    ),
    "784-1000-500-250-30-250-500-1000-784": (
        sizes(*STACKED, hidden="sigmoid", output="sigmoid"),
        BCE,
        256,
        300,
    ),
    "512-4096-512": (
        sizes(512, 4096, 512, hidden="relu", output="linear", activity_regularizer="l1"),
        MSE,
        4096,
        301,
    ),
}


def run(
    network: tuple[int, list[pyae.Dense]],
    loss: str,
    batch_size: int,
    n_samples: int,
    n_threads: int,
    dtype: str = "float32",
    optimizer: Any = "adam",
    epochs: int = 3,
    **options: Any,
) -> list[np.ndarray]:
    """Return the weights, losses and predictions of a fit."""
    n_features, layers = network
    X = np.random.default_rng(0).uniform(size=(n_samples, n_features)).astype(dtype)
    model = pyae.Sequential(
        layers, loss, optimizer, dtype=dtype, n_threads=n_threads, random_state=1
    )
    history = model.fit(X, epochs=epochs, batch_size=batch_size, validation_data=X[:99], **options)
    loss_value, gradients = model.loss_and_gradients(X[:100])
    return [
        *model.get_weights(),
        np.array(history.history["loss"] + history.history["val_loss"]),
        model.predict(X),
        np.array([loss_value, model.evaluate(X)]),
        *gradients,
    ]


def assert_same_bits(actual: list[np.ndarray], expected: list[np.ndarray], name: Any) -> None:
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.tobytes() == e.tobytes(), f"{name}: result {i} differs"


@pytest.mark.parametrize("network", NETWORKS)
def test_bits_of_the_benchmark_networks(network: str) -> None:
    expected = run(*NETWORKS[network], n_threads=THREADS[0])
    assert all(np.isfinite(a).all() for a in expected)
    for n_threads in THREADS[1:]:
        assert_same_bits(run(*NETWORKS[network], n_threads=n_threads), expected, n_threads)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["512-4096-512", "784-1000-500-250-30-250-500-1000-784"])
def test_bits_of_the_large_networks_with_whole_batches(network: str) -> None:
    layers, loss, batch_size, _ = NETWORKS[network]
    expected = run(layers, loss, batch_size, 4096, n_threads=1)
    for n_threads in THREADS[1:]:
        actual = run(layers, loss, batch_size, 4096, n_threads=n_threads)
        assert_same_bits(actual, expected, n_threads)


ODD = (
    257,
    [
        pyae.Dense(131, "gelu", kernel_regularizer=regularizers.L1L2(1e-4, 1e-4)),
        pyae.Dense(67, "softmax", bias_regularizer="l2"),
        pyae.Dense(131, "sigmoid", activity_regularizer=regularizers.KLSparsity(), tied_to=1),
        pyae.Dense(257, tied_to=0),
    ],
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        optimizers.RMSprop(momentum=0.5, centered=True),
        optimizers.Adagrad(),
        optimizers.Adadelta(),
        optimizers.AdamW(global_clipnorm=0.1),
        optimizers.Nadam(clipnorm=0.1),
        optimizers.Adam(clipvalue=1e-4),
        optimizers.Muon(clipnorm=0.1),
    ],
    ids=lambda o: o.name,
)
def test_bits_with_everything(optimizer: optimizers.Optimizer, dtype: str) -> None:
    def work(n_threads: int) -> list[np.ndarray]:
        return run(
            ODD,
            "log_cosh",
            batch_size=113,
            n_samples=311,
            n_threads=n_threads,
            dtype=dtype,
            optimizer=optimizer,
            epochs=2,
            noise=noise.SaltAndPepper(0.1),
            sample_weight=np.linspace(0, 2, 311),
        )

    expected = work(1)
    for n_threads in (2, 5):
        assert_same_bits(work(n_threads), expected, n_threads)


@settings(max_examples=25)
@given(
    n_features=st.integers(1, 300),
    hidden=st.integers(1, 300),
    n_samples=st.integers(2, 400),
    batch_size=st.integers(1, 400),
    n_threads=st.integers(2, 9),
    dtype=st.sampled_from(["float32", "float64"]),
    loss=st.sampled_from([BCE, MSE, "kl_divergence", "cosine_similarity", "poisson"]),
)
def test_bits_of_random_sizes(
    n_features: int,
    hidden: int,
    n_samples: int,
    batch_size: int,
    n_threads: int,
    dtype: str,
    loss: str,
) -> None:
    network = sizes(n_features, hidden, n_features, hidden="tanh", output="sigmoid")
    work = [run(network, loss, batch_size, n_samples, t, dtype, epochs=1) for t in (1, n_threads)]
    assert_same_bits(work[1], work[0], n_threads)


# ---------------------------------------------------------------------------- how many are used


def run_python(code: str, *prefix: str, **env: str) -> list[str]:
    """Run code in a process of its own, and return the lines that it prints."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    result = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(code)],
        env={**inherited, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


THREADS_OF = "import pyae\nprint(pyae.show_config(as_dict=True)['threads'])\n"
# How many threads the process has after a fit that is worth many.
THREADS_AFTER_FIT = """
import os
import numpy as np
import pyae

def fit(n_threads=None):
    X = np.ones((512, 256), dtype="float32")
    layers = [pyae.Dense(256, "tanh"), pyae.Dense(256)]
    pyae.Sequential(layers, random_state=0, n_threads=n_threads).fit(X, batch_size=256)
    return len(os.listdir("/proc/self/task"))
"""


@needs_two_cpus
def test_all_processors_are_used_by_default() -> None:
    threads = int(run_python(THREADS_OF)[0])
    assert 1 <= threads <= CPUS
    lines = run_python(THREADS_AFTER_FIT + "print(fit())")
    assert int(lines[0]) == threads


@needs_two_cpus
def test_omp_num_threads() -> None:
    everything = int(run_python(THREADS_OF)[0])
    assert run_python(THREADS_OF, OMP_NUM_THREADS="1") == ["1"]
    assert run_python(THREADS_AFTER_FIT + "print(fit())", OMP_NUM_THREADS="1") == ["1"]
    assert int(run_python(THREADS_OF, OMP_NUM_THREADS="999")[0]) == everything


@needs_two_cpus
def test_affinity() -> None:
    code = f"""
    import os
    import pyae
    before = pyae.show_config(as_dict=True)["threads"]
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    print(before, pyae.show_config(as_dict=True)["threads"])
    {textwrap.indent(THREADS_AFTER_FIT, "    ").lstrip()}
    print(fit())
    """
    before, after = run_python(code)[0].split()
    assert int(before) > int(after) == 1
    assert run_python(code)[1] == "1"


@needs_two_cpus
@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
def test_affinity_that_was_there_before() -> None:
    cpu = str(min(os.sched_getaffinity(0)))
    assert run_python(THREADS_OF, "taskset", "-c", cpu) == ["1"]


@needs_two_cpus
def test_threadpoolctl() -> None:
    lines = run_python("""
    import pyae
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return pyae.show_config(as_dict=True)["threads"]

    everything = threads()
    with threadpool_limits(1):
        print(threads())
    print(threads() == everything)
    with threadpool_limits(1, user_api="openmp"):
        print(threads())
    with threadpool_limits(999):
        print(threads() == everything)
    print(sum(pool["user_api"] == "openmp" for pool in threadpool_info()) >= 1)
    """)
    assert lines == ["1", "True", "1", "True", "True"]


@needs_two_cpus
def test_set_num_threads() -> None:
    lines = run_python(
        THREADS_AFTER_FIT
        + """
def threads():
    return pyae.show_config(as_dict=True)["threads"]

everything = threads()
pyae.set_num_threads(1)
print(threads(), fit())
pyae.set_num_threads(999)
print(threads() == everything)
pyae.set_num_threads(1)
pyae.set_num_threads(None)
print(threads() == everything, fit() == everything)
"""
    )
    assert lines == ["1 1", "True", "True True"]


def test_set_num_threads_in_this_process() -> None:
    try:
        pyae.set_num_threads(1)
        assert pyae.show_config(as_dict=True)["threads"] == 1
    finally:
        pyae.set_num_threads(None)


@pytest.mark.skipif(not LINUX, reason="counts threads as Linux does")
def test_n_threads_of_a_model() -> None:
    """A number that was asked for is taken, also above what would be chosen."""
    lines = run_python(THREADS_AFTER_FIT + "print(fit(1), fit(3), fit(2))", OMP_NUM_THREADS="1")
    one, three, _ = lines[0].split()
    assert (one, three) == ("1", "3")


@functools.cache
def may_mount() -> bool:
    if not LINUX or shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /sys/fs/cgroup"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


QUOTAS = [  # (version, file contents, processors)
    (2, {"cpu.max": "max 100000\n"}, None),
    (2, {"cpu.max": "100000 100000\n"}, 1),
    (2, {"cpu.max": "50000 100000\n"}, 1),
    (2, {"cpu.max": "100001 100000\n"}, 2),
    (2, {"cpu.max": "20000000 100000\n"}, 200),
    (2, {"cpu.max": ""}, None),
    (2, {"cpu.max": "nonsense\n"}, None),
    (1, {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
    (1, {"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "100000\n"}, 1),
    (1, {"cpu.cfs_quota_us": "150000\n", "cpu.cfs_period_us": "100000\n"}, 2),
    (1, {"cpu.cfs_quota_us": "100000\n"}, None),
]


PLACES = [  # (where the files are, the process's group, whether they hold for it)
    ("/", "/", True),
    ("/", "/user/session", True),
    ("/user", "/user/session", True),
    ("/user/session", "/user/session", True),
    ("/user/session", "/user", False),
    ("/user", "/users", False),
]
CASES = [(*quota, *PLACES[0]) for quota in QUOTAS] + [
    (*quota, *place) for quota in (QUOTAS[1], QUOTAS[8]) for place in PLACES[1:]
]


@needs_two_cpus
@pytest.mark.parametrize(
    ("version", "files", "quota", "where", "group", "holds"),
    CASES,
    ids=[f"v{v}-{'-'.join(f.values()).split()}-{w}-{g}" for v, f, _, w, g, _ in CASES],
)
def test_control_group_quota(
    tmp_path: Path,
    version: int,
    files: dict[str, str],
    quota: int | None,
    where: str,
    group: str,
    holds: bool,
) -> None:
    """Put files of quotas in place of the system's, as a container has them."""
    if not may_mount():
        pytest.skip("may not mount in a namespace of its own")
    base = tmp_path / "cgroup"
    folder = base / (("" if version == 2 else "cpu,cpuacct") + where).lstrip("/")
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    groups = tmp_path / "groups"
    groups.write_text(f"0::{group}\n" if version == 2 else f"3:cpu,cpuacct:{group}\n1:pids:/\n")
    mounts = f"mount --bind {base} /sys/fs/cgroup && mount --bind {groups} /proc/$$/cgroup"
    prefix = ["unshare", "-rm", "sh", "-c", mounts + ' && exec "$@"', "sh"]
    expected = min(CPUS, quota) if holds and quota else CPUS
    assert run_python(THREADS_OF, *prefix) == [str(expected)]
