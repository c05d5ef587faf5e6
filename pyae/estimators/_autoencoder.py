"""The autoencoder as a scikit-learn transformer, and what its relatives share with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from pyae._arguments import boolean, layer_size
from pyae._arrays import Floats, as_samples, as_weights, within_reach
from pyae._parts import tail
from pyae.activations import Activation
from pyae.activations import resolve as resolve_activation
from pyae.estimators._base import (
    NetworkEstimator,
    Samples,
    all_or_nothing,
    as_activations,
    as_sizes,
)
from pyae.estimators._other_names import TRAINING, naming
from pyae.layers import Dense
from pyae.model import Sequential


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator):
    """A network that learns to reproduce its input through a code of few numbers [1]_.

    ``code = encoder(x)``, ``reconstruction = decoder(code)``; training minimises
    ``loss(x, reconstruction)``. Without hidden layers and with linear units it spans the same
    space as PCA; with hidden layers it follows curved manifolds.

    The defaults suit standardised features (`sklearn.preprocessing.StandardScaler`). For values in
    [0, 1], such as grey levels: ``output_activation="sigmoid", loss="binary_crossentropy"``.

    Parameters
    ----------
    n_components : int, default 2
        Size of the code.
    hidden_layer_sizes : tuple of int, default ()
        Units of the encoder's hidden layers, from the input to the code.
    activation : str, Activation or sequence of these, default "relu"
        Of the hidden layers (see `pyae.activations`): one for all, or one for each of the
        encoder's, which the decoder mirrors.
    code_activation : str or Activation, default "linear"
        Of the code.
    output_activation : str or Activation, default "linear"
        Of the reconstruction.
    loss : str or Loss, default "mean_squared_error"
        What is minimised (see `pyae.losses`).
    decoder_layer_sizes : tuple of int, optional
        Units of the decoder's hidden layers, from the code to the output. None: the encoder's,
        mirrored.
    tied_weights : bool, default False
        Whether the decoder's kernels are the transposes of the encoder's; needs the mirrored
        decoder.
    kernel_regularizer : str or Regularizer, optional
        A penalty on all kernels (see `pyae.regularizers`).
    activity_regularizer : str or Regularizer, optional
        A penalty on the code.
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
        epochs, and to keep the weights of the best one. They are ``X_val`` where that is given.
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
    model_ : pyae.Sequential
        The network: encoder, then decoder.
    code_layer_ : int
        How many of its layers lead to the code: ``model_.forward(X, upto=code_layer_)``.
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

    References
    ----------
    .. [1] Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks",
       Science 313 (2006).

    Examples
    --------
    >>> import numpy as np
    >>> from pyae import Autoencoder
    >>> angle = np.linspace(0, 6, 300)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle), angle - 3])
    >>> autoencoder = Autoencoder(1, hidden_layer_sizes=(32,), random_state=0).fit(X)
    >>> autoencoder.transform(X).shape
    (300, 1)
    >>> autoencoder.score(X) > 0.9
    True
    """

    code_layer_: int

    @naming(TRAINING)
    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (),
        activation: Any = "relu",
        code_activation: Any = "linear",
        output_activation: Any = "linear",
        loss: Any = "mean_squared_error",
        decoder_layer_sizes: Any = None,
        tied_weights: bool = False,
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
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.loss = loss
        self.decoder_layer_sizes = decoder_layer_sizes
        self.tied_weights = tied_weights
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
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        checkpoint: Any = None,
    ) -> Any:
        """Train the autoencoder.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Training samples; arrays are read in place.
        y : ignored
            There for scikit-learn's sake.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses; their scale does not matter.
        X_val : array_like or frame of shape (n_validation_samples, n_features), optional
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
        samples = self._samples(X, sample_weight, reset=not self._goes_on())
        validation = None
        if X_val is not None:
            validation = Samples(self._validation_inputs(X_val), names=("X_val", "X_val"))
        return self._fit(samples, validation, checkpoint=checkpoint)

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Train on these samples once, going on from what is fitted already.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Training samples.
        y : ignored
            There for scikit-learn's sake.
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
        samples = self._samples(X, sample_weight, reset=not self._is_fitted())
        return self._fit(samples, incremental=True)

    def _fit(
        self,
        samples: Samples,
        validation: Samples | None = None,
        noise: Any = None,
        incremental: bool = False,
        checkpoint: Any = None,
    ) -> Any:
        encoder, decoder = self._layers(samples.X.shape[1])
        self._train(
            [*encoder, *decoder],
            samples,
            loss=self.loss,
            validation=validation,
            noise=noise,
            incremental=incremental,
            checkpoint=checkpoint,
            learned={"code_layer_": len(encoder)},
        )
        return self

    def _layers(self, n_features: int) -> tuple[list[Dense], list[Dense]]:
        """Return the layers of the encoder and of the decoder."""
        n_components = layer_size(self.n_components, "n_components")
        sizes = as_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        activations = as_activations(self.activation, len(sizes), "activation")
        tied = boolean(self.tied_weights, "tied_weights")
        back = list(zip(sizes, activations, strict=True))[::-1]
        if self.decoder_layer_sizes is not None:
            if tied:
                raise ValueError(
                    "tied_weights=True needs the mirrored decoder: leave decoder_layer_sizes None"
                )
            asked = as_sizes(self.decoder_layer_sizes, "decoder_layer_sizes")
            if isinstance(self.activation, list | tuple) and asked != sizes[::-1]:
                raise ValueError(
                    "activation must be one for all layers where decoder_layer_sizes does not "
                    f"mirror hidden_layer_sizes, got {self.activation!r}"
                )
            of_decoder = as_activations(self.activation, len(asked), "activation")[::-1]
            back = list(zip(asked, of_decoder, strict=True))

        def dense(units: int, activation: Any, **settings: Any) -> Dense:
            return Dense(units, activation, kernel_regularizer=self.kernel_regularizer, **settings)

        encoder = [dense(*pair) for pair in zip(sizes, activations, strict=True)]
        encoder.append(
            dense(
                n_components,
                self._code_activation(),
                activity_regularizer=self.activity_regularizer,
            )
        )
        output_activation = resolve_activation(self.output_activation, "output_activation")
        outputs = [*back, (n_features, output_activation)]
        if tied:
            pairs = zip(outputs, encoder[::-1], strict=True)
            decoder = [Dense(*output, tied_to=layer) for output, layer in pairs]
        else:
            decoder = [dense(*output) for output in outputs]
        return encoder, decoder

    def _code_activation(self) -> Activation:
        return resolve_activation(self.code_activation, "code_activation")

    # ---- use -------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Floats:
        """Return the codes.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray or frame of shape (n_samples, n_components)
            The codes, of the estimator's dtype; a frame as asked for with ``set_output``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        return self._encode(self._inputs(X))

    def inverse_transform(self, X: Any) -> Floats:
        """Return the reconstructions that codes stand for.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features_in_)
            The decoder's outputs, of the estimator's dtype.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The codes' shape or a value is not allowed.
        """
        check_is_fitted(self)
        codes = as_samples(X, "X")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must be codes of {self._n_features_out} numbers, as transform returns them, "
                f"got shape {codes.shape}"
            )
        return self._decoder().predict(codes)

    def reconstruct(self, X: Any) -> Floats:
        """Return what comes out for samples: ``inverse_transform(transform(X))``.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_features_in_)
            The reconstructions, of the estimator's dtype.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        return self._reconstruct(self._inputs(X))

    def reconstruction_error(self, X: Any, per_feature: bool = False) -> Floats:
        """Return the squared error of each sample's reconstruction, summed over its features.

        A sample unlike those of the training has a large one: an outlier.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.
        per_feature : bool, default False
            Whether to return each feature's squared error instead of their sum.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_features_in_)
            ``((X - reconstruct(X))**2).sum(axis=1)``, or its terms, as float64.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        inputs = self._inputs(X)
        per_feature = boolean(per_feature, "per_feature")
        errors = np.square(np.subtract(inputs, self._reconstruct(inputs), dtype=np.float64))
        return errors if per_feature else np.asarray(errors.sum(axis=1))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the explained variance: the higher, the better, at most 1.

        ``1 - sum((X - reconstruct(X))**2) / sum((X - X.mean(axis=0))**2)``

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.
        y : ignored
            There for scikit-learn's sake.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples in the sums and the mean.

        Returns
        -------
        float
            0 for what repeats the mean, 1 for a perfect reconstruction; of equal samples, which
            have no variance, 1 or 0.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        inputs = self._inputs(X)
        return self._score(inputs, inputs, sample_weight)

    # ---- internals -------------------------------------------------------------------------------

    def _encode(self, inputs: npt.NDArray[Any]) -> Floats:
        return self.model_.forward(inputs, upto=self.code_layer_)

    def _reconstruct(self, inputs: npt.NDArray[Any]) -> Floats:
        return self.model_.predict(inputs)

    def _score(self, inputs: Any, targets: Any, sample_weight: Any) -> float:
        weights = as_weights(sample_weight, "sample_weight", len(inputs), np.float64)
        if weights is not None:
            weights = within_reach(weights)
        t = np.asarray(targets, dtype=np.float64)
        unexplained = np.average(np.square(t - self._reconstruct(inputs)), axis=0, weights=weights)
        mean = np.average(t, axis=0, weights=weights)
        variance = np.average(np.square(t - mean), axis=0, weights=weights).sum()
        if variance == 0:
            return float(not unexplained.any())
        return float(1 - unexplained.sum() / variance)

    def _decoder(self) -> Sequential:
        """Return the decoder as a network of its own, with the present weights."""
        return tail(self.model_, self.code_layer_)

    @property
    def _n_features_out(self) -> int:
        return self.model_.layers[self.code_layer_ - 1].units

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # it is always the parameter dtype
        return tags
