"""The fit with PyTorch, eager."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return,no-untyped-call"
import sys

import numpy as np
import torch

torch.manual_seed(0)
X = torch.from_numpy(np.load(sys.argv[1]))
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 64))
optimizer = torch.optim.Adam(model.parameters(), fused=True)
mean = 0.0
for _ in range(10):
    total = torch.zeros(())
    for rows in torch.randperm(len(X)).split(32):
        x = X[rows]
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(x)
    mean = float(total) / len(X)
print(mean)
