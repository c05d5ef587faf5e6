"""What the README shows works: its Python blocks run, its commands are those that CI uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import report

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_has_examples() -> None:
    assert len(BLOCKS) >= 6


def test_blocks_run_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, size=(300, 6, 5), dtype=np.uint8)
    np.save("images.npy", images)
    namespace: dict[str, Any] = {}
    for number, block in enumerate(BLOCKS):
        # As many epochs as show that it runs; how well it learns is other tests' concern.
        code = re.sub(r"epochs=\d+", "epochs=3", block)
        exec(compile(code, f"README.md block {number}", "exec"), namespace)
        model = namespace["model"]
        losses = (model.history.history if hasattr(model, "history") else model.history_)["loss"]
        assert np.isfinite(losses).all()


def test_files_that_it_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (README.parent / link).exists(), link


def test_its_tables_are_those_of_the_stored_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert report.with_tables(text, report.stored()) == text
