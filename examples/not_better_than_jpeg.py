"""An autoencoder does not compress pictures better than JPEG does.

A photograph (scikit-learn's china.jpg and flower.jpg, in gray, 8 bits a pixel) is cut into blocks
of 8 x 8 pixels, as JPEG cuts it. An autoencoder 64-192-k-192-64 learns to code a block in k
numbers; these are quantised with a step, ``q = round(code / step)``, and coded. For a fair, even
generous count of its bytes:

- a block's numbers cost their measured entropy, ``-sum p log2 p`` bits for each of the k streams of
  integers, which no coder of single symbols beats, or what LZMA makes of all of them (as they are
  or as differences from the block before), whichever is least;
- tables of frequencies, k, step and image size are free; and so is the decoder, although its
  weights would be far larger than the picture;
- code sizes and steps are tried, and only the best of each number of bytes count;
- the autoencoder is trained on the very picture that it then codes. A second one is trained on the
  other picture: the use that a codec is made for.

JPEG files (Pillow, optimized Huffman tables) are counted whole, with headers, tables and all.

Expect: at equal bytes JPEG has the smaller error, most of all with many bytes, although everything
above favors the autoencoder; and the autoencoder that was trained on the other picture is worse
still, on the whole, than the one that knows this one.

Run ``python not_better_than_jpeg.py [picture.png]``.
"""

from __future__ import annotations

import io
import lzma
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_sample_images

import pyae

Array = npt.NDArray[Any]

CODE_UNITS = (4, 10, 24)
STEPS = (0.1, 0.25, 0.5, 1.0)  # of the code's standard deviation
EPOCHS = 18


def photographs() -> dict[str, Array]:
    """Return the two pictures in gray, cut to whole blocks."""
    pictures = {}
    for name, picture in zip(("china", "flower"), load_sample_images().images, strict=True):
        gray = np.asarray(Image.fromarray(picture).convert("L"))
        # The files were JPEG once: blocks of their own would be coded again without any loss.
        gray = gray[3:, 5:]
        height, width = (size // 8 * 8 for size in gray.shape)
        pictures[name] = gray[:height, :width]
    return pictures


def blocks_of(picture: Array) -> Array:
    """Return the picture's blocks of 8 x 8 pixels as rows, in [0, 1]."""
    height, width = picture.shape
    blocks = picture.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)
    return (blocks.reshape(-1, 64) / 255).astype(np.float32)


def autoencoder(blocks: Array, code_units: int) -> pyae.Sequential:
    """Return an autoencoder trained on blocks."""
    n_steps = EPOCHS * -(-len(blocks) // 128)
    model = pyae.Sequential(
        [
            pyae.Dense(192, "relu"),
            pyae.Dense(code_units),
            pyae.Dense(192, "relu"),
            pyae.Dense(64),
        ],
        optimizer=pyae.optimizers.Adam(pyae.schedules.Cosine(3e-3, n_steps)),
        random_state=0,
    )
    model.fit(blocks, epochs=EPOCHS, batch_size=128)
    return model


def n_bytes(q: Array) -> float:
    """Return how many bytes quantised codes (n_blocks, k) cost, counted generously."""
    bits = 0.0
    for stream in q.T:
        _, counts = np.unique(stream, return_counts=True)
        p = counts / len(stream)
        bits -= len(stream) * float((p * np.log2(p)).sum())
    small = np.int8 if np.abs(q).max() < 64 else np.int16
    differences = np.diff(q, axis=0, prepend=0)
    packed = [
        len(lzma.compress(np.ascontiguousarray(values.T, dtype=small).tobytes()))
        for values in (q, differences)
    ]
    return min(bits / 8, *packed)


def coded(model: pyae.Sequential, blocks: Array, step: float) -> tuple[float, float]:
    """Return the bytes and the squared error a pixel, in gray levels, of coded blocks."""
    code = model.forward(blocks, upto=2)
    scale = code.std(axis=0) * step
    q = np.rint(code / scale).astype(np.int64)
    decoder = pyae.Sequential([pyae.Dense(192, "relu"), pyae.Dense(64)], random_state=0).build(
        code.shape[1]
    )
    decoder.set_weights(model.get_weights()[4:])
    restored = decoder.predict((q * scale).astype(np.float32))
    return n_bytes(q), _error(restored * 255, blocks * 255)


def jpeg(picture: Array) -> list[tuple[float, float]]:
    """Return bytes and squared error a pixel of JPEG files of all qualities."""
    results = []
    for quality in (*range(2, 20), *range(20, 97, 4)):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, optimize=True)
        restored = np.asarray(Image.open(file))
        results.append((float(file.tell()), _error(restored, picture)))
    return results


def best(results: list[tuple[float, float]]) -> Array:
    """Return the results that no other beats in both bytes and error, by bytes."""
    front: list[tuple[float, float]] = []
    for result in sorted(results):
        if not front or result[1] < front[-1][1]:
            front.append(result)
    return np.array(front)


def _at(size: float, front: Array) -> float:
    """Return the error at a number of bytes, between those that were measured."""
    return float(np.exp(np.interp(np.log(size), *np.log(front.T))))


def _error(restored: Array, truth: Array) -> float:
    clipped = np.clip(np.rint(restored), 0, 255)
    return float(np.square(clipped - truth).mean())


def main(output: str = "not_better_than_jpeg.png") -> dict[str, Any]:
    """Print errors at equal bytes, write a picture and return the numbers."""
    pictures = photographs()
    blocks = {name: blocks_of(picture) for name, picture in pictures.items()}
    models = {(name, k): autoencoder(blocks[name], k) for name in pictures for k in CODE_UNITS}
    figure = Figure(figsize=(9, 4), dpi=150, layout="constrained", facecolor="white")
    ratios: dict[str, dict[str, list[float]]] = {}
    for ax, name in zip(figure.subplots(1, 2, sharey=True), pictures, strict=True):
        other = next(n for n in pictures if n != name)
        curves = {"JPEG": best(jpeg(pictures[name]))}
        for label, trained_on in (("this picture", name), ("the other one", other)):
            curves[f"autoencoder, trained on {label}"] = best(
                [coded(models[trained_on, k], blocks[name], s) for k in CODE_UNITS for s in STEPS]
            )
        print(f"{name}: {pictures[name].size} pixels; squared error a pixel, in gray levels")
        print("    bytes     JPEG   autoencoder: this picture   the other one")
        ratios[name] = {"this": [], "other": []}
        of_jpeg = curves["JPEG"]
        ours, theirs = list(curves.values())[1:]
        inside = (ours[:, 0] >= of_jpeg[0, 0]) & (ours[:, 0] <= of_jpeg[-1, 0])
        for size, error in ours[inside]:
            by_jpeg, by_other = (_at(size, front) for front in (of_jpeg, theirs))
            ratios[name]["this"].append(error / by_jpeg)
            ratios[name]["other"].append(by_other / by_jpeg)
            print(f"{size:9.0f} {by_jpeg:8.1f} {error:27.1f} {by_other:15.1f}")
        for (label, front), color in zip(
            curves.items(), ("0.25", "#3f90da", "#e76300"), strict=True
        ):
            psnr = 10 * np.log10(255**2 / front[:, 1])
            ax.plot(8 * front[:, 0] / pictures[name].size, psnr, ".-", color=color, label=label)
        ax.set(title=name, xlabel="bits a pixel", xscale="log")
        ax.set_xticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
    figure.axes[0].set_ylabel("PSNR in dB: more is better")
    figure.axes[0].legend(frameon=False, fontsize="small")
    figure.savefig(output)
    print(f"picture: {output}")
    return ratios


if __name__ == "__main__":
    main(*sys.argv[1:])
