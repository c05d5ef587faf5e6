"""Samples and what a model makes of them, as images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyae.plotting.display import GRAY, Display
from pyae.plotting.images import (
    Shape,
    as_colors,
    as_image_shape,
    as_matrix,
    centers,
    gaps_of,
    mosaic,
)
from pyae.plotting.models import restore, squared_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from typing_extensions import Self


@dataclass(kw_only=True, eq=False, repr=False)
class ReconstructionDisplay(Display):
    """Images in rows: the clean ones, the noisy ones, and what was restored from them.

    Samples that are no images are shown as strips, of the shape (1, n_features): a sample a row,
    and what was made of it beside it.

    Parameters
    ----------
    rows : dict of str to ndarray of shape (n_images, n_features)
        What to show, by the row's label; one column an image.
    image_shape : tuple
        (height, width) or (height, width, channels).
    errors : dict of str to float
        A row's error, by the row's label: squared, summed over the features, a mean over samples.
    n_samples : int
        How many samples the errors are means over.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    im_ : AxesImage
        All images, as one.

    Examples
    --------
    >>> import pyae
    >>> from pyae.plotting import ReconstructionDisplay
    >>> X, _ = pyae.datasets.load_digits()
    >>> display = ReconstructionDisplay.from_predictions(X, {"blurred": 0.5 * X + 0.1}, n_images=5)
    >>> list(display.rows), round(display.errors["blurred"], 2)
    (['original', 'blurred'], 2.44)
    """

    rows: dict[str, npt.NDArray[Any]]
    image_shape: Shape
    errors: dict[str, float] = field(default_factory=dict)
    n_samples: int = 0

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        X_clean: Any = None,
        n_images: int = 10,
        samples: Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw samples and their reconstructions by a model.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted autoencoder.
        X : array_like of shape (n_samples, n_features)
            What the model is given; errors are means over all of them.
        X_clean : array_like of shape (n_samples, n_features), optional
            What it should give back, when X is noisy; X itself by default.
        n_images, samples, image_shape, ax, **kwargs
            As for `from_predictions`.
        """
        restored = as_matrix(restore(estimator, X), "the reconstruction")
        if X_clean is None:
            made = {"reconstruction": restored}
            return cls.from_predictions(
                X,
                made,
                n_images=n_images,
                samples=samples,
                image_shape=image_shape,
                ax=ax,
                **kwargs,
            )
        return cls.from_predictions(
            X_clean,
            {"restored": restored},
            X_noisy=X,
            n_images=n_images,
            samples=samples,
            image_shape=image_shape,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        restored: Any,
        *,
        X_noisy: Any = None,
        n_images: int = 10,
        samples: Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw samples and what one method, or several, made of them.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The samples as they should be. Images of more dimensions are taken as well.
        restored : array_like of X's shape, or dict of str to such
            What a method gave back, or several did, by the rows' labels.
        X_noisy : array_like of X's shape, optional
            What the methods were given, when it was not X.
        n_images : int, default 10
            How many images to show: the first ones.
        samples : sequence of int, optional
            Which to show instead.
        image_shape : tuple, optional
            (height, width) or (height, width, channels). By default X's when it has more than two
            dimensions, or else a square.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        TypeError, ValueError
            The arrays are not finite numbers of the same shape, or do not make images.
        """
        if image_shape is None and np.ndim(X) > 2:
            image_shape = np.shape(X)[1:]
        clean = as_matrix(X, "X")
        shape = as_image_shape(image_shape, clean.shape[1])
        methods: dict[str, Any] = {} if X_noisy is None else {"noisy": X_noisy}
        methods |= (
            restored
            if isinstance(restored, Mapping)
            else {"reconstruction" if X_noisy is None else "restored": restored}
        )
        first = "original" if X_noisy is None else "clean"
        chosen = _chosen(samples, n_images, len(clean))
        rows, errors = {first: clean[chosen]}, {}
        for label, values in methods.items():
            images = as_matrix(values, label)
            if images.shape != clean.shape:
                raise ValueError(
                    f"{label} must have shape {clean.shape} as X has, got {images.shape}"
                )
            rows[label] = images[chosen]
            errors[label] = float(squared_errors(clean, images).mean())
        display = cls(rows=rows, image_shape=shape, errors=errors, n_samples=len(clean))
        return display.plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = "gray",
        vmin: float | None = None,
        vmax: float | None = None,
        title: str = "",
    ) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        cmap : str or Colormap, default "gray"
            Of images with one channel; "gray_r" draws dark on white.
        vmin, vmax : float, optional
            The values of black and white, for all rows; those of the first row by default.
        title : str
            What to write above.
        """
        first = next(iter(self.rows.values()))
        low = float(first.min()) if vmin is None else vmin
        high = float(first.max()) if vmax is None else vmax
        height, width = self.image_shape[:2]
        below, beside = gaps_of(self.image_shape)
        strips = height == 1  # one below the other, what was made of them beside them
        tiles = np.stack(list(self.rows.values())).astype(float)
        whole = mosaic(tiles.swapaxes(0, 1) if strips else tiles, self.image_shape)
        inches = 9.0  # of a figure of its own
        tall = inches * 0.82 * whole.shape[0] / whole.shape[1]
        tall = 0.25 * len(first) if strips else max(tall, 0.42 * len(self.rows))
        ax = self._start(ax, (inches, min(tall, 9.0) + 0.8))
        if whole.ndim == 3:
            self.im_: AxesImage = ax.imshow(as_colors(whole, low, high), interpolation="nearest")
        else:
            self.im_ = ax.imshow(whole, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        labels = [
            f"{label}\nerror {self.errors[label]:.3g}" if label in self.errors else label
            for label in self.rows
        ]
        if strips:
            ax.set_aspect("auto")
            ax.set_xticks(centers(len(labels), width, beside), labels)
            ax.xaxis.tick_top()
            ax.set_yticks([])
            ax.set_ylabel("samples")
        else:
            ax.set_yticks(centers(len(labels), height, below), labels)
            ax.set_xticks([])
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        if self.errors:
            ax.set_xlabel(
                f"error: squared, summed over the {first.shape[1]} values, mean over "
                f"{self.n_samples} samples",
                color=GRAY,
                size="small",
            )
        if title:
            ax.set_title(title, loc="left", weight="bold")
        return self


def _chosen(samples: Sequence[int] | None, n_images: int, n_samples: int) -> list[int]:
    if samples is None:
        if n_images < 1:
            raise ValueError(f"n_images must be at least 1, got {n_images}")
        return list(range(min(n_images, n_samples)))
    chosen = [int(i) for i in samples]
    if not chosen or not all(0 <= i < n_samples for i in chosen):
        raise ValueError(f"samples must be indices from 0 to {n_samples - 1}, got {samples!r}")
    return chosen
