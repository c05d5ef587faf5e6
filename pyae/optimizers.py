"""Optimizers: settings here, the updates themselves in C++.

Formulas, names and defaults of the first-order ones are those of Keras 3. A learning rate is a
number or one of `pyae.schedules`. Their gradients can be clipped before the update, in one of three
ways: ``clipvalue`` holds each entry in [-c, c], ``clipnorm`` each tensor's L2 norm,
``global_clipnorm`` the L2 norm of all gradients together.

`Muon` treats the kernels between the first layer and the last as matrices; it is meant for deep
networks. `LBFGS` evaluates loss and gradient at several points in each step; it is meant for full
batches. `NewtonCG` and `KFAC` look at the loss's curvature; they are meant for large batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pyae._arguments import positive_float
from pyae._spec import Spec, resolve, table_of
from pyae.schedules import Schedule, resolve_rate

__all__ = [
    "KFAC",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Muon",
    "Nadam",
    "NewtonCG",
    "Optimizer",
    "RMSprop",
]


@dataclass(frozen=True)
class Optimizer(Spec):
    """What all optimizers share.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    """

    kind: ClassVar[str] = "optimizer"

    learning_rate: float | Schedule = 0.001

    def check(self) -> None:
        """Raise a TypeError or ValueError that names the field, when one is not allowed."""
        object.__setattr__(self, "learning_rate", resolve_rate(self.learning_rate))
        clips = ("clipvalue", "clipnorm", "global_clipnorm")
        values = {clip: getattr(self, clip, None) for clip in clips}
        given = {clip: value for clip, value in values.items() if value is not None}
        if len(given) > 1:
            raise ValueError(f"at most one of {', '.join(clips)} may be set, got {given}")
        for clip, limit in given.items():
            positive_float(limit, clip, "a number or None")
        super().check()


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for [1]_.

    ``v = momentum v - lr g; w += v``, or with Nesterov ``w += momentum v - lr g``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        The step size; positive.
    momentum : float, default 0.0
        In [0, 1).
    nesterov : bool, default False
        Look ahead, as in [1]_.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in
       deep learning", ICML 2013.

    Examples
    --------
    >>> SGD(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "sgd"

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Gradients divided by a running root mean square [1]_.

    ``v = rho v + (1-rho) g^2; w -= lr g / sqrt(v + epsilon)``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    rho : float, default 0.9
        In [0, 1).
    momentum : float, default 0.0
        In [0, 1).
    epsilon : float, default 1e-7
        Positive; inside the root.
    centered : bool, default False
        Divide by the standard deviation, not the root mean square.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Tieleman & Hinton, "Lecture 6.5", Neural Networks for Machine Learning, Coursera 2012.

    Examples
    --------
    >>> RMSprop(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "rmsprop"

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Gradients divided by the root of their accumulated squares [1]_.

    ``a += g^2; w -= lr g / sqrt(a + epsilon)``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    initial_accumulator_value : float, default 0.1
        What a starts at; not negative.
    epsilon : float, default 1e-7
        Positive; inside the root.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic
       optimization", JMLR 12 (2011).

    Examples
    --------
    >>> Adagrad(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adagrad"

    learning_rate: float | Schedule = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps with the units of the parameters [1]_.

    ``a = rho a + (1-rho) g^2; d = -g sqrt(u + epsilon)/sqrt(a + epsilon);
    u = rho u + (1-rho) d^2; w += lr d``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive (the paper's is 1).
    rho : float, default 0.95
        In [0, 1).
    epsilon : float, default 1e-7
        Positive; inside the roots.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Zeiler, "ADADELTA: an adaptive learning rate method", arXiv 1212.5701, 2012.

    Examples
    --------
    >>> Adadelta(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adadelta"

    learning_rate: float | Schedule = 0.001
    rho: float = 0.95
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments [1]_.

    ``m += (1-beta_1)(g - m); v += (1-beta_2)(g^2 - v);
    w -= lr sqrt(1-beta_2^t)/(1-beta_1^t) m/(sqrt(v) + epsilon)`` in step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    beta_1 : float, default 0.9
        In [0, 1).
    beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> Adam(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adam"

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay on kernels, not on biases [1]_.

    ``w -= lr weight_decay w``, then as `Adam`.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    weight_decay : float, default 0.004
        Not negative.
    beta_1 : float, default 0.9
        In [0, 1).
    beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> AdamW(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "adamw"

    learning_rate: float | Schedule = 0.001
    weight_decay: float = 0.004
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Nadam(Optimizer):
    """Adam with Nesterov momentum [1]_.

    As `Adam`, with the momentum ``beta_1 (1 - 0.96^t/2)`` applied one step ahead.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        The step size; positive.
    beta_1 : float, default 0.9
        In [0, 1).
    beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    Examples
    --------
    >>> Nadam(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "nadam"

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class Muon(Optimizer):
    """Momentum, made orthogonal, for the kernels of hidden layers; Adam for all else [1]_.

    A hidden layer is any but the first and the last. For its kernel, of shape (r, c),
    ``m = momentum m + g``, ``u = g + momentum m`` (Nesterov) or ``u = m``, and
    ``w -= lr 0.2 sqrt(max(r, c)) O``. O has the singular vectors of u, and singular values near 1:
    the update moves all directions alike, those too that hardly show in the gradient. It is made of
    ``X = u / |u|`` (Frobenius norm) by `ns_steps` steps ``A = X X^T; X = a X + (b A + c A A) X``,
    of the transpose where r > c; each step has the a, b and c that [2]_ found best after the steps
    before it, for singular values from 0.001 to 1. With the factor of the learning rate, which is
    that of [3]_, an update has a root mean square of about 0.2 lr, as Adam's tend to have.

    The first and the last kernel and all biases are trained as by `Adam`, with the learning rate
    ``adam_lr_ratio lr``, and so is the whole network where it has fewer than three layers. A kernel
    that several layers use (``tied_to``) goes by the place of the layer that owns it.

    Use it for deep networks, which Adam trains slowly. In each step a hidden kernel costs about
    ``2 ns_steps (2 r c k + k^3)`` floating-point operations with k = min(r, c), however small the
    batch: those of back-propagation through it for ``ns_steps (2 k + k^2 / max(r, c)) / 3``
    samples. Batches should have 100 to 500. Steps do not shrink where the gradient does: let the
    learning rate fall to 0 over the fit, as with ``schedules.Cosine(0.015, n_updates)``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.015
        The step size of hidden kernels; positive.
    momentum : float, default 0.95
        In [0, 1).
    nesterov : bool, default True
        Look ahead: ``u = g + momentum m``.
    ns_steps : int, default 3
        Steps (of a method like Newton's and Schulz's) that make a matrix orthogonal; 1 to 100.
        With three, singular values above a thousandth of X's norm come to lie between 0.13 and
        1.87, which trains as well as more exactness; with eight they are 1.
    adam_lr_ratio : float, default 0.4
        Adam's learning rate in units of `learning_rate`; positive.
    adam_beta_1 : float, default 0.9
        In [0, 1).
    adam_beta_2 : float, default 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Adam's; positive.
    clipvalue, clipnorm, global_clipnorm : float, optional
        Gradient clipping, at most one of the three.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    .. [2] Amsel, Persson, Musco & Gower, "The Polar Express: optimal matrix sign methods and their
       application to the Muon algorithm", arXiv 2505.16932, 2025.
    .. [3] Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, 2025.

    Examples
    --------
    >>> Muon(learning_rate=0.1).learning_rate
    0.1
    """

    name: ClassVar[str] = "muon"

    learning_rate: float | Schedule = 0.015
    momentum: float = 0.95
    nesterov: bool = True
    ns_steps: int = 3
    adam_lr_ratio: float = 0.4
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    epsilon: float = 1e-7
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS with a strong-Wolfe line search [1]_, for full batches.

    A step goes along ``-H g``, H being an approximation of the inverse Hessian from the last few
    steps, to a point w' with ``f(w') <= f(w) + 1e-4 d g`` and a slope of at most 0.9 of the first
    one in size; differences of f that are within its rounding errors are judged by the slopes [2]_.
    Where a parameter has an L1 penalty, steps keep within one orthant and parameters become exactly
    0: OWL-QN [3]_.

    One batch is one step. With ``batch_size`` of at least the number of samples an epoch is one
    iteration on all of them, read in place and in order whatever ``shuffle`` says; each evaluation
    costs as much as one step of a first-order optimizer, and most steps need one. When no step
    makes the loss smaller, `Sequential.fit` ends and sets ``history.converged``, or where there
    should be one ``history.stalled``.

    Parameters
    ----------
    learning_rate : float or Schedule, default 1.0
        The step that a search tries first, in multiples of ``-H g``; in the first iteration, which
        has no H yet, the most by which w changes in length there, unless the loss is so large that
        this would hardly change it. Positive.
    history_size : int, default 10
        How many steps H is made from; 1 to 1000. Each takes the memory of two sets of parameters.
    max_line_search : int, default 25
        Evaluations in one search; 1 to 1000.
    tolerance_grad : float, default 0.0
        Converged once no entry of the gradient is larger than this in size; not negative. 0: go on
        to the limit of the arithmetic.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Nocedal & Wright, "Numerical optimization", 2nd edition, Springer 2006, chapters 3 and 7.
    .. [2] Hager & Zhang, "A new conjugate gradient method with guaranteed descent and an efficient
       line search", SIAM Journal on Optimization 16 (2005).
    .. [3] Andrew & Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.

    Examples
    --------
    >>> import numpy as np
    >>> import pyae
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> model = pyae.Sequential(
    ...     [pyae.Dense(1)], optimizer=LBFGS(), dtype="float64", random_state=0
    ... )
    >>> history = model.fit(X, X @ [1.0, 2.0, 3.0] + 4, epochs=100, batch_size=len(X))
    >>> history.converged
    True
    >>> model.get_weights()[0].ravel().round(6)
    array([1., 2., 3.])
    """

    name: ClassVar[str] = "lbfgs"

    learning_rate: float | Schedule = 1.0
    history_size: int = 10
    max_line_search: int = 25
    tolerance_grad: float = 0.0


@dataclass(frozen=True)
class NewtonCG(Optimizer):
    """Hessian-free optimization [1]_ [2]_: Newton's method for networks, for large batches.

    A step solves ``(G + damping I) d = -g`` by conjugate gradients, as far as they make progress,
    and goes to ``w + a d`` with the first ``a = learning_rate 0.7^k`` that makes the loss smaller
    by enough. ``G = J^T H J`` is the Gauss-Newton matrix, of which only products with vectors are
    computed; J is the derivative of the network's outputs by its parameters, H the loss's second
    derivative by the outputs. The damping, an addition to G's diagonal, is lowered by a third where
    the loss fell by more than 3/4 of what the quadratic model said, and raised by half where by
    less than 1/4; it stays above 1e-4 times the curvature along the gradient, unless a step with
    less is the only one that gains something. Where the mean square m of a layer's inputs is above
    1 or below 0.01, its kernel has m or 100 m times the damping, so that the scale of features does
    not matter; networks with ``tied_to`` have one damping. Conjugate gradients start from 0.95
    times the last d, preconditioned with ``(diag G + damping)^(3/4)``. The last batch of an epoch
    has what the others leave: choose ``batch_size`` so that it isn't small, for a step on a few
    samples only suits them, and goes far.

    Losses: those that are convex in what the network puts out, which are binary cross-entropy,
    categorical cross-entropy with a last layer of softmax, Poisson, Kullback-Leibler divergence,
    mean squared error, Huber and log-cosh. L2 penalties on weights are part of the model; of others
    it has the gradient alone, and with L1 penalties `LBFGS` gets further.

    Parameters
    ----------
    learning_rate : float or Schedule, default 1.0
        The first factor a of d that is tried; positive.
    damping : float, default 1.0
        What the damping starts with, in units of the curvature along the first gradient,
        ``g^T G g / g^T g`` for inputs of a usual scale; positive.
    max_iterations : int, default 100
        Of conjugate gradients in one step; at least 1. Each costs about as much as
        ``curvature_share`` times 4/3 gradients.
    tolerance : float, default 5e-4
        Conjugate gradients end when the last k = max(10, i/10) of i iterations have lowered the
        model by less than this, relatively and on average; not negative.
    curvature_share : float, default 0.25
        Of each batch, the rows that G is computed on, at least 256; in (0, 1].

    Raises
    ------
    ValueError
        A parameter is outside its limits; or, when a network is built, its loss has no H.

    References
    ----------
    .. [1] Martens, "Deep learning via Hessian-free optimization", ICML 2010.
    .. [2] Martens & Sutskever, "Training deep and recurrent networks with Hessian-free
       optimization", in: Neural networks: tricks of the trade, Springer 2012.

    Examples
    --------
    >>> import numpy as np
    >>> import pyae
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> model = pyae.Sequential(
    ...     [pyae.Dense(1)], optimizer=NewtonCG(), dtype="float64", random_state=0
    ... )
    >>> history = model.fit(X, X @ [1.0, 2.0, 3.0] + 4, epochs=100, batch_size=len(X))
    >>> model.get_weights()[0].ravel().round(6)
    array([1., 2., 3.])
    """

    name: ClassVar[str] = "newton_cg"

    learning_rate: float | Schedule = 1.0
    damping: float = 1.0
    max_iterations: int = 100
    tolerance: float = 5e-4
    curvature_share: float = 0.25


@dataclass(frozen=True)
class KFAC(Optimizer):
    """Kronecker-factored approximate curvature [1]_, for large batches.

    A natural-gradient method, made for deep autoencoders. Each layer's block of the Gauss-Newton
    matrix G is approximated by a Kronecker product of ``A = E[x x^T]``, of the layer's inputs (1
    among them, for the bias), and ``S = E[dz dz^T]``, of random dz whose covariance is that of G.
    Both are averages over the last batches. With them
    ``Delta = -(A + pi c I)^-1 dW (S + c/pi I)^-1``, c being `factor_damping` times the damping's
    root and pi the root of the ratio of both matrices' mean eigenvalues, and
    ``delta = alpha Delta + mu delta; w += learning_rate delta``: alpha and the momentum mu are
    those that make the quadratic model with the exact G and the damping least, on a share of the
    batch. As in `NewtonCG`, kernels are damped by the scale of their inputs where that is not a
    usual one, and in A the bias keeps a damping of its own. The damping is lowered where the loss
    fell by more than 3/4 of what the model said, and raised where by less than 1/4; where the loss
    rose after all the step is made shorter.

    A step costs about as much as two of a first-order optimizer, and goes much further. Batches
    should be large, 1,000 samples and more, and larger than the layers are wide; so should the last
    of an epoch be, which has what the others leave: a batch of a few samples makes a step that only
    suits them. Losses and penalties are those of `NewtonCG`; layers with ``tied_to`` are refused.

    Parameters
    ----------
    learning_rate : float or Schedule, default 1.0
        Multiplies the step that the model says is best; positive. From 2 on the model promises
        nothing, and the damping stays where it is.
    damping : float, default 1.0
        What the damping starts with, in units of the curvature along the first gradient,
        ``g^T G g / g^T g`` for inputs of a usual scale; positive.
    decay : float, default 0.95
        Of the averages of A and S, in each step; in [0, 1).
    least_damping : float, default 0.1
        The damping is not lowered below this, in units of ``mean(diag G) / batch_size`` as A and S
        tell it: a batch alone would lower it for ever, and then steps go far where another batch
        has its curvature. Not negative.
    factor_damping : float, default 3.0
        Of A and S, in units of the root of the damping; positive. The layers' blocks leave out what
        layers have in common, which the steps' length then pays for; a stronger damping of them
        takes some of the noise away.
    inverse_every : int, default 5
        In how many steps A and S are inverted once; at least 1.
    damping_every : int, default 5
        In how many steps the loss is looked at once more to adapt the damping, by a factor of
        ``0.95^damping_every``, or by that cubed where the damping alone makes the steps short: it
        has more than 3/4 of the model's quadratic part; at least 1. In the first 20 steps that is
        done in each, and the damping falls by ``0.95^2`` at most: what leaves the first plateau too
        fast does worse on other data. It is also done after each step that is longer than a quarter
        of w. Neither the slow nor the fast fall is in [1]_.
    statistics_share : float, default 0.125
        Of each batch, the rows that A and S are estimated on, at least 256; in (0, 1].
    curvature_share : float, default 0.25
        Of each batch, the rows that the model is computed on, at least 256; in (0, 1].

    Raises
    ------
    ValueError
        A parameter is outside its limits; or, when a network is built, its loss has no second
        derivative of the kind that is needed, or one of its layers has ``tied_to``.

    References
    ----------
    .. [1] Martens & Grosse, "Optimizing neural networks with Kronecker-factored approximate
       curvature", ICML 2015, arXiv 1503.05671; the block-diagonal version.

    Examples
    --------
    >>> import numpy as np
    >>> import pyae
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> model = pyae.Sequential([pyae.Dense(1)], optimizer=KFAC(), dtype="float64", random_state=0)
    >>> history = model.fit(X, X @ [1.0, 2.0, 3.0] + 4, epochs=100, batch_size=len(X))
    >>> model.get_weights()[0].ravel().round(6)
    array([1., 2., 3.])
    """

    name: ClassVar[str] = "kfac"

    learning_rate: float | Schedule = 1.0
    damping: float = 1.0
    decay: float = 0.95
    least_damping: float = 0.1
    factor_damping: float = 3.0
    inverse_every: int = 5
    damping_every: int = 5
    statistics_share: float = 0.125
    curvature_share: float = 0.25


_TABLE = table_of(SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Nadam, Muon, LBFGS, NewtonCG, KFAC)


def resolve_optimizer(value: Any, argument: str = "optimizer") -> Optimizer:
    """Return an optimizer given as a name, as a spec or as an object."""
    return resolve(value, argument, _TABLE)
