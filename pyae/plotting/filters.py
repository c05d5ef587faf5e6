"""What units look for: learned weights as images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pyae.plotting.display import GRAY, Display, check_choice
from pyae.plotting.images import Shape, as_colors, as_image_shape, as_matrix, mosaic
from pyae.plotting.models import filters_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from typing_extensions import Self

_QUANTILE: Final = 0.998  # of |w|: a single large weight must not pale all others


@dataclass(kw_only=True, eq=False, repr=False)
class FiltersDisplay(Display):
    """The weights of units as images: red is positive, blue negative, white zero.

    Parameters
    ----------
    weights : ndarray of shape (n_units, n_features)
        One unit a row.
    image_shape : tuple
        (height, width) or (height, width, channels).
    n_units : int
        How many units the layer has, of which these are shown.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    im_ : AxesImage
        All images, as one.
    colorbar_ : Colorbar or None
        The scale of weights without colour channels.

    Examples
    --------
    >>> import pyae
    >>> from pyae.plotting import FiltersDisplay
    >>> model = pyae.Sequential([pyae.Dense(20), pyae.Dense(64)], random_state=0).build(64)
    >>> FiltersDisplay.from_estimator(model).weights.shape
    (20, 64)
    """

    weights: npt.NDArray[Any]
    image_shape: Shape
    n_units: int

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: str | int = "encoder",
        max_units: int = 100,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the weights between the features and a layer of a model.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted one.
        layer : {"encoder", "decoder"}, default "encoder"
            The first layer, whose units see the features, or the last one, whose inputs make them:
            then the images are what each unit before it adds to the output.
        max_units, image_shape, ax, **kwargs
            As for `from_weights`.
        """
        check_choice(layer, "layer", ("encoder", "decoder"))
        return cls.from_weights(
            filters_of(estimator, decoder=layer == "decoder"),
            max_units=max_units,
            image_shape=image_shape,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_weights(
        cls,
        weights: Any,
        *,
        max_units: int = 100,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw weights.

        Parameters
        ----------
        weights : array_like of shape (n_units, n_features)
            One unit a row: an encoder's kernel transposed, a decoder's kernel as it is.
        max_units : int, default 100
            When there are more units, the ones with the largest weights (in the Euclidean norm)
            are shown, in the layer's order.
        image_shape : tuple, optional
            (height, width) or (height, width, channels); a square by default.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        TypeError, ValueError
            The weights are not a finite matrix, or do not make images.
        """
        if max_units < 1:
            raise ValueError(f"max_units must be at least 1, got {max_units}")
        if image_shape is None and np.ndim(weights) > 2:
            image_shape = np.shape(weights)[1:]
        W = as_matrix(weights, "weights")
        shape = as_image_shape(image_shape, W.shape[1])
        n_units = len(W)
        if n_units > max_units:
            largest = np.argsort(-np.linalg.norm(W, axis=1), kind="stable")[:max_units]
            W = W[np.sort(largest)]
        return cls(weights=W, image_shape=shape, n_units=n_units).plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        scale: str = "shared",
        n_columns: int | None = None,
        cmap: Any = "RdBu_r",
        feature_names: Sequence[str] | None = None,
    ) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        scale : {"shared", "each"}
            One scale for all units, or each unit's largest weight as its own, which shows the
            shape of small ones.
        n_columns : int, optional
            Images from left to right; by default as many as make the whole about square.
        cmap : str or Colormap, default "RdBu_r"
            Diverging; its middle is zero.
        feature_names : sequence of str, optional
            What to write below strips, images of the shape (1, n_features): they are drawn as a
            matrix, a unit a row.
        """
        check_choice(scale, "scale", ("shared", "each"))
        height, width = self.image_shape[:2]
        n = len(self.weights)
        strips = height == 1
        if n_columns is None:
            n_columns = 1 if strips else _columns(n, height / width)
        elif n_columns < 1:
            raise ValueError(f"n_columns must be at least 1, got {n_columns}")
        n_columns = min(n, n_columns)
        n_rows = -(-n // n_columns)
        W = self.weights.astype(float)
        if scale == "each":
            largest = np.abs(W).max(axis=1, keepdims=True)
            W = W / np.where(largest > 0, largest, 1)
            limit = 1.0
        else:
            limit = float(np.quantile(np.abs(W), _QUANTILE)) or float(np.abs(W).max()) or 1.0
        tiles = np.full((n_rows * n_columns, W.shape[1]), np.nan)
        tiles[:n] = W
        whole = mosaic(tiles.reshape(n_rows, n_columns, -1), self.image_shape)

        tall = 0.2 * n_rows + 1 if strips else 5.6 * whole.shape[0] / whole.shape[1]
        ax = self._start(ax, (6.4, float(np.clip(tall, 1.0, 9.0)) + 0.5))
        self.colorbar_ = None
        if whole.ndim == 3:
            self.im_: AxesImage = ax.imshow(
                as_colors(whole, -limit, limit), interpolation="nearest"
            )
        else:
            self.im_ = ax.imshow(whole, cmap=cmap, vmin=-limit, vmax=limit, interpolation="nearest")
            beyond = float(np.abs(W).max()) > limit
            self.colorbar_ = self.figure_.colorbar(
                self.im_,
                ax=ax,
                shrink=0.8,
                pad=0.02,
                label="weight" if scale == "shared" else "relative weight",
                extend="both" if beyond else "neither",
            )
            self.colorbar_.outline.set_visible(False)  # type: ignore[operator, unused-ignore]
        ax.set_facecolor("0.93")  # makes white, zero weights visible against the gaps
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        if strips:
            ax.set_aspect("auto")
            ax.set_ylabel("units")
            if feature_names is not None and n_columns == 1:
                ax.set_xticks(range(width), feature_names, rotation=90, size="small")
                ax.tick_params(length=0)
        if n < self.n_units:
            ax.set_xlabel(f"{n} of {self.n_units} units", color=GRAY, size="small")
        return self


def _columns(n: int, height_by_width: float) -> int:
    """Return how many columns make n images about square, with few places left empty."""
    best = max(1, round((1.2 * n * height_by_width) ** 0.5))
    near = range(max(1, best - best // 5), best + best // 5 + 1)
    return min(near, key=lambda columns: (-n % columns, abs(columns - best)))
