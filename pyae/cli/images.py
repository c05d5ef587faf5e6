"""Folders of images, read and written with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SUFFIXES: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".pgm",
    ".ppm",
)
_GRAYS: Final = ("1", "L", "LA")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "folders of images need Pillow, which is not installed: pip install pillow"
        ) from error
    return Image


def read_folder(
    folder: Path, size: tuple[int, int] | None, color: str
) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Read the images of a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
        Other files in it, and folders, are passed over.
    size : tuple of int, optional
        (width, height) to resize to; needed when the images have different sizes.
    color : {"auto", "gray", "rgb"}
        "auto": gray when all images are.

    Returns
    -------
    pixels : ndarray of shape (n_images, height, width) or (n_images, height, width, 3)
        8-bit values.
    names : list of str
        Of the files.

    Raises
    ------
    ValueError
        There are no images, one is damaged or has pixels of 32 bits, or they have different sizes.
    """
    image_module = _pillow()
    files = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not files:
        below = any(path.is_dir() for path in folder.iterdir())
        raise ValueError(
            f"{folder}: no images in the folder{' itself' if below else ''}; known are "
            f"{', '.join(SUFFIXES)}"
        )
    images = []
    for path in files:
        try:
            with image_module.open(path) as image:
                image.load()
                images.append(_in_8_bits(image, path))
        except (OSError, SyntaxError, image_module.DecompressionBombError) as error:
            raise ValueError(f"{path}: not a readable image: {error}") from None
    if color == "auto":
        color = "gray" if all(image.mode in _GRAYS for image in images) else "rgb"
    if size is None:
        for path, image in zip(files, images, strict=True):
            if image.size != images[0].size:
                raise ValueError(
                    f"{path} has {_size(image)} pixels, {files[0].name} {_size(images[0])}; all "
                    f"must have one size: resize them with --size {_size(images[0])}"
                )
    mode = "L" if color == "gray" else "RGB"
    pixels = []
    for image in images:
        if size is not None and image.size != size:
            image = image.convert(mode).resize(size, image_module.Resampling.LANCZOS)
        pixels.append(np.asarray(image.convert(mode)))
    return np.stack(pixels), [path.name for path in files]


def _in_8_bits(image: Any, path: Path) -> Any:
    """Return an image that Pillow converts as it looks: more than 8 bits it would cut off at 255.

    Older versions of Pillow open a PNG image of 16 bits as one of 32.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        pixels = np.rint(np.asarray(image) / 257).astype(np.uint8)
        return _pillow().fromarray(pixels)
    if image.mode in ("I", "F"):
        raise ValueError(
            f"{path}: pixels of 32 bits; save the images with 8 or 16, or all as one .npy file"
        )
    return image.copy()


def _size(image: Any) -> str:
    return f"{image.size[0]}x{image.size[1]}"


def write_folder(
    folder: Path,
    values: Array,
    image_shape: Sequence[int] | None,
    names: Sequence[str] | None,
) -> None:
    """Write samples with values in [0, 1] as PNG images into a new folder."""
    image_module = _pillow()
    if image_shape is None:
        raise ValueError(
            "a folder of images can only be written by a model of images; give the output a "
            "suffix: .csv, .npy, ..."
        )
    pixels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    pixels = pixels.reshape(len(values), *image_shape)
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    folder.mkdir()
    width = len(str(len(pixels)))
    for i, image in enumerate(pixels):
        name = Path(names[i]).stem if names is not None else f"{i + 1:0{width}}"
        path = folder / f"{name}.png"
        if path.exists():  # a.png and a.jpg of the input
            path = folder / f"{name}-{i + 1}.png"
        image_module.fromarray(image).save(path)
