"""Compile the native library when the package is installed, where a compiler is there.

A build hook of hatchling.  Each source below this folder goes into one shared library with a
plain C interface, once per level of the processor's vector instructions; `core/native.py` takes
the highest one that the machine at hand can run.  Without a compiler, or if it fails, the
package is installed without, and everything runs by NumPy and torch.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent
PLACE = SOURCES.parent / "verisimile" / "core"
LEVELS = {"x86_64": ("", "x86-64-v3", "x86-64-v4"), "AMD64": ("", "x86-64-v3", "x86-64-v4")}
# No -ffast-math: NaN and infinity keep their meaning, and sums their order.
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")


def compile_all(wanted: str) -> list[Path]:
    """Return the libraries that were made: none if they are not wanted, or nothing compiles."""
    for old in PLACE.glob("native.*.so"):
        old.unlink()
    compiler = next(filter(shutil.which, _compilers()), None)
    if wanted == "0" or compiler is None or sys.platform == "win32":
        return []
    levels = LEVELS.get(platform.machine(), ("",))
    return [path for level in levels if (path := _compile(compiler, level))]


def _compilers() -> list[str]:
    return [name for name in (os.environ.get("CXX"), "c++", "g++", "clang++") if name]


def _compile(compiler: str, level: str) -> Path | None:
    path = PLACE / f"native.{level or 'plain'}.so"
    march = [f"-march={level}"] if level else []
    sources = sorted(str(source) for source in SOURCES.glob("*.cpp"))
    command = [compiler, *FLAGS, *march, "-o", str(path), *sources]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"verisimile: {' '.join(command)} failed:\n{done.stderr}", file=sys.stderr)
        return None
    return path


def _platform_tag() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    print("\n".join(str(path) for path in compile_all("1")) or "nothing was compiled")
else:  # hatchling is there when it loads this file, not elsewhere
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class NativeLibrary(BuildHookInterface):  # type: ignore[misc]
        """Adds the libraries to wheels and editable installations."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile, and mark a wheel that has a library as one of this platform."""
            if self.target_name != "wheel":
                return
            made = compile_all(os.environ.get("VERISIMILE_NATIVE", "1"))
            if made:
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{_platform_tag()}"
                build_data["artifacts"] += [
                    str(path.relative_to(SOURCES.parents[1])) for path in made
                ]
