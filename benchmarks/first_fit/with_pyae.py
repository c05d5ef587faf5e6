"""The fit with pyae."""

import sys

import numpy as np

import pyae

X = np.load(sys.argv[1])
model = pyae.Sequential([pyae.Dense(32, "relu"), pyae.Dense(64)], random_state=0)
history = model.fit(X, X, epochs=10, batch_size=32)
print(history.history["loss"][-1])
