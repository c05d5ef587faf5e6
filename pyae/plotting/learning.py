"""How a loss fell in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pyae._history import History
from pyae.plotting.display import ALARM, COLORS, GRAY, Display, check_choice
from pyae.plotting.models import history_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from typing_extensions import Self

_LOG_FROM = 20.0  # a loss that fell to less than a twentieth is unreadable on a linear scale


@dataclass(kw_only=True, eq=False, repr=False)
class LearningCurveDisplay(Display):
    """Training and validation loss against epochs.

    Parameters
    ----------
    losses : dict of str to list of float
        ``"loss"`` and, where there is one, ``"val_loss"``: one value an epoch.
    best_epoch : int, optional
        The best epoch, from 0; by default the one of the least ``"val_loss"`` when there is one.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    lines_ : list of Line2D
        The curves, in the order of `losses`.
    best_ : Line2D or None
        The mark at the best epoch.

    Examples
    --------
    >>> from pyae.plotting import LearningCurveDisplay
    >>> display = LearningCurveDisplay.from_history(
    ...     {"loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [3.0, 2.2, 1.8, 2.1]}
    ... )
    >>> display.best_epoch, display.ax_.get_xlabel()
    (2, 'epoch')
    """

    losses: dict[str, list[float]]
    best_epoch: int | None = None

    def __post_init__(self) -> None:
        if not self.losses.get("loss"):
            raise ValueError("losses must hold 'loss' with at least one epoch")
        n_epochs = len(self.losses["loss"])
        for name, values in self.losses.items():
            if len(values) != n_epochs:
                raise ValueError(
                    f"losses[{name!r}] must have {n_epochs} epochs as 'loss' has, got {len(values)}"
                )
        if self.best_epoch is None and "val_loss" in self.losses:
            held_out = np.asarray(self.losses["val_loss"], dtype=float)
            if np.isfinite(held_out).any():
                self.best_epoch = int(np.nanargmin(held_out))
        if self.best_epoch is not None and not 0 <= self.best_epoch < n_epochs:
            raise ValueError(f"best_epoch must be from 0 to {n_epochs - 1}, got {self.best_epoch}")

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the history of a model's last fit.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted one.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        ValueError
            It has no history.
        """
        return cls.from_history(history_of(estimator), ax=ax, **kwargs)

    @classmethod
    def from_history(
        cls, history: History | dict[str, list[float]], *, ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw what a fit returned.

        Parameters
        ----------
        history : History or dict
            What `pyae.Sequential.fit` returns, or its ``history``.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.
        """
        logs = history.history if isinstance(history, History) else history
        best = history.best_epoch if isinstance(history, History) else None
        losses = {key: list(logs[key]) for key in ("loss", "val_loss") if logs.get(key)}
        return cls(losses=losses, best_epoch=best).plot(ax=ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, scale: str = "auto", name: str = "", **kwargs: Any
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        scale : {"auto", "linear", "log"}
            Of the losses. "auto" takes "log" when they are positive and fell a lot.
        name : str
            What to write before the curves' names, to tell several displays on one `ax` apart.
        **kwargs
            For the curves, as `matplotlib.axes.Axes.plot` takes them.

        Raises
        ------
        ValueError
            `scale` is none of the above, or "log" with losses that are not positive.
        """
        check_choice(scale, "scale", ("auto", "linear", "log"))
        values = np.concatenate([np.asarray(v, dtype=float) for v in self.losses.values()])
        values = values[np.isfinite(values)]
        positive = bool(values.size) and bool(values.min() > 0)
        if scale == "log" and not positive:
            raise ValueError("scale='log' needs positive losses; use 'linear'")
        if scale == "auto":
            far = positive and values.max() > _LOG_FROM * values.min()
            scale = "log" if far else "linear"

        ax = self._start(ax, (6.4, 4.0))
        titles = {"loss": "training", "val_loss": "validation"}
        epochs = np.arange(1, len(self.losses["loss"]) + 1)
        first = len(ax.lines)
        self.lines_: list[Line2D] = []
        for i, (key, losses) in enumerate(self.losses.items()):
            label = " ".join(filter(None, [name, titles.get(key, key)]))
            style = {
                "color": COLORS[(first + i) % len(COLORS)],
                "linewidth": 1.8,
                "marker": "o" if len(epochs) == 1 else None,
                "label": label,
            }
            self.lines_ += ax.plot(epochs, losses, **{**style, **kwargs})
        self.best_: Line2D | None = None
        if self.best_epoch is not None:
            best = self.losses.get("val_loss", self.losses["loss"])[self.best_epoch]
            (self.best_,) = ax.plot(
                [self.best_epoch + 1],
                [best],
                linestyle="none",
                marker="D",
                markersize=6,
                color=ALARM,
                markeredgecolor="white",
                zorder=3,
                label=f"best: {best:.4g}, epoch {self.best_epoch + 1}",
            )
        ax.set_yscale(scale)
        if scale == "log":
            _readable_log_ticks(ax)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.locator_params("x", integer=True)
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, labelcolor=GRAY)
        _hide_spines(ax)
        return self


def _readable_log_ticks(ax: Axes) -> None:
    """Label at least three ticks: a range of less than two decades has hardly a power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = ax.get_ylim()
    if high / low < 200:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def _hide_spines(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
