"""PyTorch as its tutorials write mixed precision: autocast to bfloat16 around the loss."""

from __future__ import annotations

from benchmarks.workers.serve import serve
from benchmarks.workers.torch_eager import TorchTrainer


class TorchBfloat16Trainer(TorchTrainer):
    note = "eager, autocast to bfloat16; Adam(fused=True); BCE from logits"
    mixed = True


if __name__ == "__main__":
    serve(TorchBfloat16Trainer)
