"""How large reconstruction errors are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pyae._arrays import as_classes
from pyae.plotting.display import ALARM, COLORS, GRAY, Display, check_choice
from pyae.plotting.images import as_matrix
from pyae.plotting.models import restore, squared_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from typing_extensions import Self

Array = npt.NDArray[Any]

_LOG_FROM: Final = 50.0  # the largest error is so many times the median
_MAX_GROUPS: Final = 5
_N_BINS: Final = 40


@dataclass(kw_only=True, eq=False, repr=False)
class ErrorDistributionDisplay(Display):
    """Histograms of samples' reconstruction errors, by group, and a threshold.

    Parameters
    ----------
    errors : dict of str to ndarray
        Errors of samples, by their group's name.
    threshold : float, optional
        Above it, a sample counts as an outlier.
    quantile : float, optional
        Which quantile of the first group's errors the threshold is.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    line_ : Line2D or None
        The threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae.plotting import ErrorDistributionDisplay
    >>> errors = np.random.default_rng(0).chisquare(5, size=1000)
    >>> display = ErrorDistributionDisplay.from_predictions(errors, quantile=0.99)
    >>> bool((errors > display.threshold).mean() == 0.01)
    True
    """

    errors: dict[str, Array]
    threshold: float | None = None
    quantile: float | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        quantile: float | None = None,
        threshold: float | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the reconstruction errors of samples.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted autoencoder. Its ``reconstruction_error`` says what an error is; of a
            `Sequential` it is squared, a sum over the features.
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,), optional
            The samples' groups.
        quantile, threshold, ax, **kwargs
            As for `from_predictions`.
        """
        if hasattr(estimator, "reconstruction_error"):
            errors = np.asarray(estimator.reconstruction_error(X))
        else:
            samples = as_matrix(X, "X")
            errors = squared_errors(samples, restore(estimator, X))
        return cls.from_predictions(
            errors, y, quantile=quantile, threshold=threshold, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        errors: Any,
        y: Any = None,
        *,
        quantile: float | None = None,
        threshold: float | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw errors.

        Parameters
        ----------
        errors : array_like of shape (n_samples,), or dict of str to such
            Errors of samples, not negative; of several groups, by their names.
        y : array_like of shape (n_samples,), optional
            The samples' groups, at most five.
        quantile : float, optional
            Draw a threshold at this quantile, in (0, 1), of the first group's errors (by name when
            they come from `y`): 0.99 leaves 1% of them above it.
        threshold : float, optional
            Draw a threshold here instead.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        TypeError, ValueError
            The errors are not finite numbers of at least 0, there are too many groups, or an
            option is outside of its limits.
        """
        groups = _grouped(errors, y)
        if quantile is not None:
            if threshold is not None:
                raise ValueError("give quantile or threshold, not both")
            if not 0 < quantile < 1:
                raise ValueError(f"quantile must be between 0 and 1, got {quantile!r}")
            threshold = float(np.quantile(next(iter(groups.values())), quantile))
        display = cls(errors=groups, threshold=threshold, quantile=quantile)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, scale: str = "auto", **kwargs: Any) -> Self:
        """Draw the histograms; with several groups, each as the share of its group's samples.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        scale : {"auto", "linear", "log"}
            Of the errors. "auto" takes "log" when some are far above the median.
        **kwargs
            For the histograms, as `matplotlib.axes.Axes.hist` takes them.

        Raises
        ------
        ValueError
            `scale` is none of the above, or "log" with errors of 0 only.
        """
        check_choice(scale, "scale", ("auto", "linear", "log"))
        together = np.concatenate(list(self.errors.values()))
        positive = together[together > 0]
        if scale == "log" and not positive.size:
            raise ValueError("scale='log' needs positive errors; all are 0")
        if scale == "auto":
            far = positive.size and positive.max() > _LOG_FROM * np.median(together)
            scale = "log" if far else "linear"
        ax = self._start(ax, (6.4, 4.0))
        if scale == "log":
            edges = np.geomspace(positive.min(), positive.max() * (1 + 1e-9), _N_BINS + 1)
        else:
            edges = np.histogram_bin_edges(together, _N_BINS, (0, float(together.max()) or 1.0))
        several = len(self.errors) > 1
        for i, (name, errors) in enumerate(self.errors.items()):
            color = COLORS[i]
            share = np.full(len(errors), 1 / len(errors) if several else 1.0)
            style = {
                "histtype": "stepfilled",
                "facecolor": color + "66",
                "edgecolor": color,
                "linewidth": 1.5,
                "label": f"{name} ({len(errors)})" if name else None,
            }
            inside = np.maximum(errors, edges[0])  # an error of 0 has no place on a log scale
            ax.hist(inside, edges.tolist(), weights=share, **{**style, **kwargs})
        self.line_: Line2D | None = None
        if self.threshold is not None:
            self.line_ = ax.axvline(
                self.threshold, color=ALARM, linestyle="--", label=self._threshold_label()
            )
        ax.set_xscale(scale)
        ax.set(xlabel="reconstruction error", ylabel="share of samples" if several else "samples")
        if several:
            from matplotlib.ticker import PercentFormatter

            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        if several or self.line_ is not None or next(iter(self.errors)):
            ax.legend(framealpha=0.9, edgecolor="none", labelcolor=GRAY)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        return self

    def _threshold_label(self) -> str:
        assert self.threshold is not None
        what = "threshold" if self.quantile is None else f"{100 * self.quantile:g}% quantile"
        above = [int((errors > self.threshold).sum()) for errors in self.errors.values()]
        return f"{what} {self.threshold:.3g}: {' and '.join(map(str, above))} above"


def _grouped(errors: Any, y: Any) -> dict[str, Array]:
    if isinstance(errors, dict):
        if y is not None:
            raise ValueError("y must be None when errors are given by group")
        groups = {
            str(name): _checked(values, f"errors[{name!r}]") for name, values in errors.items()
        }
    elif y is None:
        groups = {"": _checked(errors, "errors")}
    else:
        values, classes = _checked(errors, "errors"), as_classes(y, "y")
        if classes.shape != values.shape:
            raise ValueError(f"y must have shape {values.shape}, got {classes.shape}")
        groups = {str(name): values[classes == name] for name in np.unique(classes)}
    if not 1 <= len(groups) <= _MAX_GROUPS:
        raise ValueError(f"there must be 1 to {_MAX_GROUPS} groups, got {len(groups)}")
    return groups


def _checked(errors: Any, name: str) -> Array:
    values = np.asarray(errors)
    if values.dtype.kind not in "iuf" or values.ndim != 1 or not values.size:
        raise ValueError(
            f"{name} must be one number a sample, got shape {values.shape} of {values.dtype}"
        )
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(f"{name} must be finite and not negative")
    return values.astype(np.float64)
