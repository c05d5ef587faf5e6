"""How often code units are active, and which never are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pyae.plotting.display import ALARM, COLORS, GRAY, Display, check_choice
from pyae.plotting.images import as_matrix
from pyae.plotting.models import code_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from typing_extensions import Self

_LOG_FROM: Final = 30.0  # the busiest unit is so many times as often active as the rarest
_N_BINS: Final = 20


@dataclass(kw_only=True, eq=False, repr=False)
class CodeActivityDisplay(Display):
    """A histogram of how often each code unit is active; dead units have a bar of their own.

    A unit is active in a sample when its absolute value is above a threshold: with relu or top-k
    codes, when it is not zero. A unit that is active in no sample is dead.

    Parameters
    ----------
    rates : ndarray of shape (n_components,)
        The share of samples in which each unit is active.
    n_samples : int
        How many samples there were.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    bars_ : BarContainer or None
        The units that are alive.
    dead_bar_ : BarContainer or None
        The dead ones.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae.plotting import CodeActivityDisplay
    >>> code = np.maximum(np.random.default_rng(0).normal(-1, 1, size=(500, 40)), 0)
    >>> code[:, :3] = 0
    >>> display = CodeActivityDisplay.from_predictions(code)
    >>> display.dead_units.tolist(), round(display.mean_active)
    ([0, 1, 2], 6)
    """

    rates: npt.NDArray[Any]
    n_samples: int

    @property
    def dead_units(self) -> npt.NDArray[Any]:
        """The indices of the units that no sample makes active."""
        return np.flatnonzero(self.rates == 0)

    @property
    def mean_active(self) -> float:
        """How many units are active in a sample, on average: the code's L0 norm."""
        return float(self.rates.sum())

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        threshold: float = 0.0,
        upto: int | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the activity of a model's code units.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted autoencoder.
        X : array_like of shape (n_samples, n_features)
            Samples.
        threshold, ax, **kwargs
            As for `from_predictions`.
        upto : int, optional
            How many layers of a `Sequential` encode; by default up to its narrowest.
        """
        return cls.from_predictions(
            code_of(estimator, X, upto), threshold=threshold, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls, code: Any, *, threshold: float = 0.0, ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw the activity of codes.

        Parameters
        ----------
        code : array_like of shape (n_samples, n_components)
            Codes.
        threshold : float, default 0.0
            A unit is active where its absolute value is above this. Units such as sigmoid or tanh
            ones are never exactly zero: choose what counts as active.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        TypeError, ValueError
            The code is not a finite matrix, or the threshold is negative.
        """
        if not threshold >= 0:
            raise ValueError(f"threshold must be a number of at least 0, got {threshold!r}")
        active = np.abs(as_matrix(code, "code")) > threshold
        return cls(rates=active.mean(axis=0), n_samples=len(active)).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, scale: str = "auto", **kwargs: Any) -> Self:
        """Draw the histogram.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        scale : {"auto", "linear", "log"}
            Of the share of samples. "auto" takes "log" when it differs a lot between units.
        **kwargs
            For the bars, as `matplotlib.axes.Axes.bar` takes them.
        """
        check_choice(scale, "scale", ("auto", "linear", "log"))
        alive = self.rates[self.rates > 0]
        if scale == "auto":
            far = alive.size and alive.max() > _LOG_FROM * alive.min()
            scale = "log" if far else "linear"
        ax = self._start(ax, (6.4, 4.0))
        low = float(alive.min()) if alive.size else 1 / self.n_samples
        if scale == "log":
            edges = np.geomspace(low / 1.0001, 1.0, _N_BINS + 1)
            dead_edges = edges[0] * (edges[1] / edges[0]) ** np.array([-2.0, -1.0])
        else:
            edges = np.linspace(0, 1, _N_BINS + 1)
            dead_edges = np.array([-2.0, -1.0]) / _N_BINS
        self.bars_: BarContainer | None = None
        self.dead_bar_: BarContainer | None = None
        if alive.size:
            counts, _ = np.histogram(alive, edges)
            style = {"color": COLORS[0], "edgecolor": "white", "linewidth": 0.5}
            self.bars_ = ax.bar(
                edges[:-1], counts, np.diff(edges), align="edge", **{**style, **kwargs}
            )
        n_dead = len(self.dead_units)
        if n_dead:
            self.dead_bar_ = ax.bar(
                dead_edges[:1], [n_dead], np.diff(dead_edges), align="edge", color=ALARM
            )
            ax.annotate(
                f"{n_dead} dead",
                (dead_edges[0], n_dead),
                xytext=(2, 3),
                textcoords="offset points",
                color=ALARM,
                weight="bold",
            )
        ax.set_xscale(scale)
        ax.set_xlim(dead_edges[0] if n_dead else edges[0], edges[-1])
        ax.margins(y=0.12)
        _percent_ticks(ax, float(edges[0]))
        ax.locator_params("y", integer=True)
        ax.set(xlabel="share of samples in which a unit is active", ylabel="code units")
        ax.set_title(
            f"{self.mean_active:.3g} of {len(self.rates)} units are active in a sample",
            loc="left",
            size="medium",
            color=GRAY,
        )
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        return self


def _percent_ticks(ax: Axes, low: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if ax.get_xscale() == "log":
        subs = (1.0,) if low < 1e-3 else (1.0, 3.0)
        ax.xaxis.set_major_locator(LogLocator(subs=subs))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    # The dead units' bar is left of all shares there can be.
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{100 * x:.3g}%" if x >= min(low, 0.0) or x >= low else "")
    )
