"""The fit with Keras on its JAX backend."""

# mypy: disable-error-code="import-not-found,import-untyped,misc,no-any-return"
import os
import sys

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
import keras

keras.utils.set_random_seed(0)
X = np.load(sys.argv[1])
model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(64)])
model.compile("adam", "mean_squared_error")
print(model.fit(X, X, epochs=10, batch_size=32, verbose=0).history["loss"][-1])
