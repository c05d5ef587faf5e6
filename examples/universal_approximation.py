"""One hidden layer is enough: universal approximation, built by hand and learned.

A network of one hidden layer, ``f(x) = sum_j v_j act(w_j x + b_j) + c``, comes as near to any
continuous function on an interval as one likes when it is wide enough (Cybenko 1989, Hornik 1991).

1. ``|x|`` needs two relu units and no more: ``|x| = relu(x) + relu(-x)``, exactly. Set by hand the
   error is 0; learned from points it becomes about as small as rounding. (A start can fail: when
   both units see the same side of 0 there is no way out of it downhill. So a few are tried.)
2. For any continuous function the weights can be written down. With knots ``x_0 < ... < x_n`` and
   slopes ``s_j`` between them, ``f(x) = y_0 + sum_j (s_j - s_{j-1}) relu(x - x_j)`` is the broken
   line through ``(x_j, y_j)``. Its largest error is at most ``max|y''| h^2 / 8`` for a distance
   ``h`` of the knots: four times the width, a sixteenth of the error.
3. A network that learns its weights does with fewer units, since it puts the kinks where the
   function bends; and its error falls with the width, too.

Run ``python universal_approximation.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import pyae

Array = npt.NDArray[Any]

WIDTHS = (2, 4, 8, 16, 32)
STARTS = 3


def target(x: Array) -> Array:
    """Return a continuous function with slow and fast bends."""
    return np.sin(3 * x) + 0.5 * np.cos(9 * x) * np.exp(-(x**2))


def two_units() -> pyae.Sequential:
    """Return |x| as a network: two relu units, and their sum."""
    model = pyae.Sequential([pyae.Dense(2, "relu"), pyae.Dense(1)], dtype="float64").build(1)
    model.set_weights([[[1.0, -1.0]], [0.0, 0.0], [[1.0], [1.0]], [0.0]])
    return model


def broken_line(width: int) -> pyae.Sequential:
    """Return the network of `width` relu units that is a broken line through as many points."""
    knots = np.linspace(-2, 2, width + 1)
    y = target(knots)
    slopes = np.diff(y) / np.diff(knots)
    bends = np.diff(slopes, prepend=0.0)
    model = pyae.Sequential([pyae.Dense(width, "relu"), pyae.Dense(1)], dtype="float64").build(1)
    model.set_weights([np.ones((1, width)), -knots[:-1], bends[:, None], y[:1]])
    return model


def learned(
    x: Array, y: Array, width: int, activation: str, spread: bool = True
) -> pyae.Sequential:
    """Return the best of a few networks that learn from the points (x, y).

    They start as the library starts networks, with all bends at 0, or with bends spread evenly.
    """
    models = []
    for seed in range(STARTS):
        model = pyae.Sequential(
            [pyae.Dense(width, activation), pyae.Dense(1)],
            optimizer=pyae.optimizers.LBFGS(),
            dtype="float64",
            random_state=seed,
        ).build(1)
        if spread:
            rng = np.random.default_rng(seed)
            w = rng.choice([-1.0, 1.0], width) * rng.uniform(0.5, 1.5, width) * width / 4
            places = rng.permutation(np.linspace(-2, 2, width + 2)[1:-1])
            v = rng.normal(size=(width, 1)) / np.sqrt(width)
            model.set_weights([w[None], -w * places, v, [0.0]])
        model.fit(x, y, epochs=1500, batch_size=len(x))
        models.append(model)
    return min(models, key=lambda model: model.evaluate(x, y))


def main(output: str = "universal_approximation.png") -> dict[str, Any]:
    """Print the errors, write a picture and return the numbers."""
    x = np.linspace(-2, 2, 512)[:, None]
    dense = np.linspace(-2, 2, 4001)[:, None]  # to measure on: also between the points
    y = target(x)

    set_error = np.abs(two_units().predict(dense) - np.abs(dense)).max()
    two = learned(x, np.abs(x), 2, "relu", spread=False)
    learned_error = np.abs(two.predict(dense) - np.abs(dense)).max()
    print("|x| with two relu units, largest error on [-2, 2]:")
    print(f"  weights set by hand  {set_error:.3g}")
    print(f"  learned              {learned_error:.3g}")

    built, by_training = {}, {}
    print("sin(3x) + cos(9x) exp(-x^2) / 2, root mean square error on [-2, 2]:")
    print("  width   broken line   learned")
    networks = {}
    for width in WIDTHS:
        line = broken_line(width)
        networks[width] = learned(x, y, width, "tanh")
        built[width] = _rms(line.predict(dense) - target(dense))
        by_training[width] = _rms(networks[width].predict(dense) - target(dense))
        print(f"  {width:5}   {built[width]:11.3g}   {by_training[width]:7.3g}")

    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(dense, target(dense), color="0.2", linewidth=3, alpha=0.35, label="the function")
    for width, color in zip((2, 4, 16), ("#ffa90e", "#3f90da", "#bd1f01"), strict=True):
        left.plot(dense, networks[width].predict(dense), color=color, label=f"{width} units")
    left.set(xlabel="x", title="learned")
    left.legend(frameon=False, fontsize="small")
    right.loglog(WIDTHS, list(built.values()), "o-", color="0.4", label="broken line, by hand")
    right.loglog(WIDTHS, list(by_training.values()), "o-", color="#3f90da", label="tanh, learned")
    right.set(xlabel="hidden units", title="root mean square error")
    right.set_xticks(WIDTHS, [str(width) for width in WIDTHS])
    right.minorticks_off()
    right.grid(alpha=0.25)
    right.legend(frameon=False)
    figure.savefig(output)
    print(f"picture: {output}")
    return {
        "set_error": float(set_error),
        "learned_error": float(learned_error),
        "built": built,
        "learned": by_training,
    }


def _rms(difference: Array) -> float:
    return float(np.sqrt(np.square(difference).mean()))


if __name__ == "__main__":
    main(*sys.argv[1:])
