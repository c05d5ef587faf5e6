"""An ONNX graph in the making: layers, activations, and what these are composed of.

The operators are those of set 13 of the standard's main domain, which runtimes have known since
2020. Activations without an operator there, or with one that common runtimes have for float32
alone, are composed of simpler ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pyae import __version__
from pyae._backend import core
from pyae.layers import Dense

_OPSET = 13
_IR_VERSION = 7  # of the same time


class Graph:
    """An ONNX graph in the making: each method adds nodes and returns the name of their result.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the input and all that is computed.
    n_features : int or None
        Of the input ``X``.
    """

    def __init__(self, dtype: np.dtype[Any], n_features: int | None) -> None:
        from onnx import helper

        self._helper = helper
        self.dtype = dtype
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._tensors: list[Any] = []
        self._outputs: list[Any] = []
        self._n_names = 0
        self._input = helper.make_tensor_value_info(
            "X", self.type_of(dtype), ["n_samples", n_features]
        )

    def type_of(self, dtype: npt.DTypeLike) -> int:
        """Return the standard's number of a dtype."""
        return int(self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def constant(self, value: Any, dtype: npt.DTypeLike | None = None, name: str = "") -> str:
        """Return the name of a constant; equal ones are one."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype=dtype or self.dtype, order="C")
        key = (str(array.dtype), array.shape, array.tobytes())  # of texts, their addresses
        if name or key not in self._constants:
            self._constants[key] = name or f"constant_{len(self._tensors)}"
            self._tensors.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one result."""
        self._n_names += 1
        result = output or f"{operator.lower()}_{self._n_names}"
        self._nodes.append(self._helper.make_node(operator, inputs, [result], **attributes))
        return result

    def top_k(self, x: str, k: int) -> str:
        """Return x with all but the k largest of a row 0; of equal ones the first stay."""
        values, indices = f"top_values_{self._n_names}", f"top_indices_{self._n_names}"
        self._nodes.append(
            self._helper.make_node(
                "TopK", [x, self.constant([k], np.int64)], [values, indices], axis=-1
            )
        )
        zero = self._helper.make_tensor("zero", self.type_of(self.dtype), [1], [0.0])
        zeros = self.add("ConstantOfShape", self.add("Shape", x), value=zero)
        return self.add("ScatterElements", zeros, indices, values, axis=-1)

    def output(
        self, value: str, name: str, columns: int | None, dtype: npt.DTypeLike | None = None
    ) -> None:
        """Make a value an output of the graph, of so many columns; None: of one dimension."""
        self.add("Identity", value, output=name)
        shape: list[str | int | None] = ["n_samples"]
        if columns is not None:
            shape.append(columns)
        number = self.type_of(self.dtype if dtype is None else dtype)
        self._outputs.append(self._helper.make_tensor_value_info(name, number, shape))

    def network(
        self, layers: tuple[Dense, ...], specs: list[dict[str, Any]], weights: list[Any]
    ) -> list[tuple[str, str]]:
        """Add a network's layers, and return the names of z and y of each."""
        given = iter(weights)
        kernels: list[str] = []
        values: list[tuple[str, str]] = []
        x = "X"
        for index, (layer, spec) in enumerate(zip(layers, specs, strict=True)):
            tied_to = spec["tied_to"]
            if tied_to is None:
                kernels.append(self.constant(next(given), name=f"layers.{index}.kernel"))
            else:
                kernels.append(kernels[tied_to])
            inputs = [x, kernels[index]]
            if layer.use_bias:
                inputs.append(self.constant(next(given), name=f"layers.{index}.bias"))
            z = self.add("Gemm", *inputs, transB=int(tied_to is not None))
            x = self.activation(layer, z)
            values.append((z, x))
        return values

    def activation(self, layer: Dense, x: str) -> str:
        """Add a layer's activation."""
        name = layer.activation.name
        params = {**_defaults(name), **layer.activation.params}
        if name == "top_k":
            positive, k = self.add("Relu", x), int(params["k"])
            return positive if k >= layer.units else self.top_k(positive, k)
        return _ACTIVATIONS[name](self, x, **params)

    def to_model(self, name: str, descriptions: dict[str, str]) -> Any:
        """Return the finished model."""
        helper = self._helper
        graph = helper.make_graph(
            self._nodes, name, [self._input], self._outputs, initializer=self._tensors
        )
        model = helper.make_model(
            graph,
            producer_name="pyae",
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        helper.set_model_props(model, descriptions)
        return model

    # ---- what activations are made of ------------------------------------------------------------

    def positive(self, x: str, then: str, otherwise: str) -> str:
        """Return ``then if x > 0 else otherwise``."""
        return self.add("Where", self.add("Greater", x, self.constant(0)), then, otherwise)

    def times(self, x: str, factor: float) -> str:
        """Return ``factor * x``."""
        return self.add("Mul", x, self.constant(factor))

    def plus(self, x: str, term: float) -> str:
        """Return ``x + term``."""
        return self.add("Add", x, self.constant(term))

    def clip(self, x: str, low: float, high: float) -> str:
        """Return x, at least `low` and at most `high`."""
        return self.add("Clip", x, self.constant(low), self.constant(high))

    def log1p(self, x: str) -> str:
        """Return ``log(1 + x)`` for x >= 0, also where 1 + x loses x's digits (Kahan)."""
        u = self.plus(x, 1)
        lost = self.plus(u, -1)
        accurate = self.add("Div", self.add("Mul", self.add("Log", u), x), lost)
        return self.add("Where", self.add("Equal", lost, self.constant(0)), x, accurate)

    def expm1(self, x: str) -> str:
        """Return ``e^x - 1`` for the negative part of x, accurate near 0 (Kahan)."""
        x = self.clip(x, -50, 0)  # where the result is -1, and the logarithm still x
        u = self.add("Exp", x)
        lost = self.plus(u, -1)
        accurate = self.add("Div", self.add("Mul", lost, x), self.add("Log", u))
        return self.add("Where", self.add("Equal", lost, self.constant(0)), x, accurate)


def _defaults(name: str) -> dict[str, Any]:
    """Return an activation's parameters as they are by default."""
    fields = core.tables()["activations"][name]["fields"]
    return {field: default for field, (default, _, _) in fields.items()}


# ---- activations ---------------------------------------------------------------------------------

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


def _softplus(graph: Graph, x: str) -> str:
    small = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    return graph.add("Add", graph.add("Relu", x), graph.log1p(small))


def _elu(graph: Graph, x: str, alpha: float) -> str:
    return graph.positive(x, x, graph.times(graph.expm1(x), alpha))


def _leaky_relu(graph: Graph, x: str, negative_slope: float) -> str:
    return graph.positive(x, x, graph.times(x, negative_slope))


def _gelu(graph: Graph, x: str, approximate: float) -> str:
    if approximate:  # x/2 (1 + tanh u) = x sigmoid(2u), which is 0 or 1 beyond 30
        w = graph.clip(x, -30, 30)
        cubic = graph.times(graph.add("Mul", w, graph.add("Mul", w, w)), 0.044715)
        twice = graph.times(graph.add("Add", w, cubic), 2 * np.sqrt(2 / np.pi))
        return graph.add("Mul", x, graph.add("Sigmoid", twice))
    scaled = graph.times(x, np.sqrt(0.5))
    if graph.dtype == np.float64:
        single = graph.add("Cast", scaled, to=graph.type_of(np.float32))
        erf = graph.add("Cast", graph.add("Erf", single), to=graph.type_of(np.float64))
    else:
        erf = graph.add("Erf", scaled)
    return graph.add("Mul", x, graph.times(graph.plus(erf, 1), 0.5))


def _silu(graph: Graph, x: str) -> str:
    if graph.dtype == np.float64:
        # Of x sigmoid(x), onnxruntime 1.23 makes an operator that it has for float32 alone.
        e = graph.add("Exp", graph.add("Neg", x))
        return graph.add("Div", x, graph.plus(e, 1))
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _mish(graph: Graph, x: str) -> str:
    e = graph.add("Exp", graph.add("Min", x, graph.constant(20)))
    n = graph.add("Mul", e, graph.plus(e, 2))  # tanh(log(1+e)) = n/(n+2)
    return graph.add("Mul", x, graph.add("Div", n, graph.plus(n, 2)))


_ACTIVATIONS: dict[str, Callable[..., str]] = {
    "linear": lambda graph, x: x,
    "relu": lambda graph, x: graph.add("Relu", x),
    "sigmoid": lambda graph, x: graph.add("Sigmoid", x),
    "softmax": lambda graph, x: graph.add("Softmax", x, axis=-1),
    "softplus": _softplus,
    "softsign": lambda graph, x: graph.add("Div", x, graph.plus(graph.add("Abs", x), 1)),
    "tanh": lambda graph, x: graph.add("Tanh", x),
    "selu": lambda graph, x: graph.times(_elu(graph, x, _SELU_ALPHA), _SELU_SCALE),
    "elu": _elu,
    "exponential": lambda graph, x: graph.add("Exp", x),
    "leaky_relu": _leaky_relu,
    "relu6": lambda graph, x: graph.clip(x, 0, 6),
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "log_softmax": lambda graph, x: graph.add("LogSoftmax", x, axis=-1),
    "hard_sigmoid": lambda graph, x: graph.clip(graph.plus(graph.times(x, 1 / 6), 0.5), 0, 1),
}
