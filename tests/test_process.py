"""What a fit does to the process around it: signals, forks, imports, memory, the GIL, rounding."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pyae

ROOT = Path(pyae.__file__).parents[1]
LINUX = sys.platform.startswith("linux")
PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import pyae
"""


def run_python(code: str, *options: str, timeout: float = 120, **env: str) -> list[str]:
    """Run code in a process of its own, and return the lines that it prints."""
    result = subprocess.run(
        [sys.executable, *options, "-c", PRELUDE + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


# ---------------------------------------------------------------------------------------- Ctrl-C

INTERRUPT = """
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupted(work, after):
    '''Return how many seconds after a signal the work ends with a KeyboardInterrupt.'''
    sent = []
    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(after, send)
    timer.start()
    try:
        work()
        time.sleep(1)
    except KeyboardInterrupt:
        now = time.monotonic()
        timer.join()
        return now - sent[0]
    raise SystemExit("no KeyboardInterrupt came out of the work")

def check(model, X, y, work):
    '''Interrupt some work at several moments; afterwards the model is as good as before.'''
    model.fit(X[:64], y, batch_size=64)
    for after in (0.2, 0.33, 0.41):
        print("seconds", interrupted(work, after))
        assert np.isfinite(model.predict(X[:50])).all()
        assert all(np.isfinite(w).all() for w in model.get_weights())
        model.fit(X[:64], y, epochs=3, batch_size=64)
        assert len(model.history.epoch) == 3
        assert np.isfinite(model.history.history["loss"]).all()
    print("usable")
"""

SMALL = """
X = np.random.default_rng(0).uniform(size=(640, 64)).astype("float32")
y = None
model = pyae.Sequential([pyae.Dense(32, "relu"), pyae.Dense(64)], random_state=0)
"""
WIDE = """
X = np.random.default_rng(0).uniform(size=(4096, 512)).astype("float32")
y = None
model = pyae.Sequential(
    [pyae.Dense(4096, "relu", activity_regularizer="l1"), pyae.Dense(512)], random_state=0
)
"""
# Many rows that need no memory, and few outputs.
NARROW_END = """
X = np.random.default_rng(0).uniform(size=(64, 512)).astype("float32")
y = X[:, :8].copy()
many, many_y = np.broadcast_to(X[0], (200_000, 512)), np.broadcast_to(y[0], (200_000, 8))
model = pyae.Sequential([pyae.Dense(4096, "relu"), pyae.Dense(8)], random_state=0)
"""
WORK = {
    "small network, many epochs": SMALL + "work = lambda: model.fit(X, epochs=1_000_000)",
    "small network, whole batches": SMALL
    + "work = lambda: model.fit(X, epochs=1_000_000, batch_size=640)",
    "small network, one thread": SMALL.replace("random_state=0", "random_state=0, n_threads=1")
    + "work = lambda: model.fit(X, epochs=1_000_000)",
    "small network, callbacks": SMALL
    + "work = lambda: model.fit(X, epochs=1_000_000, callbacks=lambda epoch, logs: None)",
    "small network, progress": SMALL
    + """
import contextlib
def work():
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        model.fit(X, epochs=1_000_000, verbose=1)
""",
    "small network, early stopping": SMALL
    + "stopping = pyae.callbacks.EarlyStopping('loss', patience=10**9)\n"
    + "work = lambda: model.fit(X, epochs=1_000_000, callbacks=stopping)",
    "one long step": WIDE + "work = lambda: model.fit(X, epochs=1000, batch_size=4096)",
    "L-BFGS": SMALL.replace("random_state=0", "random_state=0, optimizer='lbfgs'")
    + "work = lambda: model.fit(X, epochs=1_000_000, batch_size=64)",
    "L-BFGS, one long step": WIDE.replace("random_state=0", "random_state=0, optimizer='lbfgs'")
    + "work = lambda: model.fit(X, epochs=1000, batch_size=4096)",
    "Newton-CG": SMALL.replace("random_state=0", "random_state=0, optimizer='newton_cg'")
    + "work = lambda: model.fit(X, epochs=1_000_000, batch_size=64)",
    "K-FAC": SMALL.replace("random_state=0", "random_state=0, optimizer='kfac'")
    + "work = lambda: model.fit(X, epochs=1_000_000, batch_size=64)",
    "one long step, one thread": WIDE.replace("random_state=0", "random_state=0, n_threads=1")
    + "work = lambda: model.fit(X, epochs=1000, batch_size=4096)",
    "long validation": NARROW_END
    + "held_out = (many, many_y)\n"
    + "work = lambda: model.fit(X, y, epochs=1000, batch_size=1024, validation_data=held_out)",
    "predict": NARROW_END + "work = lambda: model.predict(many)",
    "evaluate": NARROW_END + "work = lambda: model.evaluate(many, many_y, batch_size=1024)",
    "loss_and_gradients": WIDE
    + """
def work():
    while True:
        model.loss_and_gradients(X)
""",
}  # fmt: skip


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_ctrl_c_is_answered_within_200_ms(work: str) -> None:
    """With a real signal; the median of three, since another process may hold the processor."""
    lines = run_python(INTERRUPT + work + "\ncheck(model, X, y, work)")
    assert lines[-1] == "usable"
    seconds = [float(line.split()[1]) for line in lines if line.startswith("seconds")]
    assert len(seconds) == 3
    assert statistics.median(seconds) < 0.2, seconds


def test_ctrl_c_in_the_first_fit_leaves_a_usable_model() -> None:
    code = (
        INTERRUPT
        + SMALL
        + """
interrupted(lambda: model.fit(X, epochs=1_000_000), 0.3)
assert np.isfinite(model.predict(X)).all()
assert len(model.history.epoch) > 0
loss = model.evaluate(X)
model.fit(X, epochs=5)
print(model.evaluate(X) <= loss * 1.01)
"""
    )
    assert run_python(code) == ["True"]


def test_ctrl_c_stops_between_updates() -> None:
    """The weights are those of a whole number of updates."""
    code = (
        INTERRUPT
        + SMALL
        + """
interrupted(lambda: model.fit(X, epochs=1_000_000, batch_size=320, shuffle=False), 0.2)
updates = model.__getstate__()["_saved"][1]["step"]
other = pyae.Sequential(model.layers, random_state=0)
other.fit(X, epochs=updates // 2, batch_size=320, shuffle=False)
if updates % 2:
    other.fit(X[:320], batch_size=320, shuffle=False)
print(updates > 10, all(map(np.array_equal, model.get_weights(), other.get_weights())))
"""
    )
    assert run_python(code) == ["True True"]


def test_another_signal_handler_is_called_too() -> None:
    code = (
        SMALL
        + """
class Alarm(Exception):
    pass

def handler(number, frame):
    raise Alarm

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
start = time.monotonic()
try:
    model.fit(X, epochs=1_000_000)
except Alarm:
    print(time.monotonic() - start < 1, np.isfinite(model.predict(X)).all())
"""
    )
    assert run_python(code) == ["True True"]


# ------------------------------------------------------------------------------------------ fork

FORK = """
import warnings
warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
X = np.random.default_rng(0).uniform(size=(512, 256)).astype("float32")

def train():
    layers = [pyae.Dense(256, "tanh"), pyae.Dense(256)]
    model = pyae.Sequential(layers, random_state=0, n_threads=4)
    model.fit(X, epochs=2, batch_size=256)
    return np.concatenate([w.ravel() for w in model.get_weights()] + [model.predict(X).ravel()])

def report():
    config = pyae.show_config(as_dict=True)
    tasks = len(os.listdir("/proc/self/task"))
    return train().tobytes(), config["threads"], config["forked_after_threads"], tasks
"""
needs_fork = pytest.mark.skipif(not LINUX, reason="forks, and counts threads as Linux does")


@needs_fork
def test_fork_after_fit() -> None:
    """The child trains on one thread to the same bits, and says so; the parent goes on."""
    code = (
        FORK
        + """
expected = train().tobytes()
threads = len(os.listdir("/proc/self/task"))
child = os.fork()
if child == 0:
    signal.alarm(60)
    bits, n_threads, forked, tasks = report()
    tasks = len(os.listdir("/proc/self/task"))
    os._exit(0 if (bits == expected, n_threads, forked, tasks) == (True, 1, True, 1) else 3)
_, status = os.waitpid(child, 0)
print(threads, os.waitstatus_to_exitcode(status), train().tobytes() == expected)
print(pyae.show_config(as_dict=True)["forked_after_threads"])
"""
    )
    assert run_python(code) == ["4 0 True", "False"]


@needs_fork
def test_fork_before_any_fit_leaves_the_child_its_threads() -> None:
    code = (
        FORK
        + """
child = os.fork()
if child == 0:
    signal.alarm(60)
    train()
    tasks = len(os.listdir("/proc/self/task"))
    os._exit(0 if tasks == 4 and not pyae.show_config(as_dict=True)["forked_after_threads"] else 3)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""
    )
    assert run_python(code) == ["0"]


@needs_fork
def test_fork_of_a_fork() -> None:
    code = (
        FORK
        + """
expected = train().tobytes()
def generation(depth):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        good = train().tobytes() == expected and len(os.listdir("/proc/self/task")) == 1
        if depth:
            good = generation(depth - 1) == 0 and good
        os._exit(0 if good else 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(generation(2))
"""
    )
    assert run_python(code) == ["0"]


@needs_fork
def test_multiprocessing_with_fork() -> None:
    code = (
        FORK
        + """
import multiprocessing
if __name__ == "__main__":
    expected = train().tobytes()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(report) for _ in range(4)]
        for result in results:
            bits, n_threads, forked, _ = result.get(60)
            assert (bits == expected, n_threads, forked) == (True, 1, True)
    print("done", train().tobytes() == expected)
"""
    )
    assert run_python(code) == ["done True"]


@needs_fork
def test_fork_while_another_thread_trains() -> None:
    code = (
        FORK
        + """
stop = False
def watch(epoch, logs):
    background.stop_training = stop
background = pyae.Sequential([pyae.Dense(64, "tanh"), pyae.Dense(256)], n_threads=2)
thread = threading.Thread(
    target=lambda: background.fit(X, epochs=100_000, batch_size=256, callbacks=watch)
)
thread.start()
while not background.built:
    time.sleep(0.01)
time.sleep(0.2)
child = os.fork()
if child == 0:
    signal.alarm(60)
    train()
    os._exit(0 if len(os.listdir("/proc/self/task")) == 1 else 3)
_, status = os.waitpid(child, 0)
stop = True
thread.join()
print(os.waitstatus_to_exitcode(status))
"""
    )
    assert run_python(code) == ["0"]


# ---------------------------------------------------------------------------------------- import

HEAVY = [
    "sklearn", "scipy", "pandas", "rich", "matplotlib", "threadpoolctl", "narwhals", "safetensors",
    "typer", "click", "IPython", "multiprocessing", "asyncio", "concurrent.futures", "unittest",
]  # fmt: skip


@pytest.mark.parametrize(
    "names", ["pyae", "pyae.Sequential, pyae.Dense, pyae.optimizers, pyae.callbacks, pyae.losses"]
)
def test_import_loads_nothing_heavy(names: str) -> None:
    code = """
    import sys, numpy
    before = set(sys.modules)
    import pyae
    %s
    print(*sorted(set(sys.modules) - before))
    """
    loaded = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code % names)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "pyae" in loaded
    assert not [m for m in loaded if any(m == h or m.startswith(f"{h}.") for h in HEAVY)]


def test_import_starts_no_threads_and_warns_of_nothing() -> None:
    code = "pyae.Sequential\nprint(threading.active_count(), len(os.listdir('/proc/self/task')))"
    if LINUX:
        assert run_python(code, "-W", "error") == ["1 1"]


# ----------------------------------------------------------------------------------- allocations

COUNTER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static unsigned long calls;
unsigned long allocation_calls(void) { return __atomic_load_n(&calls, __ATOMIC_SEQ_CST); }
static void count(void) { __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST); }

void *malloc(size_t n) { count(); return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { count(); return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { count(); return __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { count(); return __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { count(); return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
  count();
  *p = __libc_memalign(a, n);
  return *p == NULL ? ENOMEM : 0;
}
"""

COUNT_FITS = """
import ctypes, gc
allocations = ctypes.CDLL(None).allocation_calls
allocations.restype = ctypes.c_ulong
r = pyae.regularizers

def layers(width, tied):
    return [
        pyae.Dense(
            width,
            pyae.activations.Activation("top_k", k=3),
            kernel_regularizer=r.L1L2(1e-5, 1e-5),
            activity_regularizer="l1",
        ),
        pyae.Dense(width // 2, "sigmoid", activity_regularizer=r.KLSparsity()),
        pyae.Dense(width, "softmax", tied_to=1 if tied else None, bias_regularizer="l2"),
        pyae.Dense(24, "sigmoid"),
    ]

def count(steps, width, batch_size, optimizer, n_threads, dtype, loss):
    n = steps * batch_size  # above 1024, below which NumPy keeps freed memory for itself
    X = np.random.default_rng(0).uniform(size=(n, 24)).astype(dtype)
    weights = np.ones(n, dtype=dtype)
    made = layers(width, tied=optimizer != "kfac")  # which refuses tied ones
    model = pyae.Sequential(
        made, loss, optimizer, dtype=dtype, n_threads=n_threads, random_state=0
    )
    model.build(24)
    gc.collect()
    before = allocations()
    model.fit(
        X,
        batch_size=batch_size,
        sample_weight=weights,
        noise=pyae.noise.SaltAndPepper(0.1),
        validation_data=X[:batch_size],
    )
    return allocations() - before

def compare(name, few, many, *args):
    count(few, *args), count(many, *args)  # threads are started, caches are filled
    a, b = count(few, *args), count(many, *args)
    print(name, "same" if a == b and a > 0 else f"{few} steps: {a}, {many} steps: {b} allocations")
"""

OPTIMIZERS = {
    "sgd": "pyae.optimizers.SGD(0.01, momentum=0.9, nesterov=True)",
    "rmsprop": "pyae.optimizers.RMSprop(momentum=0.9, centered=True)",
    "adagrad": "'adagrad'",
    "adadelta": "'adadelta'",
    "adam": "pyae.optimizers.Adam(pyae.schedules.WarmUp(5, then=pyae.schedules.Cosine(0.01, 100)))",
    "adamw": "pyae.optimizers.AdamW(global_clipnorm=0.1)",
    "nadam": "pyae.optimizers.Nadam(clipnorm=0.1)",
    "muon": "pyae.optimizers.Muon(clipnorm=0.1)",
    "lbfgs": "'lbfgs'",
    "newton_cg": "pyae.optimizers.NewtonCG(max_iterations=5)",
    "kfac": "'kfac'",
}


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that counts allocations, to be loaded before all others."""
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None or not LINUX or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("needs a C compiler and Linux with glibc")
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER)
    library = folder / "counter.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(folder / "counter.c")]
    subprocess.run(command, check=True)
    return str(library)


def count_allocations(counter: str, code: str) -> list[str]:
    return run_python(COUNT_FITS + code, LD_PRELOAD=counter, PYTHONHASHSEED="0")


def test_the_counter_counts(counter: str) -> None:
    code = """
before = allocations()
kept = [np.empty(1000) for _ in range(100)]
print(allocations() - before >= 100)
"""
    assert count_allocations(counter, code) == ["True"]


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_steps_allocate_nothing(counter: str, n_threads: int) -> None:
    """As many allocations in 10 steps as in 300, with every optimizer."""
    lines = count_allocations(
        counter,
        f"optimizers = {{{', '.join(f'{k!r}: {v}' for k, v in OPTIMIZERS.items())}}}\n"
        "for name, optimizer in optimizers.items():\n"
        "    for dtype in ('float32', 'float64'):\n"
        "        compare(name, 10, 300, 16, 128, optimizer, "
        f"{n_threads}, dtype, 'binary_crossentropy')",
    )
    assert lines == [f"{name} same" for name in OPTIMIZERS for _ in range(2)]


@pytest.mark.skipif(not LINUX, reason="tells threads apart as Linux does")
@pytest.mark.parametrize("n_threads", [2, 3, 4, 8])
def test_threads_are_started_once(n_threads: int) -> None:
    """Steps whose parts are worth different numbers of threads all use the same threads."""
    code = f"""
    X = np.random.default_rng(0).uniform(size=(4096, 64)).astype("float32")
    layers = [pyae.Dense(96, "relu"), pyae.Dense(64)]
    model = pyae.Sequential(layers, random_state=0, n_threads={n_threads})
    threads = []
    for _ in range(3):
        model.fit(X, batch_size=256)
        threads.append(sorted(os.listdir("/proc/self/task")))
    print(len(threads[0]), threads[1] == threads[0], threads[2] == threads[0])
    """
    count, *same = run_python(code)[0].split()
    assert 1 < int(count) <= n_threads
    assert same == ["True", "True"]


@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_steps_that_are_worth_threads_allocate_nothing(counter: str, n_threads: int) -> None:
    """The parts of a step are worth different numbers of threads."""
    arguments = f"5, 40, 160, 256, 'adam', {n_threads}, 'float32', 'mean_squared_error'"
    assert count_allocations(counter, f"compare('threads', {arguments})") == ["threads same"]


@pytest.mark.parametrize(
    "loss", sorted(set(pyae.losses.names()) - {"sparse_categorical_crossentropy"})
)
def test_steps_with_each_loss_allocate_nothing(counter: str, loss: str) -> None:
    code = f"compare('loss', 10, 300, 16, 128, 'adam', 1, 'float32', {loss!r})"
    assert count_allocations(counter, code) == ["loss same"]


# ------------------------------------------------------------------------- the GIL, the processor


def test_other_threads_of_python_run_during_a_fit() -> None:
    code = """
    X = np.random.default_rng(0).uniform(size=(512, 512)).astype("float32")
    model = pyae.Sequential([pyae.Dense(512, "relu"), pyae.Dense(512)], n_threads=1)
    model.fit(X, batch_size=512)
    ticks, done = 0, False
    def tick():
        global ticks
        while not done:
            ticks += 1
            time.sleep(0.005)
    thread = threading.Thread(target=tick)
    thread.start()
    for name, work in [
        ("fit", lambda: model.fit(X, epochs=20, batch_size=512)),
        ("predict", lambda: model.predict(np.tile(X, (100, 1)))),
        ("evaluate", lambda: model.evaluate(np.tile(X, (100, 1)))),
    ]:
        many = time.monotonic()
        before = ticks
        work()
        seconds = time.monotonic() - many
        print(name, ticks - before >= seconds / 0.005 / 20, seconds)
    done = True
    thread.join()
    """
    lines = run_python(code)
    assert [line.split()[:2] for line in lines] == [
        [name, "True"] for name in ("fit", "predict", "evaluate")
    ], lines


@pytest.mark.parametrize("n_threads", [1, 3])
def test_denormal_numbers_and_rounding_are_as_before(n_threads: int) -> None:
    """Neither importing nor fitting changes the processor's floating-point mode."""
    code = f"""
    def mode():
        tiny = np.array([np.finfo(np.float64).smallest_subnormal, 2.0**-1060])
        single = np.array([np.finfo(np.float32).smallest_subnormal, 2.0**-140], dtype=np.float32)
        thirds = np.array([1.0, -1.0, 10.0]) / 3
        return (tiny * 1).tobytes(), (single * np.float32(1)).tobytes(), thirds.tobytes()
    expected = mode()
    assert (np.array([2.0**-1060]) / 2 > 0).all()
    X = np.random.default_rng(0).uniform(size=(512, 256)).astype("float32")
    layers = [pyae.Dense(256, "tanh"), pyae.Dense(256)]
    model = pyae.Sequential(layers, random_state=0, n_threads={n_threads})
    results = []
    def watch(epoch, logs):
        results.append(mode() == expected)
    with np.errstate(all="raise"):
        model.fit(X, epochs=2, batch_size=256, callbacks=watch)
        model.predict(X)
    results.append(mode() == expected)
    thread = threading.Thread(target=lambda: results.append(mode() == expected))
    thread.start()
    thread.join()
    print(*results)
    """
    assert run_python(code) == ["True True True True"]


@pytest.mark.skipif(not LINUX, reason="reads memory use as Linux tells it")
def test_repeated_fits_and_predictions_do_not_leak() -> None:
    code = """
    def anonymous():
        with open("/proc/self/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["RssAnon"].split()[0])
    X = np.random.default_rng(0).uniform(size=(500, 100))
    def work():
        model = pyae.Sequential([pyae.Dense(200, "tanh"), pyae.Dense(100)], n_threads=1)
        model.fit(X, batch_size=100)
        model.predict(X)
        model.loss_and_gradients(X)
        try:
            model.fit(X, X[:, :3])
        except ValueError:
            pass
    for _ in range(10):
        work()
    before = anonymous()
    for _ in range(80):
        work()
    print(anonymous() - before < 4096)  # KB, of 80 networks that have 160 KB of weights each
    """
    assert run_python(code) == ["True"]
