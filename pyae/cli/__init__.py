"""The command ``pyae``.

An error is one line on the standard error; the exit code is 0 when all went well, 1 when it did
not, 2 for a command line that makes no sense, and 130 after Ctrl-C (after which ``pyae train`` has
written what was trained, if there is any). With ``--json`` the standard
output is one JSON object, and everything else goes to the standard error.

The command line is click's: one small package without requirements of its own, which parses,
documents and completes (``pyae --help`` says how to turn completion on).
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

import click

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
    Usage: pyae demo [OPTIONS]
    ...
    0
    """
    from pyae.cli.commands import pyae as group

    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = group.main(
                None if argv is None else list(argv), prog_name="pyae", standalone_mode=False
            )
        sys.stdout.flush()
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "pyae"
        message = error.format_message().rstrip(".")
        if "unexpected extra argument" in message:
            message += "; several values of an option are written with commas: 128,64"
        return _fail(f"{message} (see '{where} --help')", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 1)
    except (KeyboardInterrupt, click.Abort) as error:
        return _fail(str(error) or "interrupted", 130)
    except BrokenPipeError:
        # The reader left (`pyae info | head -1`); the interpreter's last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(_os_message(error), 1)
    except (ImportError, ValueError) as error:
        return _fail(str(error), 1)
    except MemoryError as error:
        return _fail(str(error) or "there is not enough memory", 1)
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error}", 1)
    return code if isinstance(code, int) else 0


def _os_message(error: OSError) -> str:
    """Return what the operating system says, about which file, without its number."""
    if error.strerror is None or error.filename is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def _show_warning(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning as one line, without the place in the code that it comes from."""
    from pyae.cli.options import note

    note(f"warning: {message}")


def _fail(message: str, code: int) -> int:
    """Print an error as one line, and return the exit code."""
    print(f"pyae: {' '.join(message.split())}", file=sys.stderr)
    return code
