"""Parameters that other libraries have under another name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

_Estimator = TypeVar("_Estimator")
_Arguments = ParamSpec("_Arguments")

TRAINING = {  # of scikit-learn's perceptrons, Keras and PyTorch
    "alpha": "use kernel_regularizer, such as pyae.regularizers.L2(...)",
    "epochs": "use max_epochs",
    "learning_rate_init": "use learning_rate",
    "lr": "use learning_rate",
    "max_iter": "use max_epochs",
    "n_jobs": "use n_threads",
    "patience": "use n_iter_no_change",
    "seed": "use random_state",
    "solver": "use optimizer",
}
LOGISTIC = {  # of scikit-learn's logistic regression
    "dual": "leave it out, the optimum is the same",
    "intercept_scaling": "leave it out, intercepts are not penalised",
    "multi_class": "leave it out, more than two classes are multinomial",
    "n_jobs": "use n_threads",
}


def naming(
    ours: Mapping[str, str],
) -> Callable[
    [Callable[Concatenate[_Estimator, _Arguments], None]],
    Callable[Concatenate[_Estimator, _Arguments], None],
]:
    """Make a constructor refuse other libraries' parameters with an error that names ours.

    Its signature, which scikit-learn reads the parameters from, stays as it is.
    """

    def decorate(
        init: Callable[Concatenate[_Estimator, _Arguments], None],
    ) -> Callable[Concatenate[_Estimator, _Arguments], None]:
        @functools.wraps(init)
        def method(
            self: _Estimator, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
        ) -> None:
            for name in kwargs:
                if name in ours:
                    kind = type(self).__name__
                    raise TypeError(f"{kind} has no parameter {name!r}: {ours[name]}")
            init(self, *args, **kwargs)

        return method

    return decorate
