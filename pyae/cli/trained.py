"""A trained autoencoder with all that a file of samples needs to be like its training data.

An estimator alone takes samples as its network wants them. What lies between a user's file and
that (scale of the features, their names, the shape of images) is kept with the estimator, in its
attribute ``input_description_``, and so in its file.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pyae._container import FileFormatError
from pyae.cli import csv_files, parquet_files
from pyae.cli.options import note
from pyae.cli.samples import Reading, Table, listed, numbered
from pyae.cli.scaling import Scaling
from pyae.cli.tables import SUFFIXES, read_table
from pyae.saving import load_model

Array = npt.NDArray[Any]

SUFFIX: Final = ".safetensors"
_QUANTILES: Final = np.linspace(0, 1, 1001)


@dataclass
class Trained:
    """A fitted estimator, and how its inputs come about.

    Parameters
    ----------
    estimator : Autoencoder
        Or one of its relatives.
    scaling : Scaling
        Of the features.
    image_shape : tuple of int or None
        Of a sample, when samples are images.
    names : list of str or None
        Of the features.
    error_quantiles : ndarray of shape (1001,) or None
        Of the reconstruction errors of the training samples.
    """

    estimator: Any
    scaling: Scaling
    image_shape: tuple[int, ...] | None = None
    names: list[str] | None = None
    error_quantiles: Array | None = None

    @property
    def n_features(self) -> int:
        """The number of features."""
        return int(self.estimator.n_features_in_)

    @property
    def digits(self) -> int:
        """How many digits of what the network computes are significant."""
        return 9 if self.estimator.model_.dtype == np.float32 else 17

    @property
    def code_names(self) -> list[str]:
        """The names of the code's columns."""
        n = int(self.estimator.n_components)
        return numbered("code", n)

    @property
    def columns(self) -> list[str]:
        """The names of a sample's columns, in files that have names."""
        return self.names or numbered("x", self.n_features)

    # ---- use -------------------------------------------------------------------------------------

    def read(self, source: Path, how: Reading) -> Table:
        """Read samples that are like the training samples: its features, images of its shape.

        Raises
        ------
        OSError, ValueError, ImportError
            As `read_table`, or they are not like these.
        """
        table = read_table(source, how, self.names)
        expected = self.image_shape
        if expected is not None and table.image_shape not in (None, expected):
            raise ValueError(
                f"{source}: images of {_shape(table.image_shape)}, but the model was trained on "
                f"{_shape(expected)}; use --size {expected[1]}x{expected[0]} and --color "
                f"{'rgb' if len(expected) == 3 else 'gray'} with a folder of images"
            )
        if self.names is None and table.names is not None:
            note(f"{source}: the model has no names of features; columns are taken in order")
        if self.names is not None and table.names is not None and table.names != self.names:
            raise ValueError(
                f"{source}: columns {', '.join(table.names[:8])} are not those that the model was "
                f"trained on: {', '.join(self.names[:8])}"
            )
        return table

    def inputs(self, table: Table, path: Path) -> Array:
        """Return a table's samples as the network sees them.

        Raises
        ------
        ValueError
            They do not have the features that the network was trained on.
        """
        n = table.values.shape[1]
        if n != self.n_features:
            has_columns = path.suffix.lower() in (*csv_files.SUFFIXES, *parquet_files.SUFFIXES)
            raise ValueError(
                f"{path}: {n} features, but the model was trained on {self.n_features}"
                + (f" ({listed(self.names)})" if self.names else "")
                + ("; choose them with --columns or --drop" if has_columns else "")
            )
        with np.errstate(over="ignore", invalid="ignore"):  # named by require_range
            scaled = self.scaling.scaled(table.values)
        require_range(path, table, self.scaling, scaled, self.estimator.model_.dtype)
        return scaled

    def encode(self, inputs: Array) -> Array:
        """Return codes of what `inputs` returned."""
        return np.asarray(_quietly(self.estimator.transform, inputs))

    def decode(self, code: Array) -> Array:
        """Return samples, as the user knows them, of codes."""
        return self.scaling.unscaled(np.asarray(_quietly(self.estimator.inverse_transform, code)))

    def restore(self, inputs: Array) -> Array:
        """Return reconstructions, as the user knows them, of what `inputs` returned."""
        return self.scaling.unscaled(np.asarray(_quietly(self.estimator.reconstruct, inputs)))

    def errors(self, inputs: Array) -> Array:
        """Return each sample's reconstruction error, of the scaled features."""
        return np.asarray(_quietly(self.estimator.reconstruction_error, inputs), dtype=np.float64)

    def learn_errors(self, inputs: Array) -> None:
        """Remember how large the errors of the training samples are."""
        self.error_quantiles = np.quantile(self.errors(inputs), _QUANTILES)

    def error_quantile(self, q: float) -> float:
        """Return a quantile of the training samples' errors."""
        if self.error_quantiles is None:
            raise ValueError(
                "the model file does not hold the errors of its training samples; use --threshold, "
                "or --against input"
            )
        return float(np.interp(q, _QUANTILES, self.error_quantiles))

    # ---- files -----------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the model."""
        self.estimator.input_description_ = {
            "scaling": self.scaling.to_data(),
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "error_quantiles": None
            if self.error_quantiles is None
            else self.error_quantiles.tolist(),
        }
        if self.names is not None:
            self.estimator.feature_names_in_ = np.array(self.names, dtype=object)
        self.estimator.save(path)

    @classmethod
    def load(cls, path: Path, source: Path | None = None) -> Trained:
        """Read a model that `save` wrote, or that an autoencoder of Python was saved as.

        Parameters
        ----------
        path : Path
            The file.
        source : Path, optional
            The samples to use it on, for the error to say when both are in each other's place.

        Raises
        ------
        OSError, ValueError
            There is no such file, it is no model, or a model of another kind.
        """
        estimator = _estimator(path, source)
        if not hasattr(estimator, "inverse_transform"):
            raise ValueError(
                f"{path}: holds a {type(estimator).__name__}; the command works with autoencoders"
            )
        known = getattr(estimator, "input_description_", {})
        names = getattr(estimator, "feature_names_in_", None)
        quantiles, shape = known.get("error_quantiles"), known.get("image_shape")
        return cls(
            estimator,
            Scaling.from_data(known.get("scaling", {"kind": "none"}), estimator.n_features_in_),
            None if shape is None else tuple(shape),
            None if names is None else [str(name) for name in names],
            None if quantiles is None else np.array(quantiles),
        )


def _estimator(path: Path, source: Path | None) -> Any:
    """Return the estimator of a file; errors as of `Trained.load`."""
    suffix = path.suffix.lower()
    kind = "a folder" if path.is_dir() else f"a {suffix} file" if suffix in SUFFIXES else ""
    if kind and source is not None and source.suffix.lower() == SUFFIX:
        raise ValueError(
            f"MODEL {str(path)!r} is {kind}, and INPUT {str(source)!r} a model; did you swap them?"
        )
    if path.is_dir():
        raise ValueError(f"MODEL {str(path)!r} is a folder; give a file that 'pyae train' made")
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {str(path)!r}; 'pyae train' makes one")
    try:
        return load_model(path)
    except FileFormatError as error:
        if kind:
            raise ValueError(
                f"MODEL {str(path)!r} is {kind}; give a file that 'pyae train' made"
            ) from error
        raise


def require_range(
    path: Path, table: Table, scaling: Scaling, scaled: Array, dtype: npt.DTypeLike = np.float32
) -> None:
    """Refuse features that the network's numbers cannot hold, scaled or as they are.

    Nor can they be written as such, and beside a value of such a size all others become one.
    """
    largest, bits = np.finfo(np.dtype(dtype)).max, 8 * np.dtype(dtype).itemsize
    fits = (np.abs(scaled) <= largest).all(axis=0) & (np.abs(table.values) <= largest).all(axis=0)
    fits &= np.isfinite(scaling.offset) & np.isfinite(scaling.scale)
    if fits.all():
        return
    i = int(np.flatnonzero(~fits)[0])
    column = table.values[:, i]
    too_large = np.abs(column).max() > largest
    how = "" if too_large else f" when scaled ({scaling.kind})"
    raise ValueError(
        f"{path}: column {table.names[i] if table.names else str(i + 1)!r} has values from "
        f"{column.min():.3g} to {column.max():.3g}, too large for numbers of {bits} bits{how}; "
        "bring them to another unit, or leave the column out"
    )


def _quietly(method: Any, X: Array) -> Any:
    """Call a method of an estimator that knows names of features with an array that has none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        return method(X)


def _shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape or ()))
