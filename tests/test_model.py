"""The model as an object: building, weights, forward, copies, threads of Python."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyae
from pyae import losses, noise, optimizers, regularizers, schedules
from pyae.activations import Activation
from pyae.callbacks import Callback, EarlyStopping
from pyae.reference import Network, initial_kernel

N, FEATURES = 40, 6


def data(n: int = N, n_features: int = FEATURES, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(n, n_features))


def model_of(optimizer: Any = "adam", dtype: str = "float64", **options: Any) -> pyae.Sequential:
    layers = [pyae.Dense(4, "tanh"), pyae.Dense(FEATURES)]
    return pyae.Sequential(
        layers, optimizer=optimizer, dtype=dtype, **{"random_state": 5, **options}
    )


def rich_model(dtype: str = "float64") -> pyae.Sequential:
    """Return a model with one of everything."""
    first = pyae.Dense(
        5,
        Activation("elu", alpha=0.5),
        kernel_initializer="he_normal",
        kernel_regularizer=regularizers.L1L2(1e-4, 1e-3),
        bias_regularizer="l2",
        name="encoder",
    )
    second = pyae.Dense(
        3, "sigmoid", use_bias=False, activity_regularizer=regularizers.KLSparsity()
    )
    return pyae.Sequential(
        [first, second, pyae.Dense(5, "relu", tied_to=second), pyae.Dense(FEATURES, tied_to=first)],
        loss=losses.Huber(delta=0.5),
        optimizer=optimizers.Adam(
            schedules.WarmUp(3, then=schedules.Exponential(0.01, 10, 0.5)), global_clipnorm=1.0
        ),
        dtype=dtype,
        random_state=5,
    )


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True)
    )


# --------------------------------------------------------------------------------------- building


def test_build_makes_weights_of_the_described_shapes() -> None:
    model = rich_model()
    assert not model.built
    assert model.n_features is None
    assert model.build(FEATURES) is model
    assert model.built
    assert model.n_features == FEATURES
    shapes = [w.shape for w in model.get_weights()]
    assert shapes == [(FEATURES, 5), (5,), (5, 3), (5,), (FEATURES,)]
    assert model.n_parameters == sum(int(np.prod(shape)) for shape in shapes)
    assert [type(layer) for layer in model.layers] == [pyae.Dense] * 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_first_weights_are_those_of_the_initializers(dtype: str) -> None:
    model = rich_model(dtype).build(FEATURES)
    W0, b0, W1, b2, b3 = model.get_weights()
    expected = [
        initial_kernel({"name": "he_normal"}, FEATURES, 5, 0, 5),
        initial_kernel({"name": "glorot_uniform"}, 5, 3, 1, 5),
    ]
    for kernel, wanted in zip((W0, W1), expected, strict=True):
        assert kernel.dtype == dtype
        np.testing.assert_allclose(kernel, wanted, rtol=2e-7 if dtype == "float32" else 1e-13)
    assert all((b == 0).all() for b in (b0, b2, b3))


def test_build_again_keeps_the_weights() -> None:
    model = model_of()
    model.fit(data())
    before = model.get_weights()
    model.build(FEATURES)
    assert same(model.get_weights(), before)


def test_fit_builds_as_build_does() -> None:
    built, fitted = model_of().build(FEATURES), model_of()
    built.fit(data(), epochs=2)
    fitted.fit(data(), epochs=2)
    assert same(built.get_weights(), fitted.get_weights())


def test_summary() -> None:
    model, lines = rich_model(), []
    for _ in range(2):
        out = io.StringIO()
        model.summary(file=out)
        lines.append(out.getvalue().splitlines())
        model.build(FEATURES)
    before, after = lines
    assert "not built" in before[-1]
    assert f"inputs {FEATURES}" in after[-1]
    assert f"parameters {model.n_parameters}" in after[-1]
    rows = [line.split() for line in after[2:6]]
    assert [int(row[-1]) for row in rows] == [35, 15, 5, 6]
    assert [row[1] for row in rows] == ["encoder", "dense", "dense", "dense"]
    assert [row[-2] for row in rows] == ["elu", "sigmoid", "relu", "linear"]
    assert "tied to 1" in after[4]
    assert "tied to 0" in after[5]
    assert len({len(line) for line in after[2:6]}) == 1  # a table


def test_summary_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    model_of().build(FEATURES).summary()
    assert "parameters 58" in capsys.readouterr().out


def test_repr_tells_sizes_loss_and_optimizer() -> None:
    model = model_of()
    assert "?-4-6" in repr(model)
    text = repr(model.build(FEATURES))
    for part in ("6-4-6", "mean_squared_error", "adam", "float64"):
        assert part in text


def test_layers_that_are_given_to_two_models_are_not_shared() -> None:
    layers = [pyae.Dense(4, "tanh"), pyae.Dense(FEATURES)]
    a, b = (pyae.Sequential(layers, random_state=i) for i in range(2))
    a.build(FEATURES)
    assert not b.built
    b.build(FEATURES)
    before = b.get_weights()
    a.fit(data())
    assert same(b.get_weights(), before)


def test_the_list_of_layers_is_copied() -> None:
    layers = [pyae.Dense(4)]
    model = pyae.Sequential(layers)
    layers.append(pyae.Dense(2))
    assert len(model.layers) == 1


# -------------------------------------------------------------------------------------------- spec


@pytest.mark.parametrize("make", [model_of, rich_model])
def test_spec_is_json(make: Callable[[], pyae.Sequential]) -> None:
    model = make()
    spec = model.spec
    again = json.loads(json.dumps(spec, allow_nan=False))
    assert again == spec
    network = Network(again, FEATURES, seed=5, dtype="float64")
    model.build(FEATURES)
    for w, expected in zip(model.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-13)
    assert model.spec == spec


def one_layer(loss: Any = "mean_squared_error", optimizer: Any = "sgd", **layer: Any) -> Any:
    return pyae.Sequential([pyae.Dense(**{"units": 4, **layer})], loss, optimizer)


STEPS, RATES = np.array([1, 2]), np.array([0.1, 0.2, 0.3])
NUMPY_NUMBERS: dict[str, Callable[[], pyae.Sequential]] = {
    "units": lambda: one_layer(units=np.int64(4)),
    "activation": lambda: one_layer(activation=Activation("elu", alpha=np.float32(0.5))),
    "regularizer": lambda: one_layer(kernel_regularizer=regularizers.L2(np.float32(0.5))),
    "learning rate": lambda: one_layer(optimizer=optimizers.SGD(np.float32(0.5))),
    "momentum": lambda: one_layer(optimizer=optimizers.SGD(0.1, np.float64(0.5))),
    "schedule": lambda: one_layer(optimizer=optimizers.SGD(schedules.Piecewise(STEPS, RATES))),
    "loss": lambda: one_layer(losses.SparseCategoricalCrossentropy(ignore_class=np.int64(2))),
}


@pytest.mark.parametrize("make", NUMPY_NUMBERS.values(), ids=NUMPY_NUMBERS)
def test_spec_of_numpy_numbers_is_json(make: Callable[[], pyae.Sequential]) -> None:
    spec = make().spec
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec


def test_spec_lists_what_was_asked_for() -> None:
    spec = rich_model().spec
    assert [layer["units"] for layer in spec["layers"]] == [5, 3, 5, FEATURES]
    assert [layer["tied_to"] for layer in spec["layers"]] == [None, None, 1, 0]
    assert spec["layers"][0]["activation"] == {"name": "elu", "alpha": 0.5}
    assert spec["layers"][0]["kernel_regularizer"] == {"name": "l1l2", "l1": 1e-4, "l2": 1e-3}
    assert spec["loss"]["delta"] == 0.5
    assert spec["optimizer"]["learning_rate"]["then"]["name"] == "exponential"


def test_changing_the_returned_spec_changes_nothing() -> None:
    model = model_of()
    model.spec["layers"][0]["activation"]["name"] = "nonsense"
    model.spec["layers"][0]["units"] = 77
    model.spec["loss"]["name"] = "nonsense"
    assert model.spec["layers"][0]["activation"]["name"] == "tanh"
    assert model.build(FEATURES).n_parameters == 58


# ------------------------------------------------------------------------------------------ weights


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_come_back_as_they_were_set(dtype: str) -> None:
    model = model_of(dtype=dtype).build(FEATURES)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=w.shape).astype(dtype) for w in model.get_weights()]
    model.set_weights(weights)
    assert same(model.get_weights(), weights)
    kinds: list[Any] = [
        tuple(weights),
        iter(weights),
        [w.tolist() for w in weights],
        [np.asfortranarray(w) for w in weights],
        [w.astype(">f8") for w in weights],
        [np.repeat(w, 2, axis=-1)[..., ::2] for w in weights],
    ]
    for given_weights in kinds:
        model.set_weights([np.zeros_like(w) for w in weights])
        model.set_weights(given_weights)
        assert same(model.get_weights(), weights)


def test_weights_are_copies() -> None:
    model = model_of().build(FEATURES)
    first = model.get_weights()
    kept = copy.deepcopy(first)
    for w in first:
        w[...] = 7
    assert same(model.get_weights(), kept)
    model.set_weights(first)
    first[0][...] = 9
    assert (model.get_weights()[0] == 7).all()
    gradients = model.loss_and_gradients(data())[1]
    kept = copy.deepcopy(gradients)
    model.loss_and_gradients(data(seed=9))
    assert same(gradients, kept)


def test_forward_goes_layer_by_layer() -> None:
    model = model_of().build(FEATURES)
    rng = np.random.default_rng(1)
    W, b, V, c = weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    X = data()
    code = np.tanh(X @ W + b)
    for upto, expected in [(0, X), (1, code), (2, code @ V + c), (None, code @ V + c)]:
        y = model.forward(X, upto=upto)
        assert y.shape == expected.shape
        assert y.dtype == np.float64
        np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.forward(X))
    np.testing.assert_array_equal(model.forward(X, upto=np.int64(1)), model.forward(X, upto=1))


@pytest.mark.parametrize("n", [1, 2, 1023, 1024, 1025, 3000])
def test_predict_in_blocks(n: int) -> None:
    """Rows are worked on a block at a time; the seams are not to be seen."""
    model = model_of().build(FEATURES)
    X = data(n)
    network = Network(model.spec, FEATURES, seed=5, dtype="float64")
    np.testing.assert_allclose(model.predict(X), network.forward(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("precision", [None, "mixed_bfloat16"])
def test_a_prediction_does_not_depend_on_its_company(precision: str | None) -> None:
    """The bits of a row's output are the same alone and among others, for any number of threads."""
    widths, X = (300, 2100, 40, 2048, 300), data(400, 300).astype(np.float32)
    layers = [pyae.Dense(units, "tanh") for units in widths[1:]]
    model = pyae.Sequential(
        layers, dtype="float32", precision=precision, n_threads=2, random_state=0
    ).build(widths[0])
    alone = np.concatenate([model.predict(X[i : i + 1]) for i in range(60)])
    for n in (2, 3, 4, 5, 13, 24, 49, 60, 257, 400):
        for n_threads in (1, 2, 3):
            model.n_threads = n_threads
            np.testing.assert_array_equal(model.predict(X[:n])[:60], alone[:n])


def test_predictions_follow_the_weights() -> None:
    """Kernels that are kept packed between predictions are those of the present."""

    class Predictor(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            check()

    model, X = model_of().build(FEATURES), data()

    def check() -> None:
        W, b, V, c = model.get_weights()
        code = np.tanh(X @ W + b)
        np.testing.assert_allclose(model.forward(X, upto=1), code, rtol=1e-12)
        np.testing.assert_allclose(model.predict(X), code @ V + c, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(model.predict(X[:1]), code[:1] @ V + c, rtol=1e-12, atol=1e-14)

    check()
    model.set_weights([2 * w for w in model.get_weights()])
    check()
    for _ in range(2):
        model.fit(X, epochs=3, callbacks=[Predictor()])
        check()
    copied = copy.deepcopy(model)
    model.set_weights([3 * w for w in model.get_weights()])
    check()
    model = copied
    check()


def test_predict_gives_activations_not_logits() -> None:
    """Training stops at the logits of a sigmoid; predictions do not."""
    for activation, loss in [("sigmoid", "binary_crossentropy"), ("softmax", "kl_divergence")]:
        model = pyae.Sequential([pyae.Dense(3, activation)], loss, random_state=0)
        model.fit(data(), np.full((N, 3), 1 / 3), epochs=2)
        y = model.predict(data())
        assert ((y > 0) & (y < 1)).all()
        if activation == "softmax":
            np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)


def test_evaluate_is_the_loss_of_the_predictions() -> None:
    X, t = data(), data(seed=1)
    weights = np.linspace(0, 2, N)
    for loss in (losses.MeanSquaredError(), losses.Huber(delta=0.2), losses.LogCosh()):
        model = pyae.Sequential([pyae.Dense(FEATURES)], loss, dtype="float64").build(FEATURES)
        for w in (None, weights):
            expected = loss(t, model.predict(X), w)
            for batch_size in (1, 7, N, 1000):
                value = model.evaluate(X, t, w, batch_size=batch_size)
                assert isinstance(value, float)
                assert value == pytest.approx(expected, rel=1e-12)


def test_evaluate_without_targets_is_that_of_an_autoencoder() -> None:
    model = model_of().build(FEATURES)
    assert model.evaluate(data()) == model.evaluate(data(), data())


# ------------------------------------------------------------------------------------------- copies

COPIES: dict[str, Callable[[Any], Any]] = {
    **{
        f"pickle {p}": lambda m, p=p: pickle.loads(pickle.dumps(m, protocol=p))
        for p in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
OPTIMIZERS = [
    optimizers.SGD(0.1, momentum=0.9),
    optimizers.RMSprop(momentum=0.5, centered=True),
    optimizers.Adagrad(),
    optimizers.Adadelta(),
    optimizers.Adam(schedules.Cosine(0.01, decay_steps=20)),
    optimizers.AdamW(),
    optimizers.Nadam(),
    optimizers.Muon(0.02),
    optimizers.LBFGS(history_size=3),
    optimizers.NewtonCG(max_iterations=5),
    optimizers.KFAC(inverse_every=3),
]


def more(model: pyae.Sequential) -> list[np.ndarray]:
    history = model.fit(data(), epochs=2, batch_size=16, noise=noise.Gaussian(0.1)).history
    return [*model.get_weights(), np.array(history["loss"] + history["learning_rate"])]


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name)
def test_copies_go_on_alike(optimizer: Any, duplicate: Callable[[Any], Any]) -> None:
    model = model_of(optimizer)
    more(model)
    twin = duplicate(model)
    assert twin is not model
    assert same(twin.get_weights(), model.get_weights())
    assert twin.history.history == model.history.history
    assert twin.spec == model.spec
    before = twin.get_weights()
    results = more(model)
    assert same(twin.get_weights(), before), "the copy was trained with the original"
    assert same(more(twin), results)


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copies_of_a_rich_model(duplicate: Callable[[Any], Any]) -> None:
    model = rich_model("float32")
    twins = [duplicate(model)]  # not built yet
    more(model)
    twins.append(duplicate(model))
    more(twins[0])
    expected = more(model)
    for twin in twins:
        assert same(more(twin), expected)
        assert twin.n_features == FEATURES
        assert twin.dtype == model.dtype


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copies_within_a_fit_go_on_alike(duplicate: Callable[[Any], Any]) -> None:
    model = model_of()
    twins: list[pyae.Sequential] = []

    def keep(epoch: int, logs: Any) -> None:
        if epoch == 1:
            twins.append(duplicate(model))

    model.fit(data(), epochs=5, batch_size=16, callbacks=keep)
    twins[0].fit(data(), epochs=3, batch_size=16)
    assert same(twins[0].get_weights(), model.get_weights())


def test_copies_of_a_random_model_are_the_same_model() -> None:
    model = model_of(random_state=None)
    twin = copy.deepcopy(model)
    assert same(more(model), more(twin))


def test_history_pickles() -> None:
    history = model_of().fit(data(), epochs=2, callbacks=EarlyStopping("loss", patience=5))
    assert pickle.loads(pickle.dumps(history)) == history


# ----------------------------------------------------------------------------------- random states


def first_weights(random_state: Any) -> list[np.ndarray]:
    return model_of(random_state=random_state).build(FEATURES).get_weights()


def test_random_state_none_differs_each_time() -> None:
    assert not same(first_weights(None), first_weights(None))
    assert same(first_weights(3), first_weights(3))
    assert not same(first_weights(3), first_weights(4))


@pytest.mark.parametrize(
    "make", [np.random.default_rng, np.random.RandomState], ids=["Generator", "RandomState"]
)
def test_random_state_of_numpy(make: Callable[[int], Any]) -> None:
    assert same(first_weights(make(1)), first_weights(make(1)))
    assert not same(first_weights(make(1)), first_weights(make(2)))
    shared = make(1)
    assert not same(first_weights(shared), first_weights(shared))  # it moves on


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
def test_seeds_of_64_bits(seed: int) -> None:
    W = model_of(random_state=seed).build(FEATURES).get_weights()[0]
    expected = initial_kernel({"name": "glorot_uniform"}, FEATURES, 4, 0, seed)
    np.testing.assert_allclose(W, expected, rtol=1e-13)
    assert same(first_weights(seed), first_weights(np.uint64(seed)))


def test_numpy_random_state_is_left_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    more(model_of(random_state=None))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_uint8_scale() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (N, FEATURES)).astype(np.uint8)
    scaled = (pixels * np.float32(1 / 255)).astype(np.float32)
    model, other = (model_of(dtype="float32", uint8_scale=s) for s in (1 / 255, 1.0))
    model.fit(pixels, epochs=2)
    other.fit(scaled, epochs=2)
    assert same(model.get_weights(), other.get_weights())
    assert model.evaluate(pixels) == other.evaluate(scaled)
    assert same([model.predict(pixels)], [other.predict(scaled)])
    assert same(pickle.loads(pickle.dumps(model)).get_weights(), model.get_weights())
    assert pickle.loads(pickle.dumps(model)).evaluate(pixels) == model.evaluate(pixels)


# ------------------------------------------------------------------------------- threads of Python


@pytest.mark.parametrize("n_threads", [1, 2])
def test_predictions_of_several_threads_at_once(n_threads: int) -> None:
    layers = [pyae.Dense(64, "gelu"), pyae.Dense(32, "softmax"), pyae.Dense(FEATURES)]
    model = pyae.Sequential(layers, random_state=0, n_threads=n_threads).build(FEATURES)
    inputs = [data(500 + 301 * i, seed=i) for i in range(6)]
    expected = [(model.predict(X), model.forward(X, upto=1), model.evaluate(X)) for X in inputs]

    def work(i: int) -> bool:
        X = inputs[i % 6]
        results = (model.predict(X), model.forward(X, upto=1), model.evaluate(X))
        return all(np.array_equal(a, b) for a, b in zip(results, expected[i % 6], strict=True))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(90)))


def test_several_models_train_at_once() -> None:
    def train(seed: int) -> list[np.ndarray]:
        model = model_of(random_state=seed)
        model.fit(data(), epochs=30)
        return model.get_weights()

    expected = [train(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for weights, wanted in zip(pool.map(train, range(4)), expected, strict=True):
            assert same(weights, wanted)


class Background:
    """A long fit in another thread, for as long as the block lasts."""

    def __init__(self, model: pyae.Sequential) -> None:
        self.model, self.done = model, False
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        def watch(epoch: int, logs: Any) -> None:
            self.started.set()
            self.model.stop_training = self.done

        self.model.fit(data(), epochs=1_000_000, callbacks=watch)

    def __enter__(self) -> Background:
        self.thread.start()
        assert self.started.wait(30)
        return self

    def __exit__(self, *error: object) -> None:
        self.done = True
        self.thread.join(30)
        assert not self.thread.is_alive()


USES: dict[str, Callable[[pyae.Sequential], Any]] = {
    "predict": lambda m: m.predict(data()),
    "forward": lambda m: m.forward(data(), upto=1),
    "evaluate": lambda m: m.evaluate(data()),
    "loss_and_gradients": lambda m: m.loss_and_gradients(data()),
    "fit": lambda m: m.fit(data()),
    "set_weights": lambda m: m.set_weights([np.zeros_like(w) for w in m.get_weights()]),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_model_that_another_thread_trains_is_refused(
    use: Callable[[pyae.Sequential], Any],
) -> None:
    model = model_of()
    with Background(model):
        for _ in range(20):
            with pytest.raises(RuntimeError, match="being trained"):
                use(model)
    alone, epochs = model_of(), len(model.history.epoch)
    alone.fit(data(), epochs=epochs)
    assert same(alone.get_weights(), model.get_weights()), "a refused call left a trace"
    use(model)


def test_training_does_not_change_a_prediction_under_way() -> None:
    """A fit that begins while another thread predicts waits, or one of them is refused."""
    layers = [pyae.Dense(512, "tanh"), pyae.Dense(512, "tanh"), pyae.Dense(FEATURES)]
    model = pyae.Sequential(layers, optimizer=optimizers.SGD(1.0), random_state=0, n_threads=1)
    first = model.build(FEATURES).get_weights()
    X = data(50_000)
    before = model.predict(X)
    results: list[Any] = []

    def predict() -> None:
        try:
            results.append(model.predict(X))
        except RuntimeError as error:
            results.append(error)

    for pause in (0.02, 0.05, 0.1):
        thread = threading.Thread(target=predict)
        thread.start()
        time.sleep(pause)
        with contextlib.suppress(RuntimeError):
            model.fit(data(), epochs=3)
        thread.join()
        result, after = results.pop(), model.predict(X)
        if not isinstance(result, RuntimeError):
            of_one_state = np.array_equal(result, before) or np.array_equal(result, after)
            assert of_one_state, "the prediction is of weights from before and after training"
        model.set_weights(first)


def test_copying_while_another_thread_trains() -> None:
    """A copy is of one state of the model, or is refused."""
    model = model_of(optimizers.SGD(1e-3))
    with Background(model):
        for _ in range(20):
            try:
                twin = pickle.loads(pickle.dumps(model))
            except RuntimeError:
                continue
            assert np.isfinite(np.concatenate([w.ravel() for w in twin.get_weights()])).all()


@given(
    n_features=st.integers(1, 30),
    units=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    biases=st.lists(st.booleans(), min_size=4, max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**64 - 1),
)
def test_random_models_survive_weights_and_pickles(
    n_features: int, units: list[int], biases: list[bool], dtype: str, seed: int
) -> None:
    layers = [pyae.Dense(u, "tanh", use_bias=b) for u, b in zip(units, biases, strict=False)]
    model = pyae.Sequential(layers, dtype=dtype, random_state=seed).build(n_features)
    weights = model.get_weights()
    fans = [n_features, *units]
    expected_shapes = []
    for i, u in enumerate(units):
        expected_shapes += [(fans[i], u), (u,)] if biases[i] else [(fans[i], u)]
    assert [w.shape for w in weights] == expected_shapes
    assert model.n_parameters == sum(w.size for w in weights)
    doubled = [2 * w for w in weights]
    twin = pickle.loads(pickle.dumps(model))
    twin.set_weights(doubled)
    assert same(twin.get_weights(), doubled)
    assert same(model.get_weights(), weights)
    assert json.loads(json.dumps(model.spec)) == model.spec
    X = data(7, n_features)
    y = X.astype(dtype)
    i = 0
    for b in biases[: len(units)]:
        y = y @ weights[i] + (weights[i + 1] if b else 0)
        y, i = np.tanh(y), i + 1 + b
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-4 if dtype == "float32" else 1e-11,
                               atol=1e-5 if dtype == "float32" else 1e-13)  # fmt: skip
