"""A multi-layer perceptron that classifies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from pyae import losses
from pyae._arrays import Floats, as_weights
from pyae.estimators._base import Samples, all_or_nothing
from pyae.estimators._classes import (
    as_known,
    as_labels,
    classes_of,
    numbers_of,
    require_kind,
    with_class_weight,
)
from pyae.estimators._frames import validate_data
from pyae.estimators._mlp import Perceptron
from pyae.estimators._other_names import TRAINING, naming
from pyae.layers import Dense


class MLPClassifier(ClassifierMixin, Perceptron):
    """A network that gives the probability of each class.

    Two classes have one sigmoid unit and binary cross-entropy, more have softmax units and
    categorical cross-entropy. Where y is a matrix of 0 and 1, a sample may have several labels:
    each has a sigmoid unit of its own.

    The defaults suit standardised features (`sklearn.preprocessing.StandardScaler`).

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default (100,)
        Units of the hidden layers; ``()`` makes a linear model.
    activation : str, Activation or sequence of these, default "relu"
        Of the hidden layers (see `pyae.activations`): one for all, or one each.
    loss : str or Loss, default "auto"
        What is minimised (see `pyae.losses`); "auto" as above. Any other loss compares the units
        with 1 for the class and 0 for all others: sigmoid units for binary cross-entropy, softmax
        units for the rest.
    kernel_regularizer : str or Regularizer, optional
        A penalty on all kernels (see `pyae.regularizers`).
    activity_regularizer : str or Regularizer, optional
        A penalty on the hidden layers' outputs.
    class_weight : dict, list of dict, "balanced" or None, default None
        Factors of the classes' losses, not negative; "balanced": inversely proportional to their
        frequencies. A list has a dict for each of several labels.
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
    classes_ : ndarray of shape (n_classes,)
        The labels, in order; column numbers where a sample may have several.
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
    >>> from pyae import MLPClassifier
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(400, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same sign", "different")
    >>> classifier = MLPClassifier((32,), random_state=0).fit(X, y)
    >>> classifier.predict([[0.5, 0.5], [0.5, -0.5]]).tolist()
    ['same sign', 'different']
    """

    classes_: npt.NDArray[Any]
    multilabel_: bool

    @naming(TRAINING)
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        *,
        activation: Any = "relu",
        loss: Any = "auto",
        kernel_regularizer: Any = None,
        activity_regularizer: Any = None,
        class_weight: Any = None,
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
        self.loss = loss
        self.kernel_regularizer = kernel_regularizer
        self.activity_regularizer = activity_regularizer
        self.class_weight = class_weight
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
        y : array_like of shape (n_samples,) or (n_samples, n_labels)
            Their labels, of any type, or 0 and 1 for each of several labels.
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
        goes_on = self._goes_on()
        labels = as_labels(y)
        X, labels = validate_data(
            self, X, labels, reset=not goes_on, dtype="numeric", multi_output=True
        )
        classes = self.classes_ if goes_on else classes_of(labels)
        return self._fit(X, labels, classes, sample_weight, X_val, y_val, checkpoint=checkpoint)

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Train on these samples once, going on from what is fitted already.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Training samples.
        y : array_like of shape (n_samples,) or (n_samples, n_labels)
            Their labels.
        classes : array_like of shape (n_classes,), optional
            All labels that there are; needed in the first call, unless y is a matrix.
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
        fitted = self._is_fitted()
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all labels at once: give partial_fit a "
                "dict instead"
            )
        labels = as_labels(y)
        X, labels = validate_data(
            self, X, labels, reset=not fitted, dtype="numeric", multi_output=True
        )
        if classes is None:
            if not fitted and labels.ndim == 1:
                raise ValueError("classes must be passed on the first call to partial_fit")
            known = self.classes_ if fitted else classes_of(labels)
        else:
            known = as_known(classes)
            if fitted and not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"classes must be those of the first call, {self.classes_.tolist()}, "
                    f"got {known.tolist()}"
                )
        return self._fit(X, labels, known, sample_weight, incremental=True)

    def _fit(
        self,
        X: Any,
        labels: npt.NDArray[Any],
        classes: npt.NDArray[Any],
        sample_weight: Any,
        X_val: Any = None,
        y_val: Any = None,
        incremental: bool = False,
        checkpoint: Any = None,
    ) -> Any:
        multilabel = labels.ndim == 2
        if self._is_fitted() if incremental else self._goes_on():
            require_kind(labels, self.multilabel_, "y", "the first fit")
        loss, output = self._loss_and_output(len(classes), multilabel)
        weights = as_weights(sample_weight, "sample_weight", len(X), np.float64)
        weights = with_class_weight(self.class_weight, labels, weights)
        numbers = numbers_of(labels, classes)
        samples = Samples(X, _targets(numbers, loss, output), weights)
        validation = None
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together")
        if X_val is not None:
            labels = as_labels(y_val, "y_val")
            require_kind(labels, multilabel, "y_val", "y")
            targets = _targets(numbers_of(labels, classes, "y_val"), loss, output)
            inputs = self._validation_inputs(X_val)
            if len(inputs) != len(targets):
                raise ValueError(
                    "y_val must have as many samples as X_val, got "
                    f"{len(targets)} and {len(inputs)}"
                )
            validation = Samples(inputs, targets, names=("X_val", "y_val"))
        self._train(
            [*self._hidden_layers(), output],
            samples,
            loss=loss,
            validation=validation,
            stratify=not multilabel,
            incremental=incremental,
            checkpoint=checkpoint,
            learned={"classes_": classes, "multilabel_": multilabel},
        )
        return self

    def _loss_and_output(self, n_classes: int, multilabel: bool) -> tuple[losses.Loss, Dense]:
        """Return the loss and the output layer that goes with it."""
        binary = n_classes == 2 and not multilabel
        if isinstance(self.loss, str) and self.loss == "auto":
            of_sigmoids = binary or multilabel
            loss = losses.resolve(
                "binary_crossentropy" if of_sigmoids else "sparse_categorical_crossentropy"
            )
        else:
            loss = losses.resolve(self.loss)
        sigmoids = multilabel or isinstance(loss, losses.BinaryCrossentropy)
        if multilabel and isinstance(
            loss, losses.SparseCategoricalCrossentropy | losses.CategoricalCrossentropy
        ):
            raise ValueError(f"loss={loss.name!r} is for one label a sample, y has several")
        units = 1 if binary and sigmoids else n_classes
        return loss, self._output_layer(units, "sigmoid" if sigmoids else "softmax")

    # ---- use -------------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> Floats:
        """Return the classes' probabilities.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. Each row adds up to 1; where a sample may have several
            labels, each column is one's probability.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        p = self._predict(X)
        if self.multilabel_:
            return p
        if p.shape[1] < len(self.classes_):
            return np.column_stack([1 - p[:, 0], p[:, 0]])
        if self.model_.layers[-1].activation.name == "sigmoid":
            p /= np.maximum(p.sum(axis=1, keepdims=True), np.finfo(p.dtype).tiny)
        return p

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable labels.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Of ``classes_``; 0 and 1 where a sample may have several labels.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        p = self.predict_proba(X)
        if self.multilabel_:
            return (p > 0.5).astype(int)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _targets(numbers: npt.NDArray[Any], loss: losses.Loss, output: Dense) -> npt.NDArray[Any]:
    """Return class numbers as the loss takes them: as they are, or 1 for the class and else 0."""
    if (
        numbers.ndim == 2
        or output.units == 1
        or isinstance(loss, losses.SparseCategoricalCrossentropy)
    ):
        return numbers
    return np.asarray(numbers[:, np.newaxis] == np.arange(output.units), dtype=np.float32)
