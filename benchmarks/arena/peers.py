"""Other packages' measures of two samples, as metrics of the arena.

Each as its documentation says.  Distances get columns in units of the reference's interquartile
ranges, which a user would choose too; what normalises itself gets them as they are.  Two packages
that ought to be here are not: kernel-nplm is on no index, and PyPI's NPLM imports tensorflow.
hyppo's Energy and MMD did not come to their end within minutes; dcor's energy is the former.

    verisimile arena benchmarks/arena/peers.py:dcor_energy
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import io
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a command that names this file

from _peers import jetnet_evaluation, version

import verisimile as vs

_SEED = 1


def scaled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both samples in units of the reference's interquartile ranges."""
    low, high = np.quantile(x, (0.25, 0.75), axis=0)
    unit = np.where(high > low, high - low, np.maximum(x.std(axis=0), 1e-12))
    return x / unit, y / unit


def _bonferroni(p_values: list[float]) -> float:
    return min(1.0, len(p_values) * min(p_values))


def scipy_ks(x: np.ndarray, y: np.ndarray) -> float:
    """Return scipy's KS p-value of the worst feature, times the number of features."""
    return _bonferroni([float(stats.ks_2samp(a, b).pvalue) for a, b in zip(x.T, y.T, strict=True)])


def scipy_cramer(x: np.ndarray, y: np.ndarray) -> float:
    """Return scipy's Cramér-von Mises p-value, corrected in the same way."""
    pairs = zip(x.T, y.T, strict=True)
    return _bonferroni([float(stats.cramervonmises_2samp(a, b).pvalue) for a, b in pairs])


def scipy_wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest of scipy's Wasserstein distances of the features."""
    pairs = zip(*(each.T for each in scaled(x, y)), strict=True)
    return max(float(stats.wasserstein_distance(a, b)) for a, b in pairs)


def scipy_energy(x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest of scipy's energy distances of the features."""
    pairs = zip(*(each.T for each in scaled(x, y)), strict=True)
    return max(float(stats.energy_distance(a, b)) for a, b in pairs)


def hyppo_hotelling(x: np.ndarray, y: np.ndarray) -> float:
    """Return the p-value of Hotelling's test of the means."""
    from hyppo import ksample  # noqa: PLC0415

    return float(ksample.Hotelling().test(x, y)[1])


def _prdc(name: str, x: np.ndarray, y: np.ndarray) -> float:
    from prdc import compute_prdc  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):
        return float(compute_prdc(*scaled(x, y), 5)[name])


def prdc_density(x: np.ndarray, y: np.ndarray) -> float:
    """Return prdc's density."""
    return _prdc("density", x, y)


def prdc_coverage(x: np.ndarray, y: np.ndarray) -> float:
    """Return prdc's coverage."""
    return _prdc("coverage", x, y)


def jetnet_fpd(x: np.ndarray, y: np.ndarray) -> float:
    """Return jetnet's FPD, extrapolated from half of the sample to all of it."""
    sizes = {"min_samples": len(x) // 2, "max_samples": len(x)}
    return float(jetnet_evaluation().fpd(x, y, **sizes)[0])


def jetnet_kpd(x: np.ndarray, y: np.ndarray) -> float:
    """Return jetnet's KPD of batches of half of the sample."""
    return float(jetnet_evaluation().kpd(x, y, batch_size=len(x) // 2, num_threads=1)[0])


def dcor_energy(x: np.ndarray, y: np.ndarray) -> float:
    """Return dcor's energy distance."""
    import dcor  # noqa: PLC0415

    return float(dcor.energy_distance(*scaled(x, y)))


def pot_sliced(x: np.ndarray, y: np.ndarray) -> float:
    """Return POT's sliced Wasserstein distance."""
    import ot  # noqa: PLC0415

    return float(ot.sliced_wasserstein_distance(*scaled(x, y), seed=_SEED))


def pot_max_sliced(x: np.ndarray, y: np.ndarray) -> float:
    """Return POT's largest sliced Wasserstein distance."""
    import ot  # noqa: PLC0415

    return float(ot.max_sliced_wasserstein_distance(*scaled(x, y), seed=_SEED))


def pot_exact(x: np.ndarray, y: np.ndarray) -> float:
    """Return POT's exact squared Wasserstein distance."""
    import ot  # noqa: PLC0415

    first, second = scaled(x, y)
    return float(ot.emd2([], [], ot.dist(first, second)))


def sklearn_logistic(x: np.ndarray, y: np.ndarray) -> float:
    """Return the p-value of a classifier two-sample test: logistic regression on half."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return _classified(LogisticRegression(max_iter=300), x, y)


def sklearn_neighbours(x: np.ndarray, y: np.ndarray) -> float:
    """Return the p-value of a classifier two-sample test: nearest neighbours."""
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415

    return _classified(KNeighborsClassifier(15), x, y)


def sklearn_forest(x: np.ndarray, y: np.ndarray) -> float:
    """Return the p-value of a classifier two-sample test: a random forest."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    forest = RandomForestClassifier(20, min_samples_leaf=5, random_state=_SEED)
    return _classified(forest, x, y)


def _classified(model: object, x: np.ndarray, y: np.ndarray) -> float:
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    events, labels = np.concatenate(scaled(x, y)), np.repeat((0, 1), (len(x), len(y)))
    train, test, known, asked = train_test_split(
        events, labels, test_size=0.5, random_state=_SEED, stratify=labels
    )
    right = int((model.fit(train, known).predict(test) == asked).sum())  # type: ignore[attr-defined]
    return float(stats.binomtest(right, len(asked), 0.5, alternative="greater").pvalue)


def torchmetrics_fid(x: np.ndarray, y: np.ndarray) -> float:
    """Return torchmetrics' Fréchet distance of the features themselves."""
    import torch  # noqa: PLC0415
    from torchmetrics.image.fid import _compute_fid  # noqa: PLC0415  (it has no public name)

    pair = [torch.from_numpy(one) for one in scaled(x, y)]
    moments = [part for one in pair for part in (one.mean(dim=0), torch.cov(one.T))]
    return float(_compute_fid(*moments))


def torchmetrics_kid(x: np.ndarray, y: np.ndarray) -> float:
    """Return torchmetrics' polynomial MMD of the features themselves."""
    import torch  # noqa: PLC0415
    from torchmetrics.image.kid import poly_mmd  # noqa: PLC0415

    return float(poly_mmd(*(torch.from_numpy(one) for one in scaled(x, y))))


_P, _LARGE, _EITHER = ("p-value", "small"), ("score", "large"), ("score", "either")
_ENTERED: tuple[tuple[Callable[..., float], str, tuple[str, str], int | None], ...] = (
    (scipy_ks, "scipy", _P, None),
    (scipy_cramer, "scipy", _P, None),
    (scipy_wasserstein, "scipy", _LARGE, None),
    (scipy_energy, "scipy", _LARGE, None),
    (hyppo_hotelling, "hyppo", _P, None),
    (prdc_density, "prdc", _EITHER, None),
    (prdc_coverage, "prdc", _EITHER, None),
    (jetnet_fpd, "jetnet", _LARGE, None),
    (jetnet_kpd, "jetnet", _LARGE, None),
    (dcor_energy, "dcor", _LARGE, None),
    (pot_sliced, "POT", _LARGE, None),
    (pot_max_sliced, "POT", _LARGE, None),
    (pot_exact, "POT", _LARGE, None),
    (sklearn_logistic, "scikit-learn", _P, None),
    (sklearn_neighbours, "scikit-learn", _P, None),
    (sklearn_forest, "scikit-learn", _P, None),
    (torchmetrics_fid, "torchmetrics", _LARGE, None),
    (torchmetrics_kid, "torchmetrics", _LARGE, None),
)


def peers() -> dict[str, vs.Metric]:
    """Return the metrics of all packages that are installed."""
    found = {}
    for function, package, (returns, direction), largest in _ENTERED:
        module = {"POT": "ot", "scikit-learn": "sklearn"}.get(package, package)
        if version(module, package) is None:
            continue
        name = f"{package}: {function.__name__.partition('_')[2].replace('_', ' ')}"
        by = f"{package} {metadata.version(package)}"
        found[name] = vs.Metric(name, function, returns, direction, largest, by)  # type: ignore[arg-type]
    return found
