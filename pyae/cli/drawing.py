"""``pyae plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from pyae._safefile import replacement
from pyae.cli.options import reading, say
from pyae.cli.outputs import check_output
from pyae.cli.samples import Table
from pyae.cli.tables import read_labels
from pyae.cli.trained import Trained

Array = npt.NDArray[Any]

_WITHOUT_INPUT = ("learning", "filters")


def run(options: dict[str, Any]) -> None:
    """Draw a picture and write it."""
    from pyae.plotting.display import check_picture

    kind, path, source, output = (options[k] for k in ("kind", "model", "data", "output"))
    if source is None and kind not in _WITHOUT_INPUT:
        raise click.UsageError(f"'plot {kind}' needs samples: pyae plot {kind} MODEL INPUT -o ...")
    check_picture(output)
    check_output(output, [path, source], [output.suffix.lower()])
    model = Trained.load(path, source)
    table = labels = None
    if source is not None:
        name = options["labels"]
        # A column of a table, but not an array in a file of its own.
        keep = () if name is None or name.endswith(".npy") else (name,)
        table = model.read(source, reading(options, keep))
        if name is not None:
            labels = read_labels(name, source, reading(options, keep), table)
    display = _draw(kind, model, table, labels, source, options)
    with replacement(output) as file:
        display.figure_.savefig(file, format=output.suffix.removeprefix(".").lower())
    say({"output": str(output)}, f"picture: {output}", options["as_json"])


def _draw(
    kind: str,
    model: Trained,
    table: Table | None,
    labels: Array | None,
    source: Path,
    options: dict[str, Any],
) -> Any:
    from pyae import plotting

    estimator, shape = model.estimator, model.image_shape
    if kind == "learning":
        return plotting.LearningCurveDisplay.from_estimator(estimator)
    if kind == "filters":
        if shape is not None:
            return plotting.FiltersDisplay.from_estimator(estimator, image_shape=shape)
        return plotting.FiltersDisplay.from_estimator(
            estimator,
            image_shape=(1, model.n_features),
            max_units=40,
            feature_names=model.names,
        )
    assert table is not None
    inputs = model.inputs(table, source)
    components: Any = _components(options["components"])
    if kind == "latent":
        return plotting.LatentSpaceDisplay.from_predictions(
            model.encode(inputs), labels, components=components, y_label=options["labels"] or ""
        )
    if kind == "grid":
        if shape is None:
            raise ValueError("a grid shows decoded images, but this model was trained on a table")
        return plotting.LatentGridDisplay.from_estimator(
            _Scaled(model),
            inputs,
            components=components,
            image_shape=shape,
            cmap=options["cmap"],
        )
    if kind == "reconstruction":
        restored = model.scaling.scaled(model.restore(inputs))
        return plotting.ReconstructionDisplay.from_predictions(
            np.asarray(inputs),
            restored,
            n_images=options["images"],
            image_shape=shape or (1, model.n_features),
            cmap=options["cmap"],
        )
    if kind == "activity":
        return plotting.CodeActivityDisplay.from_predictions(model.encode(inputs))
    return plotting.ErrorDistributionDisplay.from_predictions(
        model.errors(inputs), labels, quantile=options["quantile"]
    )


class _Scaled:
    """A model as the pictures see an estimator, decoding to what the user knows."""

    def __init__(self, model: Trained) -> None:
        self.transform = model.encode
        self.inverse_transform = model.decode


def _components(names: tuple[str, ...]) -> tuple[int, ...] | None:
    if not names:
        return None
    if len(names) != 2 or not all(name.isascii() and name.isdigit() for name in names):
        raise click.UsageError(f"--components must be two numbers from 0, not {','.join(names)!r}")
    return tuple(int(name) for name in names)
