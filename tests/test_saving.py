"""Files: what is saved comes back the same, and nothing else comes in."""

from __future__ import annotations

import functools
import json
import math
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save as save_tensors

import pyae
from pyae import _container, _plain, _safefile, activations, noise, regularizers, schedules
from pyae.layers import Dense
from tests.test_process import run_python

FEATURES = 5


def data(n: int = 24) -> Any:
    return np.random.default_rng(0).uniform(0.1, 0.9, size=(n, FEATURES)).astype("float32")


def small(**options: Any) -> pyae.Sequential:
    return pyae.Sequential([Dense(2, "tanh"), Dense(FEATURES)], random_state=7, **options)


def trained(**options: Any) -> pyae.Sequential:
    model = small(**options)
    model.fit(data(), epochs=2, batch_size=10, validation_data=data(6))
    return model


def with_tie() -> pyae.Sequential:
    first = Dense(3, "relu", name="code", kernel_initializer="orthogonal")
    return pyae.Sequential([first, Dense(FEATURES, "sigmoid", use_bias=False, tied_to=first)])


MODELS: dict[str, Callable[[], pyae.Sequential]] = {
    "default": lambda: pyae.Sequential([Dense(FEATURES)]),
    "double": lambda: small(dtype="float64"),
    "tied, named, without bias": with_tie,
    "penalties": lambda: pyae.Sequential(
        [
            Dense(
                4,
                activations.Activation("elu", alpha=0.3),
                kernel_regularizer="l2",
                bias_regularizer=regularizers.L1(0.1),
                activity_regularizer=regularizers.KLSparsity(0.2),
            ),
            Dense(FEATURES, activations.Activation("leaky_relu", negative_slope=0.01)),
        ]
    ),
    "loss": lambda: small(loss=pyae.losses.Huber(delta=0.3, reduction="sum")),
    "schedule": lambda: small(
        optimizer=pyae.optimizers.SGD(schedules.WarmUp(3, schedules.Cosine(0.1, 50)), momentum=0.9)
    ),
    "clipping": lambda: small(optimizer=pyae.optimizers.AdamW(0.01, global_clipnorm=0.5)),
    "options": lambda: pyae.Sequential([Dense(FEATURES)], n_threads=1, uint8_scale=1 / 255),
    "generator": lambda: pyae.Sequential([Dense(5)], random_state=np.random.default_rng(3)),
    **{
        name: lambda name=name: small(optimizer=name)  # type: ignore[misc]
        for name in pyae._backend.core.tables()["optimizers"]
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_loaded_predicts_and_trains_the_same(name: str, tmp_path: Path) -> None:
    model, path = MODELS[name](), tmp_path / "model.safetensors"
    model.fit(data(), epochs=3, batch_size=7)
    model.save(path)
    other = pyae.load(path)
    assert_same_model(other, model)
    for one in (model, other):
        one.fit(data(), epochs=2, batch_size=7, noise=noise.Gaussian(0.1))
    assert_same_model(other, model, seconds=False)


def assert_same_model(a: pyae.Sequential, b: pyae.Sequential, *, seconds: bool = True) -> None:
    assert a.spec == b.spec
    for name in ("dtype", "uint8_scale", "n_threads", "n_features", "_seed", "built"):
        assert getattr(a, name) == getattr(b, name)
    assert [layer.name for layer in a.layers] == [layer.name for layer in b.layers]
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(a.predict(data()), b.predict(data()))
    mine, theirs = (one._built_network().state() for one in (a, b))
    np.testing.assert_equal(mine, theirs)
    histories = [dict(one.history.history) for one in (a, b)]
    if not seconds:
        for history in histories:
            del history["seconds"]
    np.testing.assert_equal(*histories)
    flags = [{**vars(one.history), "history": None} for one in (a, b)]
    assert flags[0] == flags[1]


def test_a_model_that_is_not_built(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "a")
    other = pyae.load(tmp_path / "a")
    assert not other.built
    assert_same_model(other.build(FEATURES), model.build(FEATURES))


def test_random_state_comes_back(tmp_path: Path) -> None:
    for state in (None, 5, np.random.default_rng(1), np.random.RandomState(1)):
        pyae.Sequential([Dense(1)], random_state=state).save(tmp_path / "a")
        other = pyae.load(tmp_path / "a").random_state
        if isinstance(state, np.random.Generator):
            assert other.random() == state.random()
        elif isinstance(state, np.random.RandomState):
            assert other.normal() == state.normal()
        else:
            assert other == state


def test_other_programs_read_the_weights(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "np") as file:
        names = [f"layers.{i}.{kind}" for i in range(2) for kind in ("kernel", "bias")]
        for name, weights in zip(names, model.get_weights(), strict=True):
            np.testing.assert_array_equal(file.get_tensor(name), weights)
        document = json.loads(file.metadata()["pyae"])
    assert document["version"] == pyae.__version__
    assert document["instruction_set"] == pyae.show_config(as_dict=True)["level"]


def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    code = f"""
import pyae
model = pyae.Sequential([pyae.Dense(2), pyae.Dense(3)], random_state=0).build(3)
model.save({str(tmp_path / "x")!r})
print(open({str(tmp_path / "x")!r}, "rb").read().hex())
"""
    assert run_python(code, PYTHONHASHSEED="1") == run_python(code, PYTHONHASHSEED="2")


def test_saving_in_a_callback(tmp_path: Path) -> None:
    model = small()
    model.fit(data(), epochs=3, callbacks=lambda epoch, _: model.save(tmp_path / f"{epoch}"))
    for epoch in range(3):
        other = small()
        other.fit(data(), epochs=epoch + 1)
        np.testing.assert_array_equal(
            pyae.load(tmp_path / f"{epoch}").predict(data()), other.predict(data())
        )


# ------------------------------------------------------------------------------------ plain values


def of_objects(*items: Any) -> Any:
    """Return an array with one object an item, sequences included."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.sampled_from(
        [
            noise.Gaussian(0.1),
            regularizers.L2(0.5),
            schedules.Piecewise([1, 2], [0.1, 0.2, 0.3]),
            pyae.optimizers.Adam(schedules.Cosine(0.1, 7)),
            pyae.losses.Huber(2.0),
            activations.Activation("elu", alpha=2),
            activations.relu,
            np.dtype("float32"),
            np.array([[1, 2], [3, 4]], "int16"),
            np.array([True, False]),
            np.array(["a", "bcd"]),
            np.array(["x", None, 3], dtype=object),
            of_objects("a", math.nan, (1, 2), [1.5, 2.5], [3.5], noise.Gaussian(0.1)),
            of_objects(np.arange(3.0), np.array(2), of_objects([], {"a": ()})),
            {"a.b": np.arange(2), "a": {"b": np.arange(3)}, "a.b+": [0.5, 1.5]},
            np.zeros((0, 3)),
            np.array(2.5),
            np.arange(6.0).reshape(2, 3).T,
            np.arange(3, dtype=">f8"),
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.floats(), max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(st.integers() | st.just("$array"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_come_back(value: Any) -> None:
    tensors: dict[str, Any] = {}
    text = _plain.to_json(_plain.encode(value, "x", tensors))
    back = _plain.decode(_plain.from_json(text), tensors)
    assert not tensors
    assert_equal_and_alike(back, value)


def assert_equal_and_alike(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.shape == b.shape
        assert a.dtype == b.dtype.newbyteorder("=")
        if a.dtype == object:
            assert_equal_and_alike(a.tolist(), b.tolist())
        else:
            np.testing.assert_array_equal(a, b)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for pair in zip(a, b, strict=True):
            assert_equal_and_alike(*pair)
    elif isinstance(a, dict):
        assert_equal_and_alike(sorted(a.items(), key=str), sorted(b.items(), key=str))
    else:
        assert a == b or (a != a and b != b)


@pytest.mark.parametrize(
    "value",
    [object(), 1j, b"a", {1, 2}, lambda: 0, np.array([1j]), np.datetime64(1, "s"), print, [print]],
    ids=repr,
)
def test_what_files_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"parameter\.x.* cannot be saved"):
        _plain.encode({"x": value}, "parameter", {})


# ---------------------------------------------------------------------------------- damaged files


def load_bytes(content: bytes, path: Path) -> Any:
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return pyae.load(path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("tiny") / "a"
    model = pyae.Sequential([Dense(1)], optimizer="sgd", random_state=0)
    model.fit(np.ones((4, 1)), epochs=1)
    model.save(path)
    return path.read_bytes()


def test_every_truncation_is_refused(tiny: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(tiny + b"\0")
    with pytest.raises(pyae.FileFormatError, match=r"1 bytes follow"):
        pyae.load(path)
    for length in range(len(tiny) - 1, -1, -1):
        os.truncate(path, length)
        with pytest.raises(pyae.FileFormatError, match=r"cut.safetensors"):
            pyae.load(path)


def test_every_flipped_bit_is_refused_or_loads_equal(tiny: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flipped.safetensors"
    model = load_bytes(tiny, path)
    equal = 0
    with path.open("r+b", buffering=0) as file:
        for i, byte in enumerate(tiny):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), i)
                try:
                    other = pyae.load(path)
                except pyae.FileFormatError as error:
                    assert "flipped.safetensors" in str(error)  # noqa: PT017
                    continue
                equal += 1
                assert_same_arrays(other, model)
            os.pwrite(file.fileno(), bytes([byte]), i)
    assert equal <= 7  # spaces that pad the header may become other white space


def assert_same_arrays(a: pyae.Sequential, b: pyae.Sequential) -> None:
    assert a.spec == b.spec
    assert a.history == b.history
    np.testing.assert_equal(a._built_network().state(), b._built_network().state())
    np.testing.assert_equal(a.get_weights(), b.get_weights())


@given(data=st.data())
def test_random_damage_is_refused(tiny: bytes, tmp_path_factory: Any, data: st.DataObject) -> None:
    """Bytes changed, cut out, put in, or swapped."""
    begin = data.draw(st.integers(0, len(tiny)))
    end = data.draw(st.integers(begin, min(len(tiny), begin + 40)))
    new = data.draw(st.binary(max_size=40))
    changed = tiny[:begin] + new + tiny[end:]
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    try:
        other = load_bytes(changed, path)
    except pyae.FileFormatError:
        return
    assert_same_arrays(other, load_bytes(tiny, path))


FOREIGN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "one byte": (b"x", "is not a safetensors file"),
    "text": (b"some text, long enough to be a header", "is not a safetensors file"),
    "npy": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}", "is a NumPy array"),
    "npz": (b"PK\x03\x04" + b"\0" * 40, "is a zip archive"),
    "pickle": (pickle.dumps([1.5] * 99), "is a pickle"),
    "json": (b'{"layers": [1, 2, 3]}', "is JSON"),
    "another program's": (save_tensors({"a": np.zeros(3)}), "of another program"),
    "another program's metadata": (
        save_tensors({"a": np.zeros(3)}, {"format": "pt"}),
        "of another program",
    ),
    "huge header": ((2**62).to_bytes(8, "little") + b"{}", "is not a safetensors file"),
    "header 99 MB": ((99_000_000).to_bytes(8, "little") + b"{}", "is not a safetensors file"),
    "no JSON": ((4).to_bytes(8, "little") + b"{{}}", "no valid JSON"),
    "a list": ((2).to_bytes(8, "little") + b"[]", "no JSON object"),
    "no UTF-8": ((4).to_bytes(8, "little") + b'"\xff"}', "no valid JSON"),
    "NaN": ((7).to_bytes(8, "little") + b'{"a":NaN}'[:7], "no valid JSON"),
    "deep": (
        (200_000).to_bytes(8, "little") + b"[" * 100_000 + b"]" * 100_000,
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused(name: str, tmp_path: Path) -> None:
    content, message = FOREIGN[name]
    with pytest.raises(pyae.FileFormatError, match=f"a.bin.*{message}") as caught:
        load_bytes(content, tmp_path / "a.bin")
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        pyae.load(tmp_path / "absent")
    with pytest.raises(pyae.FileFormatError, match="is a folder"):
        pyae.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(pyae.FileFormatError, match="no regular file"):
        pyae.load(tmp_path / "pipe")
    for bad in (3, None, [], ""):
        with pytest.raises((TypeError, ValueError), match="path"):
            pyae.load(bad)  # type: ignore[arg-type]


# --------------------------------------------------------------------- files made to do harm
# With a right checksum, as anyone can make: what they say must not be believed.


def repacked(change: Callable[[dict[str, Any], dict[str, Any]], Any], **options: Any) -> bytes:
    """Return a model's file after its content and arrays were changed."""
    tensors: dict[str, Any] = {}
    from pyae.saving import _network_to

    content = {"network": _network_to(trained(**options), tensors), "training": None}
    content = json.loads(json.dumps(content))
    change(content, tensors)
    return _container.pack("Sequential", content, tensors)


def at(*keys: Any, to: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(content: dict[str, Any], _: dict[str, Any]) -> None:
        place: Any = content["network"]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


def array(name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(_: dict[str, Any], tensors: dict[str, Any]) -> None:
        tensors[name] = value

    return change


def without(name: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda _, tensors: tensors.pop(name)


LAYER = {"units": 2, "activation": {"name": "relu"}, "use_bias": True, "tied_to": None}
HARMFUL: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = {
    "units huge": (at("layers", 0, "units", to=2**31 - 1), "must be float32 of shape"),
    "units beyond": (at("layers", 0, "units", to=2**80), "units"),
    "units negative": (at("layers", 0, "units", to=-1), "units"),
    "units text": (at("layers", 0, "units", to="9"), "units"),
    "units true": (at("layers", 0, "units", to=True), "units"),
    "features huge": (at("n_features", to=2**61), "must be float32 of shape"),
    "features text": (at("n_features", to="5"), "n_features"),
    "features none": (at("n_features", to=None), "nothing uses array"),
    "many layers": (at("layers", to=[]), "at least one layer"),
    "layers a number": (at("layers", to=3), "not iterable"),
    "layer unknown": (at("layers", 0, "type", to="conv"), "unknown type 'conv'"),
    "layer field unknown": (at("layers", 0, "run", to="rm"), "run"),
    "layer name a list": (at("layers", 0, "name", to=[[]]), "name"),
    "activation unknown": (at("layers", 0, "activation", to={"name": "os.system"}), "os.system"),
    "activation a number": (at("layers", 0, "activation", to=3), "activation"),
    "tied to itself": (at("layers", 1, "tied_to", to=1), "tied"),
    "tied to none": (at("layers", 1, "tied_to", to=-1), "tied"),
    "tied": (at("layers", 1, "tied_to", to=0), "slots must be"),
    "loss unknown": (at("loss", "name", to="loss"), "unknown loss"),
    "loss field": (at("loss", "delta", to=1), "delta"),
    "optimizer unknown": (at("optimizer", "name", to="eval"), "unknown optimizer"),
    "optimizer field": (at("optimizer", "beta_1", to=7), "beta_1"),
    "another optimizer": (at("optimizer", to={"name": "rmsprop"}), "slots"),
    "dtype": (at("dtype", to="float64"), "must be float64"),
    "dtype unknown": (at("dtype", to="object"), "dtype"),
    "scale": (at("uint8_scale", to=-1), "uint8_scale"),
    "threads": (at("n_threads", to=10**9), "n_threads"),
    "seed": (at("seed", to=2**64), "seed"),
    "seed text": (at("seed", to="1"), "seed"),
    "missing": (lambda content, _: content["network"].pop("loss"), "'loss' is missing"),
    "step negative": (at("state", "step", to=-1), "step"),
    "step huge": (at("state", "step", to=2**70), "step|int"),
    "epochs text": (at("state", "epochs", to="many"), "epochs"),
    "state missing": (at("state", to={}), "state must hold"),
    "state an array": (at("state", to=[1]), "state must hold|state"),
    "array used twice": (at("state", "slots", to={"$array": "layers.0.bias"}), "used twice"),
    "tag unknown": (at("state", "slots", to={"$eval": "1"}), r"\$eval"),
    "tag and more": (at("state", "slots", to={"$array": "x", "a": 1}), r"\$array"),
    "weights NaN": (array("layers.0.bias", np.float32([np.nan, 0])), "finite"),
    "weights of another shape": (array("layers.0.bias", np.zeros(3, "f4")), "shape"),
    "weights of another type": (array("layers.0.bias", np.zeros(2)), "must be float32"),
    "weights missing": (without("layers.1.kernel"), "layers.1.kernel"),
    "slots missing": (without("optimizer.slots"), "slots"),
    "slots short": (array("optimizer.slots", np.zeros(3, "f4")), "slots"),
    "an array more": (array("more", np.zeros(3)), "nothing uses array 'more'"),
    "history": (at("history", "history", to={"loss": "low"}), "history"),
    "history unknown": (at("history", "run", to=1), "run"),
    "training": (lambda content, _: content.update(training={"$setting": ["os", {}]}), "setting"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_files_are_refused(name: str, tmp_path: Path) -> None:
    change, message = HARMFUL[name]
    with pytest.raises(pyae.FileFormatError, match=f"(?s)bad.*({message})"):
        load_bytes(repacked(change), tmp_path / "bad")


def objects(dtype: str, shape: list[int], items: list[Any]) -> dict[str, Any]:
    return {"$objects": {"dtype": dtype, "shape": shape, "items": items}}


def test_harmful_sizes_are_refused_before_they_are_allocated(tmp_path: Path) -> None:
    """In a process that may not have the memory that the files ask for."""
    files = {
        "units": at("layers", 0, "units", to=2**31 - 1),
        "features": at("n_features", to=2**40),
        "text": at("random_state", to=objects("<U999999", [1], ["a"])),
        "array": at("random_state", to=objects("O", [2**40], [])),
    }
    for name, change in files.items():
        (tmp_path / name).write_bytes(repacked(change))
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
for name in {list(files)!r}:
    try:
        pyae.load({str(tmp_path)!r} + "/" + name)
    except pyae.FileFormatError:
        print("refused")
"""
    assert run_python(code) == ["refused"] * len(files)


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(text: str, body: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode() + body


HEADERS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    # Changes of the safetensors header itself, which the checksum covers but for offsets.
    "overlap": (lambda h: h["layers.0.kernel"].update(data_offsets=[0, 4]), "overlap|checksum"),
    "gap": (lambda h: h.pop("layers.0.bias"), "overlap or leave a gap|cut|follow"),
    "other type": (lambda h: h["layers.0.bias"].update(dtype="I32"), "checksum"),
    "unknown type": (lambda h: h["layers.0.bias"].update(dtype="F4"), "layers.0.bias"),
    "type a list": (lambda h: h["layers.0.bias"].update(dtype=[]), "layers.0.bias"),
    "other shape": (lambda h: h["layers.0.bias"].update(shape=[1, 1]), "checksum"),
    "shape of zeros": (lambda h: h["layers.0.bias"].update(shape=[0, 2**70]), "fit its shape"),
    "empty of huge shape": (
        lambda h: h["optimizer.slots"].update(shape=[0, 2**70]),
        "damaged",
    ),
    "shape beyond": (lambda h: h["layers.0.bias"].update(shape=[2**62, 4]), "fit its shape"),
    "shape negative": (lambda h: h["layers.0.bias"].update(shape=[-1, -1]), "a size"),
    "shape fractional": (lambda h: h["layers.0.bias"].update(shape=[1.0]), "a size"),
    "shape true": (lambda h: h["layers.0.bias"].update(shape=[True]), "a size"),
    "offsets beyond": (
        lambda h: h["layers.0.bias"].update(data_offsets=[2**62, 2**62 + 4]),
        "overlap or leave",
    ),
    "offsets three": (lambda h: h["layers.0.bias"].update(data_offsets=[0, 1, 2]), "entry"),
    "a field more": (lambda h: h["layers.0.bias"].update(x=1), "entry"),
    "entry a list": (lambda h: h.update({"layers.0.bias": [1]}), "entry"),
    "renamed": (lambda h: h.update({"b": h.pop("layers.0.bias")}), "checksum"),
    "swapped": (
        lambda h: h.update(
            {"layers.0.bias": h["layers.0.kernel"], "layers.0.kernel": h["layers.0.bias"]}
        ),
        "checksum",
    ),
    "metadata more": (lambda h: h["__metadata__"].update(a="b"), "further metadata"),
    "metadata a number": (lambda h: h["__metadata__"].update(pyae=3), "another program"),
    "metadata a list": (lambda h: h.update(__metadata__=[]), "another program"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_changed_headers_are_refused(name: str, tiny: bytes, tmp_path: Path) -> None:
    change, message = HEADERS[name]
    header, body = header_of(tiny)
    change(header)
    with pytest.raises(pyae.FileFormatError, match=message):
        load_bytes(with_header(json.dumps(header), body), tmp_path / "a")


def test_a_key_named_twice_is_refused(tiny: bytes, tmp_path: Path) -> None:
    header, body = header_of(tiny)
    text = json.dumps(header)
    entry = json.dumps({"layers.0.bias": header["layers.0.bias"]})[1:-1]
    with pytest.raises(pyae.FileFormatError, match="twice"):
        load_bytes(with_header(text[:-1] + "," + entry + "}", body), tmp_path / "a")


def test_a_newer_format_says_so(tiny: bytes, tmp_path: Path) -> None:
    header, body = header_of(tiny)
    text = header["__metadata__"]["pyae"].replace('"format":1', '"format":2')
    header["__metadata__"]["pyae"] = text.replace(f'"{pyae.__version__}"', '"9.9"')
    with pytest.raises(pyae.FileFormatError, match=r"written by pyae 9\.9 in format 2.*newer pyae"):
        load_bytes(with_header(json.dumps(header), body), tmp_path / "a")


def test_nested_descriptions_are_refused(tmp_path: Path) -> None:
    for depth in (300, 900, 5000):
        text = '{"a":' * depth + "1" + "}" * depth
        header = {"__metadata__": {"pyae": '{"format":1,"kind":"x","content":' + text + "}"}}
        with pytest.raises(pyae.FileFormatError):
            load_bytes(with_header(json.dumps(header), b""), tmp_path / "a")
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    with pytest.raises(pyae.FileFormatError):
        load_bytes(repacked(at("random_state", to=deep)), tmp_path / "a")


# ------------------------------------------------------------------------------------- writing


@pytest.fixture
def umask() -> Any:
    old = os.umask(0o027)
    yield
    os.umask(old)


@pytest.mark.usefixtures("umask")
def test_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a"
    small().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    small().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    link.symlink_to("folder/target")
    small().save(link)  # makes the target
    small().save(link)  # replaces it
    assert link.is_symlink()
    assert not target.is_symlink()
    assert sorted(p.name for p in target.parent.iterdir()) == ["target"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="leads to itself"):
        small().save(tmp_path / "loop")


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    small().save(tmp_path / ("ä" * 127))
    assert not pyae.load(tmp_path / ("ä" * 127)).built


@pytest.mark.parametrize("where", ["absent/a", "file/a", "", "folder"])
def test_where_no_file_can_be(where: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises((OSError, ValueError)):
        small().save(where)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(OSError, match="no regular file"):
        small().save("/dev/null")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("fails", ["write", "fsync", "replace", "fchmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_old_file_outlives_a_failure(
    fails: str, error: BaseException, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "a"
    trained().save(path)
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(_safefile.os, fails, fail)
    with pytest.raises(type(error)):
        small().save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit of the file size fails in the midst of writing, as a full disk does."""
    path = tmp_path / "a"
    trained().save(path)
    code = f"""
import resource
model = pyae.Sequential([pyae.Dense(300)], random_state=0).build(300)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    model.save({str(path)!r})
except OSError as error:
    print(error.strerror)
"""
    before = path.read_bytes()
    assert run_python(code) == ["File too large"]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    code = f"""
import os, signal
from pathlib import Path
from pyae import _safefile
_safefile.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
_safefile.write_file(Path({str(path)!r}), b"new")
"""
    subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": "."})
    assert len(list(tmp_path.iterdir())) == 1
    other = _safefile._temporary(path)
    with other:  # that of a process which still writes stays
        assert len(list(tmp_path.iterdir())) == 2
        _safefile._remove_abandoned(path)
        assert len(list(tmp_path.iterdir())) == 1
        (tmp_path / ".pyae-other.tmp").write_text("")
        small().save(path)
        assert len(list(tmp_path.iterdir())) == 3


def test_without_locks_nothing_is_taken_for_abandoned(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "a"
    monkeypatch.setattr(_safefile, "fcntl", None)
    with _safefile._temporary(path):
        small().save(path)
        assert len(list(tmp_path.iterdir())) == 2
    code = f"""
import sys
sys.modules["fcntl"] = None
from pathlib import Path
from pyae import _safefile
_safefile.write_file(Path({str(path)!r}), b"new")
"""
    run_python(code)
    assert path.read_bytes() == b"new"


def test_what_is_written_bit_by_bit_replaces_as_a_whole(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to("a")

    def fail() -> None:
        with _safefile.replacement(link) as file:
            file.write(b"new")
            file.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    with _safefile.replacement(link) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "link"]


def test_importing_pyae_imports_no_file_library() -> None:
    code = "import sys; print([m for m in ('safetensors', 'onnx', 'sklearn') if m in sys.modules])"
    assert run_python(code) == ["[]"]


# -------------------------------------------------------------------------------------- estimators


def digits() -> tuple[Any, Any]:
    X, y = pyae.datasets.load_digits()
    return X[:200], y[:200]


def estimator_cases() -> dict[str, Callable[[], Any]]:
    """Return fitted estimators: each class, and each kind of parameter and of label."""
    from pyae import estimators as e

    X, y = digits()
    few: dict[str, Any] = {"max_epochs": 2, "random_state": 0}
    settings = {
        "activation": activations.Activation("elu", alpha=0.5),
        "code_activation": activations.tanh,
        "kernel_regularizer": regularizers.L2(1e-4),
        "optimizer": pyae.optimizers.AdamW(schedules.Cosine(0.01, 30), clipnorm=1.0),
        "learning_rate": None,
        "loss": pyae.losses.Huber(0.5),
        "dtype": np.float64,
        "hidden_layer_sizes": [9, 8],
        "random_state": np.random.RandomState(5),
        "callbacks": [lambda epoch, logs: None],
        "early_stopping": True,
    }
    names = np.array([f"digit {i}" for i in range(10)])
    return {
        "autoencoder": lambda: e.Autoencoder(3, **few).fit(X),
        "tied": lambda: e.Autoencoder(3, hidden_layer_sizes=8, tied_weights=True, **few).fit(X),
        "settings": lambda: e.Autoencoder(3, **{**few, **settings}).fit(X),
        "denoising": lambda: e.DenoisingAutoencoder(3, noise=noise.Masking(0.2), **few).fit(X),
        "denoising pairs": lambda: e.DenoisingAutoencoder(3, **few).fit(X, X**2),
        "sparse": lambda: e.SparseAutoencoder(96, **few).fit(X),
        "logistic": lambda: e.LogisticRegression(solver="lbfgs").fit(X, y),
        "logistic, text": lambda: e.LogisticRegression(0.01, class_weight="balanced").fit(
            X, names[y % 3]
        ),
        "logistic, weights": lambda: e.LogisticRegression(class_weight={0: 2.0, 1: 0.5}).fit(
            X, y % 2
        ),
        "classifier": lambda: e.MLPClassifier((9,), **few).fit(X, y),
        "classifier, objects": lambda: e.MLPClassifier((9,), **few).fit(X, names[y].astype(object)),
        "classifier, truth": lambda: e.MLPClassifier((9,), **few).fit(X, y > 4),
        "regressor": lambda: e.MLPRegressor((9,), **few).fit(X, X[:, 20]),
        "regressor, several": lambda: e.MLPRegressor((9,), **few).fit(X, X[:, 20:23]),
    }


@functools.cache
def fitted(name: str) -> Any:
    return estimator_cases()[name]()


USES = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "reconstruct",
    "reconstruction_error",
    "denoise",
    "score_samples",
)


@pytest.mark.parametrize("name", estimator_cases())
def test_estimators_come_back_and_give_the_same_bits(name: str, tmp_path: Path) -> None:
    X, _ = digits()
    model = fitted(name)
    model.save(tmp_path / "a")
    other = pyae.load(tmp_path / "a")
    assert type(other) is type(model)
    parameters, theirs = model.get_params(deep=False), other.get_params(deep=False)
    assert not theirs.pop("callbacks")
    parameters.pop("callbacks")
    if isinstance(parameters.get("random_state"), np.random.RandomState):
        assert theirs.pop("random_state").random() == parameters.pop("random_state").random()
    assert theirs == parameters
    mine, others = model._get_state(), other._get_state()
    assert {k: type(v) for k, v in mine.items()} == {k: type(v) for k, v in others.items()}
    np.testing.assert_equal(others, mine)
    used = [use for use in USES if hasattr(model, use)]
    assert used
    for use in used:
        one, another = (getattr(m, use)(X) for m in (model, other))
        assert one.dtype == another.dtype
        np.testing.assert_array_equal(one, another)
    if hasattr(model, "inverse_transform"):
        codes = model.transform(X)
        np.testing.assert_array_equal(
            model.inverse_transform(codes), other.inverse_transform(codes)
        )
    for attribute in ("coef_", "intercept_"):
        if hasattr(model, attribute):
            np.testing.assert_array_equal(getattr(model, attribute), getattr(other, attribute))


def test_every_estimator_can_be_saved() -> None:
    from pyae import estimators, saving

    assert sorted(estimators.__all__) == sorted(saving._ESTIMATORS)
    tested = {type(fitted(name)).__name__ for name in estimator_cases()}
    assert tested == set(saving._ESTIMATORS)


def test_partial_fit_goes_on_after_loading(tmp_path: Path) -> None:
    from pyae.estimators import Autoencoder

    X, _ = digits()
    model = Autoencoder(3, random_state=0, max_epochs=2).fit(X)
    model.save(tmp_path / "a")
    other = pyae.load(tmp_path / "a")
    for one in (model, other):
        one.partial_fit(X)
    np.testing.assert_array_equal(model.transform(X), other.transform(X))


def test_feature_names_and_frames_come_back(tmp_path: Path) -> None:
    import pandas as pd

    from pyae.estimators import Autoencoder

    X = pd.DataFrame(digits()[0], columns=[f"pixel {i}" for i in range(64)])
    model = Autoencoder(3, random_state=0, max_epochs=1).set_output(transform="pandas").fit(X)
    model.save(tmp_path / "a")
    other = pyae.load(tmp_path / "a")
    assert other.feature_names_in_.tolist() == list(X.columns)
    assert other.feature_names_in_.dtype == model.feature_names_in_.dtype
    pd.testing.assert_frame_equal(other.transform(X), model.transform(X))
    with pytest.raises(ValueError, match="feature names"):
        other.transform(X.rename(columns={"pixel 3": "x"}))


def test_estimators_that_cannot_be_saved(tmp_path: Path) -> None:
    from sklearn.exceptions import NotFittedError

    from pyae.estimators import Autoencoder

    class Own(Autoencoder):
        pass

    X, _ = digits()
    with pytest.raises(NotFittedError):
        Autoencoder(2).save(tmp_path / "a")
    with pytest.raises(TypeError, match="only pyae's own"):
        Own(2, max_epochs=1).fit(X).save(tmp_path / "a")
    model = Autoencoder(2, max_epochs=1).fit(X).set_params(hidden_layer_sizes=object())
    with pytest.raises(TypeError, match=r"parameters\.hidden_layer_sizes cannot be saved"):
        model.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


ESTIMATOR_HARM: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "parameter unknown": (lambda c: c["parameters"].update(run="rm"), "no parameter 'run'"),
    "attribute private": (lambda c: c["state"].update(_x=1), "nothing that a Autoencoder learns"),
    "attribute a method": (lambda c: c["state"].update(fit="x"), "nothing that"),
    "attribute special": (lambda c: c["state"].update(__class__="x"), "nothing that"),
    "attribute the network": (lambda c: c["state"].update(model_="x"), "nothing that"),
    "features": (lambda c: c["state"].update(n_features_in_=3), "n_features_in_ must be 64"),
    "no network": (lambda c: c["network"].update(n_features=None), "n_features_in_|nothing uses"),
    "no state": (lambda c: c.pop("state"), "'state' is missing"),
}


@pytest.mark.parametrize("name", [*ESTIMATOR_HARM, "kind unknown", "kind a module"])
def test_harmful_estimators_are_refused(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    model = fitted("autoencoder")
    packed: list[Any] = []
    monkeypatch.setattr(pyae.saving, "pack", lambda *parts: packed.extend(parts) or b"")
    model.save(tmp_path / "a")
    kind, content, tensors = packed
    if name.startswith("kind"):
        kind, message = {"kind unknown": "Popen", "kind a module": "np"}[name], "no kind of model"
    else:
        change, message = ESTIMATOR_HARM[name]
        change(content)
    with pytest.raises(pyae.FileFormatError, match=message):
        load_bytes(_container.pack(kind, content, tensors), tmp_path / "a")


def test_an_estimator_with_a_checkpoint_resumes(tmp_path: Path) -> None:
    """Its callbacks may hold one; the sparse one's upkeep draws random samples of its own."""
    from pyae.callbacks import Checkpoint
    from pyae.estimators import Autoencoder, SparseAutoencoder

    X, _ = digits()

    class Killed(Exception):
        pass

    def kill(epoch: int, logs: Any) -> None:
        if epoch == 4:
            raise Killed

    for cls, size in ((Autoencoder, 3), (SparseAutoencoder, 96)):
        path = tmp_path / cls.__name__

        def make(*callbacks: Any, cls: Any = cls, size: int = size) -> Any:
            return cls(size, max_epochs=9, random_state=0, callbacks=callbacks)

        whole = make().fit(X)
        with pytest.raises(Killed):
            make(Checkpoint(path), kill).fit(X)
        resumed = make(Checkpoint(path)).fit(X)
        np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))
        np.testing.assert_array_equal(resumed.reconstruct(X), whole.reconstruct(X))
        assert resumed.history_["loss"] == whole.history_["loss"]
        assert resumed.n_iter_ == whole.n_iter_ == 9
