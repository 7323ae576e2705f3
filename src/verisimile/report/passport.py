"""Passports: what was found out about a generated sample, in a small file that travels with it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from verisimile.core.canonical import JSON, canonical
from verisimile.core.documents import json_object, read_document
from verisimile.core.durable import write_atomic
from verisimile.core.errors import StoreError, require
from verisimile.core.result import Estimate, decode, encode, inline
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import file_of
from verisimile.data.fingerprint import Fingerprint, fingerprint
from verisimile.data.inputs import EventsLike, as_events
from verisimile.report.content import ReportInput
from verisimile.report.document import document
from verisimile.report.numbers import z_value
from verisimile.report.owned import check_own
from verisimile.report.sections.validation_verdict import ALL
from verisimile.report.verdict import Finding
from verisimile.report.write import gather
from verisimile.stats.pvalues import PValue
from verisimile.validation.result import Validation

FORMAT = 1
ENDING = ".passport.json"
_SCHEMA = re.compile(r"verisimile\.passport/([0-9]{1,9})")
_DIGEST = "digest"
_LIMIT = 2**22  # bytes: a passport has a few thousand
_PACKAGES = ("verisimile", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How the sample was read: columns with weights and groups, the cut, rows without a value."""

    weights: str | None = None
    group: str | None = None
    cut: str | None = None
    missing: str = "refuse"


@dataclass(frozen=True, slots=True)
class PassportAnswer:
    """One question that was asked of the sample.

    Attributes
    ----------
    question
        A test, a threshold, or all tests together.
    verdict
        ``passed``, ``failed`` or ``inconclusive``.
    decisive
        Whether the verdict on the sample counts it.
    sentence
        The answer in words.
    p_value, z
        None where there is no p-value.  Z is text, ``"> 3.09"`` where draws only bound it.
    adjusted
        Holm's p-value, corrected for the number of tests; None of all of them together.
    """

    question: str
    verdict: str
    decisive: bool
    sentence: str
    p_value: PValue | None
    z: str | None
    adjusted: float | None


@dataclass(frozen=True, slots=True)
class Gain:
    """An interval on the amplification G by one measure; `high` is infinite without a bound."""

    measure: str
    resolution: int
    level: float
    low: float
    high: float
    n_train: int


@dataclass(frozen=True, slots=True)
class CheckedRange:
    """Where a feature was tested: from the least to the largest value of the reference.

    `outside` counts generated events beyond, of which the reference says nothing.
    """

    feature: str
    unit: str
    low: float
    high: float
    outside: int


@dataclass(frozen=True, slots=True)
class Failing:
    """A region in which the sample is wrong, significant after the search over all regions."""

    feature: str
    low: float
    high: float
    kind: str
    ratio: Estimate
    p_value: PValue


@dataclass(frozen=True, slots=True)
class Visible:
    """The smallest effect of a kind that the best test would have seen with a power of 90 %."""

    effect: str
    unit: str
    size: Estimate
    test: str


@dataclass(frozen=True, slots=True)
class Passport:
    """What travels with a generated sample.

    Attributes
    ----------
    name
        How the sample was called.
    sample
        The fingerprint of its values.
    units
        Of its columns.
    recipe
        How its file was read.
    reference, n_reference
        Digest of the reference sample, made as that of the sample, and its size.
    verdict, sentence, level
        ``passed``, ``failed`` or ``inconclusive``, in one line, at this level.
    answers
        Every question, with its p-value.
    amplification
        Intervals on G; empty if it was not measured.
    tested, failing, visible
        The range in which verdicts hold, regions that failed, and effects that are too small
        to have been seen.
    warnings
        What a reader must know.
    seeds, written, versions
        Address of the random streams, date (UTC) and versions of what made it.
    """

    name: str
    sample: Fingerprint
    units: Mapping[str, str]
    recipe: ReadAs
    reference: str
    n_reference: int
    verdict: str
    sentence: str
    level: float
    answers: tuple[PassportAnswer, ...]
    amplification: tuple[Gain, ...]
    tested: tuple[CheckedRange, ...]
    failing: tuple[Failing, ...]
    visible: tuple[Visible, ...]
    warnings: tuple[str, ...]
    seeds: str
    written: str
    versions: Mapping[str, str]

    def to_dict(self) -> dict[str, JSON]:
        """Return it as strict JSON, its own digest last."""
        fields = encode(self, "passport", inline)
        assert isinstance(fields, dict)  # noqa: S101  (as every dataclass is encoded)
        data: dict[str, JSON] = {"schema": f"verisimile.passport/{FORMAT}", **fields}
        return {**data, _DIGEST: own_digest(data)}


def own_digest(data: Mapping[str, JSON]) -> str:
    """Return the sha256 of the canonical JSON of everything but the digest itself."""
    rest = {key: value for key, value in data.items() if key != _DIGEST}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()


def make_passport(
    run: Run,
    results: object,
    generated: EventsLike,
    reference: EventsLike,
    *,
    name: str = "generated",
    recipe: ReadAs = ReadAs(),
) -> Passport:
    """Return the passport of a generated sample.

    Parameters
    ----------
    run
        Gives the seeds to the record of origin.
    results
        What :func:`~verisimile.validation.validate.validate` returned for these samples; with
        what `amplify` returned for the generated one, if it was measured.  Or the content of a
        report of these.
    generated, reference
        The samples, as they were compared: after a cut, before further columns are computed.
    name
        What to call the sample.
    recipe
        How the file of the sample is read, if not as it stands.

    Raises
    ------
    InputError
        If there is not one validation among the results, or it is of other samples.

    Examples
    --------
    >>> import verisimile as vs
    >>> run = vs.Run(vs.Seeds(1))
    >>> x, y = run.seeds.numpy().normal(size=(2, 200, 1))
    >>> quick = vs.Study(battery=vs.Battery(tests=("energy",), permutations=99))
    >>> passport = vs.make_passport(run, vs.validate(run, x, y, study=quick), y, x)
    >>> passport.verdict, [each.question for each in passport.answers]
    ('passed', ['all tests together', 'energy'])
    """
    sample, truth = as_events(generated, "generated"), as_events(reference, "reference")
    content = results if isinstance(results, ReportInput) else gather(results)
    found = _validation(content, sample, truth)
    report = document(run, content)
    versions = report.environment.versions
    return Passport(
        name=name,
        sample=fingerprint(sample),
        units={feature.name: feature.unit for feature in sample.features},
        recipe=recipe,
        reference=fingerprint(truth).digest,
        n_reference=truth.n,
        verdict=report.verdict,
        sentence=report.line,
        level=content.level,
        answers=tuple(_answered(each, found) for each in report.findings),
        amplification=tuple(_gains(content)),
        tested=tuple(_tested(truth, sample)),
        failing=tuple(_failing(found, content.level)),
        visible=tuple(_visible(found)),
        warnings=report.warnings,
        seeds=report.environment.seeds,
        written=report.environment.written,
        versions={name: versions[name] for name in _PACKAGES if name in versions},
    )


def write_passport(
    passport: Passport, path: str | os.PathLike[str], *, force: bool = False
) -> Path:
    """Write a passport as JSON, whole or not at all, and return its file.

    An InputError says that the file is there and no passport, unless by `force`; a StoreError
    that the file system refuses.

    Examples
    --------
    >>> import tempfile
    >>> import verisimile as vs
    >>> run = vs.Run(vs.Seeds(1))
    >>> x, y = run.seeds.numpy().normal(size=(2, 60, 1))
    >>> quick = vs.Study(battery=vs.Battery(tests=("max-ks",), permutations=19))
    >>> passport = vs.make_passport(run, vs.validate(run, x, y, study=quick), y, x)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = vs.write_passport(passport, Path(folder) / "y.passport.json")
    ...     vs.read_passport(file) == passport
    True
    """
    file = Path(path)
    require(file.suffix == ".json", str(path), got=file.suffix or "no ending", expected="NAME.json")
    check_own(file.parent, (file.name,), force=force, way="force=True (--force)")
    write_atomic(file, json.dumps(passport.to_dict(), indent=1, allow_nan=False).encode())
    return file


def place_beside(sample: str | os.PathLike[str]) -> Path:
    """Return the file of the passport beside a sample: ``z.parquet.passport.json``.

    Examples
    --------
    >>> place_beside("fast.root:Events").name
    'fast.root.passport.json'
    """
    file = file_of(sample)
    require(
        not set("*?[") & set(file.name),
        str(sample),
        got="a pattern of several files",
        expected="one file, to lie beside",
        remedy="Say where: --passport-file FILE to write it, PASSPORT after the sample to check.",
    )
    return file.with_name(f"{file.name}{ENDING}")


def passport_document(path: str | os.PathLike[str]) -> dict[str, JSON]:
    """Return the JSON object of a passport's file, of this format or an older one.

    Raises
    ------
    StoreError
        If the file cannot be read, is too large, is no JSON, no passport, or of a newer format.
    """
    file = Path(path)
    data = json_object(read_document(file, limit=_LIMIT), str(file))
    match = _SCHEMA.fullmatch(str(data.get("schema")))
    if match is None:
        raise StoreError(
            str(file),
            got=f"the schema {str(data.get('schema'))[:80]!r}",
            expected=f'a passport, "verisimile.passport/{FORMAT}"',
            remedy="verisimile validate REFERENCE GENERATED --passport writes one.",
        )
    if int(match[1]) > FORMAT:
        raise StoreError(
            str(file),
            got=f"format {match[1]}, of a newer version",
            expected=f"at most {FORMAT}",
            remedy="Upgrade verisimile.",
        )
    return data


def passport_of(data: Mapping[str, JSON], name: str) -> Passport:
    """Return the passport that an object describes; a StoreError says what does not fit."""
    fields = {key: value for key, value in data.items() if key not in ("schema", _DIGEST)}
    found = decode(fields, Passport, name, _none_beside)
    assert isinstance(found, Passport)  # noqa: S101  (which decode made, or raised)
    return found


def read_passport(path: str | os.PathLike[str]) -> Passport:
    """Return the passport in a file.

    Raises
    ------
    StoreError
        As :func:`passport_document`, or if the passport was changed after it was written.

    Examples
    --------
    >>> import tempfile
    >>> import verisimile as vs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mine.json"
    ...     _ = file.write_text('{"verdict": "passed"}')
    ...     vs.read_passport(file)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    verisimile.core.errors.StoreError: ...: got the schema 'None'; expected a passport...
    """
    data = passport_document(path)
    if data.get(_DIGEST) != own_digest(data):
        raise StoreError(
            str(path),
            got="a text that has another digest than it states",
            expected="a passport as it was written",
            remedy="It was changed or damaged: get it again from where the sample comes from.",
        )
    return passport_of(data, str(path))


def _none_beside(key: str) -> npt.NDArray[Any]:
    raise StoreError("passport", got=f"a reference to the array {key!r}", expected="no arrays")


def _validation(content: ReportInput, sample: Events, truth: Events) -> Validation:
    """Return the one validation of a report, which is of these samples."""
    found = [each.validation for each in content.validations]
    require(
        len(found) == 1,
        "results",
        got=f"{len(found)} validations",
        expected="what validate returned for this sample",
    )
    sizes = truth.n, sample.n
    tested = found[0].n_reference, found[0].n_generated
    require(
        sizes == tested,
        "results",
        got=f"a validation of {tested[0]} and {tested[1]} events",
        expected=f"one of these samples, of {sizes[0]} and {sizes[1]} events",
        remedy="Give both as they were compared, after any cut.",
    )
    return found[0]


def _answered(finding: Finding, found: Validation) -> PassportAnswer:
    test = next((each for each in found.tests if each.name == finding.hypothesis), None)
    whole = finding.hypothesis == ALL
    p = found.p_value if whole else None if test is None else test.p_value
    return PassportAnswer(
        question=finding.hypothesis,
        verdict=finding.word,
        decisive=finding.decisive,
        sentence=finding.sentence,
        p_value=p,
        z=None if p is None else z_value(p),
        adjusted=None if test is None or p is None else test.adjusted,
    )


def _gains(content: ReportInput) -> Iterator[Gain]:
    for named in content.amplifications:
        for each in named.study.measures:
            level = max(interval.level for interval in each.intervals)
            low, high = each.gain_interval(level)
            yield Gain(each.measure, each.resolution, level, low, high, each.n_train)


def _tested(truth: Events, sample: Events) -> Iterator[CheckedRange]:
    for feature in truth.features:
        if feature.name not in sample.names:
            continue
        ours, theirs = truth.column(feature.name), sample.column(feature.name)
        low, high = float(ours.min()), float(ours.max())
        outside = int(((theirs < low) | (theirs > high)).sum())
        yield CheckedRange(feature.name, feature.unit, low, high, outside)


def _failing(found: Validation, level: float) -> Iterator[Failing]:
    for window in () if found.windows is None else found.windows.significant(level):
        if window.p_value is not None:
            ends = window.low, window.high
            yield Failing(window.feature, *ends, window.kind, window.ratio, window.p_value)


def _visible(found: Validation) -> Iterator[Visible]:
    for effect in dict.fromkeys(each.effect for each in found.sensitivities):
        seen = [
            (each.at_ninety, each)
            for each in found.sensitivities
            if each.effect == effect and each.at_ninety is not None
        ]
        if seen:
            size, best = min(seen, key=lambda pair: pair[0].value)
            if math.isfinite(size.value):
                yield Visible(effect, best.unit, size, best.statistic)
