"""Sequential: a stack of layers, compiled into one network and trained in C++."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from pyae import callbacks as callbacks_module
from pyae import losses, optimizers
from pyae import noise as noise_module
from pyae._arguments import (
    boolean,
    choice,
    float_dtype,
    integer,
    positive_float,
    positive_int,
    seed_of,
    thread_count,
    verbosity,
)
from pyae._arrays import Floats, as_floats, as_samples, as_targets, as_weights, require_finite
from pyae._backend import core, effective_threads
from pyae._history import (
    LOGS,
    DivergenceWarning,
    History,
    StallWarning,
    warn_of_divergence,
    warn_of_stall,
)
from pyae.layers import Dense
from pyae.progress import Progress

if TYPE_CHECKING:
    from pyae._backend import Network
    from pyae.checkpoints import Run

__all__ = ["DivergenceWarning", "History", "Sequential", "StallWarning"]


@dataclasses.dataclass(frozen=True)
class _Data:
    """Checked arrays on their way to the core; y is None where it is X."""

    X: npt.NDArray[Any]
    y: npt.NDArray[Any] | None
    weights: Floats | None


class Sequential:
    """A network of layers in a row, its loss and its optimizer.

    The layers are described in Python and compiled once, when the number of features is known, into
    a network that owns its parameters in C++.

    Parameters
    ----------
    layers : sequence of Dense
        At least one.
    loss : str or Loss, default "mean_squared_error"
        One of `pyae.losses`.
    optimizer : str or Optimizer, default "adam"
        One of `pyae.optimizers`.
    dtype : {"float32", "float64"}, default "float32"
        What the network computes in.
    precision : {None, "mixed_bfloat16"}, default None
        "mixed_bfloat16" rounds the factors of matrix products to bfloat16 (8 significant bits) and
        adds them up in float32; weights, activations, losses and updates stay float32. Faster where
        the processor has AVX512-BF16 (`pyae.show_config` tells); elsewhere the same rounding at the
        speed of float32, to try out. None computes everything in `dtype`.
    n_threads : int, optional
        How many threads to use. None: as many as the process may, of its processor affinity, its
        control group's quota, OMP_NUM_THREADS, threadpoolctl's limits and `set_num_threads`. The
        results are the same bits for any number.
    random_state : int, numpy.random.Generator or numpy.random.RandomState, optional
        Seeds initial weights, shuffling and noise. None: from the operating system.
    uint8_scale : float, default 1.0
        8-bit unsigned inputs and targets are multiplied by this as they are read: ``1/255`` for
        images. Arrays of other types are taken as they are.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        A value is outside its limits, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import pyae
    >>> X = np.random.default_rng(0).normal(size=(200, 10)).astype("float32")
    >>> model = pyae.Sequential(
    ...     [pyae.Dense(4, "relu"), pyae.Dense(10)], optimizer="adam", random_state=0
    ... )
    >>> history = model.fit(X, X, epochs=3, batch_size=20)
    >>> len(history.history["loss"])
    3
    >>> model.predict(X).shape
    (200, 10)
    """

    def __init__(
        self,
        layers: Sequence[Dense],
        loss: Any = "mean_squared_error",
        optimizer: Any = "adam",
        dtype: npt.DTypeLike = "float32",
        precision: str | None = None,
        n_threads: int | None = None,
        random_state: Any = None,
        *,
        uint8_scale: float = 1.0,
    ) -> None:
        if isinstance(layers, Dense):
            raise TypeError("layers must be a sequence of layers, got one layer: write [layer]")
        if not isinstance(layers, Iterable):
            raise TypeError(f"layers must be a sequence of layers, got {layers!r}")
        self._layers = list(layers)
        if not self._layers:
            raise ValueError("layers must hold at least one layer, got none")
        for layer in self._layers:
            if not isinstance(layer, Dense):
                raise TypeError(f"layers must hold pyae.Dense layers, got {layer!r}")
        if len({id(layer) for layer in self._layers}) < len(self._layers):
            raise ValueError("layers must not hold one layer twice; tied_to shares a kernel")
        self._loss = losses.resolve(loss)
        if self._loss.reduction == "none":
            raise ValueError("loss: reduction='none' gives no number to train on; use 'sum'")
        self._optimizer = optimizers.resolve_optimizer(optimizer)
        self._dtype = float_dtype(dtype)
        self._precision = _checked_precision(precision, self._dtype)
        self.n_threads = None if n_threads is None else thread_count(n_threads)
        self._random_state = random_state
        self._seed = seed_of(random_state)
        self._uint8_scale = positive_float(uint8_scale, "uint8_scale")
        self.stop_training = False
        self._tells_stalls = True  # with a StallWarning
        self.history = History()
        self._n_features: int | None = None
        self._network: Network | None = None
        self._as_built = False  # whether the weights are the initial ones, never trained or set
        self._broke_off: tuple[str | None, str] | None = None  # see checkpoints.Run
        self._layer_specs = [layer.to_spec(self._layers) for layer in self._layers]

    # ---- structure -------------------------------------------------------------------------------

    @property
    def loss(self) -> losses.Loss:
        """The loss; it is fixed when the model is made."""
        return self._loss

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer; it is fixed when the model is made."""
        return self._optimizer

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the network computes in."""
        return self._dtype

    @property
    def random_state(self) -> Any:
        """What was given as random state."""
        return self._random_state

    @property
    def uint8_scale(self) -> float:
        """What 8-bit unsigned values are multiplied by."""
        return self._uint8_scale

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The layers, in order."""
        return tuple(self._layers)

    @property
    def built(self) -> bool:
        """Whether the network has been compiled and has weights."""
        return self._network is not None

    @property
    def n_features(self) -> int | None:
        """The number of inputs, once the network is built."""
        return self._n_features

    @property
    def n_parameters(self) -> int:
        """The number of parameters of the built network."""
        return self._built_network().n_parameters

    @property
    def precision(self) -> str | None:
        """How the factors of products are rounded: None or "mixed_bfloat16"."""
        return self._precision

    @property
    def spec(self) -> dict[str, Any]:
        """The whole description as JSON-able data."""
        return {
            "layers": copy.deepcopy(self._layer_specs),
            "loss": self.loss.to_spec(),
            "optimizer": self.optimizer.to_spec(),
            "precision": self.precision,
        }

    def build(self, n_features: int) -> Sequential:
        """Compile the network for so many inputs and initialise its weights.

        A network that is built already for as many inputs is left as it is.

        Parameters
        ----------
        n_features : int
            Number of inputs; at least 1.

        Returns
        -------
        Sequential
            The model itself.

        Raises
        ------
        ValueError
            The network is built for another number of inputs, or the layers do not fit.
        MemoryError
            It is larger than the memory; the message says how large.
        """
        n_features = positive_int(n_features, "n_features")
        if self._network is not None:
            if n_features != self._n_features:
                raise ValueError(
                    f"n_features must be {self._n_features}, as the model has, got {n_features}"
                )
            return self
        self._network = self._compiled(self.spec, n_features)
        self._n_features = n_features
        self._as_built = True
        return self

    def summary(self, file: TextIO | None = None) -> None:
        """Print a table of the layers: shapes, activations and numbers of parameters.

        Parameters
        ----------
        file : text file, optional
            Where to print; standard output by default.

        Examples
        --------
        >>> import pyae
        >>> pyae.Sequential([pyae.Dense(2, "relu"), pyae.Dense(4)]).build(4).summary()
        layer      output  activation  parameters
        -----------------------------------------
        0 dense    2       relu                10
        1 dense    4       linear              12
        -----------------------------------------
        inputs 4, parameters 22 (88 bytes), float32
        """
        sizes = [0] * len(self._layers)
        if self._network is not None:
            for index, _, rows, columns, _ in self._network.tensors:
                sizes[index] += rows * columns
        rows_of_table = [("layer", "output", "activation", "parameters")]
        for i, layer in enumerate(self._layers):
            kind = layer.name or "dense"
            tied = self._layer_specs[i]["tied_to"]
            rows_of_table.append(
                (
                    f"{i} {kind}" + ("" if tied is None else f" (tied to {tied})"),
                    str(layer.units),
                    layer.activation.name,
                    f"{sizes[i]:,}" if self._network is not None else "?",
                )
            )
        widths = [max(len(row[c]) for row in rows_of_table) for c in range(4)]
        widths[0] = max(widths[0], 9)
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in rows_of_table
        ]
        rule = "-" * max(map(len, lines))
        if self._network is None:
            total = f"not built yet, {self.dtype.name}"
        else:
            n = self.n_parameters
            size = _bytes_text(n * self.dtype.itemsize)
            total = f"inputs {self._n_features}, parameters {n:,} ({size}), {self.dtype.name}"
        print("\n".join([lines[0], rule, *lines[1:], rule, total]), file=file or sys.stdout)

    def __repr__(self) -> str:
        units = "-".join(str(layer.units) for layer in self._layers)
        first = "?" if self._n_features is None else self._n_features
        return (
            f"<pyae.Sequential {first}-{units}, loss {self.loss.name}, "
            f"optimizer {self.optimizer.name}, {self.dtype.name}>"
        )

    # ---- training --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: Any = None,
        sample_weight: Any = None,
        shuffle: bool = True,
        noise: Any = None,
        callbacks: Any = (),
        verbose: int = 0,
        checkpoint: Any = None,
    ) -> History:
        """Train the network; later calls go on where the last one ended.

        Arrays are read in place: float32, float64, integers and booleans, read-only,
        memory-mapped, of any strides and byte order. The whole loop runs in C++. Ctrl-C ends it
        between two pieces of a batch's work, as a rule within a fraction of a second (huge batches
        can take seconds), and leaves the model with the weights of its last update.
        With an optimizer that re-evaluates (`LBFGS`, `NewtonCG`, `KFAC`) it also ends once no batch
        has a step that makes its loss smaller: ``history.converged``, or ``history.stalled`` where
        that is no optimum.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Inputs.
        y : array_like of shape (n_samples, n_outputs), (n_samples,), optional
            Targets; classes for sparse categorical cross-entropy. None: X itself, which makes the
            network an autoencoder.
        epochs : int, default 1
            How many times all samples are gone through.
        batch_size : int, default 32
            Samples a step; the last batch of an epoch may be shorter.
        validation_data : tuple or array_like, optional
            ``(X, y)``, ``(X, y, sample_weight)``, or X alone; evaluated after each epoch.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses; not negative.
        shuffle : bool, default True
            Go through the samples in a new order every epoch.
        noise : Noise, optional
            Corruption of the inputs (`pyae.noise`); the targets stay clean.
        callbacks : Callback, callable or sequence of these, optional
            See `pyae.callbacks`; a function is called as ``f(epoch, logs)``.
        verbose : {0, 1, 2}, default 0
            0: silent; 1: a progress bar on long fits; 2: a line an epoch.
        checkpoint : str, path object or Checkpoint, optional
            A file to write after each epoch, from which this fit goes on when it is started again
            after a crash, to the same bits; see `pyae.callbacks.Checkpoint`. `epochs` then counts
            those that are in the file already.

        Returns
        -------
        History
            Losses, epoch by epoch; also kept as the model's `history`.

        Raises
        ------
        TypeError
            An argument has the wrong type.
        ValueError
            Shapes do not fit, a value is not finite, a target is outside the loss's domain, or an
            option is outside its limits; or the checkpoint is another fit's, or would throw away
            what the model has learned since. Nothing was trained then.
        FileFormatError, OSError
            The checkpoint is not one, is damaged, or cannot be read or written.
        RuntimeError
            The model is being trained already, or another thread uses it.
        MemoryError
            The network, or what it computes of a batch, is larger than the memory; a model that was
            trained before keeps its weights.

        Warns
        -----
        DivergenceWarning
            The loss or a weight was no longer finite: training stopped; the last finite weights
            are kept.
        StallWarning
            The optimizer found no step that makes the loss smaller, though there should be one:
            training stopped; the weights are the best that it found.

        Examples
        --------
        >>> import numpy as np
        >>> import pyae
        >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> model = pyae.Sequential(
        ...     [pyae.Dense(16, "tanh"), pyae.Dense(1)],
        ...     optimizer=pyae.optimizers.Adam(0.01),
        ...     random_state=0,
        ... )
        >>> history = model.fit(X, X**2, epochs=200, batch_size=16)
        >>> history.history["loss"][-1] < 0.01
        True
        """
        data = self._data(X, y, sample_weight, "X", "y", "sample_weight")
        held_out = self._validation(validation_data)
        epochs = positive_int(epochs, "epochs")
        batch_size = positive_int(batch_size, "batch_size")
        shuffle, verbose = boolean(shuffle, "shuffle"), verbosity(verbose)
        corruption = noise_module.resolve_noise(noise)
        followers = callbacks_module.resolve_callbacks(callbacks)
        early = next((c for c in followers if isinstance(c, callbacks_module.EarlyStopping)), None)
        if early is not None and early.monitor == "val_loss" and held_out is None:
            raise ValueError(
                "callbacks: EarlyStopping monitors 'val_loss', which needs validation_data; "
                "pass that or use EarlyStopping(monitor='loss')"
            )
        saver = callbacks_module.resolve_checkpoint(checkpoint, followers)
        followers = [c for c in followers if not isinstance(c, callbacks_module.Checkpoint)]
        options = {
            "batch_size": batch_size,
            "shuffle": shuffle,
            "noise": None if corruption is None else corruption.to_spec(),
            "early_stopping": None if early is None else early.to_options(),
        }
        run = None
        if saver is not None:
            run = self._run(saver, data, held_out, epochs, options, followers)
        start = None if run is None else run.start
        n_done = 0 if start is None else start.n_epochs
        progress = Progress(epochs, verbose, first_epoch=n_done)

        history = History({key: [] for key in LOGS if key != "val_loss" or held_out is not None})
        if start is not None:
            history = start.history
        before = self.history
        n_updates = 0
        began = finished = False

        def on_begin() -> None:
            nonlocal began, n_updates
            began = True
            self.stop_training = False
            self.history = history
            self._as_built = False
            if run is not None:
                run.begin()
            n_updates = self._built_network().n_updates
            for follower in followers:
                follower.model = self
                follower.on_train_begin(self)
            if run is not None:
                run.restore_callbacks()

        def on_epoch(epoch: int, logs: dict[str, float]) -> bool:
            history._append(logs)
            progress.epoch_end(epoch, logs)
            for follower in followers:
                follower.on_epoch_end(epoch, dict(logs))
            if run is not None:
                run.epoch_end(epoch, history)
            return self.stop_training

        n_rows = min(batch_size, len(data.X))
        with self._building(data.X.shape[1], "X") as network, _memory_for(network, n_rows):
            try:
                result = network.fit(
                    data.X,
                    data.y,
                    data.weights,
                    None if held_out is None else (held_out.X, held_out.y, held_out.weights),
                    {
                        **options,
                        "first_epoch": epochs if start is not None and start.over else n_done,
                        "epochs": epochs,
                    },
                    None if start is None else start.stopping,
                    self._threads(),
                    on_begin,
                    on_epoch,
                    progress.update if verbose else None,
                )
                finished = True
            except MemoryError:
                if began and network.n_updates == n_updates:  # nothing was trained
                    self.history = before
                raise
            finally:
                if began:
                    progress.close(interrupted=not finished)
                if began and run is not None and not (finished and not result["diverged"]):
                    run.broke_off()
        if start is None or not start.over:
            history.stopped_early = result["stopped_early"]
            history.diverged = result["diverged"]
            history.converged = result["converged"]
            history.stalled = result["stalled"]
            history.best_epoch = None if result["best_epoch"] < 0 else result["best_epoch"]
        if run is not None and not history.diverged:
            run.finish(history, result["restored_best"])
        if history.diverged:
            warn_of_divergence(result, epochs, self.optimizer)
        if history.stalled and self._tells_stalls:
            warn_of_stall(history, epochs, self.optimizer)
        for follower in followers:
            follower.on_train_end(history)
        return history

    def evaluate(
        self, X: Any, y: Any = None, sample_weight: Any = None, batch_size: int = 256
    ) -> float:
        """Return the mean loss over samples, penalties included.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Inputs.
        y : array_like of shape (n_samples, n_outputs) or (n_samples,), optional
            Targets; X itself by default.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses.
        batch_size : int, default 256
            Samples at a time; it matters for penalties on a batch's mean activity only.

        Raises
        ------
        RuntimeError
            The model is not built, or another thread trains it.
        TypeError, ValueError
            As for `fit`.
        """
        network = self._built_network()
        data = self._data(X, y, sample_weight, "X", "y", "sample_weight")
        batch_size = positive_int(batch_size, "batch_size")
        with _memory_for(network, min(batch_size, len(data.X))):
            return network.evaluate(data.X, data.y, data.weights, batch_size, self._threads())

    def loss_and_gradients(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> tuple[float, list[Floats]]:
        """Return the loss of all samples as one batch, and its gradients by all parameters.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Inputs; they build the model if it is not built yet.
        y : array_like, optional
            Targets; X itself by default.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses.

        Returns
        -------
        loss : float
            The mean loss, penalties included.
        gradients : list of ndarray
            ``[dW1, db1, ...]`` in the order and with the shapes of `get_weights`.

        Raises
        ------
        RuntimeError
            Another thread trains the model.
        TypeError, ValueError
            As for `fit`.
        MemoryError
            What the network computes of all samples at once is larger than the memory.
        """
        data = self._data(X, y, sample_weight, "X", "y", "sample_weight")
        with (
            self._building(data.X.shape[1], "X") as network,
            _memory_for(network, len(data.X)),
        ):
            loss, flat = network.loss_and_gradients(data.X, data.y, data.weights, self._threads())
        return loss, self._split(flat)

    # ---- use -------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Floats:
        """Return the outputs.

        From the first prediction after a change of the weights on, the model keeps its kernels a
        second time, laid out for predictions.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Of the model's dtype.

        Raises
        ------
        RuntimeError
            The model is not built, or another thread trains it.
        TypeError, ValueError
            X is not a matrix of finite real numbers with as many features as the model has.
        """
        network = self._built_network()
        return network.forward(as_samples(X, "X"), len(self._layers), self._threads())

    def forward(self, X: Any, upto: int | None = None) -> Floats:
        """Return the output of the first layers, such as the code of an autoencoder.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Inputs.
        upto : int, optional
            How many layers to go through, from 0 (X itself) to all of them (the default).

        Returns
        -------
        ndarray of shape (n_samples, units of layer ``upto``)
            Of the model's dtype.

        Raises
        ------
        RuntimeError
            The model is not built, or another thread trains it.
        TypeError, ValueError
            As for `predict`, or ``upto`` is out of range.
        """
        network = self._built_network()
        n_layers = len(self._layers)
        if upto is None:
            upto = n_layers
        elif not 0 <= integer(upto, "upto", "an integer or None") <= n_layers:
            raise ValueError(f"upto must be from 0 to {n_layers}, got {upto}")
        inputs = as_samples(X, "X")
        return network.forward(inputs, int(upto), self._threads())

    def get_weights(self) -> list[Floats]:
        """Return copies of all weights: W (in, out) and b (out,), in layer order.

        A layer without bias has no b; a tied layer has no W.

        Raises
        ------
        RuntimeError
            The model is not built.
        """
        return self._split(self._built_network().parameters())

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Replace all weights.

        Parameters
        ----------
        weights : sequence of array_like
            As `get_weights` returns them.

        Raises
        ------
        RuntimeError
            The model is not built, or another thread uses it.
        ValueError
            Their number or a shape differs, or a value is not finite; no weight was changed then.
        """
        network = self._built_network()
        if not isinstance(weights, Iterable) or (
            isinstance(weights, np.ndarray) and not weights.ndim
        ):
            raise TypeError(f"weights must be a sequence of arrays, got {weights!r}")
        given = [as_floats(w, f"weights[{i}]", self.dtype) for i, w in enumerate(weights)]
        shapes = self._shapes()
        if len(given) != len(shapes):
            raise ValueError(f"weights must hold {len(shapes)} arrays, got {len(given)}")
        for i, (array, shape) in enumerate(zip(given, shapes, strict=True)):
            if array.shape != shape:
                raise ValueError(f"weights[{i}] must have shape {shape}, got {array.shape}")
            require_finite(array, f"weights[{i}]")
        flat = np.concatenate([array.reshape(-1) for array in given] or [np.empty(0)])
        network.set_parameters(flat.astype(self.dtype, copy=False))
        self._as_built = False

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model in a file that `pyae.load` reads: description, weights, optimizer's state.

        The file is a safetensors file, and holds data alone. It is written beside the old one, if
        there is one, and takes its place in one step.

        Parameters
        ----------
        path : str or path object
            The file, by custom with the suffix ``.safetensors``.

        Raises
        ------
        TypeError
            The path is none, or the random state is a generator that a file cannot hold.
        OSError
            The file cannot be written; an old file is as it was then.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import pyae
        >>> X = np.random.default_rng(0).normal(size=(50, 4))
        >>> model = pyae.Sequential([pyae.Dense(2), pyae.Dense(4)], random_state=0)
        >>> history = model.fit(X, epochs=3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "model.safetensors"))
        ...     other = pyae.load(os.path.join(folder, "model.safetensors"))
        >>> bool((other.predict(X) == model.predict(X)).all())
        True
        """
        from pyae._safefile import as_path
        from pyae.saving import save_network

        save_network(self, as_path(path))

    # ---- copies ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        network = state.pop("_network")
        if network is not None:
            state["_saved"] = (network.parameters(), network.state())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_saved", None)
        self.__dict__.update(state)
        self._network = None
        if saved is not None:
            assert self._n_features is not None
            self._restore(self._n_features, *saved)

    def _restore(self, n_features: int, parameters: Floats, state: dict[str, Any]) -> None:
        """Compile the network with the parameters and the state of one of this description."""
        spec = self.spec
        for layer in spec["layers"]:  # some initial kernels take long, and these are replaced
            layer["kernel_initializer"] = {"name": "zeros"}
        network = self._compiled(spec, n_features)
        network.set_parameters(parameters)
        network.set_state(state)
        self._network, self._n_features = network, n_features

    # ---- internals -------------------------------------------------------------------------------

    def _compiled(self, spec: dict[str, Any], n_features: int) -> Network:
        cls = core.Network32 if self.dtype == np.float32 else core.Network64
        try:
            return cls(spec, n_features, self._seed, self.uint8_scale)
        except MemoryError:
            n, inputs = 0, n_features
            for layer in self._layers:
                n += inputs * layer.units * (layer.tied_to is None) + layer.units * layer.use_bias
                inputs = layer.units
            raise MemoryError(
                f"the network needs {_bytes_text(n * self.dtype.itemsize)} for its {n:,} "
                "parameters alone, more than there is: use smaller layers"
            ) from None

    def _run(
        self,
        saver: callbacks_module.Checkpoint,
        data: _Data,
        held_out: _Data | None,
        epochs: int,
        options: dict[str, Any],
        followers: list[callbacks_module.Callback],
    ) -> Run:
        """Return a fit with a checkpoint, which may have got somewhere already."""
        from pyae.checkpoints import Run, fingerprint

        settings = dict(options)
        for name, part in (("data", data), ("validation_data", held_out)):
            settings[name] = part and {key: fingerprint(v) for key, v in vars(part).items()}
        return Run(saver, self, data.X.shape[1], epochs, settings, followers)

    def _built_network(self) -> Network:
        if self._network is None:
            raise RuntimeError("the model is not built yet: call fit, or build(n_features)")
        return self._network

    @contextlib.contextmanager
    def _building(self, n_features: int, name: str) -> Iterator[Network]:
        """Give the network, built if need be; unbuilt again if the data turn out to be bad."""
        if self._network is not None and n_features != self._n_features:
            raise ValueError(f"{name} must have {self._n_features} features, got {n_features}")
        was_built = self.built
        network = self.build(n_features)._built_network()
        try:
            yield network
        except (TypeError, ValueError, MemoryError):
            if not was_built and network.n_updates == 0:
                self._network, self._n_features = None, None
            raise

    def _threads(self) -> int:
        return effective_threads(self.n_threads)

    def _shapes(self) -> list[tuple[int, ...]]:
        return [
            (rows, columns) if kind == "kernel" else (columns,)
            for _, kind, rows, columns, _ in self._built_network().tensors
        ]

    def _split(self, flat: Floats) -> list[Floats]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes()])[:-1]
        parts = np.split(flat, ends)
        return [
            np.ascontiguousarray(part.reshape(shape))
            for part, shape in zip(parts, self._shapes(), strict=True)
        ]

    def _data(
        self, X: Any, y: Any, weights: Any, X_name: str, y_name: str, weights_name: str
    ) -> _Data:
        inputs = as_samples(X, X_name)
        targets = None if y is None or y is X else as_targets(y, y_name)
        return _Data(inputs, targets, as_weights(weights, weights_name, len(inputs), self.dtype))

    def _validation(self, value: Any) -> _Data | None:
        if value is None:
            return None
        parts = value if isinstance(value, tuple | list) else (value,)
        if isinstance(value, list) and not (value and hasattr(value[0], "shape")):
            parts = (value,)  # one array, written as lists
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                "validation_data must be (X, y), (X, y, sample_weight) or X, "
                f"got {len(parts)} parts"
            )
        X, y, weights = (*parts, None, None)[:3]
        names = [f"validation_data[{i}]" for i in range(3)]
        return self._data(X, y, weights, *names)


@contextlib.contextmanager
def _memory_for(network: Network, n_rows: int) -> Iterator[None]:
    """Say what was too large where the core finds no memory for what it computes of a batch."""
    try:
        yield
    except MemoryError as error:
        if not str(error).startswith("std::"):  # a callback's, which says what it is of
            raise
        raise MemoryError(
            f"there is not enough memory for a batch of {n_rows:,} samples in a network of "
            f"{network.n_parameters:,} parameters: use a smaller batch or smaller layers"
        ) from None


def _checked_precision(precision: Any, dtype: np.dtype[Any]) -> str | None:
    choice(precision, "precision", (None, "mixed_bfloat16"))
    if precision is not None and dtype != np.float32:
        raise ValueError(f"precision='mixed_bfloat16' needs dtype='float32', got {dtype.name!r}")
    return None if precision is None else str(precision)


def _bytes_text(n: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 999.5:  # what is written as 1e+03
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"
