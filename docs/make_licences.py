"""Write ``licences.md``: every package that verisimile runs with, and its licence.

    python docs/make_licences.py

Read from the metadata of what is installed, from verisimile with all extras downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

PAGE = Path(__file__).resolve().parent / "licences.md"
ROOT = "verisimile"

# What these packages call their licence where they give no SPDX expression.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC"),
    *("MIT", "MIT-CMU", "PSF-2.0", "Zlib", "Apache-2.0 WITH LLVM-exception"),
}
# Of single files, or of a library that is used as it is and can be exchanged.
WEAK = {"MPL-2.0": {"tqdm"}, "LGPL-2.1-or-later": {"iminuit"}}

USES = {
    "astropy": "FITS files (extra `fits`)",
    "boost-histogram": "histograms",
    "distributed": "work on a cluster (extra `dask`)",
    "h5py": "HDF5 files (extra `io`)",
    "iminuit": "independent weight fit, MINOS",
    "jinja2": "the report's page",
    "lazy-loader": "names are loaded when they are used",
    "loky": "work on several processes",
    "matplotlib": "figures",
    "nflows": "layers of the spline flows",
    "numpy": "arrays",
    "pyarrow": "Parquet and Arrow files",
    "pydantic": "study files",
    "pytorch-minimize": "weight fit as published",
    "pyyaml": "study files",
    "rich": "terminal",
    "safetensors": "records of a run",
    "scikit-learn": "classifiers, neighbours, mixtures",
    "scipy": "numerical methods",
    "threadpoolctl": "threads per process",
    "torch": "training and evaluation of networks",
    "typer": "command line",
    "uproot": "ROOT files (extra `io`)",
    "zuko": "further flows (extra `zuko`)",
}
# What nflows 0.14 asks for and never imports, and what that asks for; `make` leaves it out.
UNUSED = {
    "absl-py": "Apache-2.0",
    "grpcio": "Apache-2.0",
    "markdown": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "tensorboard": "Apache-2.0",
    "tensorboard-data-server": "Apache-2.0",
    "werkzeug": "BSD-3-Clause",
}
# Parts of the CUDA builds of torch, which the user chooses by the index.
CUDA = ("cuda-", "nvidia-", "triton")

INTRODUCTION = """# Licences

**What it answers.**  Which packages does verisimile run with, and under which terms?

verisimile itself has the MIT licence.  Below is every package of
`pip install "verisimile[all]"` on Linux, by the name and licence that its own metadata state.  All
are permissive but for two that are used unchanged, as libraries of their own: a part of iminuit
(Minuit2, LGPL-2.1 or later) and files of tqdm (MPL-2.0).  Wheels may contain compiled libraries
under further terms, which their metadata name (`*.dist-info/licenses`).  A test compares this page
with what is installed; `python docs/make_licences.py` writes it.
"""
WITHOUT = """## What nflows does not use

nflows 0.14 asks for tensorboard, and no module of it imports that.  pip cannot leave a dependency
out, so `pip install verisimile` brings it, and through it the packages below, 57 MB; nothing of
them is ever imported, and verisimile works without them:

```console
$ pip uninstall tensorboard tensorboard-data-server grpcio protobuf werkzeug markdown absl-py
$ uv pip install --excludes <(echo tensorboard) verisimile      # or without them from the start
```

`make` installs from `requirements.lock`, in which they are not.  nflows stays, because its layers
are those of the published method and tests compare every faster path with them.

| package | licence |
|---|---|
"""
BUILDS = """
## Builds of torch

CUDA builds of torch bring NVIDIA's libraries (`nvidia-*`, `cuda-*`) under NVIDIA's own licences,
and triton (MIT).  CPU builds have none of them.
"""


@dataclass
class Package:
    """A package of the closure, and who asks for it."""

    name: str
    found: Distribution | None
    parents: set[str] = field(default_factory=set)
    wanted: SpecifierSet = field(default_factory=SpecifierSet)

    @property
    def asked(self) -> str:
        """The versions that all parents accept: of several lower bounds the highest."""
        lower = [each for each in self.wanted if each.operator == ">="]
        others = {str(each) for each in self.wanted if each.operator != ">="}
        highest = [str(max(lower, key=lambda each: Version(each.version)))] if lower else []
        return ", ".join(f"`{each}`" for each in (*highest, *sorted(others))) or "any"


def closure() -> dict[str, Package]:
    """Return what verisimile with all extras needs on this machine, without itself."""
    packages: dict[str, Package] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(ROOT, extra) for extra in ("", "all")]
    while waiting:
        step = waiting.pop()
        if step in done:
            continue
        done.add(step)
        parent, extra = step
        found = packages[parent].found if parent != ROOT else distribution(ROOT)
        for text in (found.requires if found else None) or ():
            wanted = Requirement(text)
            name = str(canonicalize_name(wanted.name))
            if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
                continue
            if parent == "torch" and name.startswith(CUDA):
                continue
            waiting += [(name, each) for each in ("", *wanted.extras)]
            if name != ROOT:
                package = packages.setdefault(name, Package(name, _installed(name)))
                package.parents.add(parent)
                package.wanted &= wanted.specifier
    return packages


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def licence(found: Distribution) -> str:
    """Return the SPDX expression of a package's licence, or what it says instead."""
    metadata = found.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    said = str(metadata.get("License") or "").strip().partition("\n")[0]
    classes = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    spdx = said if not refused(found.name, said) else SPDX.get(said)
    return spdx or next((SPDX[each] for each in classes if each in SPDX), said)


def refused(name: str, expression: str) -> set[str]:
    """Return which licences of an expression are on no list for this package."""
    terms = {each.strip("() ") for each in expression.replace(" OR ", " AND ").split(" AND ")}
    return {each for each in terms - PERMISSIVE if name not in WEAK.get(each, ())}


def page() -> str:
    """Return the page."""
    rows = ["| package | version | licence | what for |", "|---|---|---|---|"]
    for name, package in sorted(closure().items()):
        if package.found is None or name in UNUSED:
            continue
        use = USES.get(name) or f"of {', '.join(sorted(package.parents - {ROOT, *UNUSED}))}"
        rows.append(f"| {name} | {package.asked} | {licence(package.found)} | {use} |")
    unused = "".join(f"| {name} | {terms} |\n" for name, terms in sorted(UNUSED.items()))
    return "\n".join([INTRODUCTION, *rows, "", WITHOUT + unused + BUILDS])


if __name__ == "__main__":
    PAGE.write_text(page())
