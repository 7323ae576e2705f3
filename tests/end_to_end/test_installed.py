"""Source archive and wheel: what they hold, and that they run where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import verisimile as vs

pytest.importorskip("hatchling", reason="hatchling builds the archives")

ROOT = Path(__file__).parents[2]
# Stands for a compiler: what the checkout has is copied, not compiled a second time.
COMPILER = """#!{python}
import pathlib, shutil, sys
out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
shutil.copy(pathlib.Path({compiled!r}) / out.name, out)
"""
BUILD = "import hatchling.build as b, sys; b.build_{kind}(sys.argv[1])"


def compiled() -> set[str]:
    """Return the names of the native libraries that this checkout has."""
    return {path.name for path in (ROOT / "src/verisimile/core").glob("native.*.so")}


def in_checkout() -> set[str]:
    """Return the package's files of the checkout, as they are called in a wheel."""
    source = ROOT / "src"
    paths = [path for path in (source / "verisimile").rglob("*") if path.is_file()]
    made = (".pyc", ".so")
    names = {path.relative_to(source).as_posix() for path in paths if path.suffix not in made}
    assert {Path(name).suffix for name in names} >= {".py", ".pyi", ".j2", ".css", ".parquet"}
    return names


def build(kind: str, source: Path, target: Path, **environment: str) -> Path:
    """Return the archive that the build backend makes of `source`."""
    target.mkdir()
    code = BUILD.format(kind=kind)
    environment = {**os.environ, **environment}
    subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=source,
        env=environment,
        check=True,
        capture_output=True,
    )
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("built") / "sdist")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Return the wheel made of the unpacked source archive, as an installer makes it."""
    folder = sdist.parents[1]
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    compiler = folder / "compiler"
    text = COMPILER.format(python=sys.executable, compiled=str(ROOT / "src/verisimile/core"))
    compiler.write_text(text, encoding="utf-8")
    compiler.chmod(0o755)
    return build("wheel", source, folder / "wheel", CXX=str(compiler))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Return the folder of programs of an environment that has the wheel and all libraries."""
    folder = wheel.parents[1] / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    python = [str(programs / "python")]
    place = subprocess.run([*python, "-c", code], check=True, capture_output=True, text=True)
    # Names of folders only: that an editable installation is there too is not read from them.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    Path(place.stdout.strip(), "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", *python, "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--quiet", "--no-compile", str(wheel)], check=True)
    return programs


def outside(programs: Path, *words: str) -> str:
    """Run a program of the environment in a folder of its own, and return what it prints."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(programs / words[0]), *words[1:]],
        cwd=programs.parent,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_source_archive_holds_what_is_built_and_tested(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {f"src/{name}" for name in in_checkout()}
    wanted |= {"pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "Makefile"}
    wanted |= {"src/native/build.py", "src/native/spline_flow.cpp", "docs/index.md"}
    wanted |= {"tests/end_to_end/test_installed.py", "notebooks/events_to_p_value.ipynb"}
    assert wanted - names == set()
    refused = ("__pycache__", ".pytest_cache", ".so", ".pyc", "demo-report", "/build/", "_build")
    assert [name for name in names for word in refused if word in name] == []


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("verisimile/")}
    libraries = {f"verisimile/core/{name}" for name in compiled()}
    assert package == in_checkout() | libraries
    about = {Path(name).name for name in names - package}
    assert about == {"METADATA", "WHEEL", "entry_points.txt", "LICENSE", "RECORD"}
    # A wheel with libraries fits one platform, any Python; one without fits all.
    assert ("none-any" in wheel.name) == (not libraries)
    assert "-py3-none-" in wheel.name


@pytest.mark.slow
def test_installed_wheel_runs_outside_the_checkout(installed: Path) -> None:
    code = "import verisimile as vs; from verisimile.core.native import available as native; "
    code += "print(vs.__file__, vs.__version__, native())"
    file, version, native = outside(installed, "python", "-c", code).split()
    assert Path(file).is_relative_to(installed.parent)
    assert native == str(bool(compiled()))
    assert outside(installed, "verisimile", "--version").split() == ["verisimile", version]
    assert "validate" in outside(installed, "verisimile", "--help")
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        events = vs.Events(rng.normal(size=(100, 2)), names=("m", "pt"))
        vs.write_events(events, installed.parent / f"{name}.parquet")
    words = "validate a.parquet b.parquet --tests energy --permutations 19 --executor serial"
    assert "No difference" in outside(installed, "verisimile", *words.split())
    assert (installed.parent / "validation" / "report.html").is_file()
