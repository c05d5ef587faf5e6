"""What a fit shows, told by a fake clock to a fake terminal."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest

from pyae.progress import Progress


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def fit(
    progress: Progress,
    clock: Clock,
    epochs: int,
    seconds: float,
    *,
    n_batches: int = 4,
    stop_at: float = float("inf"),
) -> None:
    """Go through a fit of so many seconds an epoch; leave it after `stop_at` epochs."""
    for epoch in range(epochs):
        for batch in range(1, n_batches + 1):
            clock.now += seconds / n_batches
            if epoch + batch / n_batches > stop_at:
                return
            progress.update(epoch, batch, n_batches, 1 / (epoch + 1))
        logs = {"loss": 1 / (epoch + 1), "val_loss": 2 / (epoch + 1)}
        progress.epoch_end(epoch, {**logs, "learning_rate": 0.001, "seconds": seconds})


def lines_of(epochs: int, seconds: float, verbose: int, stop_at: float = float("inf")) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(epochs, verbose, stream, clock)
    fit(progress, clock, epochs, seconds, stop_at=stop_at)
    progress.close()
    return stream.getvalue().splitlines()


def pictures(stream: io.StringIO) -> list[str]:
    """Return the pictures of a live bar, without the control sequences."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    return [picture for picture in re.split(r"[\r\n]+", text) if picture]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_silent() -> None:
    assert lines_of(epochs=3, seconds=10, verbose=0) == []
    assert lines_of(epochs=3, seconds=10, verbose=0, stop_at=1.5) == []


def test_one_line_an_epoch() -> None:
    assert lines_of(epochs=10, seconds=0.25, verbose=2)[8:] == [
        "epoch  9/10  loss 0.1111  val_loss 0.2222  learning_rate 0.001  0.2 s",
        "epoch 10/10  loss 0.1000  val_loss 0.2000  learning_rate 0.001  0.2 s",
    ]
    assert len(lines_of(epochs=10, seconds=0.25, verbose=2)) == 10


@pytest.mark.parametrize(
    ("epochs", "seconds", "shown"),
    [
        (5, 0.01, [5]),  # a short fit: its last epoch
        (10, 0.5, [4, 8, 10]),  # one line each 2 seconds, and the last epoch
        (8, 0.5, [4, 8]),  # the last epoch once
        (3, 30.0, [1, 2, 3]),  # never more than one line an epoch
        (0, 1.0, []),
    ],
)
def test_plain_lines(epochs: int, seconds: float, shown: list[int]) -> None:
    lines = lines_of(epochs, seconds, verbose=1)
    assert [int(line.split()[1].split("/")[0]) for line in lines] == shown


def test_plain_lines_tell_losses_and_times() -> None:
    lines = lines_of(epochs=4, seconds=1800, verbose=1)
    assert lines[0] == "epoch 1/4  loss 1.000  val_loss 2.000  30:00  1:30:00 left"
    assert lines[3] == "epoch 4/4  loss 0.2500  val_loss 0.5000  2:00:00"


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize(
    ("stop_at", "last"), [(2, "after epoch 2/9"), (2.25, "in epoch 3/9"), (0, "after epoch 0/9")]
)
@pytest.mark.parametrize("interrupted", [True, False])
def test_an_early_end_says_so(verbose: int, stop_at: float, last: str, interrupted: bool) -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(9, verbose, stream, clock)
    fit(progress, clock, 9, 0.5, stop_at=stop_at)
    progress.close(interrupted)
    progress.close(interrupted)
    progress.update(0, 1, 2, 0.0)
    progress.epoch_end(0, {"loss": 0.0})
    lines = stream.getvalue().splitlines()
    assert lines[-1] == f"{'interrupted' if interrupted else 'stopped'} {last}"
    if stop_at >= 2:  # the newest results are not lost
        assert lines[-2].startswith("epoch 2/9  loss 0.5000  val_loss 1.000")
    else:
        assert len(lines) == 1


def test_bar_of_a_long_fit(terminal: Terminal) -> None:
    pytest.importorskip("rich")
    clock = Clock()
    progress = Progress(20, 1, terminal, clock)
    fit(progress, clock, 20, 1.0)
    progress.close()
    shown = pictures(terminal)
    assert shown[0].startswith("epoch 1/20")
    assert re.search(r" 2% loss 1\.000 0:00  0:20 left$", shown[0])
    assert re.match(r"epoch 20/20 .*100% loss 0\.05000  val_loss 0\.1000 0:20$", shown[-1])
    assert all(len(picture) == 100 for picture in shown)
    assert terminal.getvalue().count("\n") == 1  # one line, drawn over and over


def test_bar_only_for_long_fits(terminal: Terminal) -> None:
    clock = Clock()
    progress = Progress(20, 1, terminal, clock)
    fit(progress, clock, 20, 0.02)
    progress.close()
    assert terminal.getvalue() == "epoch 20/20  loss 0.05000  val_loss 0.1000  0:00\n"


def test_bar_is_drawn_at_most_ten_times_a_second(terminal: Terminal) -> None:
    pytest.importorskip("rich")
    clock = Clock()
    progress = Progress(100, 1, terminal, clock)
    fit(progress, clock, 100, 0.02)  # 2 s, with an update each 5 ms
    progress.close()
    assert 10 <= len(pictures(terminal)) <= 18


def test_bar_interrupted(terminal: Terminal) -> None:
    pytest.importorskip("rich")
    clock = Clock()
    progress = Progress(20, 1, terminal, clock)
    fit(progress, clock, 20, 1.0, stop_at=2.5)
    progress.close(interrupted=True)
    assert pictures(terminal)[-1] == "interrupted in epoch 3/20"
    assert pictures(terminal)[-2].startswith("epoch 3/20")
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


def test_plain_lines_in_a_terminal_without_rich(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    clock = Clock()
    progress = Progress(4, 1, terminal, clock)
    fit(progress, clock, 4, 1.0)
    progress.close()
    assert [line[:9] for line in terminal.getvalue().splitlines()] == ["epoch 2/4", "epoch 4/4"]


def test_plain_lines_in_a_dumb_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    clock = Clock()
    progress = Progress(4, 1, terminal, clock)
    fit(progress, clock, 4, 1.0)
    progress.close()
    assert [line[:9] for line in terminal.getvalue().splitlines()] == ["epoch 2/4", "epoch 4/4"]


def test_rich_is_imported_only_when_it_is_used() -> None:
    code = (
        "import sys, io; from pyae.progress import Progress\n"
        "class Terminal(io.StringIO):\n    isatty = lambda self: True\n"
        "now = [0.0]\n"
        "def fit(stream, step):\n"
        "    p = Progress(5, 1, stream, clock=lambda: now[0])\n"
        "    for e in range(5):\n"
        "        now[0] += step; p.update(e, 1, 1, 0.0); p.epoch_end(e, {'loss': 0.0})\n"
        "    p.close()\n"
        "fit(io.StringIO(), 10.0); fit(Terminal(), 0.01)\n"
        "assert 'rich' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_default_stream_is_todays_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1, 2)
    progress.epoch_end(0, {"loss": 1234.0})
    progress.close()
    assert capsys.readouterr().out == "epoch 1/1  loss 1234\n"


def test_without_a_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    progress = Progress(1, 1)
    progress.epoch_end(0, {"loss": 1.0})
    progress.close()


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="verbose=3; allowed are 0, 1 and 2"):
        Progress(1, 3)
    with pytest.raises(ValueError, match="epochs=-1"):
        Progress(-1, 0)
