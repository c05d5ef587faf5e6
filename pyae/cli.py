"""The command ``pyae``.

An error is one line on the standard error; the exit code is 0 when all went well, 1 when it did
not, 2 for a command line that makes no sense, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import pyae

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``pyae``.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the command's name; those of this process by default.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> from pyae.cli import main
    >>> main(["demo", "--help"])  # doctest: +ELLIPSIS
    usage: pyae demo [-h] [-o FILE] [--seed N] [-q]
    ...
    0
    """
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:  # after --help and --version too
        return end.code if isinstance(end.code, int) else 0
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        if arguments.command == "demo":
            from pyae import demo

            demo.run(arguments.output, arguments.seed, verbose=0 if arguments.quiet else 1)
        else:
            pyae.show_config()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader left (`pyae config | head -1`); the interpreter's last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ImportError, OSError, ValueError) as error:
        return _fail(str(error), 1)
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error}", 1)
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(_fail(f"{message} (see '{self.prog} --help')", 2))


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(prog="pyae", description="Neural networks and autoencoders on the CPU.")
    parser.add_argument("--version", action="version", version=f"pyae {pyae.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    demo = commands.add_parser(
        "demo",
        help="train a denoising autoencoder on real digits, and compare it with PCA",
        description="Train a denoising autoencoder on real handwritten digits, compare it with "
        "PCA on digits it has never seen, and draw what both restore.",
    )
    demo.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="pyae-demo.png",
        help="the picture to write (default: %(default)s)",
    )
    demo.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        default=0,
        help="of weights and noise (default: %(default)s)",
    )
    demo.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")

    commands.add_parser("config", help="say how pyae was built and what it uses on this machine")
    return parser


def _seed(text: str) -> int:
    """Read a seed: an unsigned integer of 64 bits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed are integers from 0 to 2**64 - 1")
    return int(text)


def _fail(message: str, code: int) -> int:
    """Print an error as one line, and return the exit code."""
    print(f"pyae: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
