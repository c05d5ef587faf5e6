"""The commands: what each is called, and where it is carried out.

What a command needs is imported when it runs, so that ``pyae --help`` is there at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import pyae as library
from pyae.cli.options import (
    FILE,
    Number,
    Seed,
    Sizes,
    json_option,
    names_option,
    no_warnings,
    reading_options,
    say,
)

_COMPLETION = """
Completion of commands and options: put into ~/.bashrc the line

\b
  eval "$(_PYAE_COMPLETE=bash_source pyae)"

or, for zsh, zsh_source into ~/.zshrc; for fish, fish_source.
"""


class _Commands(click.Group):
    """Commands, listed in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out a command; Ctrl-C ends it without the empty line that click would print."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None


@click.group(
    cls=_Commands,
    epilog=_COMPLETION,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(library.__version__, prog_name="pyae", message="%(prog)s %(version)s")
@click.pass_context
def pyae(context: click.Context) -> int | None:
    """Train and use autoencoders on tables and images, on the CPU.

    \b
    pyae train data.csv -o model.safetensors --code 2 --drop species
    pyae encode model.safetensors data.csv -o codes.csv
    pyae plot latent model.safetensors data.csv -o codes.png --labels species

    Samples are read from .csv, .npy, .npz and Parquet files and folders of images; 8-bit images are
    taken as values from 0 to 1.
    """  # noqa: D301  click wants the character, not a backslash
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return 2
    return None


@pyae.command(short_help="Train an autoencoder.")
@click.argument("data", metavar="INPUT", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The model to write, .safetensors.")
@click.option(
    "--kind",
    type=click.Choice(["autoencoder", "denoising", "sparse"]),
    default="autoencoder",
    show_default=True,
)
@click.option("--code", type=click.IntRange(1), help="Code units. Default: 2; 64 for sparse.")
@click.option(
    "--hidden",
    type=Sizes(),
    help="Hidden units of the encoder, layer by layer, such as 128,64; the decoder mirrors them. "
    "Default: 128; none for sparse.",
)
@click.option("--activation", metavar="NAME", default="relu", show_default=True)
@click.option("--code-activation", metavar="NAME", help="Default: linear. Not for sparse.")
@click.option(
    "--output-activation", metavar="NAME", help="Default: sigmoid for images, otherwise linear."
)
@click.option(
    "--loss",
    metavar="NAME",
    help="Default: binary_crossentropy for images, otherwise mean_squared_error.",
)
@click.option(
    "--scale",
    type=click.Choice(["standard", "minmax", "none"]),
    help="How to scale features; kept in the model. Default: none for images, otherwise standard.",
)
@click.option(
    "--noise",
    metavar="KIND:STRENGTH",
    help="For denoising: gaussian:0.3 (the default), masking:0.2 or salt_and_pepper:0.1, in the "
    "units of scaled features.",
)
@click.option("--clean", type=FILE, help="For denoising: what the noisy INPUT should become.")
@click.option(
    "--active",
    type=click.IntRange(1),
    help="For sparse: how many units of a code are active, at most: the largest. Default: 8.",
)
@click.option("--epochs", type=click.IntRange(1), default=200, show_default=True)
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--optimizer", metavar="NAME", default="adam", show_default=True)
@click.option("--learning-rate", type=Number(0, min_open=True))
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Hold out a tenth of the samples, and stop after so many epochs without progress on them.",
)
@click.option("--seed", type=Seed(), default="0", show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Default: all.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and no result but with --json.")
@reading_options
@json_option
def train(**options: Any) -> None:
    """Train an autoencoder on the samples of INPUT.

    Ctrl-C ends training, and writes the model as far as it is trained; beside OUTPUT, as
    name.interrupted.safetensors, where there is a file already.

    The commands scale the features of later samples as those of INPUT. In Python, pyae.load warns
    of a scale, since the model must be given scaled features there: (X - offset) / scale, with both
    in its input_description_["scaling"].
    """
    from pyae.cli.training import run

    run(options)


def _use(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what the commands share that make samples of samples."""
    keep = names_option("--keep", help="Columns to carry along, such as an identifier.")
    output = click.option("-o", "--output", type=FILE, required=True, help="The file to write.")
    model = click.argument("model", type=FILE)
    data = click.argument("data", metavar="INPUT", type=FILE)
    return model(data(output(keep(reading_options(json_option(function))))))


@pyae.command(short_help="Write the codes of samples.")
@_use
def encode(**options: Any) -> None:
    """Write the codes of the samples of INPUT, as MODEL makes them."""
    from pyae.cli import using

    using.transform(options, "encode")


@pyae.command(short_help="Write what codes stand for.")
@_use
def decode(**options: Any) -> None:
    """Write the samples that MODEL makes of the codes in INPUT."""
    from pyae.cli import using

    using.decode(options)


@pyae.command(short_help="Write what comes out for samples.")
@_use
def reconstruct(**options: Any) -> None:
    """Write what comes out when MODEL encodes and decodes the samples of INPUT."""
    from pyae.cli import using

    using.transform(options, "reconstruct")


@pyae.command(short_help="Write samples without their noise.")
@_use
def denoise(**options: Any) -> None:
    """Write the samples of INPUT without their noise; MODEL was trained with --kind denoising."""
    from pyae.cli import using

    using.transform(options, "denoise")


@pyae.command(short_help="Reconstruction errors, and outliers.")
@click.argument("model", type=FILE)
@click.argument("data", metavar="INPUT", type=FILE)
@click.option("-o", "--output", type=FILE, help="Write each sample's error to this file.")
@click.option(
    "--quantile",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Flag samples with an error above this quantile, such as 0.99.",
)
@click.option(
    "--against",
    type=click.Choice(["training", "input"]),
    default="training",
    show_default=True,
    help="Whose errors the quantile is of.",
)
@click.option("--threshold", type=Number(0), help="Flag errors above this instead.")
@names_option("--keep", help="Columns to carry along into the output.")
@reading_options
@json_option
def score(**options: Any) -> None:
    """Say how well MODEL reconstructs the samples of INPUT, and which are outliers.

    An error is squared and summed over the (scaled) features.
    """
    from pyae.cli import using

    using.score(options)


@pyae.command(short_help="Describe a model, or this installation.")
@click.argument("model", type=FILE, required=False)
@json_option
def info(model: Path | None, as_json: bool) -> None:
    """Describe MODEL; without one, how pyae was built and what it uses on this machine."""
    from pyae.cli import using

    if model is not None:
        using.describe(model, as_json)
        return
    if as_json:
        say(library.show_config(as_dict=True), "", as_json)
    else:
        library.show_config()


@pyae.command(short_help="Draw a picture of a model and its data.")
@click.argument(
    "kind",
    metavar="KIND",
    type=click.Choice(
        ["learning", "reconstruction", "latent", "grid", "filters", "activity", "errors"]
    ),
)
@click.argument("model", type=FILE)
@click.argument("data", metavar="[INPUT]", type=FILE, required=False)
@click.option("-o", "--output", type=FILE, required=True, help="The picture: .png, .pdf, .svg, ...")
@click.option("--labels", metavar="NAME", help="A column of INPUT, or a .npy file, to colour by.")
@names_option("--components", help="Which two code units to show, from 0, such as 0,3.")
@click.option("--quantile", type=Number(0, 1, min_open=True, max_open=True))
@click.option("--images", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--cmap", default="gray", show_default=True, help="Of images with one channel.")
@reading_options
@json_option
def plot(**options: Any) -> None:
    """Draw a picture of MODEL and the samples of INPUT.

    \b
    learning        losses against epochs (no INPUT)
    filters         the first layer's weights as images (no INPUT)
    reconstruction  images and their reconstructions
    latent          codes as points in the plane
    grid            decoded images across the plane of codes
    activity        how often code units are active, dead units
    errors          the distribution of reconstruction errors
    """  # noqa: D301  click wants the character, not a backslash
    from pyae.cli import drawing

    drawing.run(options)


@pyae.command(short_help="Write a model as ONNX.")
@click.argument("model", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The file to write, .onnx.")
@json_option
def export(**options: Any) -> None:
    """Write MODEL as an ONNX file, which other programs can run."""
    from pyae.cli import using

    using.export(options)


@pyae.command(short_help="See it work on handwritten digits.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="pyae-demo.png",
    show_default=True,
    help="The picture to write.",
)
@click.option("--seed", type=Seed(), default="0", show_default=True, help="Of weights and noise.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@json_option
def demo(output: str, seed: int, quiet: bool, as_json: bool) -> None:
    """Train a denoising autoencoder on real handwritten digits, and compare it with PCA.

    It is measured on digits it has never seen, and a picture shows what both restore.
    """
    from pyae import demo as demonstration

    stream = sys.stderr if as_json else None
    with no_warnings(quiet):
        result = demonstration.run(output, seed, verbose=0 if quiet else 1, stream=stream)
    if as_json:
        say(dict(result), "", as_json)
