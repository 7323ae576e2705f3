"""The compiled library, where the installation could make one.

`src/native` holds the sources, `src/native/build.py` compiles them at installation.  Whoever has
a compiled path also has one without, of the same results to rounding, and takes it when
`library` returns None: there was no compiler, or the environment says ``VERISIMILE_NATIVE=0``.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

_PLACE = Path(__file__).parent
_INTERFACE = 1  # of src/native/processor.cpp
_LEVELS = ("x86-64-v4", "x86-64-v3")  # best first; the plain one runs everywhere


def library() -> ctypes.CDLL | None:
    """Return the library for this processor, or None."""
    return None if os.environ.get("VERISIMILE_NATIVE") == "0" else _loaded()


def available() -> bool:
    """Return whether compiled code is used."""
    return library() is not None


def pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    """Return the address of an array's first element, which must be followed by the others.

    Raises
    ------
    ValueError
        If it is not C-contiguous: the library would read something else.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of strides {array.strides} is not contiguous")
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _loaded() -> ctypes.CDLL | None:
    plain = _open("plain")
    if plain is None:
        return None
    level = int(plain.vs_processor_level())
    for name, least in zip(_LEVELS, (4, 3), strict=True):
        if level >= least and (found := _open(name)) is not None:
            return found
    return plain


def _open(level: str) -> ctypes.CDLL | None:
    # With a dot in its stem: what walks through a package takes it for no module of Python.
    path = _PLACE / f"native.{level}.so"
    try:
        found = ctypes.CDLL(str(path))
        return found if found.vs_interface() == _INTERFACE else None
    except (OSError, AttributeError):  # none, of another platform, or compiled from older sources
        return None
