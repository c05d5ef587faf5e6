"""Activation functions, vectorised in C++, and their derivatives.

Each is a function of an array; a layer takes its name, or an `Activation` with parameters.

================  ===================================  ==========================================
name              f(x)                                 source
================  ===================================  ==========================================
``linear``        x
``relu``          max(x, 0)                            Nair & Hinton 2010
``sigmoid``       1 / (1 + e^-x)
``softmax``       e^x / sum e^x                        Bridle 1990
``softplus``      log(1 + e^x)                         Dugas et al. 2001
``softsign``      x / (1 + abs(x))                     Turian et al. 2009
``tanh``          tanh x
``selu``          scale * elu(x, 1.6733)               Klambauer et al. 2017
``elu``           x if x > 0 else alpha (e^x - 1)      Clevert et al. 2016
``exponential``   e^x
``leaky_relu``    x if x > 0 else negative_slope x     Maas et al. 2013
``relu6``         min(max(x, 0), 6)                    Krizhevsky 2010
``gelu``          x Phi(x)                             Hendrycks & Gimpel 2016
``silu``          x sigmoid(x)                         Elfwing et al. 2018
``mish``          x tanh(softplus(x))                  Misra 2020
``log_softmax``   x - log sum e^x
``hard_sigmoid``  clip(x/6 + 1/2, 0, 1)                Courbariaux et al. 2015
``top_k``         max(x, 0) of the k largest, else 0   Makhzani & Frey 2013
================  ===================================  ==========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyae._arrays import Floats, as_floats
from pyae._backend import core
from pyae._spec import plain, unknown_name

__all__ = [
    "Activation",
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "names",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "top_k",
    "vjp",
]

_TABLE: dict[str, Any] = core.tables()["activations"]


def names() -> list[str]:
    """Return the names of all activations.

    Examples
    --------
    >>> "relu" in names()
    True
    """
    return list(_TABLE)


class Activation:
    """An activation with its parameters, to call or to give to a layer.

    Parameters
    ----------
    name : str
        One of `names()`.
    **params
        The activation's own parameters, such as ``alpha``.

    Raises
    ------
    ValueError
        The name or a parameter is unknown, or a parameter is outside its limits.

    Examples
    --------
    >>> Activation("elu", alpha=0.5)([-1e3, 2.0])
    array([-0.5,  2. ])
    """

    def __init__(self, name: str, **params: float | bool) -> None:
        if name not in _TABLE:
            raise unknown_name("activation", name, _TABLE)
        known = _TABLE[name]["fields"]
        for param in params:
            if param not in known:
                raise unknown_name(f"parameter of {name}", param, known)
        self.name = name
        self.params = {key: plain(value) for key, value in params.items()}
        core.check_spec("activation", self.to_spec())

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {"name": self.name, **self.params}

    def __call__(self, x: Any) -> Floats:
        """Return f(x), of x's shape."""
        return _apply(self.name, x, **self.params)

    def __repr__(self) -> str:
        params = "".join(f", {key}={value!r}" for key, value in self.params.items())
        return f"Activation({self.name!r}{params})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and self.to_spec() == other.to_spec()

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.params.items()))))


def resolve(value: Any, argument: str = "activation") -> Activation:
    """Return the activation given as a name, a spec, one of this module's functions, or None."""
    if value is None:
        return Activation("linear")
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        return _named(value, argument)
    if isinstance(value, Mapping):
        params = dict(value)
        if "name" not in params:
            raise ValueError(f"{argument} must have a 'name', got {value!r}")
        return _named(str(params.pop("name")), argument, **params)
    name = getattr(value, "__name__", None)
    if callable(value) and name in _TABLE and globals().get(str(name)) is value:
        return Activation(str(name))
    raise TypeError(
        f"{argument} must be a name ({', '.join(_TABLE)}) or a pyae.activations.Activation, "
        f"got {value!r}"
    )


def _named(name: str, argument: str, **params: Any) -> Activation:
    if name not in _TABLE:
        raise unknown_name(argument, name, _TABLE)
    return Activation(name, **params)


def _as_input(x: Any, name: str, rowwise: bool) -> Floats:
    array = as_floats(x, name)
    if rowwise and (array.ndim == 0 or array.shape[-1] == 0):
        raise ValueError(f"{name} must have a last axis with values, got shape {array.shape}")
    return array


def _apply(name: str, x: Any, **params: float | bool) -> Floats:
    array = _as_input(x, "x", _TABLE[name]["rowwise"])
    return core.activation({"name": name, **params}, array)


def vjp(name: str, x: Any, dy: Any, **params: float | bool) -> Floats:
    """Return the vector-Jacobian product: the derivative by x of sum(dy * f(x)).

    For all but softmax, log_softmax and top_k that is ``dy * f'(x)``. It is computed from x, so
    that it is accurate also where f saturates.

    Parameters
    ----------
    name : str
        One of `names()`.
    x : array_like
        The inputs, of any shape.
    dy : array_like
        What arrives from above, of x's shape.
    **params
        The activation's parameters.

    Returns
    -------
    ndarray
        dx, of x's shape and dtype.

    Raises
    ------
    ValueError
        The name or a parameter is unknown, or the shapes differ.

    Examples
    --------
    >>> vjp("relu", [-1.0, 2.0], [10.0, 10.0])
    array([ 0., 10.])
    """
    activation = Activation(name, **params)
    array = _as_input(x, "x", _TABLE[name]["rowwise"])
    above = as_floats(dy, "dy", array.dtype)
    if above.shape != array.shape:
        raise ValueError(f"dy must have x's shape {array.shape}, got {above.shape}")
    return core.activation_vjp(activation.to_spec(), array, above)


def linear(x: Any) -> Floats:
    """Return x itself.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        A copy of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> linear([-1.0, 2.0])
    array([-1.,  2.])
    """
    return _apply("linear", x)


def relu(x: Any) -> Floats:
    """Return the rectified linear unit ``max(x, 0)``, its derivative at 0 being 0.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """
    return _apply("relu", x)


def sigmoid(x: Any) -> Floats:
    """Return the logistic function ``1 / (1 + e^-x)``, stable on both sides.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result in [0, 1], of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> sigmoid([-1e4, 0.0, 1e4])
    array([0. , 0.5, 1. ])
    """
    return _apply("sigmoid", x)


def softmax(x: Any) -> Floats:
    """Return ``e^x / sum(e^x)`` along the last axis, computed with the maximum taken off.

    Parameters
    ----------
    x : array_like
        Values of shape (..., n_classes).

    Returns
    -------
    ndarray
        Probabilities that sum to 1 along the last axis, of x's shape.

    Raises
    ------
    ValueError
        x has no last axis.

    Examples
    --------
    >>> softmax([[1e4, 1e4]])
    array([[0.5, 0.5]])
    """
    return _apply("softmax", x)


def softplus(x: Any) -> Floats:
    """Return ``log(1 + e^x)``, a smooth relu.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> softplus([-1e4, 0.0, 20.0]).round(4)
    array([ 0.    ,  0.6931, 20.    ])
    """
    return _apply("softplus", x)


def softsign(x: Any) -> Floats:
    """Return ``x / (1 + abs(x))``.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result in (-1, 1), of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> softsign([-1.0, 3.0])
    array([-0.5 ,  0.75])
    """
    return _apply("softsign", x)


def tanh(x: Any) -> Floats:
    """Return the hyperbolic tangent.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result in [-1, 1], of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> tanh([0.0, 100.0])
    array([0., 1.])
    """
    return _apply("tanh", x)


def selu(x: Any) -> Floats:
    """Return the scaled exponential linear unit ``scale * elu(x, alpha)``.

    alpha = 1.6732632423543772 and scale = 1.0507009873554805 keep means at 0 and variances at 1
    [1]_.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    References
    ----------
    .. [1] Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.

    Examples
    --------
    >>> selu([-1e3, 1.0]).round(4)
    array([-1.7581,  1.0507])
    """
    return _apply("selu", x)


def elu(x: Any, alpha: float = 1.0) -> Floats:
    """Return the exponential linear unit ``x if x > 0 else alpha * (e^x - 1)`` [1]_.

    Parameters
    ----------
    x : array_like
        Values of any shape.
    alpha : float, default 1.0
        The limit for very negative x is ``-alpha``; not negative.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Raises
    ------
    ValueError
        ``alpha`` is negative.

    References
    ----------
    .. [1] Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by
       exponential linear units (ELUs)", ICLR 2016.

    Examples
    --------
    >>> elu([-1e3, 2.0])
    array([-1.,  2.])
    """
    return _apply("elu", x, alpha=alpha)


def exponential(x: Any) -> Floats:
    """Return ``e^x``.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> exponential([0.0, 1.0]).round(4)
    array([1.    , 2.7183])
    """
    return _apply("exponential", x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Floats:
    """Return ``x if x > 0 else negative_slope * x``.

    Parameters
    ----------
    x : array_like
        Values of any shape.
    negative_slope : float, default 0.2
        The slope for negative x; not negative.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Raises
    ------
    ValueError
        ``negative_slope`` is negative.

    Examples
    --------
    >>> leaky_relu([-10.0, 2.0])
    array([-2.,  2.])
    """
    return _apply("leaky_relu", x, negative_slope=negative_slope)


def relu6(x: Any) -> Floats:
    """Return ``min(max(x, 0), 6)``.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result in [0, 6], of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> relu6([-1.0, 2.0, 9.0])
    array([0., 2., 6.])
    """
    return _apply("relu6", x)


def gelu(x: Any, approximate: bool = False) -> Floats:
    """Return the Gaussian error linear unit ``x * Phi(x)`` [1]_.

    Phi is the normal distribution's cumulative function. The approximate form is
    ``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))``.

    Parameters
    ----------
    x : array_like
        Values of any shape.
    approximate : bool, default False
        Use the tanh form.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    References
    ----------
    .. [1] Hendrycks & Gimpel, "Gaussian error linear units (GELUs)", arXiv 1606.08415, 2016.

    Examples
    --------
    >>> gelu([-1.0, 1.0]).round(4)
    array([-0.1587,  0.8413])
    """
    return _apply("gelu", x, approximate=approximate)


def silu(x: Any) -> Floats:
    """Return ``x * sigmoid(x)``, also called swish.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> silu([-1e4, 0.0, 1e4])
    array([   -0.,     0., 10000.])
    """
    return _apply("silu", x)


def mish(x: Any) -> Floats:
    """Return ``x * tanh(softplus(x))`` [1]_.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    References
    ----------
    .. [1] Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    Examples
    --------
    >>> mish([0.0, 1.0]).round(4)
    array([0.    , 0.8651])
    """
    return _apply("mish", x)


def log_softmax(x: Any) -> Floats:
    """Return ``x - log(sum(e^x))`` along the last axis.

    Parameters
    ----------
    x : array_like
        Values of shape (..., n_classes).

    Returns
    -------
    ndarray
        Logarithms of the softmax, of x's shape.

    Raises
    ------
    ValueError
        x has no last axis.

    Examples
    --------
    >>> log_softmax([[0.0, 0.0]]).round(4)
    array([[-0.6931, -0.6931]])
    """
    return _apply("log_softmax", x)


def hard_sigmoid(x: Any) -> Floats:
    """Return the piecewise linear ``clip(x/6 + 1/2, 0, 1)``.

    Parameters
    ----------
    x : array_like
        Values of any shape.

    Returns
    -------
    ndarray
        The result in [0, 1], of x's shape: float32 for float32, otherwise float64.

    Examples
    --------
    >>> hard_sigmoid([-3.0, 0.0, 3.0])
    array([0. , 0.5, 1. ])
    """
    return _apply("hard_sigmoid", x)


def top_k(x: Any, k: int = 32) -> Floats:
    """Return ``max(x, 0)`` where x is among the k largest of its row, and 0 elsewhere.

    At most k units are active for each sample: a hard sparse code [1]_, [2]_. Of equal values the
    first count as the largest. Rows of at most k values are those of `relu`. The derivative is 1
    where the result is positive and 0 elsewhere.

    Parameters
    ----------
    x : array_like
        Values of shape (..., n_units).
    k : int, default 32
        How many units may be active; at least 1.

    Returns
    -------
    ndarray
        The result, of x's shape: float32 for float32, otherwise float64.

    Raises
    ------
    ValueError
        x has no last axis, or ``k`` is not an integer of at least 1.

    References
    ----------
    .. [1] Makhzani & Frey, "k-Sparse autoencoders", arXiv 1312.5663, 2013.
    .. [2] Gao et al., "Scaling and evaluating sparse autoencoders", arXiv 2406.04093, 2024.

    Examples
    --------
    >>> top_k([[3.0, -1.0, 4.0, 1.0]], k=2)
    array([[3., 0., 4., 0.]])
    """
    return _apply("top_k", x, k=k)
