"""Values in memory with a fault each, which a harness that sees faults must tell."""

from __future__ import annotations

import faulthandler

import numpy as np
import numpy.typing as npt


class Panicking:
    """A value whose reading ends in what is no error of Python's."""

    def __array__(self, dtype: object = None, copy: object = None) -> npt.NDArray[np.float64]:
        """Raise."""
        raise BaseException("a panic")  # noqa: TRY002  (as panics of compiled libraries do)


class Endless:
    """A value that is never read to its end."""

    def __array__(self, dtype: object = None, copy: object = None) -> npt.NDArray[np.float64]:
        """Go on."""
        while True:
            pass


class Crashing:
    """A value that ends the process."""

    def __array__(self, dtype: object = None, copy: object = None) -> npt.NDArray[np.float64]:
        """Read where there is no memory."""
        faulthandler._sigsegv()  # type: ignore[attr-defined]
        return np.zeros((1, 1))


class Large:
    """A value that takes much memory for a moment."""

    def __array__(self, dtype: object = None, copy: object = None) -> npt.NDArray[np.float64]:
        """Take 400 MB."""
        return np.ones((50_000_000, 1))[:5].copy()


TWIN_VALUES = (Panicking(), Endless(), Crashing(), Large())
