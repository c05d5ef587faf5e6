"""A multi-layer perceptron that predicts numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, column_or_1d

from pyae._arrays import Floats, as_weights, require_unmasked
from pyae.activations import resolve as resolve_activation
from pyae.estimators._base import Samples, all_or_nothing
from pyae.estimators._frames import validate_data
from pyae.estimators._mlp import Perceptron
from pyae.estimators._other_names import TRAINING, naming


class MLPRegressor(RegressorMixin, Perceptron):
    """A network that gives one or more numbers.

    The defaults suit standardised features and targets of about that size; for others, see
    `sklearn.compose.TransformedTargetRegressor`.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (100,)
        Units of the hidden layers; ``()`` makes a linear model.
    activation : str, Activation or sequence of these, default "relu"
        Of the hidden layers (see `pyae.activations`): one for all, or one each.
    output_activation : str or Activation, default "linear"
        Of the output; "exponential" or "softplus" for counts and other positive targets.
    loss : str or Loss, default "mean_squared_error"
        What is minimised (see `pyae.losses`).
    kernel_regularizer : str or Regularizer, optional
        A penalty on all kernels (see `pyae.regularizers`).
    activity_regularizer : str or Regularizer, optional
        A penalty on the hidden layers' outputs.
    optimizer : str or Optimizer, default "adam"
        See `pyae.optimizers`.
    learning_rate : "auto", "cosine", float, Schedule or None, default "auto"
        "cosine": falls from the optimizer's own rate to 0 over the fit, along half a cosine wave.
        "auto": the same from 0.003, where `optimizer` is "adam", "adamw" or "nadam" by name, and
        from 0.015 for "muon"; any other optimizer keeps its own, as with None. `partial_fit`, whose
        end is not known, stays at the initial rate.
    batch_size : int or "auto", default "auto"
        Samples an update; "auto": 32, but 200 for Muon, 2,000 for K-FAC and all of them for L-BFGS
        and Newton-CG.
    max_epochs : int, default 200
        How many times the samples are gone through, at most.
    early_stopping : bool, default False
        Whether to stop when the loss on held-out samples has not improved for `n_iter_no_change`
        epochs, and to keep the weights of the best one. They are ``X_val, y_val`` where given.
    validation_fraction : float, default 0.1
        Share of the samples that early stopping holds out.
    n_iter_no_change : int, default 10
        Patience of early stopping, in epochs.
    dtype : {"float32", "float64"}, default "float32"
        What the network computes in and returns.
    precision : {None, "mixed_bfloat16"}, default None
        Rounding of the factors of matrix products, as in `pyae.Sequential`.
    n_threads : int, optional
        How many threads to use; None: as many as the process may. The results are the same bits.
    warm_start : bool, default False
        Whether `fit` goes on from the fitted weights.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default None
        Seeds initial weights, shuffling, noise and the held-out samples. None: NumPy's global one.
    verbose : {0, 1, 2}, default 0
        0: silent; 1: a progress bar on long fits; 2: a line an epoch.
    callbacks : Callback, callable or sequence of these, optional
        See `pyae.callbacks`.

    Attributes
    ----------
    n_outputs_ : int
        How many numbers each sample has.
    model_ : pyae.Sequential
        The network.
    history_ : dict of str to list of float
        ``"loss"``, ``"learning_rate"``, ``"seconds"`` and, with validation, ``"val_loss"``: one
        value an epoch, of all fits that went on from each other (NaN where one had none).
    n_iter_ : int
        How many epochs these were.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X had them.

    Warns
    -----
    DivergenceWarning
        The loss or a weight was no longer finite: training stopped with the last finite weights.
    StallWarning
        The optimizer, one that re-evaluates, found no smaller loss though there should be one:
        training stopped with the best weights that it found.

    Notes
    -----
    Ctrl-C during a fit raises `KeyboardInterrupt` and leaves the estimator fitted, with the weights
    of the last update; so does an exception in a callback. An error that is found before training
    leaves it as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae import MLPRegressor
    >>> X = np.linspace(-2, 2, 400).reshape(-1, 1)
    >>> regressor = MLPRegressor((64,), random_state=0).fit(X, X[:, 0] ** 2)
    >>> regressor.score(X, X[:, 0] ** 2) > 0.99
    True
    """

    n_outputs_: int

    @naming(TRAINING)
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        *,
        activation: Any = "relu",
        output_activation: Any = "linear",
        loss: Any = "mean_squared_error",
        kernel_regularizer: Any = None,
        activity_regularizer: Any = None,
        optimizer: Any = "adam",
        learning_rate: Any = "auto",
        batch_size: Any = "auto",
        max_epochs: int = 200,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        dtype: Any = "float32",
        precision: str | None = None,
        n_threads: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.kernel_regularizer = kernel_regularizer
        self.activity_regularizer = activity_regularizer
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.dtype = dtype
        self.precision = precision
        self.n_threads = n_threads
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    # ---- training --------------------------------------------------------------------------------

    @all_or_nothing
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        checkpoint: Any = None,
    ) -> Any:
        """Train the network.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Training samples; arrays are read in place.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            What to predict.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses; their scale does not matter.
        X_val, y_val : array_like or frame, optional
            Samples to validate on after each epoch: ``history_["val_loss"]``.
        checkpoint : str, path object or Checkpoint, optional
            A file to write after each epoch, from which this fit goes on when it is started again
            after a crash, to the same bits; see `pyae.callbacks.Checkpoint`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            A parameter, the data's shape or a value is not allowed; the message names it.
        """
        return self._fit(
            X, y, sample_weight, not self._goes_on(), X_val, y_val, checkpoint=checkpoint
        )

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on these samples once, going on from what is fitted already.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Training samples.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            What to predict.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            A parameter, the data's shape or a value is not allowed; the message names it.
        """
        return self._fit(X, y, sample_weight, not self._is_fitted(), incremental=True)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        reset: bool,
        X_val: Any = None,
        y_val: Any = None,
        incremental: bool = False,
        checkpoint: Any = None,
    ) -> Any:
        require_unmasked(y, "y")
        X, targets = validate_data(
            self, X, y, reset=reset, dtype="numeric", multi_output=True, y_numeric=True
        )
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = column_or_1d(targets, warn=True)
        n_outputs = 1 if targets.ndim == 1 else targets.shape[1]
        samples = Samples(
            X, targets, as_weights(sample_weight, "sample_weight", len(X), np.float64)
        )
        validation = None
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together")
        if X_val is not None:
            held_out = self._validation_inputs(X_val)
            require_unmasked(y_val, "y_val")
            y_val = np.asarray(
                check_array(y_val, ensure_2d=False, dtype="numeric", input_name="y_val")
            )
            if y_val.reshape(len(y_val), -1).shape != (len(held_out), n_outputs):
                raise ValueError(
                    f"y_val must hold {n_outputs} number(s) for each of the {len(held_out)} "
                    f"samples of X_val, got shape {y_val.shape}"
                )
            validation = Samples(held_out, y_val, names=("X_val", "y_val"))
        output_activation = resolve_activation(self.output_activation, "output_activation")
        self._train(
            [*self._hidden_layers(), self._output_layer(n_outputs, output_activation)],
            samples,
            loss=self.loss,
            validation=validation,
            incremental=incremental,
            checkpoint=checkpoint,
            learned={"n_outputs_": n_outputs},
        )
        return self

    # ---- use -------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Floats:
        """Return predictions.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the estimator's dtype; one dimension where there is one output.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        y = self._predict(X)
        return np.asarray(y[:, 0] if self.n_outputs_ == 1 else y)
