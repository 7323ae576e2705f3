"""Classifiers: boosted trees, a perceptron, a logistic regression, any of scikit-learn's."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.validation import has_fit_parameter

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds

_FILTERS = threading.Lock()  # of warnings: they are the process's, not the thread's


class Learner(Protocol):
    """What is needed of a scikit-learn classifier."""

    def fit(self, x: Array, y: BoolArray) -> object:
        """Fit to events ``(n, d)`` and labels ``(n,)``."""

    def predict_proba(self, x: Array) -> npt.ArrayLike:
        """Return class probabilities ``(n, 2)``."""

    def get_params(self, *, deep: bool = True) -> Mapping[str, object]:
        """Return all settings."""


class Classifier(Learner, Protocol):
    """A learner that takes event weights."""

    def fit(self, x: Array, y: BoolArray, **weights: Array) -> object:
        """Fit to events ``(n, d)`` and labels ``(n,)``."""


Score: TypeAlias = Callable[[Array], Array]
"""From events ``(n, d)`` to the probability to be true ``(n,)``."""


def boosted_trees(*, iterations: int = 200, leaves: int = 15, rate: float = 0.1) -> Classifier:
    """Return gradient-boosted trees on binned features, stopped early on a tenth of the events.

    Parameters
    ----------
    iterations
        Trees at most.
    leaves
        Leaves of a tree at most; none has fewer than 20 events.
    rate
        Learning rate.
    """
    model = HistGradientBoostingClassifier(
        max_iter=iterations,
        max_leaf_nodes=leaves,
        learning_rate=rate,
        early_stopping=True,
        n_iter_no_change=10,
    )
    return cast(Classifier, model)


def perceptron(*, hidden: tuple[int, ...] = (64, 64), epochs: int = 200) -> Classifier:
    """Return a multilayer perceptron on standardised features, stopped early.

    Event weights need scikit-learn 1.7 or later.
    """
    network = MLPClassifier(hidden_layer_sizes=hidden, max_iter=epochs, early_stopping=True)
    return cast(Classifier, make_pipeline(StandardScaler(), network))


def check_learner(learner: object, *, weighted: bool) -> Classifier:
    """Return `learner` if it can be cloned, gives probabilities, and takes weights if asked."""
    remedy = "Wrap it in sklearn.calibration.CalibratedClassifierCV, or leave learner= out."
    _check_methods(learner, remedy=remedy)
    if weighted and not has_fit_parameter(_last(learner), "sample_weight"):
        raise InputError(
            "learner",
            got=f"a {type(_last(learner)).__name__} that takes no sample_weight, and weights",
            expected="a classifier that takes event weights",
            remedy="Use the boosted trees, or for the perceptron scikit-learn 1.7 or later.",
        )
    return cast(Classifier, learner)


def identity(learner: Classifier) -> dict[str, JSON]:
    """Return what tells this learner from others: class, all settings, version."""
    params = {name: repr(value) for name, value in sorted(learner.get_params().items())}
    settings = hashlib.sha256(json.dumps(params).encode()).hexdigest()
    name = f"{type(learner).__module__}.{type(learner).__qualname__}"
    return {"learner": name, "settings": settings, "sklearn": str(sklearn.__version__)}


def scores(
    learner: Classifier,
    seeds: Seeds,
    x: Array,
    truth: BoolArray,
    weights: Array | None,
    test: Array,
) -> tuple[Array, bool]:
    """Return D, the probability to be true, at the test events, from a fresh clone.

    And whether its training ended, as :func:`trained` says.
    """
    score, finished = trained(learner, seeds, x, truth, weights)
    return score(test), finished


def trained(
    learner: Classifier, seeds: Seeds, x: Array, truth: BoolArray, weights: Array | None
) -> tuple[Score, bool]:
    """Return what gives D, the probability to be true, of events: a fresh clone, trained.

    And whether its training ended: False if the learner warned that it did not converge.
    That is a fact for the result, so that the warning itself goes no further.
    """
    model = clone(learner)
    seed = seeds.integer() % 2**32
    states = {name: seed for name in model.get_params() if name.endswith("random_state")}
    model.set_params(**states)
    step = f"{model.steps[-1][0]}__" if isinstance(model, Pipeline) else ""
    sizes = {} if weights is None else {f"{step}sample_weight": weights}
    with _FILTERS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, truth, **sizes)
    others = [one for one in caught if not issubclass(one.category, ConvergenceWarning)]
    for one in others:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    column = int(np.flatnonzero(model.classes_)[0])

    def score(events: Array) -> Array:
        return np.asarray(model.predict_proba(events), dtype=np.float64)[:, column]

    return score, len(others) == len(caught)


def title(learner: Classifier) -> str:
    """Return the class that learns, the last step of a pipeline."""
    kind = type(_last(learner))
    return f"{kind.__module__}.{kind.__qualname__}"


def _last(learner: object) -> object:
    return learner.steps[-1][1] if isinstance(learner, Pipeline) else learner


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
    """
    got = f"degree={degree}, penalty={penalty}"
    fine = degree >= 1 and penalty > 0.0
    require(fine, "polynomial", got=got, expected="a degree >= 1 and a penalty > 0")
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(degree, include_bias=False),
        StandardScaler(),
        LogisticRegression(C=1.0 / penalty, max_iter=500),
    )
    return cast(Learner, model)


def checked_learner(learner: Learner | None) -> Learner:
    """Return `learner` if it is a classifier with probabilities; for None, `polynomial`."""
    if learner is None:
        return polynomial()
    _check_methods(learner)
    return learner


def _check_methods(learner: object, *, remedy: str = "") -> None:
    missing = [w for w in ("fit", "predict_proba", "get_params") if not hasattr(learner, w)]
    require(
        not missing,
        "learner",
        got=f"a {type(learner).__name__} without {', '.join(missing)}",
        expected="a scikit-learn classifier with predict_proba",
        remedy=remedy,
    )
