"""The sparse autoencoder: codes of which few numbers are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyae._arguments import boolean, layer_size, positive_int
from pyae._arrays import Floats
from pyae._parts import kernels
from pyae.activations import Activation
from pyae.activations import resolve as resolve_activation
from pyae.callbacks import Callback
from pyae.estimators._autoencoder import Autoencoder
from pyae.estimators._base import Samples
from pyae.estimators._dictionary import Upkeep, active_samples, activity, initialise
from pyae.estimators._other_names import TRAINING, naming
from pyae.layers import Dense
from pyae.model import Sequential
from pyae.optimizers import LBFGS, resolve_optimizer
from pyae.regularizers import KLSparsity, resolve_activity

_ACTIVE = 8  # units, by default


class SparseAutoencoder(Autoencoder):
    """An autoencoder with a sparse code, such as a dictionary of parts [1]_, [2]_.

    The code may be larger than the data. It is made sparse in one of three ways: only the
    `n_active` largest of a sample's units stay (by default); or a penalty on the code,
    ``activity_regularizer=pyae.regularizers.L1(...)`` or ``KLSparsity(...)``, with
    ``n_active=None``.

    Without hidden layers the reconstruction is a sum of dictionary entries, the rows of
    `components_`, weighted by the code. They start as random directions that encoder and decoder
    share, around the mean of the data, and keep a length of 1, so that a penalty cannot be evaded
    by small codes and long entries. In the first four fifths of a fit, units that are active for no
    sample are given to badly reconstructed samples [2]_ and to what is missing in those like them,
    as far as that does not raise the loss.

    Parameters
    ----------
    n_components : int, default 64
        Size of the code.
    n_active : int, "auto" or None, default "auto"
        How many units of the code are active for a sample, at most, of the `n_components`. "auto":
        8, or all where they are fewer. None: as many as the penalty leaves.
    revive_dead_units : bool, default True
        Whether to replace units that are active for no sample; without hidden layers only.
    hidden_layer_sizes : tuple of int, default ()
        Units of the encoder's hidden layers, from the input to the code.
    activation : str, Activation or sequence of these, default "relu"
        Of the hidden layers (see `pyae.activations`): one for all, or one for each of the
        encoder's, which the decoder mirrors.
    code_activation : str or Activation, default "auto"
        Of the code. "auto": sigmoid units for `KLSparsity`, else relu. With `n_active` it is
        always that of the k largest.
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
        A penalty on the code: `pyae.regularizers.L1` or `pyae.regularizers.KLSparsity`.
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
    components_ : ndarray of shape (n_components, n_features_in_)
        The dictionary; without hidden layers only.
    activation_frequency_ : ndarray of shape (n_components,)
        The share of the training samples for which each unit is active.
    dead_units_ : ndarray of shape (n_dead_units,)
        Numbers of the units that are active for none of them.
    model_, code_layer_, history_, n_iter_, n_features_in_, feature_names_in_
        As those of `Autoencoder`.

    Warns
    -----
    DivergenceWarning
        The loss or a weight was no longer finite: training stopped with the last finite weights.
    StallWarning
        The optimizer, one that re-evaluates, found no smaller loss though there should be one:
        training stopped with the best weights that it found.

    Notes
    -----
    An interrupted fit leaves what `Autoencoder` says. With L-BFGS, which must not be disturbed,
    units are not revived and their lengths are set once, at the end.

    References
    ----------
    .. [1] Gao et al., "Scaling and evaluating sparse autoencoders", arXiv 2406.04093, 2024.
    .. [2] Bricken et al., "Towards monosemanticity: decomposing language models with dictionary
       learning", Transformer Circuits Thread, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae import SparseAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> parts = rng.normal(size=(20, 10))  # each sample is a sum of two of twenty parts
    >>> X = np.stack([parts[rng.choice(20, 2, replace=False)].sum(axis=0) for _ in range(500)])
    >>> model = SparseAutoencoder(20, n_active=2, random_state=0).fit(X)
    >>> model.sparsity_report(X)["l0"] <= 2
    True
    """

    activation_frequency_: npt.NDArray[np.float64]

    @naming(TRAINING)
    def __init__(
        self,
        n_components: int = 64,
        *,
        n_active: int | str | None = "auto",
        revive_dead_units: bool = True,
        hidden_layer_sizes: Any = (),
        activation: Any = "relu",
        code_activation: Any = "auto",
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
        self.n_active = n_active
        self.revive_dead_units = revive_dead_units
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

    # ---- use -------------------------------------------------------------------------------------

    @property
    def components_(self) -> Floats:
        """The dictionary: (n_components, n_features_in_)."""
        model = self._fitted_model()
        if len(model.layers) != 2:
            raise AttributeError("components_ is there without hidden layers only")
        return np.ascontiguousarray(kernels(model)[1][0])

    @property
    def dead_units_(self) -> npt.NDArray[np.intp]:
        """Numbers of the units that are active for no training sample."""
        self._fitted_model()
        return np.flatnonzero(self.activation_frequency_ == 0)

    def sparsity_report(self, X: Any) -> dict[str, Any]:
        """Return how sparse the codes of samples are, and how much they explain.

        Parameters
        ----------
        X : array_like or frame of shape (n_samples, n_features_in_)
            Samples.

        Returns
        -------
        dict
            ``"l0"``: the mean number of active units of a sample; ``"explained_variance"``: as of
            `score`; ``"activation_frequency"`` (n_components,): the share of the samples for which
            each unit is active; ``"dead_units"``: the numbers of those that are active for none.
            A unit is active where it is more than 0; a sigmoid or hard sigmoid, more than 0.1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        TypeError, ValueError
            The data's shape or a value is not allowed.
        """
        inputs = self._inputs(X)
        counts = active_samples(self.model_, self.code_layer_, inputs)
        return {
            "l0": float(counts.sum() / len(inputs)),
            "explained_variance": self._score(inputs, inputs, None),
            "activation_frequency": counts / len(inputs),
            "dead_units": np.flatnonzero(counts == 0),
        }

    # ---- internals -------------------------------------------------------------------------------

    def _code_activation(self) -> Activation:
        automatic = isinstance(self.code_activation, str) and self.code_activation == "auto"
        given = None
        if not automatic:  # looked at even where n_active says what the activation is
            given = resolve_activation(self.code_activation, "code_activation")
        if self.n_active is not None:
            return Activation("top_k", k=self._count_active())
        penalty = resolve_activity(self.activity_regularizer, "activity_regularizer")
        if penalty is None:
            raise ValueError(
                "nothing makes the code sparse: set n_active, or an activity_regularizer such as "
                "pyae.regularizers.L1(1e-3)"
            )
        if given is None:
            return Activation("sigmoid" if isinstance(penalty, KLSparsity) else "relu")
        return given

    def _count_active(self) -> int:
        n_components = layer_size(self.n_components, "n_components")
        if isinstance(self.n_active, str) and self.n_active == "auto":
            return min(_ACTIVE, n_components)
        n_active = positive_int(self.n_active, "n_active", "an integer, 'auto' or None")
        if n_active > n_components:
            raise ValueError(
                f"n_active must be at most n_components={n_components}, got {n_active}"
            )
        return n_active

    def _upkeep(self, samples: Samples, incremental: bool) -> list[Callback]:
        """Return what looks after a dictionary."""
        revives = boolean(self.revive_dead_units, "revive_dead_units") and not incremental
        is_dictionary = self._is_dictionary(*self._layers(samples.X.shape[1]))
        if not is_dictionary or isinstance(resolve_optimizer(self.optimizer), LBFGS):
            return []
        epochs = positive_int(self.max_epochs, "max_epochs") if revives else 0
        return [Upkeep(samples.X, 4 * epochs // 5, self._seed())]

    def _initialise(self, model: Sequential, samples: Samples) -> None:
        """Start a dictionary from random directions."""
        if self._is_dictionary(list(model.layers[:-1]), list(model.layers[-1:])):
            initialise(model, samples.X, samples.weights, self._seed())

    def _finish(self, samples: Samples) -> None:
        """Set the entries' lengths, and count what is active."""
        layers = list(self.model_.layers)
        if self._is_dictionary(layers[: self.code_layer_], layers[self.code_layer_ :]):
            Upkeep.normalise(self.model_)
        self.activation_frequency_ = activity(self.model_, self.code_layer_, samples.X)

    @staticmethod
    def _is_dictionary(encoder: list[Dense], decoder: list[Dense]) -> bool:
        """Whether a code unit's scale can move between one encoder and one decoder layer."""
        return (
            len(encoder) == len(decoder) == 1
            and encoder[0].activation.name in ("relu", "top_k")
            and decoder[0].activation.name == "linear"
        )
