"""The classifier of the local test: a polynomial logistic regression, or any of scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError

__all__ = ["Learner", "checked_learner", "polynomial"]


class Learner(Protocol):
    """What is needed of a scikit-learn classifier."""

    def fit(self, x: Array, y: BoolArray) -> object:
        """Fit to rows ``(m, d + k)`` and labels ``(m,)``."""
        ...

    def predict_proba(self, x: Array) -> npt.ArrayLike:
        """Return class probabilities ``(m, 2)``."""
        ...

    def get_params(self, *, deep: bool = True) -> Mapping[str, object]:
        """Return all settings."""
        ...


def polynomial(*, degree: int = 3, penalty: float = 1.0) -> Learner:
    """Return logistic regression on products of theta and x, with a ridge penalty.

    Parameters
    ----------
    degree
        Largest number of factors: 2 sees wrong places, widths and correlations, and how
        the place changes along x; 3 also how the width does, and is more local.  There are
        about ``(d + k)**degree / degree!`` products.
    penalty
        Strength of the ridge.

    Raises
    ------
    InputError
        If a setting is out of range.
    """
    if degree < 1 or penalty <= 0.0:
        got = f"degree={degree}, penalty={penalty}"
        raise InputError("polynomial", got=got, expected="a degree >= 1 and a penalty > 0")
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(degree, include_bias=False),
        StandardScaler(),
        LogisticRegression(C=1.0 / penalty, max_iter=500),
    )
    return cast(Learner, model)


def checked_learner(learner: Learner | None) -> Learner:
    """Return `learner` if it is a classifier with probabilities; for None, `polynomial`.

    Raises
    ------
    InputError
        If it is not.
    """
    if learner is None:
        return polynomial()
    missing = [w for w in ("fit", "predict_proba", "get_params") if not hasattr(learner, w)]
    if missing:
        raise InputError(
            "learner",
            got=f"a {type(learner).__name__} without {', '.join(missing)}",
            expected="a scikit-learn classifier with predict_proba",
        )
    return learner
