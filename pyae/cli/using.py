"""The commands that use a trained model, but for its pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import click
import numpy as np

from pyae.cli import tables
from pyae.cli.options import reading, say
from pyae.cli.outputs import check_output
from pyae.cli.samples import Table, counted
from pyae.cli.scaling import Scaling
from pyae.cli.tables import check_kept, read_table, write_table
from pyae.cli.trained import Trained, require_range


def transform(options: dict[str, Any], what: str) -> None:
    """Write codes or reconstructions of samples."""
    model_path, source, output = options["model"], options["data"], options["output"]
    model = Trained.load(model_path, source)
    suffixes = list(tables.SUFFIXES)
    if what != "encode" and model.image_shape is not None:
        suffixes.append("")
    check_output(output, [model_path, source], suffixes)
    if what == "denoise" and not hasattr(model.estimator, "denoise"):
        raise ValueError(
            f"{model_path}: was trained as {type(model.estimator).__name__}, not to remove noise; "
            "use 'pyae reconstruct', or train with --kind denoising"
        )
    check_kept(options["keep"], model.code_names if what == "encode" else model.columns, output)
    table = model.read(source, reading(options, options["keep"]))
    inputs = model.inputs(table, source)
    if what == "encode":
        made = Table(model.encode(inputs), model.code_names, None, table.texts, model.digits)
    else:
        made = Table(
            model.restore(inputs), model.names, model.image_shape, table.texts, model.digits
        )
    write_table(output, made)
    _say_written(made, output, options)


def decode(options: dict[str, Any]) -> None:
    """Write samples of codes."""
    model_path, source, output = options["model"], options["data"], options["output"]
    model = Trained.load(model_path, source)
    suffixes = [*tables.SUFFIXES, *([""] if model.image_shape is not None else [])]
    check_output(output, [model_path, source], suffixes)
    check_kept(options["keep"], model.columns, output)
    codes = read_table(source, reading(options, options["keep"]), model.code_names)
    if codes.values.shape[1] != len(model.code_names):
        raise ValueError(
            f"{source}: {codes.values.shape[1]} columns, but codes of this model have "
            f"{len(model.code_names)}"
        )
    dtype = model.estimator.model_.dtype
    require_range(source, codes, Scaling.learn("none", codes.values), codes.values, dtype)
    made = Table(
        model.decode(codes.values.astype(dtype)),
        model.names,
        model.image_shape,
        codes.texts,
        model.digits,
    )
    write_table(output, made)
    _say_written(made, output, options)


def score(options: dict[str, Any]) -> None:
    """Say, and write, reconstruction errors, and flag outliers."""
    model_path, source, output = options["model"], options["data"], options["output"]
    quantile, threshold = options["quantile"], options["threshold"]
    if quantile is not None and threshold is not None:
        raise click.UsageError("give --quantile or --threshold, not both")
    model = Trained.load(model_path, source)
    if output is not None:
        check_output(output, [model_path, source], tables.SUFFIXES)
        check_kept(options["keep"], ["error", "outlier"], output)
    table = model.read(source, reading(options, options["keep"]))
    errors = model.errors(model.inputs(table, source))
    if quantile is not None:
        of_input = options["against"] == "input"
        threshold = float(np.quantile(errors, quantile)) if of_input else None
        threshold = model.error_quantile(quantile) if threshold is None else threshold
    columns, names = [errors], ["error"]
    result: dict[str, Any] = {
        "n_samples": len(errors),
        "mean": float(errors.mean()),
        "median": float(np.median(errors)),
        "max": float(errors.max()),
    }
    lines = [
        f"{counted(len(errors), 'sample')}, error: mean {result['mean']:.4g}, median "
        f"{result['median']:.4g}, largest {result['max']:.4g}"
    ]
    if threshold is not None:
        outliers = np.flatnonzero(errors > threshold)
        columns.append((errors > threshold).astype(np.float64))
        names.append("outlier")
        result |= {
            "threshold": threshold,
            "n_outliers": len(outliers),
            "outliers": outliers.tolist(),
        }
        worst = outliers[np.argsort(-errors[outliers], kind="stable")][:10]
        lines.append(f"{counted(len(outliers), 'outlier')}: error above {threshold:.4g}")
        lines += [f"  sample {i + 1}  {errors[i]:.4g}" for i in worst.tolist()]
        if len(outliers) > len(worst):
            lines.append(f"  and {len(outliers) - len(worst)} more")
    if output is not None:
        write_table(output, Table(np.column_stack(columns), names, None, table.texts, model.digits))
        result["output"] = str(output)
        lines.append(f"written: {output}")
    elif options["as_json"]:
        result["errors"] = errors.tolist()
    say(result, "\n".join(lines), options["as_json"])


def describe(path: Path, as_json: bool) -> None:
    """Say what a model file holds."""
    model = Trained.load(path)
    network = model.estimator.model_
    sizes = [network.n_features, *(layer.units for layer in network.layers)]
    activations = [layer.activation.name for layer in network.layers]
    result: dict[str, Any] = {
        "model": str(path),
        "kind": type(model.estimator).__name__,
        "layers": sizes,
        "activations": activations,
        "code": int(model.estimator.n_components),
        "parameters": network.n_parameters,
        "dtype": network.dtype.name,
        "loss": network.loss.name,
        "epochs": int(model.estimator.n_iter_),
        "scale": model.scaling.kind,
        "image_shape": None if model.image_shape is None else list(model.image_shape),
        "features": model.names,
    }
    if model.error_quantiles is not None:
        result["training_error"] = {
            str(q): model.error_quantile(q) for q in (0.5, 0.9, 0.99, 0.999)
        }
    lines = [
        f"{result['kind']}, {'-'.join(map(str, sizes))}, code of {result['code']}",
        f"activations    {', '.join(activations)}",
        f"parameters     {result['parameters']:,} ({result['dtype']})",
        f"trained        {result['epochs']} epochs, loss {result['loss']}",
        f"scale          {result['scale']}",
    ]
    if model.image_shape is not None:
        lines.append(f"images         {' x '.join(map(str, model.image_shape))}")
    if model.names is not None:
        shown = ", ".join(model.names[:10]) + (", ..." if len(model.names) > 10 else "")
        lines.append(f"features       {shown}")
    if "training_error" in result:
        values = [f"{v:.4g} at {float(q):.1%}" for q, v in result["training_error"].items()]
        lines.append(f"errors         {', '.join(values)} of the training samples")
    say(result, "\n".join(lines), as_json)


def export(options: dict[str, Any]) -> None:
    """Write a model as ONNX, its scaling included."""
    import pyae

    path, output = options["model"], options["output"]
    check_output(output, [path], [".onnx"])
    model = Trained.load(path)
    estimator = model.estimator
    if model.scaling.kind != "none":
        estimator = _with_scaling(model, path)
    pyae.export_onnx(estimator, output)
    result = {"output": str(output), "bytes": output.stat().st_size}
    say(result, f"written: {output}", options["as_json"])


def _with_scaling(model: Trained, path: Path) -> Any:
    """Return the estimator with the scale of the features folded into its outer layers.

    ``((x - m) / s) W + b = x (W / s) + (b - (m / s) W)``, and the output ``(h W + b) s + m``.
    """
    estimator = copy.deepcopy(model.estimator)
    network = estimator.model_
    last = network.layers[-1]
    if last.activation.name != "linear" or any(x.tied_to is not None for x in network.layers):
        raise ValueError(
            f"{path}: the scale of the features cannot be part of an ONNX file when the output is "
            f"{last.activation.name}, or weights are tied; train with --scale none"
        )
    weights = [w.astype(np.float64) for w in network.get_weights()]
    offset, scale = model.scaling.offset, model.scaling.scale
    weights[1] = weights[1] - (offset / scale) @ weights[0]
    weights[0] = weights[0] / scale[:, None]
    weights[-2] = weights[-2] * scale
    weights[-1] = weights[-1] * scale + offset
    if any(np.abs(w).max() > np.finfo(network.dtype).max for w in weights):
        raise ValueError(
            f"{path}: the scale of the features makes weights too large for an ONNX file; bring "
            "the features to another unit before training"
        )
    network.set_weights(weights)
    return estimator


def _say_written(table: Table, output: Path, options: dict[str, Any]) -> None:
    n, k = table.values.shape
    result = {"output": str(output), "n_samples": n, "n_columns": k}
    say(result, f"{counted(n, 'sample')} of {counted(k, 'value')}: {output}", options["as_json"])
