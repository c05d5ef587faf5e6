"""The denoising autoencoder."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_array

from pyae import noise as noise_module
from pyae._arguments import number
from pyae._arrays import Floats, as_real_array, require_unmasked
from pyae._spec import unknown_name
from pyae.estimators._autoencoder import Autoencoder
from pyae.estimators._base import Samples, all_or_nothing
from pyae.estimators._other_names import TRAINING, naming


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that learns to undo noise [1]_.

    Training minimises ``loss(x, decoder(encoder(noisy x)))``. The noise is either made
    from clean samples, afresh every epoch (``fit(X)``), or in the data (``fit(X_noisy, X_clean)``).

    The defaults suit standardised features. For values in [0, 1], such as grey levels:
    ``output_activation="sigmoid", loss="binary_crossentropy"``.

    Parameters
    ----------
    n_components : int, default 2
        Size of the code. Against noise it may be as large as the data's.
    noise : str, Noise, dict or None, default "gaussian"
        What corrupts clean samples in training (see `pyae.noise`). By name, "gaussian", "masking"
        or "salt_and_pepper", its strength is `noise_level`. Pairs get no noise on top.
    noise_level : float, default 0.3
        Standard deviation or rate of a noise that is given by name.
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
    model_, code_layer_, history_, n_iter_, n_features_in_, feature_names_in_
        As those of `Autoencoder`. Losses of validation are those of inputs that were corrupted
        once, the same way for all epochs.

    Warns
    -----
    DivergenceWarning
        The loss or a weight was no longer finite: training stopped with the last finite weights.
    StallWarning
        The optimizer, one that re-evaluates, found no smaller loss though there should be one:
        training stopped with the best weights that it found.

    Notes
    -----
    An interrupted fit leaves what `Autoencoder` says.

    References
    ----------
    .. [1] Vincent et al., "Stacked denoising autoencoders", JMLR 11 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from pyae import DenoisingAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> clean = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 10))  # a plane in 10 dimensions
    >>> noisy = clean + 0.5 * rng.normal(size=clean.shape)
    >>> denoiser = DenoisingAutoencoder(2, noise_level=0.5, random_state=0).fit(clean)
    >>> bool(np.mean((denoiser.denoise(noisy) - clean) ** 2) < 0.3 * np.mean((noisy - clean) ** 2))
    True
    """

    @naming(TRAINING)
    def __init__(
        self,
        n_components: int = 2,
        *,
        noise: Any = "gaussian",
        noise_level: float = 0.3,
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
        self.noise = noise
        self.noise_level = noise_level
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

    @all_or_nothing
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        checkpoint: Any = None,
    ) -> Any:
        """Train the autoencoder on clean samples, or on pairs of noisy and clean ones.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Clean samples; noisy ones where `y` holds clean ones.
        y : array_like or frame of shape (n_samples, n_features), optional
            The clean samples that X's noisy ones came from. Labels, of shape (n_samples,), are
            ignored: a pipeline hands them on. So clean samples of one feature need the shape
            (n_samples, 1); numbers with fractions are warned of there.
        sample_weight : array_like of shape (n_samples,), optional
            Factors of the samples' losses; their scale does not matter.
        X_val : array_like or frame, or a tuple (noisy, clean) of these, optional
            Samples to validate on after each epoch; a tuple where `y` is given.
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

        Warns
        -----
        UserWarning
            X has one feature, and y of shape (n_samples,), which is ignored, may be clean samples.
        """
        samples, noise = self._pairs(X, y, sample_weight, reset=not self._goes_on())
        validation = None
        if X_val is not None:
            paired = isinstance(X_val, tuple)
            if paired != (samples.y is not None) or (paired and len(X_val) != 2):
                raise ValueError(
                    "X_val must be (noisy, clean) where y holds clean samples, and an array "
                    "otherwise"
                )
            held_out, clean = X_val if paired else (X_val, None)
            names = ("X_val[0]", "X_val[1]") if paired else ("X_val", "X_val")
            inputs = self._validation_inputs(held_out, names[0])
            validation = Samples(inputs, _clean(clean, inputs.shape, names[1]), names=names)
        return self._fit(samples, validation, noise, checkpoint=checkpoint)

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Train on these samples once, going on from what is fitted already.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features)
            Clean samples; noisy ones where `y` holds clean ones.
        y : array_like or frame of shape (n_samples, n_features), optional
            The clean samples that X's noisy ones came from, as in `fit`; labels, of shape
            (n_samples,), are ignored.
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
        samples, noise = self._pairs(X, y, sample_weight, reset=not self._is_fitted())
        return self._fit(samples, noise=noise, incremental=True)

    def denoise(self, X: Any) -> Floats:
        """Return samples without their noise: another name for `reconstruct`.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Noisy samples.

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
        return self.reconstruct(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the explained variance of clean samples by the reconstructions.

        ``1 - sum((y - reconstruct(X))**2) / sum((y - y.mean(axis=0))**2)``

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.
        y : array_like or frame of shape (n_samples, n_features_in_), optional
            The clean samples; X by default, and where y holds labels, of shape (n_samples,).
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
        clean = _clean(y, inputs.shape, "y")
        return self._score(inputs, inputs if clean is None else clean, sample_weight)

    # ---- internals -------------------------------------------------------------------------------

    def _pairs(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Samples, noise_module.Noise | None]:
        """Return the samples and what noise they need."""
        noise = self._noise()
        samples = self._samples(X, sample_weight, reset=reset)
        clean = _clean(y, samples.X.shape, "y")
        if clean is None:
            if samples.X.shape[1] == 1 and _has_fractions(y):
                warnings.warn(
                    "y of shape (n_samples,) is taken for labels, and ignored: clean samples of "
                    "one feature need the shape (n_samples, 1), as of y.reshape(-1, 1)",
                    stacklevel=4,  # from fit's caller
                )
            return samples, noise
        return Samples(samples.X, clean, samples.weights), None

    def _noise(self) -> noise_module.Noise | None:
        """Return the noise that the parameters ask for."""
        if isinstance(self.noise, str):
            if self.noise not in _BY_NAME:
                raise unknown_name("noise", self.noise, _BY_NAME)
            level = number(self.noise_level, "noise_level")
            try:
                by_name: noise_module.Noise = _BY_NAME[self.noise](level)
            except ValueError as error:  # the core knows the limits
                given = f"noise_level={self.noise_level!r}"
                raise ValueError(f"{given} is not allowed: {error}") from None
            return by_name
        return noise_module.resolve_noise(self.noise)


_BY_NAME: dict[str, Any] = {
    "gaussian": noise_module.Gaussian,
    "masking": noise_module.Masking,
    "salt_and_pepper": noise_module.SaltAndPepper,
}


def _has_fractions(y: Any) -> bool:
    """Whether y holds numbers that are no labels."""
    numbers = np.asarray(y)
    return numbers.dtype.kind == "f" and bool((numbers != np.round(numbers)).any())


def _clean(y: Any, shape: tuple[int, ...], name: str) -> npt.NDArray[Any] | None:
    """Return clean samples of a shape, or None where there are none but labels perhaps."""
    if y is None or np.asarray(y).ndim == 1:
        return None
    require_unmasked(y, name)
    clean = as_real_array(check_array(y, dtype="numeric", input_name=name), name)
    if clean.shape != shape:
        raise ValueError(
            f"{name} must hold the clean samples, of the shape {shape} of the noisy ones, or be "
            f"left out, got shape {clean.shape}"
        )
    return clean
