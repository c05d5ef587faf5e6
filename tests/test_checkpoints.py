"""Fits that are killed and started again end with the bits of fits that were not."""

from __future__ import annotations

import math
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyae
from pyae import checkpoints, noise, optimizers, saving, schedules
from pyae.callbacks import Callback, Checkpoint, EarlyStopping
from pyae.layers import Dense
from tests.test_process import ROOT

FEATURES = 6
X = np.random.default_rng(0).uniform(size=(50, FEATURES)).astype("float32")
HELD_OUT = np.random.default_rng(1).uniform(size=(20, FEATURES)).astype("float32")


class Killed(Exception):
    """Stands for the process's end."""


class KillIn(Callback):
    """Ends a fit in an epoch, before its checkpoint is written."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch == self.epoch:
            raise Killed


def network(**options: Any) -> pyae.Sequential:
    options = {"random_state": 3, **options}
    return pyae.Sequential([Dense(4, "tanh"), Dense(FEATURES)], **options)


def assert_same_fit(a: pyae.Sequential, b: pyae.Sequential) -> None:
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_equal(a._built_network().state(), b._built_network().state())
    mine, theirs = ({**one.history.history, "seconds": None} for one in (a, b))
    np.testing.assert_equal(mine, theirs)
    assert {**vars(a.history), "history": 0} == {**vars(b.history), "history": 0}


def check_resumed(
    make: Callable[[], pyae.Sequential],
    path: Path,
    kills: tuple[int, ...],
    *,
    epochs: int = 7,
    fit: Callable[[], dict[str, Any]] = dict,
) -> pyae.Sequential:
    """Kill a fit in some epochs, each time in a model of its own, and compare where it ends."""
    options = fit()
    callbacks = options.pop("callbacks", [])
    whole = make()
    whole.fit(X, epochs=epochs, batch_size=16, callbacks=callbacks, **options)
    for kill in kills:
        with pytest.raises(Killed):
            make().fit(
                X,
                epochs=epochs,
                batch_size=16,
                callbacks=[*fit().get("callbacks", []), KillIn(kill)],
                checkpoint=path,
                **options,
            )
        assert len(pyae.load(path).history.epoch) == kill
    resumed = make()
    callbacks = fit().get("callbacks", [])
    resumed.fit(X, epochs=epochs, batch_size=16, callbacks=callbacks, checkpoint=path, **options)
    assert_same_fit(resumed, whole)
    assert_same_fit(pyae.load(path), whole)
    return resumed


OPTIMIZERS: dict[str, Any] = {
    **{name: name for name in pyae._backend.core.tables()["optimizers"]},
    "sgd with momentum": optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop, all slots": optimizers.RMSprop(momentum=0.5, centered=True),
    "schedule": optimizers.Adam(schedules.WarmUp(5, schedules.Cosine(0.01, 30))),
    "clipping": optimizers.Adam(0.1, global_clipnorm=0.01),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_resumes(name: str, dtype: str, tmp_path: Path) -> None:
    def make() -> pyae.Sequential:
        layers = [Dense(4, "tanh"), Dense(5, "tanh"), Dense(FEATURES)]
        return pyae.Sequential(layers, optimizer=OPTIMIZERS[name], dtype=dtype, random_state=3)

    check_resumed(make, tmp_path / "a", (1, 4, 6))


FITS: dict[str, Callable[[], dict[str, Any]]] = {
    "in order": lambda: {"shuffle": False},
    "validation": lambda: {"validation_data": HELD_OUT},
    "gaussian": lambda: {"noise": noise.Gaussian(0.2)},
    "masking": lambda: {"noise": noise.Masking(0.2)},
    "salt and pepper": lambda: {"noise": noise.SaltAndPepper(0.2)},
    "weights": lambda: {"sample_weight": np.linspace(0.5, 2, len(X))},
    "targets": lambda: {"y": X[:, ::-1].copy()},
    "a callback": lambda: {"callbacks": [lambda epoch, logs: None]},
    "patience unused": lambda: {"callbacks": [EarlyStopping("loss", patience=50)]},
}


@pytest.mark.parametrize("name", FITS)
def test_every_option_resumes(name: str, tmp_path: Path) -> None:
    check_resumed(network, tmp_path / "a", (2, 3), fit=FITS[name])


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("kills", [(1,), (9,), (2, 3, 14)])
def test_early_stopping_resumes(kills: tuple[int, ...], restore: bool, tmp_path: Path) -> None:
    """The best value, its epoch and weights, and how long it has waited."""

    def make() -> pyae.Sequential:
        return network(optimizer=optimizers.SGD(0.3, momentum=0.97))  # the loss goes up and down

    def fit() -> dict[str, Any]:
        stopping = EarlyStopping(patience=8, min_delta=1e-3, restore_best_weights=restore)
        return {"validation_data": HELD_OUT, "callbacks": [stopping]}

    path = tmp_path / "a"
    model = check_resumed(make, path, kills, epochs=200, fit=fit)
    history = model.history
    assert history.stopped_early
    assert history.best_epoch is not None
    assert 0 < history.best_epoch == len(history.epoch) - 9
    # A fit that has stopped has stopped, however often it is started and for how many epochs.
    for epochs in (200, 300):
        again = make()
        again.fit(X, epochs=epochs, batch_size=16, checkpoint=path, **fit())
        assert_same_fit(again, model)


@pytest.mark.parametrize("restore", [True, False])
def test_a_fit_goes_on_when_it_gets_more_epochs(restore: bool, tmp_path: Path) -> None:
    """Also where its best weights were restored: not from these, but from its last ones."""

    def fit(epochs: int, **options: Any) -> pyae.Sequential:
        model = network(optimizer=optimizers.SGD(0.5, momentum=0.95))
        stopping = EarlyStopping("loss", patience=50, restore_best_weights=restore)
        model.fit(X, epochs=epochs, batch_size=16, callbacks=stopping, **options)
        return model

    path = tmp_path / "a"
    for epochs in (3, 8, 20):
        assert_same_fit(fit(epochs, checkpoint=path), fit(epochs))
        assert_same_fit(pyae.load(path), fit(epochs))


def test_a_fit_that_a_callback_stopped_is_over(tmp_path: Path) -> None:
    def fit(**options: Any) -> pyae.Sequential:
        model = network()

        def stop(epoch: int, logs: Any) -> None:
            model.stop_training = epoch == 3

        model.fit(X, epochs=20, callbacks=stop, **options)
        return model

    whole = fit()
    for _ in range(3):
        assert_same_fit(fit(checkpoint=tmp_path / "a"), whole)


class Jitter(Callback):
    """Adds random numbers to the weights, as a callback with a state of its own may."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(5)
        self.n_epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        weights = self.model.get_weights()
        weights[0] += self._rng.normal(0, 0.01, weights[0].shape).astype("float32")
        self.model.set_weights(weights)
        self.n_epochs += 1
        assert self.n_epochs == epoch + 1

    def get_state(self) -> Any:
        return {"rng": self._rng, "n_epochs": self.n_epochs}

    def set_state(self, state: Any) -> None:
        self._rng, self.n_epochs = state["rng"], state["n_epochs"]


def test_callbacks_may_have_a_state(tmp_path: Path) -> None:
    check_resumed(network, tmp_path / "a", (1, 3, 5), fit=lambda: {"callbacks": [Jitter()]})
    with pytest.raises(ValueError, match=r"callbacks is \['Jitter'\] there and \[\] here"):
        network().fit(X, epochs=7, batch_size=16, checkpoint=tmp_path / "a")


def test_a_fit_that_converged_is_over(tmp_path: Path) -> None:
    def fit(**options: Any) -> pyae.Sequential:
        layers = [Dense(2), Dense(FEATURES)]
        model = pyae.Sequential(layers, optimizer="lbfgs", dtype="float64", random_state=0)
        model.fit(X, epochs=2000, batch_size=len(X), **options)
        return model

    whole = fit()
    assert whole.history.converged
    with pytest.raises(Killed):
        fit(callbacks=KillIn(20), checkpoint=tmp_path / "a")
    for _ in range(3):
        assert_same_fit(fit(checkpoint=Checkpoint(tmp_path / "a", every_epochs=7)), whole)


def test_a_fit_that_stalled_is_over(tmp_path: Path) -> None:
    """No epoch is added each time it is started again."""

    def fit(**options: Any) -> pyae.Sequential:
        model = network(optimizer=optimizers.LBFGS(max_line_search=1), dtype="float64")
        with pytest.warns(pyae.StallWarning, match="lbfgs found no step"):
            model.fit(X, epochs=2000, batch_size=len(X), **options)
        return model

    whole = fit()
    assert whole.history.stalled
    assert len(whole.history.epoch) < 2000
    assert_same_fit(fit(checkpoint=tmp_path / "a"), whole)
    for _ in range(2):
        again = network(optimizer=optimizers.LBFGS(max_line_search=1), dtype="float64")
        with pytest.warns(pyae.StallWarning, match="lbfgs found no step"):
            again.fit(X, epochs=2000, batch_size=len(X), checkpoint=tmp_path / "a")
        assert_same_fit(again, whole)
        assert again.history.stalled


def test_a_fit_that_diverged_diverges_again(tmp_path: Path) -> None:
    def fit(**options: Any) -> pyae.Sequential:
        model = network(optimizer=optimizers.SGD(300.0))
        with pytest.warns(pyae.DivergenceWarning, match="epoch"):
            model.fit(X, epochs=50, batch_size=16, **options)
        return model

    whole = fit()
    for _ in range(2):
        assert_same_fit(fit(checkpoint=tmp_path / "a"), whole)
    assert len(pyae.load(tmp_path / "a").history.epoch) == len(whole.history.epoch)


def test_without_a_random_state_the_file_has_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(Killed):
        network(random_state=None).fit(X, epochs=9, callbacks=KillIn(4), checkpoint=path)
    one, other = network(random_state=None), network(random_state=None)
    assert one._seed != other._seed
    content = path.read_bytes()
    one.fit(X, epochs=9, checkpoint=path)
    path.write_bytes(content)
    other.build(FEATURES).fit(X, epochs=9, checkpoint=path)
    assert_same_fit(one, other)
    for model in (one, other):  # and after the fit
        model.fit(X, epochs=2)
    assert_same_fit(one, other)


def test_a_model_that_was_trained_before(tmp_path: Path) -> None:
    def fit(**options: Any) -> pyae.Sequential:
        model = network()
        model.fit(HELD_OUT, epochs=3)
        model.fit(X, epochs=6, **options)
        return model

    with pytest.raises(Killed):
        fit(callbacks=KillIn(3), checkpoint=tmp_path / "a")
    assert_same_fit(fit(checkpoint=tmp_path / "a"), fit())


def test_a_loaded_checkpoint_trains_on(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        network().fit(X, epochs=9, callbacks=KillIn(4), checkpoint=tmp_path / "a")
    loaded, whole = pyae.load(tmp_path / "a"), network()
    loaded.fit(X, epochs=2)
    whole.fit(X, epochs=6)
    for one, other in zip(loaded.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_fits_of_one_model_in_a_row(tmp_path: Path) -> None:
    """Each with a file; the second starts from where the first ended, also when that is read."""

    def fit(*callbacks: Any, saved: bool = True) -> pyae.Sequential:
        model = network()
        model.fit(HELD_OUT, epochs=3, checkpoint=tmp_path / "a" if saved else None)
        model.fit(X, epochs=6, checkpoint=tmp_path / "b" if saved else None, callbacks=callbacks)
        return model

    with pytest.raises(Killed):
        fit(KillIn(3))
    assert_same_fit(fit(), fit(saved=False))


def test_a_model_goes_on_with_its_own_fit(tmp_path: Path) -> None:
    """Also where it got further than the file: the same updates will come again."""
    model, whole = network(), network()
    for kill in (2, 5):
        with pytest.raises(Killed):
            model.fit(
                X,
                epochs=7,
                callbacks=KillIn(kill),
                checkpoint=Checkpoint(tmp_path / "a", every_epochs=2),
            )
    for epochs in (7, 7, 9):
        model.fit(X, epochs=epochs, checkpoint=tmp_path / "a")
    whole.fit(X, epochs=9)
    assert_same_fit(model, whole)


def test_a_model_diverges_again_in_its_own_fit(tmp_path: Path) -> None:
    model = network(optimizer=optimizers.SGD(300.0))
    for _ in range(2):
        with pytest.warns(pyae.DivergenceWarning):
            model.fit(X, epochs=50, batch_size=16, checkpoint=tmp_path / "a")


def test_a_loaded_checkpoint_goes_on_with_its_fit(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        network().fit(X, epochs=9, callbacks=KillIn(4), checkpoint=tmp_path / "a")
    loaded, whole = pyae.load(tmp_path / "a"), network()
    loaded.fit(X, epochs=9, checkpoint=tmp_path / "a")
    whole.fit(X, epochs=9)
    assert_same_fit(loaded, whole)


def trained_on(model: pyae.Sequential) -> pyae.Sequential:
    model.fit(X, epochs=5)
    return model


def with_other_weights(model: pyae.Sequential) -> pyae.Sequential:
    model.set_weights([w + 1 for w in model.get_weights()])
    return model


def interrupted_elsewhere(model: pyae.Sequential) -> pyae.Sequential:
    with pytest.raises(Killed):
        model.fit(X, epochs=5, callbacks=KillIn(2))
    return model


LEARNED_SINCE: dict[str, Callable[[pyae.Sequential, Path], pyae.Sequential]] = {
    "trained on": lambda model, path: trained_on(model),
    "trained on and copied": lambda model, path: pickle.loads(pickle.dumps(trained_on(model))),
    "interrupted elsewhere": lambda model, path: interrupted_elsewhere(model),
    "other weights": lambda model, path: with_other_weights(model),
    "loaded and trained on": lambda model, path: trained_on(pyae.load(path)),
    "never of this fit": lambda model, path: trained_on(network()),
    "never trained, other weights": lambda model, path: with_other_weights(
        network().build(FEATURES)
    ),
}


@pytest.mark.parametrize("name", LEARNED_SINCE)
def test_what_a_model_learned_since_is_not_thrown_away(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    model, whole = network(), network()
    model.fit(X, epochs=3, checkpoint=path)
    model = LEARNED_SINCE[name](model, path)
    file, before, history = path.read_bytes(), pickle.dumps(model.get_weights()), model.history
    for epochs in (3, 9):
        with pytest.raises(
            ValueError, match=r"checkpoint: the model holds .* a new model.* another path.*resume="
        ):
            model.fit(X, epochs=epochs, checkpoint=path)
    assert (path.read_bytes(), model.history) == (file, history)
    assert pickle.dumps(model.get_weights()) == before
    model.fit(X, epochs=2, checkpoint=tmp_path / "b")  # what the message says
    new = network()
    new.fit(X, epochs=9, checkpoint=path)
    whole.fit(X, epochs=9)
    assert_same_fit(new, whole)
    model.fit(X, epochs=1, checkpoint=Checkpoint(path, resume=False))
    assert len(pyae.load(path).history.epoch) == 1


def test_files_that_do_not_say_what_a_fit_started_from(tmp_path: Path) -> None:
    """Those of the first version: a new model goes on, one that was trained before is refused."""

    def fit(path: Path, before: int, **options: Any) -> pyae.Sequential:
        model = network()
        if before:
            model.fit(HELD_OUT, epochs=before)
        model.fit(X, epochs=6, checkpoint=path, **options)
        return model

    for name, before in (("a", 0), ("b", 3)):
        with pytest.raises(Killed):
            fit(tmp_path / name, before, callbacks=KillIn(3))
        model, training = saving.load_network(tmp_path / name)
        assert training is not None
        del training["start"]
        saving.save_network(model, tmp_path / name, training)
    whole = network()
    whole.fit(X, epochs=6)
    assert_same_fit(fit(tmp_path / "a", 0), whole)
    with pytest.raises(ValueError, match="as far as a file of this age tells"):
        fit(tmp_path / "b", 3)


def test_a_rate_that_falls_over_the_fit_says_so(tmp_path: Path) -> None:
    """An estimator's does by default, and then its `max_epochs` must stay the same."""
    path = tmp_path / "a"

    def fit(epochs: int, **options: Any) -> pyae.Autoencoder:
        estimator = pyae.Autoencoder(2, max_epochs=epochs, random_state=0, **options)
        return estimator.fit(X, checkpoint=path)

    fit(3)
    with pytest.raises(
        ValueError, match=r"decay_steps is 6 there and 8 here .*learning_rate='auto'.*max_epochs"
    ):
        fit(4)
    path.unlink()
    for epochs in (3, 4):
        assert fit(epochs, learning_rate=0.01).n_iter_ == epochs


# ---------------------------------------------------------------------------------- when and where


def written_after(checkpoint: Any, path: Path, epochs: int = 10) -> list[int]:
    """Return after which epochs the file is another one, as the next epoch's callbacks see it."""
    seen: list[int] = []

    def look(epoch: int, logs: Any) -> None:
        n = len(pyae.load(path).history.epoch) if path.exists() else 0
        if n and n not in seen:
            seen.append(n)
        time.sleep(0.01)

    network().fit(X, epochs=epochs, callbacks=look, checkpoint=checkpoint)
    return [*seen, len(pyae.load(path).history.epoch)]


def test_how_often_it_is_written(tmp_path: Path) -> None:
    def path(name: str) -> Path:
        return tmp_path / name

    assert written_after(path("a"), path("a")) == list(range(1, 11))
    assert written_after(str(path("b")), path("b")) == list(range(1, 11))
    assert written_after(Checkpoint(path("c"), every_epochs=4), path("c")) == [4, 8, 10]
    assert written_after(Checkpoint(path("d"), every_seconds=3600), path("d")) == [10]
    assert written_after(Checkpoint(path("e"), every_seconds=0), path("e")) == list(range(1, 11))
    both = Checkpoint(path("f"), every_epochs=3, every_seconds=3600)
    assert written_after(both, path("f")) == [3, 6, 9, 10]


def test_it_may_be_among_the_callbacks(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "a")
    with pytest.raises(Killed):
        network().fit(X, epochs=5, callbacks=[checkpoint, KillIn(3)])
    resumed, whole = network(), network()
    resumed.fit(X, epochs=5, callbacks=checkpoint)
    whole.fit(X, epochs=5)
    assert_same_fit(resumed, whole)


def test_progress_counts_all_epochs(tmp_path: Path, capsys: Any) -> None:
    for epochs in (2, 3, 3):
        network().fit(X, epochs=epochs, verbose=2, checkpoint=tmp_path / "a")
    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["epoch 1/2", "epoch 2/2", "epoch 3/3"]


def test_starting_afresh(tmp_path: Path) -> None:
    path = tmp_path / "a"
    network(random_state=1).fit(X, epochs=2, checkpoint=path)
    model, whole = network(), network()
    model.fit(X, epochs=1, checkpoint=Checkpoint(path, resume=False))
    whole.fit(X, epochs=1)
    assert_same_fit(model, whole)
    assert_same_fit(pyae.load(path), whole)


def unlike(**changes: Any) -> Callable[[Path], Any]:
    """Return a fit that differs in its network or in its options."""
    names = ("loss", "optimizer", "dtype", "random_state", "uint8_scale")
    model = {key: changes.pop(key) for key in names if key in changes}
    arguments = {"X": X, "epochs": 5, "batch_size": 16, **changes}
    return lambda path: network(**model).fit(**arguments, checkpoint=path)


OTHERS: list[tuple[str, Callable[[Path], Any], str]] = [
    # (what differs, fit, what the message must match)
    ("loss", unlike(loss="huber"), "loss.name is 'mean_squared_error' there and 'huber' here"),
    ("optimizer", unlike(optimizer="sgd"), "optimizer.name is 'adam' there"),
    ("rate", unlike(optimizer=optimizers.Adam(0.5)), r"optimizer.learning_rate is 0\.001 there"),
    ("dtype", unlike(dtype="float64"), "dtype is 'float32' there"),
    ("seed", unlike(random_state=4), "random_state is 3 there and 4 here"),
    ("scale", unlike(uint8_scale=0.5), "uint8_scale"),
    ("batch", unlike(batch_size=17), "batch_size is 16 there and 17 here"),
    ("shuffle", unlike(shuffle=False), "shuffle is True there"),
    ("noise", unlike(noise=noise.Masking(0.1)), "noise is None there"),
    ("stopping", unlike(callbacks=EarlyStopping("loss")), "early_stopping is None there"),
    ("values", unlike(X=X + 1), "data.X.sha256"),
    ("one value", unlike(X=np.where(np.arange(50)[:, None] == 20, 0, X)), "data.X.sha256"),
    ("samples", unlike(X=X[1:]), r"data.X.shape\[0\] is 50 there and 49 here"),
    ("type", unlike(X=X.astype("float64")), "data.X.dtype is 'float32' there"),
    ("features", unlike(X=X[:, 1:], y=X), "n_features is 6 there and 5 here"),
    ("targets", unlike(y=X.copy()), "data.y is None there"),
    ("weights", unlike(sample_weight=np.ones(50)), "data.weights is None there"),
    ("validation", unlike(validation_data=X), "validation_data is None there"),
    ("epochs", unlike(epochs=2), "epochs must be at least 3.*got 2"),
]


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case[0])
def test_another_fit_is_refused(case: Any, tmp_path: Path) -> None:
    path = tmp_path / "a"
    network().fit(X, epochs=3, batch_size=16, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"(?s){case[2]}.*resume=False"):
        case[1](path)
    assert path.read_bytes() == before


def test_other_layers_are_refused(tmp_path: Path) -> None:
    network().fit(X, epochs=3, checkpoint=tmp_path / "a")
    other = pyae.Sequential([Dense(5, "tanh"), Dense(FEATURES)], random_state=3)
    with pytest.raises(ValueError, match=r"layers\[0\].units is 4 there and 5 here"):
        other.fit(X, epochs=3, checkpoint=tmp_path / "a")
    assert not other.built


def test_files_that_are_no_checkpoint_stay(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "a"
    model.build(FEATURES).save(path)
    with pytest.raises(ValueError, match="holds a saved model"):
        model.fit(X, checkpoint=path)
    path.write_text("notes of mine, not to be lost")
    with pytest.raises(pyae.FileFormatError, match="not a safetensors file"):
        model.fit(X, checkpoint=path)
    assert path.read_text().startswith("notes")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.fit(X, checkpoint=tmp_path / "absent" / "a")
    assert len(model.history.epoch) == 0


def test_bad_data_leave_model_and_file(tmp_path: Path, monkeypatch: Any) -> None:
    """Values are looked at after the file; where they are bad, the model is not the file's yet."""
    path = tmp_path / "a"
    bad = X.copy()
    bad[20] = np.nan
    monkeypatch.setattr(checkpoints, "fingerprint", lambda array: array is not None)  # too lax
    network(random_state=None).fit(X, epochs=3, checkpoint=path)
    before = path.read_bytes()
    model = network(random_state=None)
    seed = model._seed
    with pytest.raises(ValueError, match="X has NaN"):
        model.fit(bad, epochs=5, checkpoint=path)
    assert not model.built
    assert model._seed == seed
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"path": 3}, "path"),
        ({"path": None}, "path"),
        ({"every_epochs": 0}, "every_epochs"),
        ({"every_epochs": 1.5}, "every_epochs"),
        ({"every_epochs": True}, "every_epochs"),
        ({"every_seconds": -1}, "every_seconds"),
        ({"every_seconds": float("nan")}, "every_seconds"),
        ({"every_seconds": "1"}, "every_seconds"),
        ({"resume": 1}, "resume"),
    ],
    ids=repr,
)
def test_bad_options(options: dict[str, Any], name: str) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        Checkpoint(**{"path": "a", **options})


def test_two_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="checkpoint must be one"):
        network().fit(X, callbacks=Checkpoint(tmp_path / "a"), checkpoint=tmp_path / "b")
    with pytest.raises(TypeError, match="path"):
        network().fit(X, checkpoint=3)


STOPPING = {"best": 0.1, "waited": 1, "best_epoch": 1, "best_parameters": np.zeros(0, "f4")}
FORGED: list[tuple[str, str, Any, str]] = [
    # (case, field, value, what the message must match)
    ("epochs", "n_epochs", 2, "number of epochs"),
    ("epochs float", "n_epochs", 3.0, "number of epochs"),
    ("epochs text", "n_epochs", "3", "number of epochs"),
    ("over", "over", "no", "whether the fit is over"),
    ("start", "start", 3, "no hash"),
    ("settings", "settings", [1], "settings"),
    ("settings array", "settings", {"batch_size": np.zeros(2)}, "settings"),
    ("settings without callbacks", "settings", {}, "callbacks"),
    ("callbacks", "callbacks", [1, 2], "callbacks"),
    ("callbacks text", "callbacks", "a", "settings"),
    ("stopping", "stopping", {"best": 1.0}, "is not there"),
    ("stopping list", "stopping", [1], "is not there"),
    ("best text", "stopping", {**STOPPING, "best": "low"}, "no numbers"),
    ("best NaN", "stopping", {**STOPPING, "best": math.nan}, "no number"),
    ("waited", "stopping", {**STOPPING, "waited": 2**70}, "never were"),
    ("waited negative", "stopping", {**STOPPING, "waited": -1}, "never were"),
    ("best epoch", "stopping", {**STOPPING, "best_epoch": 3}, "never were"),
    ("best", "stopping", {**STOPPING, "best_parameters": np.zeros(3, "f4")}, "another number"),
    ("best list", "stopping", {**STOPPING, "best_parameters": [1]}, "another type"),
    ("parameters", "parameters", np.zeros(2, "f4"), "another number"),
    ("parameters none", "parameters", np.zeros(0, "f4"), "another number"),
    ("parameters double", "parameters", np.zeros(58), "another type"),
    ("parameters NaN", "parameters", np.full(58, np.nan, "f4"), "not finite"),
    ("a field more", "run", 1, "not that of a checkpoint"),
]


@pytest.mark.parametrize("case", FORGED, ids=lambda case: case[0])
def test_forged_checkpoints_are_refused(case: Any, tmp_path: Path) -> None:
    path, (_, field, value, message) = tmp_path / "a", case
    early = EarlyStopping("loss")
    network().fit(X, epochs=3, checkpoint=path, callbacks=early)
    model, training = saving.load_network(path)
    assert training is not None
    assert model.n_parameters == 58
    saving.save_network(model, path, {**training, field: value})
    other = network()
    with pytest.raises(
        pyae.FileFormatError, match=rf"a (holds no state of a fit|does not describe).*{message}"
    ):
        other.fit(X, epochs=5, checkpoint=path, callbacks=early)
    assert not other.built


def test_early_stopping_of_a_fit_without_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    network().fit(X, epochs=3, checkpoint=path)
    model, training = saving.load_network(path)
    assert training is not None
    saving.save_network(model, path, {**training, "stopping": STOPPING})
    with pytest.raises(pyae.FileFormatError, match="without its settings"):
        network().fit(X, epochs=5, checkpoint=path)


class Counter(Callback):
    """Keeps a number by name."""

    def get_state(self) -> Any:
        return {"n": 1}

    def set_state(self, state: Any) -> None:
        self.n = state["n"]


def test_a_state_that_a_callback_does_not_take_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    network().fit(X, epochs=3, checkpoint=path, callbacks=Counter())
    model, training = saving.load_network(path)
    assert training is not None
    saving.save_network(model, path, {**training, "callbacks": [{"m": 1}]})
    with pytest.raises(pyae.FileFormatError, match="a holds no state of callback Counter: KeyErr"):
        network().fit(X, epochs=5, checkpoint=path, callbacks=Counter())


# ----------------------------------------------------------------------------------------- killing

# Starts a process for each line that it reads, which says its number once it has written, and says
# when that process has ended.
WRITER = """
import os, sys
import numpy as np
import pyae, pyae.checkpoints, safetensors.numpy

X = np.random.default_rng(0).uniform(size=(50, 6)).astype("float32")

def write():
    layers = [pyae.Dense(40, "tanh"), pyae.Dense(6)]
    model = pyae.Sequential(layers, random_state=3, n_threads=1)
    began = []
    def tell(epoch, logs):
        began.append(epoch)
        if len(began) == 2:
            print(os.getpid(), flush=True)
    model.fit(X, epochs=10**6, batch_size=25, callbacks=tell, checkpoint=sys.argv[1])

for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        write()
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def kill_while_it_checkpoints(path: Path, times: int) -> None:
    """Kill a process that checkpoints all the time; whenever that is, there is a whole file."""
    chance = random.Random(0)
    done = abandoned = 0
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None
        for _ in range(times):
            starter.stdin.write("start\n")
            child = int(starter.stdout.readline())
            time.sleep(chance.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            assert starter.stdout.readline() == "ended\n"
            n_epochs = len(pyae.load(path).history.epoch)
            assert n_epochs > done
            done = n_epochs
            abandoned += len(list(path.parent.iterdir())) - 1
        starter.stdin.close()
    assert abandoned > 0  # some were killed while they wrote
    layers = [Dense(40, "tanh"), Dense(6)]
    model, whole = (pyae.Sequential(layers, random_state=3) for _ in range(2))
    data = np.random.default_rng(0).uniform(size=(50, 6)).astype("float32")
    model.fit(data, epochs=done + 1, batch_size=25, checkpoint=path)
    whole.fit(data, epochs=done + 1, batch_size=25)
    assert_same_fit(model, whole)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing is left lying about


def test_killing_leaves_a_loadable_file(tmp_path: Path) -> None:
    kill_while_it_checkpoints(tmp_path / "run.safetensors", 15)


@pytest.mark.slow
def test_killing_200_times_leaves_a_loadable_file(tmp_path: Path) -> None:
    kill_while_it_checkpoints(tmp_path / "run.safetensors", 200)
