"""The versions of what is installed."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

ABSENT = "not installed"


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of packages, whether they are imported or not.

    Examples
    --------
    >>> installed(["no-such-package"])["no-such-package"]
    'not installed'
    """
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ABSENT
    return found
