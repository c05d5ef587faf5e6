"""Logistic regression is a network of one layer.

Multinomial logistic regression says ``P(class = j | x) = softmax(x W + b)_j``: a dense layer with
softmax. Its loss, the mean of ``-log P(true class)`` plus ``l2 * sum(W^2)``, is convex, so every
method that goes downhill to the end finds the same minimum. Its gradient is as simple as that of
least squares, since the derivative of the loss by the layer's sum is ``softmax - one-hot``:

    ``dL/dW = X^T (P - T) / n + 2 l2 W``

The script trains such a layer on digits, compares it with scikit-learn's LogisticRegression (for
which the same objective is ``C = 1 / (2 l2 n)``), checks the gradient, and shows each class's
weights as an image: where ink speaks for the class (red) and against it (blue).

Run ``python logistic_regression.py [picture.png]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import pyae
from pyae.plotting import FiltersDisplay

L2 = 1e-4


def main(output: str = "logistic_regression.png") -> dict[str, Any]:
    """Print the comparison, write a picture and return the numbers."""
    X, digits = pyae.datasets.load_digits()
    is_test = np.arange(len(X)) % 5 == 4
    X_train, y_train = X[~is_test].astype(np.float64), digits[~is_test]
    X_test, y_test = X[is_test].astype(np.float64), digits[is_test]

    model = pyae.Sequential(
        [pyae.Dense(10, "softmax", kernel_regularizer=pyae.regularizers.L2(L2))],
        loss="sparse_categorical_crossentropy",
        optimizer=pyae.optimizers.LBFGS(),
        dtype="float64",
        random_state=0,
    )
    model.fit(X_train, y_train, epochs=1000, batch_size=len(X_train))

    sklearn = LogisticRegression(C=1 / (2 * L2 * len(X_train)), tol=1e-10, max_iter=10_000)
    sklearn.fit(X_train, y_train)
    # The same objective for both: set scikit-learn's weights into a network like ours.
    theirs = pyae.Sequential(model.layers, loss=model.loss, dtype="float64").build(X.shape[1])
    theirs.set_weights([sklearn.coef_.T, sklearn.intercept_])

    objectives = {
        "pyae": model.evaluate(X_train, y_train, batch_size=len(X_train)),
        "scikit-learn": theirs.evaluate(X_train, y_train, batch_size=len(X_train)),
    }
    predicted = model.predict(X_test).argmax(axis=1)
    accuracy = float((predicted == y_test).mean())
    same = float((predicted == sklearn.predict(X_test)).mean())

    W, _ = model.get_weights()
    P, T = model.predict(X_train), np.eye(10)[y_train]
    by_formula = X_train.T @ (P - T) / len(X_train) + 2 * L2 * W
    _, gradients = model.loss_and_gradients(X_train, y_train)
    gradient_error = float(np.abs(by_formula - gradients[0]).max())

    for name, objective in objectives.items():
        print(f"objective by {name:<13} {objective:.10f}")
    print(f"accuracy on test digits     {accuracy:.4f}")
    print(f"predictions the same        {same:.4f}")
    print(f"gradient against formula    {gradient_error:.1e}")

    display = FiltersDisplay.from_weights(W.T, n_columns=5)
    display.ax_.set_title("What speaks for each digit, 0 to 9")
    display.save(output)
    print(f"picture: {output}")
    return {
        "objectives": objectives,
        "accuracy": accuracy,
        "same": same,
        "gradient_error": gradient_error,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
