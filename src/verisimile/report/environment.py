"""Where and with what a report was made."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from verisimile.core.result import register
from verisimile.core.run import Run

_PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "nflows",
    "safetensors",
    "pyarrow",
    "loky",
    "matplotlib",
)


@register("environment", 1)
@dataclass(frozen=True, slots=True)
class Environment:
    """Seeds, machine and versions.

    Attributes
    ----------
    written
        Date and time (UTC, ISO 8601).
    seeds
        Address of the run's random streams.
    executor
        Who did the work.
    python, machine, cpus
        Interpreter, platform, logical processors.
    versions
        Installed versions by package.
    """

    written: str
    seeds: str
    executor: str
    python: str
    machine: str
    cpus: int
    versions: Mapping[str, str]


def current_environment(run: Run) -> Environment:
    """Return the description of this process and of `run`."""
    return Environment(
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        seeds=str(run.seeds),
        executor=run.executor.name,
        python=sys.version.split()[0],
        machine=platform.platform(),
        cpus=os.cpu_count() or 1,
        versions={"verisimile": _version("verisimile", "source tree")}
        | {name: _version(name, "not installed") for name in _PACKAGES},
    )


def _version(package: str, otherwise: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return otherwise
