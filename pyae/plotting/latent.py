"""The space of codes: samples as points in it, and what the decoder makes of its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pyae._arrays import as_classes
from pyae.plotting.display import COLORS, Display
from pyae.plotting.images import Shape, as_colors, as_image_shape, as_matrix, gaps_of, mosaic
from pyae.plotting.models import code_of, decode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.image import AxesImage
    from matplotlib.text import Text
    from typing_extensions import Self

Array = npt.NDArray[Any]

_MAX_CLASSES: Final = 20  # more than these, and numeric: values of a colour scale
_MARKERS: Final = "osD^v"  # with ten colours each


@dataclass(frozen=True)
class Plane:
    """A plane in the space of codes: ``code = origin + u * axes[0] + v * axes[1]``."""

    origin: Array  # (n_components,)
    axes: Array  # (2, n_components), orthonormal
    labels: tuple[str, str]

    def project(self, code: Array) -> Array:
        """Return the coordinates (n_samples, 2) of codes."""
        return np.asarray((code - self.origin) @ self.axes.T)

    def lift(self, points: Array) -> Array:
        """Return the codes of points of the plane."""
        return np.asarray(self.origin + points @ self.axes)


def plane_of(code: Array, components: Any) -> Plane:
    """Return the plane to look at: two code units, or the code's two first principal axes."""
    n_components = code.shape[1]
    if components is None:
        components = (0, 1) if n_components == 2 else "pca"
    if isinstance(components, str):
        if components != "pca":
            raise ValueError(f"components={components!r}; allowed are 'pca' and a pair of indices")
        mean = code.mean(axis=0)
        _, s, axes = np.linalg.svd(code - mean, full_matrices=False)
        share = s**2 / max(np.square(s).sum(), np.finfo(float).tiny)
        labels = [
            f"principal component {i + 1} of the {n_components} code units ({share[i]:.0%})"
            for i in range(2)
        ]
        return Plane(mean, axes[:2], (labels[0], labels[1]))
    pair = tuple(components)
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= i < n_components for i in pair):
        raise ValueError(
            f"components={components!r}; allowed are 'pca' and two different indices from 0 to "
            f"{n_components - 1}"
        )
    of = f" of {n_components}" if n_components > 2 else ""
    origin = np.zeros(n_components) if n_components == 2 else np.median(code, axis=0)
    origin[list(pair)] = 0
    return Plane(
        origin,
        np.eye(n_components)[list(pair)],
        (f"code unit {pair[0]}{of}", f"code unit {pair[1]}{of}"),
    )


@dataclass(kw_only=True, eq=False, repr=False)
class LatentSpaceDisplay(Display):
    """Codes as points in the plane, coloured by label.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Where the points are.
    labels : tuple of str
        Of the two axes.
    y : ndarray of shape (n_samples,), optional
        Classes or, when there are more than twenty different numbers, values.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    scatters_ : list of PathCollection
        The points, one collection a class.
    texts_ : list of Text
        The classes' names in the picture, when they are there.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae.plotting import LatentSpaceDisplay
    >>> code = np.random.default_rng(0).normal(size=(90, 5))
    >>> display = LatentSpaceDisplay.from_predictions(code, ["a", "b", "c"] * 30)
    >>> display.points.shape, len(display.scatters_)
    ((90, 2), 3)
    """

    points: Array
    labels: tuple[str, str]
    y: Array | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        components: Any = None,
        upto: int | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the codes that a model gives samples.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted autoencoder.
        X : array_like of shape (n_samples, n_features)
            Samples.
        y, components, ax, **kwargs
            As for `from_predictions`.
        upto : int, optional
            How many layers of a `Sequential` encode; by default up to its narrowest.
        """
        return cls.from_predictions(
            code_of(estimator, X, upto), y, components=components, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        code: Any,
        y: Any = None,
        *,
        components: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw codes.

        Parameters
        ----------
        code : array_like of shape (n_samples, n_components)
            Codes. A single component is drawn from left to right, a row a class.
        y : array_like of shape (n_samples,), optional
            Labels or numbers to colour by.
        components : "pca" or pair of int, optional
            Which two of more than two code units to show, or their first two principal
            components (the default); the axes' labels say it.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        TypeError, ValueError
            The code is not a finite matrix, y has another length, or `components` is none of the
            above.
        """
        code = as_matrix(code, "code").astype(np.float64)
        classes = None if y is None else as_classes(y, "y")
        if classes is not None and classes.shape != (len(code),):
            raise ValueError(f"y must have shape ({len(code)},), got {classes.shape}")
        if code.shape[1] == 1:
            height = np.random.default_rng(0).uniform(-0.3, 0.3, len(code))
            if classes is not None and not _is_continuous(classes):
                height -= np.unique(classes, return_inverse=True)[1]
            points, labels = np.column_stack([code[:, 0], height]), ("code unit 0", "")
        else:
            plane = plane_of(code, components)
            points, labels = plane.project(code), plane.labels
        return cls(points=points, labels=labels, y=classes).plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        legend: str = "auto",
        y_label: str = "",
        **kwargs: Any,
    ) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        legend : {"auto", "texts", "box", "none"}
            Names of classes: written where the class is, in a box beside the picture, or not at
            all. "auto" writes short names into the picture.
        y_label : str
            What y is: the title of the legend or colour scale.
        **kwargs
            For the points, as `matplotlib.axes.Axes.scatter` takes them.

        Raises
        ------
        ValueError
            `legend` is none of the above.
        """
        if legend not in ("auto", "texts", "box", "none"):
            raise ValueError(f"legend={legend!r}; allowed are 'auto', 'texts', 'box', 'none'")
        ax = self._start(ax, (6.4, 5.0))
        n = len(self.points)
        style = {"s": float(np.clip(16000 / n, 6, 36)), "linewidths": 0, "alpha": 0.75, **kwargs}
        self.scatters_: list[PathCollection] = []
        self.texts_: list[Text] = []
        if self.y is None:
            self.scatters_.append(ax.scatter(*self.points.T, **{"color": COLORS[0], **style}))
        elif _is_continuous(self.y):
            points = ax.scatter(*self.points.T, **{"c": self.y.astype(float), **style})
            self.scatters_.append(points)
            bar = self.figure_.colorbar(points, ax=ax, label=y_label)
            bar.solids.set(alpha=1)  # type: ignore[union-attr, unused-ignore]
        else:
            self._plot_classes(ax, legend, y_label, style)
        ax.set(xlabel=self.labels[0], ylabel=self.labels[1])
        if not self.labels[1]:
            ax.set_yticks([])
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        return self

    def _plot_classes(self, ax: Axes, legend: str, y_label: str, style: dict[str, Any]) -> None:
        assert self.y is not None
        names, counts = np.unique(self.y, return_counts=True)
        shown = names
        if len(names) > _MAX_CLASSES:  # the most frequent have a colour, the others are gray
            shown = np.sort(names[np.argsort(-counts, kind="stable")[: _MAX_CLASSES - 1]])
            others = ~np.isin(self.y, shown)
            self.scatters_.append(
                ax.scatter(
                    *self.points[others].T,
                    color="0.8",
                    label=f"{len(names) - len(shown)} others",
                    **style,
                )
            )
        for i, name in enumerate(shown):
            color, marker = COLORS[i % len(COLORS)], _MARKERS[i // len(COLORS) % len(_MARKERS)]
            of_class = self.points[self.y == name]
            self.scatters_.append(
                ax.scatter(*of_class.T, color=color, marker=marker, label=str(name), **style)
            )
        if legend == "auto":
            short = max(len(str(name)) for name in shown) <= 2 and len(shown) == len(names)
            legend = "texts" if short else "box"
        if legend == "texts":
            for i, name in enumerate(shown):
                self._write(ax, str(name), self.points[self.y == name], COLORS[i % len(COLORS)])
        elif legend == "box":
            handles = ax.legend(
                title=y_label or None,
                loc="center left",
                bbox_to_anchor=(1.0, 0.5),
                frameon=False,
                scatterpoints=1,
            )
            for handle in handles.legend_handles:
                if handle is not None:
                    handle.set(alpha=1, sizes=[40])

    def _write(self, ax: Axes, name: str, points: Array, color: str) -> None:
        """Write a class's name at the one of its points that is nearest to their median."""
        distance = np.square(points - np.median(points, axis=0)).sum(axis=1)
        x, y = points[np.argmin(distance)]
        box = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": color}
        self.texts_.append(
            ax.text(x, y, name, ha="center", va="center", weight="bold", bbox=box, zorder=3)
        )


@dataclass(kw_only=True, eq=False, repr=False)
class LatentGridDisplay(Display):
    """What a decoder makes of a grid of codes, each image where its code is.

    Parameters
    ----------
    images : ndarray of shape (n_rows, n_columns, n_features)
        Decoded images, from the highest row to the lowest.
    extent : tuple
        (left, right, bottom, top): the codes of the outer images' centres.
    image_shape : tuple
        (height, width) or (height, width, channels).
    labels : tuple of str
        Of the two axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.
    im_ : AxesImage
        All images, as one.

    Examples
    --------
    >>> import numpy as np
    >>> from pyae.plotting import LatentGridDisplay
    >>> images = np.random.default_rng(0).random((3 * 4, 64))
    >>> display = LatentGridDisplay.from_images(images, (-1, 1, -1, 1), n_columns=4)
    >>> display.images.shape
    (3, 4, 64)
    """

    images: Array
    extent: tuple[float, float, float, float]
    image_shape: Shape
    labels: tuple[str, str]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_images: int = 15,
        extent: Sequence[float] | None = None,
        components: Any = None,
        upto: int | None = None,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Decode a grid of codes of a model.

        Parameters
        ----------
        estimator : estimator or Sequential
            A fitted autoencoder with two code units or more.
        X : array_like of shape (n_samples, n_features)
            Samples: their codes say where to look.
        n_images : int, default 15
            How many images from left to right, and from top to bottom.
        extent : sequence of four floats, optional
            (left, right, bottom, top); by default what holds 96% of the samples in each direction.
        components : "pca" or pair of int, optional
            Which plane of more than two code units; the two first principal components by default.
            The units that are not shown keep their median.
        upto : int, optional
            How many layers of a `Sequential` encode; by default up to its narrowest.
        image_shape : tuple, optional
            (height, width) or (height, width, channels); a square by default.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            For `plot`.

        Raises
        ------
        ValueError
            The code has fewer than two units, or an option is outside of its limits.
        """
        code = as_matrix(code_of(estimator, X, upto), "code").astype(np.float64)
        if code.shape[1] < 2:
            raise ValueError("a grid needs a code of at least 2 units, the model has 1")
        if n_images < 2:
            raise ValueError(f"n_images must be at least 2, got {n_images}")
        plane = plane_of(code, components)
        points = plane.project(code)
        if extent is None:
            low, high = np.quantile(points, [0.02, 0.98], axis=0)
            extent = (low[0], high[0], low[1], high[1])
        left, right, bottom, top = _checked_extent(extent)
        u, v = np.meshgrid(np.linspace(left, right, n_images), np.linspace(top, bottom, n_images))
        codes = plane.lift(np.column_stack([u.ravel(), v.ravel()]))
        images = as_matrix(decode(estimator, codes.astype(np.float32), upto), "the decoded images")
        return cls.from_images(
            images,
            (left, right, bottom, top),
            n_columns=n_images,
            labels=plane.labels,
            image_shape=image_shape,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_images(
        cls,
        images: Any,
        extent: Sequence[float],
        *,
        n_columns: int,
        labels: tuple[str, str] = ("code unit 0", "code unit 1"),
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw images that were decoded already.

        Parameters
        ----------
        images : array_like of shape (n_rows * n_columns, n_features)
            Row by row, the highest first.
        extent : sequence of four floats
            (left, right, bottom, top): the codes of the outer images' centres.
        n_columns : int
            How many images from left to right.
        labels : tuple of str
            Of the two axes.
        image_shape, ax, **kwargs
            As for `from_estimator`.
        """
        if image_shape is None and np.ndim(images) > 2:
            image_shape = np.shape(images)[1:]
        flat = as_matrix(images, "images")
        shape = as_image_shape(image_shape, flat.shape[1])
        if n_columns < 2 or len(flat) % n_columns or len(flat) == n_columns:
            raise ValueError(
                f"n_columns={n_columns} does not make rows of {len(flat)} images; it must be at "
                "least 2, divide them, and leave 2 rows or more"
            )
        return cls(
            images=flat.reshape(-1, n_columns, flat.shape[1]),
            extent=_checked_extent(extent),
            image_shape=shape,
            labels=labels,
        ).plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = "gray",
        vmin: float | None = None,
        vmax: float | None = None,
    ) -> Self:
        """Draw the grid.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        cmap : str or Colormap, default "gray"
            Of images with one channel; "gray_r" draws dark on white.
        vmin, vmax : float, optional
            The values of black and white; the images' least and greatest by default.
        """
        low = float(self.images.min()) if vmin is None else vmin
        high = float(self.images.max()) if vmax is None else vmax
        whole = mosaic(self.images.astype(float), self.image_shape)
        n_rows, n_columns = self.images.shape[:2]
        left, right, bottom, top = self.extent
        # The outer images' centres are at the extent; half an image goes beyond it.
        height, width = self.image_shape[:2]
        below, beside = gaps_of(self.image_shape)
        x = width / (width + beside) / 2 * (right - left) / (n_columns - 1)
        y = height / (height + below) / 2 * (top - bottom) / (n_rows - 1)
        ax = self._start(ax, (6.4, 6.4 * whole.shape[0] / whole.shape[1]))
        style: dict[str, Any] = {
            "extent": (left - x, right + x, bottom - y, top + y),
            "interpolation": "nearest",
            "aspect": "auto",
        }
        if whole.ndim == 3:
            self.im_: AxesImage = ax.imshow(as_colors(whole, low, high), **style)
        else:
            self.im_ = ax.imshow(whole, cmap=cmap, vmin=low, vmax=high, **style)
        ax.set_box_aspect(whole.shape[0] / whole.shape[1])
        ax.set(xlabel=self.labels[0], ylabel=self.labels[1])
        for spine in ax.spines.values():
            spine.set_visible(False)
        return self


def _is_continuous(y: Array) -> bool:
    return y.dtype.kind in "iuf" and len(np.unique(y)) > _MAX_CLASSES


def _checked_extent(extent: Sequence[float]) -> tuple[float, float, float, float]:
    values = tuple(float(v) for v in extent)
    if len(values) != 4 or not np.isfinite(values).all():
        raise ValueError(f"extent must be (left, right, bottom, top), got {extent!r}")
    left, right, bottom, top = values
    if not (left < right and bottom < top):
        raise ValueError(
            f"extent must have left < right and bottom < top, got {extent!r}; a code unit that "
            "is the same for all samples has no extent of its own"
        )
    return left, right, bottom, top
