"""Compare the instructions that two revisions execute: ``python -m benchmarks.instructions A B``.

Instruction counts hardly vary from run to run, so that a few per cent are seen on a busy machine,
where times say nothing. They aren't times: a change that waits less for memory isn't seen. Both
revisions are built for one level (AVX2 on x86-64, since valgrind 3.19 knows neither AVX-512 nor
bfloat16 instructions) and run fixed workloads under callgrind on one thread; a run of no steps is
subtracted. Needed are git, valgrind, and what a developer's build needs (see CONTRIBUTING.md).

The exit code is 1 when a workload takes over 3 % more instructions with B than with A.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import machine
from benchmarks.environment import ROOT, thread_environment
from benchmarks.report import table
from benchmarks.workers import instructions as workloads

LEVEL = "x86-64-v3" if platform.machine() in ("x86_64", "AMD64") else "generic"
WORST = 0.03  # by how much a workload may grow
SOURCES = ("csrc", "pyae", "CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE")
IDLE = next(iter(workloads.WORKLOADS))  # the workload that is named in a run of no steps


class CountError(RuntimeError):
    """A revision can't be built or counted."""


def _run(
    command: Sequence[str], cwd: Path | str | None = None, env: dict[str, str] | None = None
) -> bytes:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise CountError(f"{' '.join(command[:3])} ... failed:\n{said[-2000:]}")
    return done.stdout


def extract(revision: str | None, folder: Path) -> str:
    """Write the sources of `revision`, or of the checkout, into `folder`; return its name."""
    folder.mkdir()
    if revision is None:
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("*.so", "_levels.json", "__pycache__")
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy(source, folder / name)
        return "checkout"
    commit = _run(["git", "rev-parse", "--short", "--verify", f"{revision}^{{commit}}"], cwd=ROOT)
    archive = _run(["git", "archive", "--format=zip", revision], cwd=ROOT)
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        file.extractall(folder)
    return commit.decode().strip()


def compiled_digest(folder: Path) -> str:
    """A digest of everything that the compiled modules are made of."""
    digest = hashlib.sha256()
    for path in sorted([folder / "CMakeLists.txt", *(folder / "csrc").rglob("*")]):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(folder: Path) -> Path:
    """Compile the sources in `folder` for one level; return where the modules are."""
    target = folder / "build-instructions"
    pybind11 = _run([sys.executable, "-m", "pybind11", "--cmakedir"]).decode().strip()
    _run(
        [
            "cmake", "-S", str(folder), "-B", str(target), "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release", f"-DPYAE_LEVELS={LEVEL}",
            f"-Dpybind11_DIR={pybind11}", f"-DPython_EXECUTABLE={sys.executable}",
        ]
    )  # fmt: skip
    _run(["cmake", "--build", str(target)])
    return target


def instructions_of(text: str) -> int:
    """The instructions that a callgrind file counts in all."""
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    if not found:
        raise CountError("callgrind's file has no total")
    return int(found[1])


def count(package: Path, workload: str, n_steps: int) -> int:
    """Instructions of one run with the pyae in the folder `package`."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "callgrind.out"
        environment = os.environ | thread_environment(1)
        environment |= {"PYTHONPATH": str(package), "PYTHONHASHSEED": "0", "PYAE_ISA": LEVEL}
        script = str(Path(workloads.__file__))
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
        _run(
            [*valgrind, sys.executable, script, workload, str(n_steps)], env=environment, cwd=folder
        )
        return instructions_of(output.read_text())


def count_all(packages: Sequence[Path], names: Sequence[str]) -> list[dict[str, float]]:
    """Instructions of one step of each named workload, for each of `packages`."""
    jobs = [
        (package, name, n_steps)
        for package in packages
        for name, n_steps in [(IDLE, 0), *((name, workloads.WORKLOADS[name][1]) for name in names)]
    ]
    with ThreadPoolExecutor(len(machine.cores_available())) as pool:
        totals = list(pool.map(lambda job: count(*job), jobs))
    results = []
    for start in range(0, len(jobs), 1 + len(names)):
        idle, *others = totals[start : start + 1 + len(names)]
        results.append(
            {
                name: (total - idle) / workloads.WORKLOADS[name][1]
                for name, total in zip(names, others, strict=True)
            }
        )
    return results


def compare(
    before: Mapping[str, float], after: Mapping[str, float], names: tuple[str, str]
) -> tuple[str, list[str]]:
    """The table of two revisions' counts, and the workloads that got worse by over 3 %."""
    ratios = {name: after[name] / before[name] for name in before}
    rows = [
        [name, f"{before[name]:,.0f}", f"{after[name]:,.0f}", f"{ratio:.3f}"]
        for name, ratio in ratios.items()
    ]
    worse = [name for name, ratio in ratios.items() if ratio > 1 + WORST]
    return table(["instructions a step", *names, "ratio"], rows), worse


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", metavar="A", help="a revision that git knows")
    parser.add_argument("after", metavar="B", nargs="?", help="another; the checkout as it is")
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="of the workloads, those that match"
    )
    options = parser.parse_args(argv)
    names = [name for name in workloads.WORKLOADS if re.search(options.only, name)]
    if not names:
        parser.error(f"--only: none of {list(workloads.WORKLOADS)} matches {options.only!r}")
    for tool in ("git", "valgrind", "cmake"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is needed and isn't there")
    with tempfile.TemporaryDirectory() as temporary:
        built: dict[str, Path] = {}
        packages, revisions = [], []
        try:
            # Both are taken before the first is built, for a branch may move meanwhile.
            for label, revision in (("a", options.before), ("b", options.after)):
                packages.append(Path(temporary) / label)
                revisions.append(extract(revision, packages[-1]))
            for package, revision in zip(packages, revisions, strict=True):
                digest = compiled_digest(package)
                if digest not in built:
                    print(f"building {revision}", flush=True)
                    built[digest] = build(package)
                for module in [*built[digest].glob("*.so"), built[digest] / "_levels.json"]:
                    shutil.copy(module, package / "pyae")
            print(f"counting {len(names)} workloads, twice", flush=True)
            before, after = count_all(packages, names)
        except CountError as error:
            print(error, file=sys.stderr)
            return 2
    text, worse = compare(before, after, (revisions[0], revisions[1]))
    print(text)
    for name in worse:
        print(f"worse by over {WORST:.0%}: {name}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
