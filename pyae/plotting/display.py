"""What all displays share: a figure without pyplot, a file of it, colours."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pyae._safefile import as_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Ten colours that people with any colour vision tell apart: Petroff, "Accessible Color Sequences
# for Data Visualization" (2021), arXiv:2107.02270.
COLORS: Final = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
ALARM: Final = COLORS[2]  # dead units, thresholds
GRAY: Final = "0.35"

_DPI: Final = 150
_SHORT: Final = 5  # values that a repr shows in full


class Display:
    """A drawn picture; `plot` of a subclass sets its attributes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it is drawn.
    figure_ : matplotlib.figure.Figure
        The figure of `ax_`.
    """

    ax_: Axes
    figure_: Figure

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # subclasses are dataclasses
        shown = (f"{field.name}={_short(getattr(self, field.name))}" for field in fields)
        return f"{type(self).__name__}({', '.join(shown)})"

    def save(self, path: str | os.PathLike[str], **kwargs: Any) -> Path:
        """Write the figure to a file.

        Parameters
        ----------
        path : path-like
            A leading ``~`` is the home folder. Its suffix says the format: .png, .pdf, .svg, ...
        **kwargs
            For `matplotlib.figure.Figure.savefig`.

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        TypeError, ValueError
            `path` is no path, or matplotlib does not know its suffix.
        OSError
            The file cannot be written.
        """
        path = check_picture(path, "path")
        self.figure_.savefig(path, **kwargs)
        return path

    def _repr_png_(self) -> bytes | None:
        """Return the picture for a notebook; it shows figures of pyplot by itself."""
        if not hasattr(self, "figure_") or self.figure_.canvas.manager is not None:
            return None
        file = io.BytesIO()
        self.figure_.savefig(file, format="png")
        return file.getvalue()

    def _start(self, ax: Axes | None, figsize: tuple[float, float]) -> Axes:
        """Set `ax_` and `figure_`: those given, or new ones."""
        if ax is None:
            figure = new_figure(figsize)
            ax = figure.add_subplot()
        elif not hasattr(ax, "imshow") or ax.figure is None:
            raise TypeError(f"ax must be a matplotlib Axes, got {ax!r}")
        self.ax_ = ax
        self.figure_ = ax.figure  # type: ignore[assignment, unused-ignore]
        return ax


def new_figure(figsize: tuple[float, float]) -> Figure:
    """Return a figure that no global state knows of."""
    with _needing_matplotlib():
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)  # inches
    return Figure(figsize=figsize, dpi=_DPI, layout=layout, facecolor="white")


def check_picture(path: str | os.PathLike[str], argument: str = "output") -> Path:
    """Refuse, before anything is computed, a picture that could not be written."""
    with _needing_matplotlib():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    picture = as_path(path, argument)
    suffix = picture.suffix.removeprefix(".").lower()
    known = FigureCanvasAgg.get_supported_filetypes()
    if suffix not in known:
        raise ValueError(
            f"{argument}={str(picture)!r} has the suffix {picture.suffix!r}; allowed are "
            f"{', '.join(f'.{name}' for name in sorted(known))}"
        )
    if not picture.parent.is_dir():
        raise FileNotFoundError(
            f"{argument}={str(picture)!r}: there is no folder {str(picture.parent)!r}"
        )
    return picture


def check_choice(value: object, name: str, allowed: Sequence[object]) -> None:
    """Raise a ValueError for an option that is none of the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}; allowed are {', '.join(map(repr, allowed))}")


def _short(value: object) -> str:
    """Return the repr of a display's value; of many numbers, how many they are."""
    if isinstance(value, np.ndarray):
        return f"<array {value.shape} of {value.dtype.name}>"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_short(item)}' for key, item in value.items())}}}"
    if isinstance(value, list) and len(value) > _SHORT:
        return f"<list of {len(value)}>"
    return repr(value)


@contextlib.contextmanager
def _needing_matplotlib() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed: pip install 'pyae[plot]'"
        ) from error
