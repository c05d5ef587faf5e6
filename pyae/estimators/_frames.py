"""Inputs that scikit-learn would read amiss: masked arrays, and frames of newer libraries.

Before 1.9, scikit-learn asks a frame that is not pandas' for its names by the interchange protocol
(``__dataframe__``), which polars has left from version 2 on: such a frame would count as an array,
and columns in another order than in the fit as the right ones.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils import validation

from pyae._arrays import as_real_array, require_unmasked

_ASKS_BY_PROTOCOL = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 9)


class _Interchanged:
    """A frame with as much of the interchange protocol as scikit-learn asks for."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.shape = frame.shape

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> _Interchanged:
        return self

    def column_names(self) -> list[str]:
        return list(self._frame.columns)

    def num_rows(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._frame, dtype=dtype)


def validate_data(estimator: Any, X: Any, *args: Any, name: str = "X", **kwargs: Any) -> Any:
    """Return what scikit-learn's `validate_data` does, of any frame and without masked values.

    Parameters
    ----------
    estimator : estimator
        What gets or has ``n_features_in_`` and ``feature_names_in_``.
    X : array_like or frame of shape (n_samples, n_features)
        The inputs.
    name : str
        What the caller calls them.
    *args, **kwargs
        The other arguments of scikit-learn's function.

    Raises
    ------
    TypeError, ValueError
        A value is masked, or as of scikit-learn's function.
    """
    require_unmasked(X, name)
    if _ASKS_BY_PROTOCOL and not hasattr(X, "__dataframe__"):
        polars = sys.modules.get("polars")  # who has a frame of it has imported it
        if polars is not None and isinstance(X, polars.DataFrame):
            X = _Interchanged(X)
    try:
        checked = validation.validate_data(estimator, X, *args, **kwargs)
    except (TypeError, ValueError) as error:
        if name == "X":
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        text = re.sub(r"\bX\b", name, str(error))  # which calls it X, if anything
        raise kind(text if name in text else f"{name}: {text}") from None
    if isinstance(checked, tuple):
        return (as_real_array(checked[0], name), *checked[1:])
    return as_real_array(checked, name)
