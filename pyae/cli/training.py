"""``pyae train``."""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np

from pyae.cli.options import no_warnings, note, reading, say
from pyae.cli.outputs import check_output
from pyae.cli.samples import Table, counted
from pyae.cli.scaling import Scaling
from pyae.cli.tables import read_table
from pyae.cli.trained import SUFFIX, Trained, require_range


def run(options: dict[str, Any]) -> None:
    """Train a model on a file and write it; with --quiet, without a word but of errors."""
    with no_warnings(options["quiet"]):
        _run(options)


def _run(options: dict[str, Any]) -> None:
    source, output, clean = options["data"], options["output"], options["clean"]
    _check_kind(options)
    check_output(output, [source, clean], [SUFFIX])
    table = read_table(source, reading(options))
    target = None if clean is None else read_table(clean, reading(options), table.names)
    if target is not None and target.values.shape != table.values.shape:
        raise ValueError(
            f"{clean} has {target.values.shape[0]} samples of {target.values.shape[1]} features, "
            f"{source} has {table.values.shape[0]} of {table.values.shape[1]}; pairs need the same"
        )

    truth = table if target is None else target
    is_images = truth.image_shape is not None and _in_unit_range(truth)
    kind = options["scale"] or ("none" if is_images else "standard")
    with np.errstate(over="ignore", invalid="ignore"):  # named by require_range
        scaling = Scaling.learn(kind, truth.values)
        inputs = scaling.scaled(table.values)
        targets = inputs if target is None else scaling.scaled(target.values)
    require_range(source, table, scaling, inputs)
    if target is not None:
        require_range(clean, target, scaling, targets)
    estimator = _estimator(options, is_images and kind == "none")
    if estimator.loss == "binary_crossentropy":
        _require_shares(kind, targets)
    if options["patience"] is not None and len(inputs) < 2:
        raise ValueError(f"{source}: --patience holds out samples, but there is only one")
    start = time.perf_counter()
    finished = _fit(estimator, inputs, None if target is None else targets)
    seconds = time.perf_counter() - start

    model = Trained(estimator, scaling, table.image_shape, table.names)
    try:
        model.learn_errors(inputs)
    except KeyboardInterrupt:  # again, or only now
        finished = False
    if not finished:
        _save_interrupted(model, output, options["epochs"])
    model.save(output)
    if not options["quiet"]:
        _note_reading(source, table)
    result = _result(model, inputs, targets, seconds, output)
    if not options["quiet"] or options["as_json"]:
        say(result, _text(result), options["as_json"])


def _check_kind(options: dict[str, Any]) -> None:
    """Refuse options of one kind of autoencoder with another."""
    for option, kind in (("noise", "denoising"), ("clean", "denoising"), ("active", "sparse")):
        if options[option] is not None and options["kind"] != kind:
            raise click.UsageError(f"--{option} is for --kind {kind}")
    if options["code_activation"] is not None and options["kind"] == "sparse":
        raise click.UsageError(
            "--code-activation cannot be used with --kind sparse, whose code keeps its --active "
            "largest units"
        )
    if options["noise"] is not None and options["clean"] is not None:
        raise click.UsageError("give --noise or --clean: pairs get no noise on top")


def _require_shares(scale: str, targets: Any) -> None:
    """Refuse targets that are no probabilities where the loss is of probabilities."""
    low, high = float(targets.min()), float(targets.max())
    if low >= 0 and high <= 1 + 1e-12:  # what minmax makes of the largest value
        return
    remedy = "choose another --loss" if scale == "minmax" else "use --scale minmax"
    raise ValueError(
        f"--loss binary_crossentropy is for values from 0 to 1, but with --scale {scale} features "
        f"go from {low:.3g} to {high:.3g}; {remedy}"
    )


def _note_reading(source: Path, table: Table) -> None:
    """Say what was not asked for."""
    if table.header_missed:
        note(
            f"{source}: no header found: columns are called 1, 2, ...; give --header if the first "
            "line is one"
        )
    if table.unused:
        note(f"not used: {', '.join(table.unused)}")


def _fit(estimator: Any, inputs: Any, targets: Any) -> bool:
    """Train, and say afterwards, below the progress bar, what was warned of.

    Returns
    -------
    bool
        Whether training came to its end; False after Ctrl-C, with an epoch or more trained.

    Raises
    ------
    ValueError
        Training diverged: such a model is of no use.
    MemoryError
        The network is too large.
    KeyboardInterrupt
        Ctrl-C before the first epoch ended.
    """
    from pyae import DivergenceWarning

    # The progress bar is not the result.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DivergenceWarning)
        try:
            estimator.fit(inputs, targets)
            finished = True
        except KeyboardInterrupt:
            if not getattr(estimator, "n_iter_", 0):
                raise
            finished = False
        except MemoryError as error:
            raise MemoryError(f"{error} (--code, --hidden, --batch-size)") from None
    for warning in caught:
        if issubclass(warning.category, DivergenceWarning):
            message, _, _ = str(warning.message).partition(":")
            raise ValueError(f"{message}; try a smaller --learning-rate; no model was written")
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        note(f"warning: {text}")
    return finished


def _save_interrupted(model: Trained, output: Path, epochs: int) -> NoReturn:
    """Write a model as far as it is trained, over no other file, and end the command."""
    path = output
    for i in itertools.count(1):
        if not path.exists():
            break
        path = output.with_name(f"{output.stem}.interrupted{'' if i == 1 else i}{output.suffix}")
    model.save(path)
    done = model.estimator.n_iter_
    kept = "" if path == output else f"; {output} is as it was"
    raise click.Abort(
        f"interrupted after {done} of {epochs} epochs; the model so far: {path}{kept}"
    )


def _in_unit_range(table: Table) -> bool:
    return float(table.values.min()) >= 0 and float(table.values.max()) <= 1


def _estimator(options: dict[str, Any], is_images: bool) -> Any:
    """Return the estimator that the options describe."""
    import pyae

    is_sparse = options["kind"] == "sparse"
    output_activation = options["output_activation"] or ("sigmoid" if is_images else "linear")
    loss = options["loss"] or (
        "binary_crossentropy" if output_activation == "sigmoid" else "mean_squared_error"
    )
    settings: dict[str, Any] = {
        "n_components": options["code"] or (64 if is_sparse else 2),
        "hidden_layer_sizes": (() if is_sparse else (128,))
        if options["hidden"] is None
        else options["hidden"],
        "activation": options["activation"],
        "output_activation": output_activation,
        "loss": loss,
        "optimizer": options["optimizer"],
        "max_epochs": options["epochs"],
        "random_state": options["seed"],
        "n_threads": options["threads"],
        "verbose": 0 if options["quiet"] else 1,
    }
    for name in ("learning_rate", "code_activation", "batch_size"):
        if options[name] is not None:
            settings[name] = options[name]
    if options["patience"] is not None:
        settings |= {"early_stopping": True, "n_iter_no_change": options["patience"]}
    if options["kind"] == "autoencoder":
        return pyae.Autoencoder(**settings)
    if options["kind"] == "denoising":
        return pyae.DenoisingAutoencoder(**settings, **_noise(options["noise"]))
    if options["active"] is not None:
        settings["n_active"] = options["active"]
    return pyae.SparseAutoencoder(**settings)


def _noise(text: str | None) -> dict[str, Any]:
    """Read ``kind:strength``."""
    if text is None:
        return {}
    name, _, strength = text.partition(":")
    known = ("gaussian", "masking", "salt_and_pepper")
    try:
        level = float(strength)
    except ValueError:
        level = math.nan
    if name not in known or not math.isfinite(level) or level < 0:
        raise click.UsageError(
            f"--noise {text!r}; write a kind ({', '.join(known)}) and a strength: gaussian:0.3"
        )
    return {"noise": name, "noise_level": level}


def _result(
    model: Trained, inputs: Any, targets: Any, seconds: float, output: Path
) -> dict[str, Any]:
    """Return what is said of a finished training."""
    estimator = model.estimator
    restored = model.scaling.scaled(model.restore(inputs))
    error = float(np.square(restored - targets).sum(axis=1).mean())
    total = float(np.square(targets - targets.mean(axis=0)).sum(axis=1).mean())
    history = estimator.history_
    return {
        "model": str(output),
        "kind": type(estimator).__name__,
        "n_samples": len(inputs),
        "n_features": model.n_features,
        "code": int(estimator.n_components),
        "epochs": int(estimator.n_iter_),
        "seconds": round(seconds, 3),
        "loss": _finite(history["loss"][-1]),
        "val_loss": _finite(history["val_loss"][-1]) if "val_loss" in history else None,
        "error": error,
        "explained_variance": 1 - error / total if total > 0 else None,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _text(result: dict[str, Any]) -> str:
    share = result["explained_variance"]
    explained = "" if share is None else f", {share:.1%} of the variance explained"
    return (
        f"{result['kind']} with {counted(result['code'], 'code unit')}, trained on "
        f"{counted(result['n_samples'], 'sample')} of {counted(result['n_features'], 'feature')} "
        f"in {result['seconds']:.1f} s ({counted(result['epochs'], 'epoch')}){explained}\n"
        f"model: {result['model']}"
    )
