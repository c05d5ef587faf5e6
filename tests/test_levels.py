"""Every instruction-set level computes the same mathematics, and the loader takes the right one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import pyae
from pyae import _backend

PACKAGE = Path(pyae.__file__).parent
# Within a checkout the Python files are its own, the compiled ones the installed package's.
COMPILED = Path(str(_backend.core.__file__)).parent
ROOT = PACKAGE.parent
TESTS = Path(__file__).parent
USABLE: list[str] = pyae.show_config(as_dict=True)["usable_levels"]
BUILT: list[str] = pyae.show_config(as_dict=True)["levels"]


def run_python(
    code: str, root: Path = ROOT, check: bool = True, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with the package in `root`."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYAE_ISA"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=root,
        env={**inherited, "PYTHONPATH": str(root), **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not check or result.returncode == 0, result.stderr
    return result


# ---------------------------------------------------------------------------------- each level

PARITY = """
import numpy as np
import pyae
from pyae import losses, noise, optimizers, reference, regularizers

config = pyae.show_config(as_dict=True)
rng = np.random.default_rng(0)


def close(a, e, tolerance):
    np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


for name in pyae.activations.names():
    for dtype, tolerance in [("float64", 1e-12), ("float32", 2e-5)]:
        for columns in (1, 3, 17, 64):
            x = (4 * rng.normal(size=(5, columns))).astype(dtype)
            spec = reference.ACTIVATIONS[name]
            close(pyae.activations.Activation(name)(x), spec.value(x.astype(float)), tolerance)
            dy = rng.normal(size=x.shape).astype(dtype)
            expected = spec.vjp(x.astype(float), dy.astype(float))
            close(pyae.activations.vjp(name, x, dy), expected, tolerance)

LAST = {"sparse_categorical_crossentropy": "softmax", "categorical_crossentropy": "softmax"}
for name in losses.names():
    classes = name == "sparse_categorical_crossentropy"
    for optimizer in (
        "sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "nadam", "muon", "lbfgs",
    ):
        n, features, outputs = 53, 19, 7
        X = rng.uniform(size=(n, features))
        t = rng.integers(0, outputs, n) if classes else rng.uniform(size=(n, outputs))
        spec_model = pyae.Sequential(
            [
                pyae.Dense(33, "gelu", kernel_regularizer="l2"),
                pyae.Dense(9, "sigmoid", activity_regularizer=regularizers.KLSparsity()),
                pyae.Dense(33, "tanh", tied_to=1),
                pyae.Dense(outputs, LAST.get(name, "sigmoid")),
            ],
            name,
            optimizer,
            dtype="float64",
            random_state=2,
        )
        network = reference.Network(spec_model.spec, features, seed=2, dtype="float64")
        spec = {"name": "gaussian", "stddev": 0.1}
        expected = reference.train(network, X, t, epochs=2, batch_size=16, noise=spec)
        history = spec_model.fit(X, t, epochs=2, batch_size=16, noise=noise.Gaussian(0.1))
        close(history.history["loss"], expected["loss"], 1e-9)
        for w, e in zip(spec_model.get_weights(), network.get_weights(), strict=True):
            close(w, e, 1e-9)
        single = pyae.Sequential(spec_model.layers, name, optimizer, random_state=2)
        single.fit(X, t, epochs=2, batch_size=16, noise=noise.Gaussian(0.1))
        close(single.predict(X), network.forward(X), 2e-3)

for m, k, n in [(1, 1, 1), (2, 3, 5), (17, 33, 9), (64, 64, 64), (65, 129, 70), (300, 7, 257)]:
    for dtype, tolerance in [("float64", 1e-11), ("float32", 1e-3)]:
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        model = pyae.Sequential([pyae.Dense(n, use_bias=False)], dtype=dtype).build(k)
        model.set_weights([b])
        close(model.predict(a), a.astype(float) @ b.astype(float), tolerance)

bits = []
for n_threads in (1, 3):
    model = pyae.Sequential(
        [pyae.Dense(130, "relu"), pyae.Dense(200)], random_state=0, n_threads=n_threads
    )
    model.fit(rng.uniform(size=(300, 200)) * 0 + 0.5, batch_size=128, epochs=2)
    bits.append([w.tobytes() for w in model.get_weights()])
assert bits[0] == bits[1]
print(config["level"])
"""


@pytest.mark.parametrize("level", USABLE)
def test_parity_of_each_level(level: str) -> None:
    assert run_python(PARITY, PYAE_ISA=level).stdout.split() == [level]


@pytest.mark.slow
@pytest.mark.parametrize("level", USABLE)
@pytest.mark.parametrize(
    "module", ["activations", "losses", "math", "matmul", "gradients", "training", "threads"]
)
def test_tests_of_the_core_pass_with_each_level(module: str, level: str) -> None:
    path = TESTS / f"test_{module}.py"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(path)],
        cwd=TESTS.parent,
        env={**os.environ, "PYAE_ISA": level},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:]


@pytest.mark.parametrize("level", USABLE)
def test_each_level_says_its_name_and_vector_size(level: str) -> None:
    code = "import json, pyae\nprint(json.dumps(pyae.show_config(as_dict=True)))"
    config = json.loads(run_python(code, PYAE_ISA=level).stdout)
    bits = {"x86-64-v4": 512, "x86-64-v3": 256, "x86-64-v2": 128}
    assert config["level"] == level
    assert config["vector_bits"] == bits.get(level, config["vector_bits"])
    assert config["usable_levels"] == USABLE
    assert config["levels"] == BUILT


def test_the_best_usable_level_is_taken() -> None:
    for env in ({}, {"PYAE_ISA": ""}):
        code = "import pyae\nprint(pyae.show_config(as_dict=True)['level'])"
        assert run_python(code, **env).stdout.split() == [USABLE[0]]


def test_only_one_level_is_loaded() -> None:
    code = "import sys, pyae\npyae.Sequential\nprint(*sys.modules)"
    modules = run_python(code).stdout.split()
    assert sum(name.startswith("pyae._core") for name in modules) == 1


# ------------------------------------------------------------------------------------- choosing

V4, V3, V2, OLD = "x86-64-v4", "x86-64-v3", "x86-64-v2", "generic"
CHOICES = [  # built, supported, forced, chosen
    ([V4, V3, V2], [V4, V3, V2, OLD], None, V4),
    ([V4, V3, V2], [V3, V2, OLD], None, V3),
    ([V4, V3, V2], [V2, OLD], None, V2),
    ([V3], [V4, V3, V2, OLD], None, V3),
    ([OLD], [V4, V3, V2, OLD], None, OLD),
    ([OLD], [OLD], None, OLD),
    ([V4, V3, V2], [V4, V3, V2, OLD], V2, V2),
    ([V4, V3, V2], [V3, V2, OLD], V3, V3),
    ([V4, V3, V2], [V4, V3, V2, OLD], "", V4),
]


@pytest.mark.parametrize(("built", "supported", "forced", "chosen"), CHOICES)
def test_choice_of_a_level(
    built: list[str], supported: list[str], forced: str | None, chosen: str
) -> None:
    assert _backend._choose_level(built, supported, forced) == chosen


REFUSED = [  # built, supported, forced, what the message says
    ([V4, V3], [V4, V3, V2, OLD], "avx2", ["PYAE_ISA='avx2'", V4, V3]),
    ([V4, V3], [V4, V3, V2, OLD], V2, [f"PYAE_ISA='{V2}'", V4, V3]),
    ([V4, V3], [V4, V3, V2, OLD], "X86-64-V3", ["PYAE_ISA='X86-64-V3'", V3]),
    ([V4, V3, V2], [V3, V2, OLD], V4, [f"PYAE_ISA='{V4}'", "lacks", V3, V2]),
    ([V4], [V3, V2, OLD], V4, [f"PYAE_ISA='{V4}'", "lacks", "none"]),
    ([V4, V3], [V2, OLD], None, ["none of the levels", V4, V3]),
    ([V4], [OLD], None, ["none of the levels", V4]),
]


@pytest.mark.parametrize(("built", "supported", "forced", "words"), REFUSED)
def test_refused_choice_of_a_level(
    built: list[str], supported: list[str], forced: str | None, words: list[str]
) -> None:
    with pytest.raises(ImportError) as caught:
        _backend._choose_level(built, supported, forced)
    for word in words:
        assert word in str(caught.value)


USE = "import pyae\nassert pyae.__version__\npyae.Sequential"


def test_unknown_level_in_the_environment() -> None:
    result = run_python(USE, check=False, PYAE_ISA="sse9")
    assert result.returncode != 0
    assert "ImportError: PYAE_ISA='sse9' is not a level of this installation" in result.stderr
    assert all(level in result.stderr for level in BUILT)


def test_level_that_the_processor_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is on an older processor: what is asked for is refused, nothing else is loaded."""
    from pyae import _cpu

    monkeypatch.setattr(_cpu, "supported_levels", lambda: [OLD])
    monkeypatch.setenv("PYAE_ISA", USABLE[0])
    if USABLE[0] != OLD:
        with pytest.raises(ImportError, match="needs instructions that this processor lacks"):
            _backend._load()
    monkeypatch.setattr(_cpu, "supported_levels", lambda: [])
    monkeypatch.delenv("PYAE_ISA")
    with pytest.raises(ImportError, match="none of the levels that were built"):
        _backend._load()


# ---------------------------------------------------------------------------- broken installations


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A copy of the package, to break."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "pyae", ignore=ignore, symlinks=False)
    for file in [*COMPILED.glob("_*.so"), COMPILED / "_levels.json"]:
        shutil.copy(file, tmp_path / "pyae")
    return tmp_path


def module_files(root: Path, name: str) -> list[Path]:
    return list((root / "pyae").glob(f"{name}*.so"))


def manifest_of(root: Path) -> dict[str, Any]:
    return json.loads((root / "pyae" / "_levels.json").read_text())


def best_module(root: Path) -> str:
    modules = {entry["level"]: entry["module"] for entry in manifest_of(root)["levels"]}
    return str(modules[USABLE[0]])


def fails(root: Path, before: str = "") -> str:
    result = run_python(before + USE, root, check=False)
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: "), last
    return last


def test_a_whole_copy_works(installation: Path) -> None:
    code = USE + "\nprint(pyae.__file__, pyae.show_config(as_dict=True)['level'])"
    file, level = run_python(code, installation).stdout.split()
    assert Path(file).parents[1] == installation
    assert level == USABLE[0]


@pytest.mark.parametrize("content", [b"", b"no library at all", b"\x7fELF" + bytes(100)])
def test_a_module_that_does_not_load(installation: Path, content: bytes) -> None:
    files = module_files(installation, best_module(installation))
    assert files
    for file in files:
        file.unlink()
        file.write_bytes(content)
    message = fails(installation)
    assert USABLE[0] in message
    assert "does not load" in message
    assert "PYAE_ISA" in message


def test_a_module_that_is_missing(installation: Path) -> None:
    for file in module_files(installation, best_module(installation)):
        file.unlink()
    message = fails(installation)
    assert "does not load" in message
    assert USABLE[0] in message


def test_a_listed_level_that_is_missing_is_no_reason_to_take_another(installation: Path) -> None:
    manifest = manifest_of(installation)
    level = {"level": USABLE[0], "module": "_core_of_another_build"}
    others = [entry for entry in manifest["levels"] if entry["level"] != USABLE[0]]
    others.append({"level": OLD, "module": best_module(installation)})
    manifest["levels"] = [level, *others]
    (installation / "pyae" / "_levels.json").unlink()
    (installation / "pyae" / "_levels.json").write_text(json.dumps(manifest))
    assert "does not load" in fails(installation)
    code = "import pyae\nprint(pyae.show_config(as_dict=True)['levels'])"
    assert OLD in run_python(code, installation, PYAE_ISA=OLD).stdout  # but may be asked for


NOT_INSTALLED = """
import importlib.metadata

def distribution(name):
    raise importlib.metadata.PackageNotFoundError(name)

importlib.metadata.distribution = distribution
"""


def test_no_manifest(installation: Path) -> None:
    (installation / "pyae" / "_levels.json").unlink()
    message = fails(installation, NOT_INSTALLED)
    assert "compiled modules are missing" in message
    assert "pip" in message


def test_a_source_folder_uses_the_installed_modules(installation: Path, tmp_path: Path) -> None:
    """Python run within a checkout finds its package's source folder first."""
    site, checkout = installation, tmp_path / "checkout"
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "_levels.json")
    shutil.copytree(PACKAGE, checkout / "pyae", ignore=ignore)
    metadata = site / f"pyae-{pyae.__version__}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: pyae\nVersion: {pyae.__version__}\n")
    find = f"import sys\nsys.path.insert(1, {str(site)!r})\n"
    code = find + "import pyae._backend\nprint(pyae.__file__, pyae._backend.core.__file__)"
    python, compiled = run_python(code, checkout).stdout.split()
    assert Path(python).parents[1] == checkout
    assert Path(compiled).parents[1] == site
    (metadata / "METADATA").write_text("Name: pyae\nVersion: 999\n")
    assert "is not installed" in fails(checkout, find)


@pytest.mark.parametrize("content", ["", "{", '{"levels": []}'])
def test_a_broken_manifest(installation: Path, content: str) -> None:
    path = installation / "pyae" / "_levels.json"
    path.unlink()
    path.write_text(content)
    fails(installation)
