"""Penalties that are added to the loss: on a layer's parameters or on its output (the activity).

On parameters: ``l1 * sum(abs(w)) + l2 * sum(w^2)`` (no 1/2). On an activity the same sums, divided
by the batch size; or `KLSparsity` of its units' mean activity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pyae._spec import Spec, resolve, table_of

__all__ = ["L1", "L1L2", "L2", "KLSparsity", "Regularizer"]


@dataclass(frozen=True)
class Regularizer(Spec):
    """What all penalties share."""

    kind: ClassVar[str] = "penalty"


@dataclass(frozen=True)
class L1L2(Regularizer):
    """``l1 * sum(abs(w)) + l2 * sum(w^2)``.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        Factors of the two sums; not negative.

    Raises
    ------
    ValueError
        A factor is negative.

    Examples
    --------
    >>> L1L2(l1=1e-4, l2=1e-3).to_spec()
    {'name': 'l1l2', 'l1': 0.0001, 'l2': 0.001}
    """

    name: ClassVar[str] = "l1l2"

    l1: float = 0.0
    l2: float = 0.0


def L1(l1: float = 0.01) -> L1L2:
    """Return the penalty ``l1 * sum(abs(w))``, which makes many values exactly or nearly zero.

    Raises
    ------
    ValueError
        ``l1`` is negative.

    Examples
    --------
    >>> L1(0.1)
    L1L2(l1=0.1, l2=0.0)
    """
    return L1L2(l1=l1)


def L2(l2: float = 0.01) -> L1L2:
    """Return the penalty ``l2 * sum(w^2)``, weight decay in the loss.

    Raises
    ------
    ValueError
        ``l2`` is negative.

    Examples
    --------
    >>> L2(0.1)
    L1L2(l1=0.0, l2=0.1)
    """
    return L1L2(l2=l2)


@dataclass(frozen=True)
class KLSparsity(Regularizer):
    """Divergence of the units' mean activity r_j in a batch from a wanted one, rho [1]_.

    ``beta * sum_j (rho log(rho/r_j) + (1-rho) log((1-rho)/(1-r_j)))``, r_j clipped to [eps, 1-eps].
    It is meant for units with outputs between 0 and 1, such as sigmoid ones.

    Parameters
    ----------
    rho : float, default 0.05
        The wanted mean activity, in (0, 1).
    beta : float, default 1.0
        The factor; not negative.

    Raises
    ------
    ValueError
        A parameter is outside its limits.

    References
    ----------
    .. [1] Ng, "Sparse autoencoder", CS294A lecture notes, Stanford 2011.

    Examples
    --------
    >>> KLSparsity(rho=0.1)
    KLSparsity(rho=0.1, beta=1.0)
    """

    name: ClassVar[str] = "kl_sparsity"

    rho: float = 0.05
    beta: float = 1.0


_ON_PARAMETERS = table_of(L1L2)
_ON_ACTIVITY: dict[str, type[Regularizer]] = table_of(L1L2, KLSparsity)
_SHORT = {"l1": L1, "l2": L2}


def resolve_parameter(value: Any, argument: str) -> L1L2 | None:
    """Return a penalty on parameters given as None, "l1", "l2", a spec or an object."""
    return None if value is None else resolve(value, argument, _ON_PARAMETERS, _SHORT)


def resolve_activity(value: Any, argument: str) -> Regularizer | None:
    """Return a penalty on an activity given as None, a name, a spec or an object."""
    return None if value is None else resolve(value, argument, _ON_ACTIVITY, _SHORT)
