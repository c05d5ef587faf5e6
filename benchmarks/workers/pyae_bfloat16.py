"""pyae with the factors of its products rounded to bfloat16."""

from __future__ import annotations

from benchmarks.workers.pyae_fit import PyaeTrainer
from benchmarks.workers.serve import serve


class PyaeBfloat16Trainer(PyaeTrainer):
    note = 'Sequential(precision="mixed_bfloat16").fit(X, X, epochs=1), whole call'
    precision = "mixed_bfloat16"


if __name__ == "__main__":
    serve(PyaeBfloat16Trainer)
