"""Command lines to begin with, which ``--help`` shows: a test parses each with the real options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[tuple[str, str]]] = {
    "demo": (
        ("everything on events that come with the package", "verisimile demo --out demo-report"),
        ("what it would do, and for how long", "verisimile demo --dry-run"),
    ),
    "init": (
        ("a study of a density that is to be learned", "verisimile init z.parquet"),
        (
            "of a generated sample beside the truth",
            "verisimile init truth.root:Events fast.root:Events --out fast.toml",
        ),
    ),
    "run": (
        ("all stages of a study, and one report", "verisimile run study.toml"),
        ("the stages, their tasks and their time", "verisimile run study.toml --dry-run"),
        (
            "an hour of it; the same command goes on",
            "verisimile run study.toml --max-seconds 3600 --executor loky:8",
        ),
    ),
    "validate": (
        ("two samples, and a verdict", "verisimile validate truth.parquet generated.parquet"),
        (
            "look for events that were memorised too",
            "verisimile validate truth.parquet generated.parquet --train train.parquet",
        ),
        (
            "weights, a cut, and an efficiency",
            "verisimile validate truth.root:Events fast.root:Events --weights genWeight "
            "--cut 'm_ll > 66' --selection 'peak=abs(m_ll - 91.2) < 5'",
        ),
        ("a nightly job", "verisimile validate --study nightly.toml --quiet"),
        (
            "with a passport that travels with the sample",
            "verisimile validate truth.parquet generated.parquet --passport",
        ),
        (
            "new events every night, and one p-value for all nights",
            "verisimile validate truth.parquet generated.parquet --monitor fast.state",
        ),
    ),
    "check-passport": (
        ("a sample and the passport beside it", "verisimile check-passport generated.parquet"),
        (
            "the same events in another format",
            "verisimile check-passport fast.root:Events generated.parquet.passport.json",
        ),
    ),
    "amplify": (
        (
            "how many events, and whether it repeats those it has learned from",
            "verisimile amplify generated.parquet --holdout unseen.parquet --train train.parquet",
        ),
        ("of a fitted run", "verisimile amplify runs/z --holdout unseen.parquet"),
        (
            "along a feature, in four bins of it",
            "verisimile amplify generated.parquet --holdout unseen.parquet --train train.parquet "
            "--condition pt_ll --bins 5,15,40",
        ),
    ),
    "compare": (
        (
            "one family of generators",
            "verisimile compare 'flows/*.parquet' --truth truth.parquet",
        ),
        (
            "two families",
            "verisimile compare flows/ --against diffusion/ --truth truth.parquet",
        ),
    ),
    "reweight": (
        (
            "weights with errors, and whether the sample holds with them",
            "verisimile reweight truth.parquet generated.parquet --out reweighting",
        ),
        (
            "with a template for an analysis",
            "verisimile reweight truth.parquet generated.parquet --axis m_ll=60:120:24",
        ),
    ),
    "templates": (
        (
            "a histogram with its errors as variations",
            "verisimile templates runs/z --axis m_ll=60:120:24 --events 50000",
        ),
        (
            "workspaces of pyhf and cabinetry, and the strength of a signal",
            "verisimile templates runs/z --axis m_ll=60:120:24 --events 50000 "
            "--signal signal.parquet --observed data.parquet",
        ),
    ),
    "fit": (
        (
            "twenty flows and their mixture",
            "verisimile fit z.parquet --members 20 --support m_ll=60:120 --out runs/z",
        ),
        (
            "what it would take, before it runs",
            "verisimile fit z.parquet --features m_ll,pt_ll --out runs/z --dry-run",
        ),
    ),
    "gof": (
        ("events that the fit has not seen", "verisimile gof runs/z unseen.parquet"),
        (
            "a small p-value, stopped early if it is not one",
            "verisimile gof runs/z unseen.parquet --toys 100000 --exceedances 10 --report report/",
        ),
    ),
    "coverage": (
        ("the means of all features", "verisimile coverage runs/z --report report/"),
        (
            "a quantile and a bin, against a known truth",
            "verisimile coverage runs/z --truth truth.parquet --quantile pt_ll:0.5 "
            "--bin m_ll:80:100",
        ),
    ),
    "sample": (
        (
            "a hundred thousand events of a fitted run",
            "verisimile sample runs/z -n 100000 --out generated.parquet",
        ),
    ),
    "posterior": (
        (
            "draws of a posterior beside what was simulated",
            "verisimile posterior draws.npz --tests tarp,sbc",
        ),
        (
            "a model that draws them",
            "verisimile posterior simulations.npz --model model.py:posterior --draws 200",
        ),
    ),
    "one-sample": (
        (
            "events and a density that is known",
            "verisimile one-sample events.parquet model.py:density --toys 999",
        ),
        (
            "a feature and its distribution function",
            "verisimile one-sample events.parquet --cdf cos_theta=model.py:cdf_of_cos_theta",
        ),
    ),
    "ratings": (("what people answered", "verisimile ratings answers.csv --out ratings"),),
    "arena": (
        ("a metric of your own beside two of ours", "verisimile arena my_metric.py:fn energy mmd"),
        (
            "a test, taken at its word, on real events too",
            "verisimile arena my_metric.py:fn --p-values --events z.parquet --features m_ll,pt_ll",
        ),
        ("a first look, in seconds", "verisimile arena my_metric.py:fn --quick"),
    ),
    "report": (
        ("the page again, of what is kept", "verisimile report fast-report"),
        (
            "two side by side, and what changed",
            "verisimile report last-night tonight --out changes",
        ),
    ),
    "inspect": (
        ("what a run folder holds", "verisimile inspect runs/z"),
        ("the same for a program", "verisimile inspect runs/z --json"),
    ),
    "gc": (("how much could go", "verisimile gc runs/z --dry-run"),),
    "submit": (
        (
            "forty jobs of Slurm and one that merges",
            "verisimile submit --system slurm --shards 40 gof runs/z unseen.parquet "
            "--report report/",
        ),
    ),
}
"""By command: what for, and the line."""


def said_of(name: str) -> str:
    """Return the examples of a command as its help shows them; empty if there are none."""
    # A paragraph each: what shows help may join lines, never paragraphs.
    shown = [f"{what}:\n  {line}" for what, line in EXAMPLES.get(name, ())]
    return "\n\n".join(["Examples", *shown]) if shown else ""
