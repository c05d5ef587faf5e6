"""Python values as JSON and arrays, and back: what files hold in place of pickles.

JSON has no tuples, arrays or settings; these become one-entry objects ``{"$tag": ...}``, and come
back as what they were. What is not in the table below is refused when it is written, and nothing
else can come back: reading a file calls no function that the file names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyae import activations, initializers, losses, noise, optimizers, regularizers, schedules
from pyae._spec import Spec

Tensors = dict[str, npt.NDArray[Any]]

_RESOLVERS: dict[str, Callable[[Any], Any]] = {
    "activation": activations.resolve,
    "initializer": initializers.resolve_initializer,
    "loss": losses.resolve,
    "noise": noise.resolve_noise,
    "optimizer": optimizers.resolve_optimizer,
    "penalty": lambda spec: regularizers.resolve_activity(spec, "regularizer"),
    "schedule": schedules.resolve_rate,
}
_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def encode(value: Any, name: str, tensors: Tensors) -> Any:
    """Return a value as JSON-able data; numeric arrays go to `tensors`, by names from `name`.

    Raises
    ------
    TypeError
        The value holds something that a file cannot.
    """
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$number": str(value)}
    if isinstance(value, np.str_ | np.bool_ | np.integer | np.floating):
        return encode(value.item(), name, tensors)
    if isinstance(value, np.ndarray):
        return _encode_array(value, name, tensors)
    if isinstance(value, list) and value and all(type(item) is float for item in value):
        return {"$floats": _store(np.asarray(value), name, tensors)}
    if isinstance(value, list | tuple):
        items = [encode(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): encode(v, f"{name}.{key}", tensors) for key, v in value.items()}
        pairs = [list(pair) for pair in value.items()]
        return {"$dict": encode(pairs, name, tensors)}
    if isinstance(value, Spec):
        return {"$setting": [value.kind, value.to_spec()]}
    if isinstance(value, activations.Activation):
        return {"$setting": ["activation", value.to_spec()]}
    if callable(value) and getattr(activations, getattr(value, "__name__", ""), None) is value:
        return {"$activation": activations.resolve(value).name}
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return {"$dtype": np.dtype(value).str}
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return _encode_generator(value, name, tensors)
    raise TypeError(
        f"{name} cannot be saved: a file holds no {type(value).__name__}, got {value!r}"
    )


def decode(value: Any, tensors: Tensors) -> Any:
    """Return what `encode` was given; arrays that are used are taken out of `tensors`.

    Raises
    ------
    ValueError, TypeError
        The data are not what `encode` makes.
    """
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    tags = [key for key in value if key.startswith("$")]
    if not tags:
        return {key: decode(item, tensors) for key, item in value.items()}
    (tag,) = tags
    if len(value) != 1 or tag not in _DECODERS:
        raise ValueError(f"unknown kind of value {tag!r}")
    return _DECODERS[tag](value[tag], tensors)


def _store(array: npt.NDArray[Any], name: str, tensors: Tensors) -> str:
    while name in tensors:  # {"a.b": x, "a": {"b": y}}
        name += "+"
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    tensors[name] = np.ascontiguousarray(native).reshape(array.shape)
    return name


def _encode_array(array: npt.NDArray[Any], name: str, tensors: Tensors) -> Any:
    kind = array.dtype.kind
    if kind in "biu" or (kind == "f" and array.dtype.itemsize <= 8):
        return {"$array": _store(array, name, tensors)}
    if kind in "UOT":  # text, and objects that are plain themselves
        values = array.ravel().tolist()
        items = [encode(value, f"{name}.{i}", tensors) for i, value in enumerate(values)]
        # A text of any length (T) is an object in NumPy 1.
        dtype = "|O" if kind == "T" else array.dtype.newbyteorder("=").str
        return {"$objects": {"dtype": dtype, "shape": list(array.shape), "items": items}}
    raise TypeError(f"{name} cannot be saved: a file holds no arrays of dtype {array.dtype}")


def _encode_generator(value: Any, name: str, tensors: Tensors) -> Any:
    if isinstance(value, np.random.Generator):
        state, kind = value.bit_generator.state, "Generator"
    else:
        state, kind = value.get_state(legacy=False), "RandomState"
    if state["bit_generator"] not in _GENERATORS:
        raise TypeError(
            f"{name} cannot be saved: its bit generator must be one of {', '.join(_GENERATORS)}, "
            f"got {state['bit_generator']}"
        )
    return {"$generator": [kind, encode(dict(state), name, tensors)]}


def _decode_floats(value: Any, tensors: Tensors) -> list[float]:
    array = _take(value, tensors)
    if array.dtype != np.float64 or array.ndim != 1:
        raise ValueError(f"{value!r} must be a list of float64, got {array.dtype} {array.shape}")
    items: list[float] = array.tolist()
    return items


def _take(name: Any, tensors: Tensors) -> npt.NDArray[Any]:
    if not isinstance(name, str) or name not in tensors:
        raise ValueError(f"there is no array {name!r}, or it is used twice")
    return tensors.pop(name)


def _decode_objects(value: Any, tensors: Tensors) -> npt.NDArray[Any]:
    dtype, shape, items = np.dtype(value["dtype"]), value["shape"], decode(value["items"], tensors)
    if len(value) != 3 or dtype.kind not in "UO" or len(items) != math.prod(shape):
        raise ValueError(f"an array of dtype {dtype} and shape {shape} does not fit its items")
    longest = max((len(item) for item in items), default=0) if dtype.kind == "U" else 0
    if dtype.kind == "U" and dtype.itemsize > 4 * max(longest, 1):
        raise ValueError(f"an array's dtype {dtype} is longer than its longest text")
    array: npt.NDArray[Any] = np.empty(len(items), dtype)
    for i, item in enumerate(items):  # one by one: NumPy would unpack sequences
        array[i] = item
    return np.reshape(array, tuple(shape))


def _decode_generator(value: Any, tensors: Tensors) -> Any:
    kind, state = value[0], decode(value[1], tensors)
    name = state["bit_generator"]
    if len(value) != 2 or kind not in ("Generator", "RandomState") or name not in _GENERATORS:
        raise ValueError(f"unknown random generator {kind} of {name}")
    bits = getattr(np.random, name)(0)
    if kind == "Generator":
        bits.state = state
        return np.random.Generator(bits)
    generator = np.random.RandomState(bits)
    generator.set_state(state)
    return generator


def _decode_number(value: Any, _: Tensors) -> float:
    if value not in ("nan", "inf", "-inf"):
        raise ValueError(f"unknown number {value!r}")
    return float(value)


def _decode_setting(value: Any, _: Tensors) -> Any:
    kind, spec = value
    if kind not in _RESOLVERS or not isinstance(spec, dict):
        raise ValueError(f"unknown kind of setting {kind!r}")
    return _RESOLVERS[kind](spec)


def _decode_activation(value: Any, _: Tensors) -> Any:
    if value not in activations.names():
        raise ValueError(f"unknown activation {value!r}")
    return getattr(activations, value)


def _decode_dtype(value: Any, _: Tensors) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(value)
    if not isinstance(value, str) or dtype.kind not in "biuf":
        raise ValueError(f"unknown dtype {value!r}")
    return dtype


_DECODERS: dict[str, Callable[[Any, Tensors], Any]] = {
    "$number": _decode_number,
    "$array": _take,
    "$floats": _decode_floats,
    "$tuple": lambda value, tensors: tuple(decode(value, tensors)),
    "$dict": lambda value, tensors: dict(decode(value, tensors)),
    "$setting": _decode_setting,
    "$activation": _decode_activation,
    "$dtype": _decode_dtype,
    "$objects": _decode_objects,
    "$generator": _decode_generator,
}


def to_json(value: Any) -> str:
    """Return JSON text, the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Any:
    """Return what JSON text says, more strictly than the standard library.

    Raises
    ------
    ValueError
        It is no JSON, names a key twice, has a number that is not finite, or nests too deeply.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_finite,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is there twice")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
