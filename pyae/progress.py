"""What a fit shows while it runs: a live bar in a terminal or notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

__all__ = ["Progress"]

_BAR_AFTER: Final = 0.5  # seconds: a shorter fit is over before anyone can read a bar
_BAR_EVERY: Final = 0.1  # seconds between two pictures of the bar
_LINE_EVERY: Final = 2.0  # seconds between two plain lines
_NOT_LOSSES: Final = ("seconds", "learning_rate")  # in the logs, but no measure of the fit


class Progress:
    """Report the progress of one fit.

    With ``verbose=1`` a fit of more than about half a second shows a live bar when it runs in a
    terminal or a Jupyter notebook and rich is installed. Everywhere else it prints plain lines:
    the last epoch's, and before it at most one each 2 seconds and one an epoch.

    Parameters
    ----------
    epochs : int
        How many epochs this fit has at most.
    verbose : {0, 1, 2}
        0: silent; 1: a bar or a few lines; 2: one line an epoch.
    stream : text file, optional
        Where to write; `sys.stdout` by default.
    clock : callable, optional
        Returns the seconds since some fixed moment.
    first_epoch : int, default 0
        The number of the epoch that comes first, where earlier ones were done before.

    Raises
    ------
    ValueError
        `verbose` or `epochs` is none of the above.

    Examples
    --------
    >>> from pyae.progress import Progress
    >>> progress = Progress(epochs=2, verbose=2)
    >>> progress.update(epoch=0, batch=5, n_batches=10, loss=0.75)
    >>> progress.epoch_end(0, {"loss": 0.5, "val_loss": 0.625, "seconds": 1.25})
    epoch 1/2  loss 0.5000  val_loss 0.6250  1.2 s
    >>> progress.epoch_end(1, {"loss": 0.25, "val_loss": 0.5, "seconds": 1.0})
    epoch 2/2  loss 0.2500  val_loss 0.5000  1.0 s
    >>> progress.close()
    """

    def __init__(
        self,
        epochs: int,
        verbose: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        first_epoch: int = 0,
    ) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"verbose={verbose!r}; allowed are 0, 1 and 2")
        if epochs < 0:
            raise ValueError(f"epochs={epochs!r}; allowed are integers >= 0")
        self._epochs = epochs
        self._stream = sys.stdout if stream is None else stream
        # A program without a console (pythonw) has no stdout.
        self._verbose = int(verbose) if self._stream is not None else 0
        self._clock = clock
        self._start = clock()
        self._last = self._start  # when the last line or picture was written
        self._first = first_epoch
        self._done = float(first_epoch)  # epochs, with the fraction of the one that runs
        self._logs: dict[str, float] = {}  # the newest losses, for the bar
        self._line = ""  # of the newest epoch, until it is printed
        self._bar: RichProgress | None = None
        self._may_have_bar = self._verbose == 1
        self._closed = False

    def update(self, epoch: int, batch: int, n_batches: int, loss: float) -> None:
        """Show where inside an epoch the fit is.

        To be called from the main thread, about every 100 ms.

        Parameters
        ----------
        epoch : int
            The epoch that runs, counted from 0 at the start of this fit.
        batch : int
            How many of its batches are done.
        n_batches : int
            How many it has.
        loss : float
            The mean loss of its samples so far.
        """
        if self._verbose == 0 or self._closed:
            return
        self._done = epoch + batch / max(n_batches, 1)
        if not math.isnan(loss):  # a NaN means: none known yet
            self._logs["loss"] = loss
        self._show_bar(self._clock())

    def epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Show an epoch's results.

        Parameters
        ----------
        epoch : int
            The epoch that ended, counted from 0 at the start of this fit.
        logs : mapping of str to float
            Its "loss", and "val_loss" and others when there are any; "seconds" and
            "learning_rate" are shown with ``verbose=2``.
        """
        if self._verbose == 0 or self._closed:
            return
        self._done = epoch + 1
        self._logs = dict(logs)
        now = self._clock()
        if self._show_bar(now):
            return
        self._line = self._epoch_line(epoch, now)
        if self._verbose == 2 or now - self._last >= _LINE_EVERY:
            self._print_line(now)

    def close(self, interrupted: bool = False) -> None:
        """End the report: the last picture or line, and why the fit ended early, when it did.

        A second call does nothing.

        Parameters
        ----------
        interrupted : bool
            Whether Ctrl-C ended the fit.
        """
        if self._verbose == 0 or self._closed:
            return
        self._closed = True
        if self._bar is not None:
            self._draw(self._bar)
            self._bar.stop()
            self._bar = None
        elif self._line:
            self._print_line(self._clock())
        if interrupted or self._done < self._epochs:
            reason = "interrupted" if interrupted else "stopped"
            where = "after" if self._done == int(self._done) else "in"
            epoch = math.ceil(self._done)
            print(f"{reason} {where} epoch {epoch}/{self._epochs}", file=self._stream, flush=True)

    def _epoch_line(self, epoch: int, now: float) -> str:
        """Return the line of an epoch that just ended."""
        width = len(str(self._epochs))
        parts = [f"epoch {epoch + 1:{width}}/{self._epochs}", *_losses(self._logs)]
        if self._verbose == 1:
            parts += [_duration(now - self._start), *self._time_left(now)]
        else:
            if "learning_rate" in self._logs:
                parts.append(f"learning_rate {self._logs['learning_rate']:.4g}")
            if "seconds" in self._logs:
                parts.append(f"{self._logs['seconds']:.1f} s")
        return "  ".join(parts)

    def _print_line(self, now: float) -> None:
        """Print the newest epoch's line."""
        print(self._line, file=self._stream, flush=True)
        self._line = ""
        self._last = now

    def _time_left(self, now: float) -> list[str]:
        """Return how long the epochs that remain will take, or nothing before that is known."""
        if not self._first < self._done < self._epochs:
            return []
        here = self._done - self._first  # what has been done since the start
        left = (now - self._start) * (self._epochs - self._done) / here
        return [f"{_duration(left)} left"]

    def _show_bar(self, now: float) -> bool:
        """Show the bar where there is one, and return whether there will be one."""
        if self._bar is None and self._may_have_bar and now - self._start >= _BAR_AFTER:
            self._bar = _make_bar(self._stream, self._epochs)
            self._may_have_bar = self._bar is not None
            if self._bar is not None:
                self._draw(self._bar)
                self._bar.start()
                self._last = now
        elif self._bar is not None and now - self._last >= _BAR_EVERY:
            self._draw(self._bar)
            self._last = now
        return self._bar is not None

    def _draw(self, bar: RichProgress) -> None:
        """Draw the bar as the fit is now."""
        now = self._clock()
        epoch = min(int(self._done) + 1, self._epochs)
        bar.update(
            bar.task_ids[0],
            completed=self._done,
            epoch=f"{epoch}/{self._epochs}",
            losses="  ".join(_losses(self._logs)),
            times="  ".join([_duration(now - self._start), *self._time_left(now)]),
        )
        bar.refresh()


def _losses(logs: Mapping[str, float]) -> list[str]:
    """Return the logs' losses and metrics as text, each with four significant digits."""
    return [
        f"{name} {value:#.4g}".rstrip(".")
        for name, value in logs.items()
        if name not in _NOT_LOSSES
    ]


def _duration(seconds: float) -> str:
    """Return ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _make_bar(stream: TextIO, epochs: int) -> RichProgress | None:
    """Return a live bar that is not started yet, or None where plain lines are better."""
    # `isatty` is asked before rich is imported, so that a log file's fit does not pay for it.
    in_notebook = "ipykernel" in sys.modules and stream is sys.stdout
    if not in_notebook and not stream.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        if in_notebook:
            import ipywidgets  # type: ignore[import-not-found, import-untyped, unused-ignore] # noqa: F401
    except ImportError:
        return None
    console = Console(file=None if in_notebook else stream)
    if not in_notebook and (not console.is_terminal or console.is_dumb_terminal):
        return None

    def text(field: str) -> TextColumn:
        return TextColumn(f"{{task.fields[{field}]}}", table_column=Column(no_wrap=True))

    bar = RichProgress(
        TextColumn("epoch {task.fields[epoch]}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
        TaskProgressColumn(),
        text("losses"),
        text("times"),
        console=console,
        auto_refresh=False,  # the fit calls: no second thread, and no picture of an old state
        expand=True,
    )
    bar.add_task("", total=epochs)
    return bar
