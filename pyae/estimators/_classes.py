"""Class labels of any type, and the numbers that a network knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from pyae._arguments import not_negative
from pyae._arrays import as_classes, require_order, require_unmasked, within_reach

Labels = npt.NDArray[Any]  # (n_samples,), or (n_samples, n_classes) of 0 and 1


def as_labels(y: Any, name: str = "y") -> Labels:
    """Return labels as an array, (n_samples,), or (n_samples, n_classes) of 0 and 1.

    Raises
    ------
    ValueError
        They are no labels: real numbers, NaN, masked, or missing.
    """
    if y is None:
        raise ValueError(f"requires {name} to be passed, but the target {name} is None")
    require_unmasked(y, name)
    labels = check_array(y, ensure_2d=False, dtype=None, input_name=name, ensure_min_samples=0)
    require_order(labels, name)
    check_classification_targets(labels)
    if type_of_target(labels, input_name=name) == "multilabel-indicator":
        return np.asarray(labels)
    if type_of_target(labels, input_name=name) == "multiclass-multioutput":
        raise ValueError(f"{name} must have one label a sample, or be 0 and 1 for each label")
    return np.asarray(column_or_1d(labels, warn=True))


def as_known(classes: Any) -> npt.NDArray[Any]:
    """Return, in order, the classes that a user says there are.

    Raises
    ------
    TypeError, ValueError
        They are no sequence of labels, or one is NaN or infinite.
    """
    labels = as_classes(classes, "classes")
    if not len(labels):
        raise ValueError("classes must not be empty")
    is_float = labels.dtype.kind == "f"
    odd = ~np.isfinite(labels) if is_float else np.asarray([x != x for x in labels.tolist()])
    if odd.any():
        raise ValueError(f"classes must hold labels, got {labels[odd][0]}")
    return np.unique(labels)


def classes_of(labels: Labels) -> npt.NDArray[Any]:
    """Return the different labels in order; the column numbers of labels that are 0 and 1."""
    return np.arange(labels.shape[1]) if labels.ndim == 2 else np.unique(labels)


def require_kind(labels: Labels, several: bool, name: str, where: str) -> None:
    """Raise a ValueError where there is one label a sample but were several, or the reverse."""
    if (labels.ndim == 2) != several:
        kind = "a column of 0 and 1 for each of several labels" if several else "one label a sample"
        raise ValueError(f"{name} must hold {kind}, as in {where}, got shape {labels.shape}")


def numbers_of(labels: Labels, classes: npt.NDArray[Any], name: str = "y") -> Labels:
    """Return each label's number among the classes; labels of 0 and 1 stay.

    Raises
    ------
    ValueError
        A label is none of the classes.
    """
    if labels.ndim == 2:
        if labels.shape[1] != len(classes):
            raise ValueError(f"{name} must have {len(classes)} labels, got {labels.shape[1]}")
        return labels
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        more = ", ..." if len(unknown) > 5 else ""
        got = ", ".join(map(repr, unknown[:5].tolist()))
        raise ValueError(f"{name} must hold the classes {classes.tolist()} alone, got {got}{more}")
    return np.searchsorted(classes, labels)


def with_class_weight(
    class_weight: Any, labels: Labels, sample_weight: npt.NDArray[Any] | None
) -> npt.NDArray[Any] | None:
    """Return sample weights times those of their classes; None where all are 1.

    "balanced" gives every class the same sum of weights: ``sum(s) / (n_classes sum_c(s))``.

    Raises
    ------
    TypeError, ValueError
        `class_weight` is none, one of its numbers is negative, NaN or infinite, or what comes out
        is not finite, or 0 for all samples.
    """
    if class_weight is None:
        return sample_weight
    class_weight = _as_factors(class_weight, labels)
    if isinstance(class_weight, str) and labels.ndim == 1:
        _, numbers = np.unique(labels, return_inverse=True)
        given = np.ones(len(labels)) if sample_weight is None else within_reach(sample_weight)
        sums = np.bincount(numbers.ravel(), given)
        shares = np.divide(given.sum(), sums, out=np.zeros_like(sums), where=sums > 0)
        weights = given * shares[numbers.ravel()] / np.count_nonzero(sums)
        factor = 1.0 if sample_weight is None else sample_weight.max() / given.max()
    else:
        weights = np.asarray(compute_sample_weight(class_weight, labels), dtype=np.float64)
        factor = 1.0 if sample_weight is None else sample_weight
    with np.errstate(over="ignore"):  # told by name
        weights = weights * factor
    if not np.isfinite(weights).all():
        raise ValueError("class_weight times sample_weight must be finite, but overflows")
    if not weights.any():
        times = "" if sample_weight is None else " times sample_weight"
        raise ValueError(f"class_weight{times} must be positive for a sample, but is 0 for all")
    return np.asarray(weights)


def _as_factors(class_weight: Any, labels: Labels) -> Any:
    """Return "balanced", numbers by class, or for several labels a list of these."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return class_weight
    if labels.ndim == 1 and isinstance(class_weight, Mapping):
        return _as_numbers(class_weight, "class_weight")
    allowed = "a dict"
    if labels.ndim == 2:
        parts = list(class_weight) if isinstance(class_weight, list | tuple) else []
        if len(parts) == labels.shape[1] and all(isinstance(part, Mapping) for part in parts):
            return [_as_numbers(part, f"class_weight[{i}]") for i, part in enumerate(parts)]
        allowed = f"a list of {labels.shape[1]} dicts, one a label"
    error = ValueError if isinstance(class_weight, str) else TypeError
    raise error(f"class_weight must be {allowed}, 'balanced' or None, got {class_weight!r}")


def _as_numbers(factors: Mapping[Any, Any], name: str) -> dict[Any, float]:
    return {label: not_negative(factor, f"{name}[{label!r}]") for label, factor in factors.items()}
