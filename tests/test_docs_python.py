"""Every Python block of the documentation runs, on small stand-ins of what the pages suppose."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import verisimile as vs
from verisimile.core.arrays import Array

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Sizes that a page says for its reader, and that say nothing about whether its code runs.
_SMALLER = {
    r"\btoys=\d+": "toys=12",
    r"\bmembers=\d+": "members=3",
    r"\bdatasets=\d+": "datasets=4",
    r"\bepochs=\d+": "epochs=1",
    r"\bDiffusionTrainer\(decay=True\)": "DiffusionTrainer(decay=True, epochs=1)",
    r"\bSplineFlowTrainer\(\)": "SplineFlowTrainer(layers=1, hidden=8, epochs=1)",
    r"\bFlowMatchingTrainer\(\)": "FlowMatchingTrainer(width=4, inner=4, depth=1, epochs=1)",
    r"at=points\)": "at=points, permutations=9)",
    r"alternative=one\)": "alternative=one, toys=12)",
    r"(\bvs\.validate\((?!.*study=)[^()]*(?:\([^()]*\)[^()]*)*)\)": r"\1, study=few)",
    r"\[\[30\.0, 50\.0\]": "[[90.0, 92.0]",
    r"found\.windows\.windows\[0\]": "found.windows",
    r"split\(\(0\.1, 0\.1\), vs": "split((0.01, 0.01), vs",
    r"EnergyDistance\(\), [\w.]*IntervalScan\(\)\]": "EnergyDistance()]",
    r"\b1_000_000\b|\b100_000\b": "2_000",
    r"executor=\"loky:2\"": 'executor="serial"',
    r", progress=True": "",
}
# What runs elsewhere, or nowhere but there: examples followed by test_contributing.py, pages with
# tests of their own, a cluster, an account at a service.
ELSEWHERE = {
    "changelog.md",
    "contributing.md",
    "architecture.md",
    "cluster.md",
    "nightly.md",
    "python.md",
    "your-own-model.md",
}


def blocks(page: Path) -> list[str]:
    return [text for text in _BLOCK.findall(page.read_text("utf-8")) if ">>> " not in text]


# Trainings take their time: these pages are run by `make calibration`.
_TRAINS = re.compile(r"\b(ensemble|mixture|load_example)\b")
PAGES = [
    pytest.param(
        page,
        id=page.name,
        marks=[pytest.mark.calibration] * bool(_TRAINS.search("".join(blocks(page)))),
    )
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if page.name not in ELSEWHERE and blocks(page)
]


@pytest.fixture(scope="module")
def common() -> dict[str, Any]:
    """Names that many pages use, and what they hold."""
    rng = np.random.default_rng(5)

    def sample(n: int, shift: float = 0.0) -> vs.Events:
        x = np.column_stack([rng.normal(91.0 + shift, 2.5, n), rng.gamma(2.0, 10.0, n)])
        return vs.Events(x, names=("m_ll", "pt_ll"))

    train, weighting, held_out = (sample(n) for n in (300, 200, 250))
    run = vs.Run(vs.Seeds(1))
    return {
        "np": np, "vs": vs, "run": run, "seeds": vs.Seeds(1), "other_run": vs.Run(vs.Seeds(2)),
        "train": train, "weight_events": weighting, "test": held_out, "truth": held_out,
        "holdout": held_out, "events": weighting, "generated": sample(250, 0.5),
        "n_train": train.n, "x": held_out.x[:5], "sample": sample, "h": lambda x: x[:, 0],
        "training": train, "validation": weighting, "reference": held_out, "rng": rng,
        "first": sample(100), "second": sample(100), "third": sample(100),
        "edges": np.linspace(85.0, 97.0, 5),
        "few": vs.Study(battery=vs.Battery(tests=("max-ks",), permutations=19, sensitivity=False)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(common: dict[str, Any]) -> dict[str, Any]:
    """Names of what was trained, on pages that show what is done with it."""
    trainer = vs.SplineFlowTrainer(layers=1, hidden=8, epochs=1)
    plan, run = vs.BootstrapPlan(members=4), common["run"]
    ensemble = vs.fit_ensemble(run, common["train"], plan, trainer)
    weighting = common["weight_events"]
    return {
        "trainer": trainer, "plan": plan, "ensemble": ensemble,
        "mixture": vs.fit_mixture(run, ensemble, weighting),
        "logf": ensemble.log_densities(weighting),
    }  # fmt: skip


Made = Callable[[dict[str, Any]], dict[str, Any]]


def _after_the_p_value(c: dict[str, Any]) -> dict[str, Any]:
    return {"ensembles": [c["ensemble"]] * 3, "weight_data": [c["events"]] * 3}


def _by_distances(c: dict[str, Any]) -> dict[str, Any]:
    n_equiv, errors = np.array([1e-3, 6e-4, 4e-4]), np.full(3, 1e-5)
    scores = {"score_of_generated": c["generated"].x[:, 0], "score_of_holdout": c["test"].x[:, 0]}
    fixed = {"any_number_of_generated": c["generated"].x[:, 0], "of_holdout": c["test"].x[:, 0]}
    return {"inverse_n_equiv": n_equiv, "errors": errors, **scores, **fixed}


def _calorimeter(_: dict[str, Any]) -> dict[str, Any]:
    import h5py

    Path("binning_dataset_2.xml").write_text(
        '<Bins><Bin pid="11" name="electron"><Layer id="0" r_edges="0,10" n_bin_alpha="2"/></Bin>'
        "</Bins>"
    )
    with h5py.File("dataset_2_2.hdf5", "w") as file:
        file["showers"] = np.ones((3, 2), np.float32)
        file["incident_energies"] = np.full((3, 1), 100.0)
    return {}


def _classifier(_: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    names = ("incident_energy", "deposit")
    return {key: vs.Events(rng.random((400, 2)), names=names) for key in ("truth", "generated")}


def _coverage(c: dict[str, Any]) -> dict[str, Any]:
    x = c["truth"].x

    def draw(n: int, rng: np.random.Generator) -> Array:
        return np.asarray(x[rng.integers(len(x), size=n)])

    return {"sampler": vs.density.adapt_sampler(draw)}


def _events(c: dict[str, Any]) -> dict[str, Any]:
    import awkward as ak
    import uproot

    vs.write_events(c["train"], "z.parquet")
    vs.write_events(c["truth"], "truth.parquet")
    weights = np.arange(1.0, 4.0)
    for name in ("run_1.root", "run_2.root"):
        with uproot.recreate(name) as file:
            file["Events"] = {"m_ll": 90.0 + weights, "pt_ll": 20.0 + weights, "genWeight": weights}
    lists = {"Jet": [[40.0, 25.0], [35.0], [50.0]], "Muon": [[30.0, 9.0], [20.0], [25.0]]}
    with uproot.recreate("nano.root") as file:
        tree = {name: ak.zip({"pt": values}) for name, values in lists.items()}
        file.mktree("Events", {"MET_pt": np.array([25.0, 30.0, 40.0]), **tree})
    m, pt = c["generated"].x.T
    frame = c["generated"].to_frame()
    columns = {"m_true": c["truth"]["m_ll"], "pt_true": c["truth"]["pt_ll"]}
    return {
        "generated_frame": frame, "m_fast": m, "pt_fast": pt, "scores": np.arange(6.0), **columns,
    }  # fmt: skip


def _human(_: dict[str, Any]) -> dict[str, Any]:
    answers = np.random.default_rng(1).choice(["real", "generated"], (6, 8))
    rows = [f"r{i},i{j},one,{answers[i, j]}" for i in range(6) for j in range(8)]
    Path("ratings.csv").write_text("\n".join(["rater,item,system,answer", *rows]))
    return {}


def _one_sample(_: dict[str, Any]) -> dict[str, Any]:
    from scipy import stats

    events = vs.Events(np.random.default_rng(1).uniform(-1, 1, (200, 1)), names=("cos_theta",))
    return {"events": events, "model": vs.adapt(stats.uniform(-1, 2))}


def _posterior(c: dict[str, Any]) -> dict[str, Any]:
    from posterior_study import Posterior, conjugate

    model, rng = Posterior(), np.random.default_rng(1)
    _, theta, x = conjugate(60, 1, rng)
    at = {"x0": x[:1], "draws_at_x0": model.sample(np.repeat(x[:1], 200, axis=0), rng)[None]}
    return {"model": model, "x": x, "theta": theta, **at}


def _readme(c: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    columns = {"y_ll": rng.uniform(-2, 2, 400), "cos_theta_cs": rng.uniform(-1, 1, 400)}
    vs.write_events(c["sample"](400).join(columns), "z.parquet")
    vs.write_events(c["truth"], "truth.parquet")
    return {"generated_frame": c["generated"].to_frame()}


def _reweighting(_: dict[str, Any]) -> dict[str, Any]:
    return {"signal": np.array([0.0, 5.0, 5.0, 0.0]), "observed": np.array([9.0, 60.0, 50.0, 8.0])}


def _uncertainty(_: dict[str, Any]) -> dict[str, Any]:
    def contents_of(model: Any) -> Array:  # noqa: ANN401
        x = model.sample(500, np.random.default_rng(1))
        return np.histogram(x[:, 0], [85.0, 90.0, 95.0])[0] / 500

    return {"contents_of": contents_of, "cheap_run": vs.Run(vs.Seeds(4))}


def _weight_fit(c: dict[str, Any]) -> dict[str, Any]:
    means = [
        model.sample(500, np.random.default_rng(1))[:, 0].mean() for model in c["ensemble"].members
    ]
    return {"member_means": np.array(means)}


def _nothing(_: dict[str, Any]) -> dict[str, Any]:
    return {}


SUPPOSED: dict[str, Made] = {
    "README.md": _readme,
    "after-the-p-value.md": _after_the_p_value,
    "amplification.md": lambda c: {"generated": c["sample"](400), "train": c["sample"](400)},
    "amplification-differential.md": _by_distances,
    "calorimeter.md": _calorimeter,
    "classifier.md": _classifier,
    "coverage.md": _coverage,
    "events.md": _events,
    "human.md": _human,
    "one-sample.md": _one_sample,
    "posterior.md": _posterior,
    "reweighting.md": _reweighting,
    "uncertainty.md": _uncertainty,
    "weight-fit.md": _weight_fit,
}


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(
    page: Path,
    common: dict[str, Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = blocks(page)
    space = dict(common)
    if _TRAINS.search("".join(texts)):
        space |= request.getfixturevalue("trained")
    space |= SUPPOSED.get(page.name, _nothing)(space)
    for number, text in enumerate(texts):
        for said, small in _SMALLER.items():
            text = re.sub(said, small, text)
        exec(compile(text, f"{page.name}, block {number + 1}", "exec"), space)
