"""A study file of several stages: each section is a command, its keys are the command's options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import typer

from verisimile.core.errors import InputError, require, require_one_of
from verisimile.data.feature import suggestion
from verisimile.data.request import Missing
from verisimile.validation.study import Study, checked_study
from verisimile.validation.study_file import read_tables

ORDER = ("fit", "gof", "coverage", "sample", "validate", "amplify")
"""In which stages follow each other; others come after these, as in the file."""

_TOP = ("title", "seed", "level", "samples", "features")
_OF_SAMPLES = ("events", "features", "unseen", "weights", "group", "ignore", "missing", "cut")
_NO_STAGES = ("demo", "gc", "run")  # of the commands that have --dry-run
# Said once for the study, by its file or by the options of the command that runs it.
_OF_ALL = {
    "dry_run", "as_json", "executor", "max_seconds", "shard", "force", "report", "out",
    "quiet", "debug", "help",
}  # fmt: skip
_FILES = {"FILE", "PATTERN", "FILE.csv", "DIR"}

# Of click, which may be a package of its own or a part of typer.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


@dataclass(frozen=True, slots=True)
class ChainSource:
    """The events that are parted into those to learn and those that nothing may see before.

    Attributes
    ----------
    events
        The file.
    unseen
        Fraction that is set apart.
    features, weights, group, ignore, missing, cut
        What is read of it, as the options of the same names say.
    """

    events: str
    unseen: float = 0.2
    features: tuple[str, ...] | None = None
    weights: str | None = None
    group: str | None = None
    ignore: tuple[str, ...] = ()
    missing: Missing = "refuse"
    cut: str | None = None


@dataclass(frozen=True, slots=True)
class StudySection:
    """One stage as the file says it.

    Attributes
    ----------
    title
        What messages call it: the command, and its number if there are several.
    command
        The command's name.
    values
        What the file says.
    """

    title: str
    command: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ChainStudy:
    """What a study file says: sections in the order in which they run, paths not yet resolved."""

    file: Path
    title: str
    seed: int
    level: float
    source: ChainSource | None
    features: Mapping[str, Mapping[str, object]]
    sections: tuple[StudySection, ...]

    def section(self, command: str) -> StudySection | None:
        """Return the first section of a command, None if there is none."""
        return next((each for each in self.sections if each.command == command), None)


def read_chain(file: Path, group: object) -> ChainStudy:
    """Return the study in a file of sections.

    Parameters
    ----------
    file
        TOML or YAML; paths in it are relative to its folder.
    group
        The program, whose commands the sections are called after.

    Raises
    ------
    InputError
        If the file cannot be read, or a key or a section is not known.
    """
    tables = read_tables(file)
    known = stage_names(group)
    unknown = [key for key in tables if key not in (*_TOP, *known)]
    if unknown:
        raise InputError(
            str(file),
            got=f"the key {unknown[0]!r}",
            expected=f"sections of {', '.join(known)}, or any of {', '.join(_TOP)}",
            remedy=suggestion(unknown[0], [*known, *_TOP]) or _misplaced(unknown[0], file),
        )
    # Title, level, seed and the descriptions of features are those of any study.
    common = {key: tables[key] for key in ("title", "level", "seed", "features") if key in tables}
    study = checked_study({"title": file.stem, **common}, where=str(file))
    sections = tuple(_sections(tables, known, file))
    require(sections, str(file), got="no section", expected=f"one or more of {', '.join(known)}")
    return ChainStudy(
        file=file,
        title=study.title,
        seed=study.seed,
        level=study.level,
        source=_source(tables.get("samples"), file),
        features={name: said.stated for name, said in study.features.items()},
        sections=sections,
    )


def stage_names(group: object) -> list[str]:
    """Return the commands that may be sections: those that plan their work."""
    commands: dict[str, Any] = getattr(group, "commands", {})
    planning = [
        name
        for name, each in commands.items()
        if name not in _NO_STAGES and any(p.name == "dry_run" for p in each.params)
    ]
    return [*(name for name in ORDER if name in planning), *sorted(set(planning) - set(ORDER))]


def _misplaced(key: str, file: Path) -> str:
    if key in Study.model_fields:
        return f"A study of one comparison is run by verisimile validate --study {file}."
    return ""


def _sections(
    tables: Mapping[str, object], known: Sequence[str], file: Path
) -> Iterator[StudySection]:
    """Yield the sections in the order of the stages; an array of tables is several."""
    for name in (*(n for n in known if n in ORDER), *(n for n in tables if n not in ORDER)):
        if name not in tables or name not in known:
            continue
        found = tables[name]
        several = found if isinstance(found, list) else [found]
        for number, values in enumerate(several, 1):
            require(
                isinstance(values, Mapping),
                f"{file}: {name}",
                got=f"{values!r}",
                expected=f"a section [{name}]",
            )
            title = name if len(several) == 1 else f"{name} {number}"
            yield StudySection(title, name, cast("Mapping[str, object]", values))


def _source(values: object, file: Path) -> ChainSource | None:
    if values is None:
        return None
    where = f"{file}: samples"
    require(isinstance(values, Mapping), where, got=f"{values!r}", expected="a section [samples]")
    said = dict(cast("Mapping[str, object]", values))
    for key in said:
        require(
            key in _OF_SAMPLES,
            where,
            got=f"the key {key!r}",
            expected=f"any of {', '.join(_OF_SAMPLES)}",
            remedy=suggestion(key, _OF_SAMPLES),
        )
    unseen = said.get("unseen", 0.2)
    require(isinstance(said.get("events"), str), where, got="no file", expected='events = "FILE"')
    require(
        isinstance(unseen, float) and 0.0 < unseen < 1.0,
        f"{where}.unseen",
        got=repr(unseen),
        expected="the fraction to set apart, between 0 and 1",
    )
    for key in ("features", "ignore"):
        if key in said:
            said[key] = _names(said[key], f"{where}.{key}")
    require_one_of(said.get("missing", "refuse"), get_args(Missing), f"{where}.missing")
    for key in ("weights", "group", "cut"):
        require(
            isinstance(said.get(key, ""), str), f"{where}.{key}", got=said.get(key), expected="text"
        )
    events = str(file.parent / str(said.pop("events")))
    return ChainSource(events, **said)  # type: ignore[arg-type]


def _names(value: object, where: str) -> tuple[str, ...]:
    good = isinstance(value, list) and all(isinstance(each, str) for each in value)
    require(good, where, got=repr(value), expected="a list of names")
    return tuple(cast("list[str]", value))


@dataclass(frozen=True, slots=True)
class Given:
    """What every stage has unless its section says otherwise.

    Attributes
    ----------
    folder
        Of the file: what paths are relative to.
    defaults
        By the name of a parameter: what a command that has it is given.
    forced
        The same, for what no section may say.
    extra
        Where further files of a stage are written.
    """

    folder: Path
    defaults: Mapping[str, object]
    forced: Mapping[str, object]
    extra: Path


def options_of(section: StudySection, command: Any, given: Given) -> dict[str, object]:  # noqa: ANN401
    """Return the values of a command's parameters, as its own parser makes them of a section.

    Raises
    ------
    InputError
        If a key is no option of the command, or a value none that it takes.
    """
    where = f"[{section.title}]"
    parameters = {_key(each): each for each in command.params}
    tables = _tables(section, parameters)
    values = {key: value for key, value in section.values.items() if key not in tables}
    for key in values:
        parameter = parameters.get(key)
        if parameter is None:
            raise InputError(
                where,
                got=f"the key {key!r}",
                expected=f"options of verisimile {section.command}",
                remedy=suggestion(key, set(parameters) - _OF_ALL),
            )
        judged = key == "level" and section.command != "coverage"  # at the level of the report
        require(
            not judged and parameter.name not in _OF_ALL,
            where,
            got=f"the key {key!r}",
            expected="no such key: it is said for the whole study",
            remedy="Put it at the top of the file." if judged else "See verisimile run --help.",
        )
    named = {parameters[key].name: value for key, value in values.items()}
    resolved = {
        each.name: _resolved(named[each.name], given.folder) if _is_file(each) else named[each.name]
        for each in command.params
        if each.name in named
    }
    known = {each.name for each in command.params}
    defaults = {key: value for key, value in given.defaults.items() if key in known}
    forced = {key: value for key, value in given.forced.items() if key in known}
    if tables:
        forced["study"] = str(_written(tables, section, given))
    words = list(_words(command, {**defaults, **resolved, **forced}, where))
    try:
        context = command.make_context(section.command, words)
    except _UsageError as error:
        raise InputError(
            where,
            got=" ".join(error.format_message().split()).rstrip("."),
            expected=f"options as verisimile {section.command} --help says",
        ) from None
    return {key: value for key, value in context.params.items() if key not in ("quiet", "debug")}


def _key(parameter: Any) -> str:  # noqa: ANN401
    """Return what a section calls a parameter: as the shell does, with _ for -."""
    if parameter.param_type_name == "argument":
        letters = parameter.metavar or parameter.name
        return "".join(each for each in letters.lower() if each.isalpha())
    return str(max(parameter.opts, key=len)).lstrip("-").replace("-", "_")


def _is_file(parameter: Any) -> bool:  # noqa: ANN401
    return parameter.param_type_name == "argument" or parameter.metavar in _FILES


def _resolved(value: object, folder: Path) -> object:
    if isinstance(value, list):
        return [_resolved(each, folder) for each in value]
    return str(folder / value) if isinstance(value, str) else value


def _tables(section: StudySection, parameters: Mapping[str, object]) -> dict[str, object]:
    """Return what no option of validate can say: parts of a study of one comparison."""
    if section.command != "validate":
        return {}
    parts = set(Study.model_fields) - {"title", "level", "seed", "samples"}
    return {
        key: value
        for key, value in section.values.items()
        if key in parts and (isinstance(value, Mapping) or key not in parameters)
    }


def _written(tables: Mapping[str, object], section: StudySection, given: Given) -> Path:
    """Write a study of one comparison, as JSON, which is YAML too, and return its file."""
    said = dict(tables)
    if isinstance(said.get("functions"), str):
        said["functions"] = str((given.folder / str(said["functions"])).resolve())
    checked_study(said, where=f"[{section.title}]")
    file = given.extra / f"{section.title.replace(' ', '-')}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said, indent=1, default=str), encoding="utf-8")
    return file


def _words(command: Any, values: Mapping[str, object], where: str) -> Iterator[str]:  # noqa: ANN401
    """Yield the words of a command line: options, then arguments in their order."""
    arguments: list[str] = []
    for parameter in command.params:
        if parameter.name not in values:
            continue
        value = values[parameter.name]
        if parameter.param_type_name == "argument":
            arguments += map(str, value) if isinstance(value, list) else [str(value)]
            continue
        yield from _option(parameter, value, f"{where} {_key(parameter)}")
    yield "--"
    yield from arguments


def _option(parameter: Any, value: object, where: str) -> Iterator[str]:  # noqa: ANN401
    long = [name for name in parameter.opts if name.startswith("--")]
    if parameter.is_flag:
        require(isinstance(value, bool), where, got=repr(value), expected="true or false")
        if value or parameter.secondary_opts:
            yield parameter.opts[0] if value else parameter.secondary_opts[0]
        return
    for text in _texts(value, where, multiple=parameter.multiple):
        if long:
            yield f"{long[0]}={text}"  # a value may begin with a dash
        else:
            yield from (parameter.opts[0], text)


def _texts(value: object, where: str, *, multiple: bool) -> list[str]:
    """Return what is typed for a value: several words, or one with commas, for a list."""
    if isinstance(value, Mapping):
        require(multiple, where, got="a table", expected="one value")
        return [_pair(str(name), said) for name, said in value.items()]
    if isinstance(value, list | tuple):
        return [_text(each) for each in value] if multiple else [",".join(map(_text, value))]
    return [_text(value)]


def _pair(name: str, said: object) -> str:
    """Return ``name=text``, ``name=low:high`` of a pair, ``name:key=value,...`` of a table.

    Examples
    --------
    >>> _pair("m_ll", [60, 120]), _pair("pt", {"unit": "GeV", "low": 0.0})
    ('m_ll=60:120', 'pt:unit=GeV,low=0.0')
    """
    if isinstance(said, Mapping):
        return f"{name}:" + ",".join(f"{key}={_text(each)}" for key, each in said.items())
    if isinstance(said, list):
        return f"{name}=" + ":".join(map(_text, said))
    return f"{name}={_text(said)}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_sample(chain: ChainStudy) -> ChainStudy:
    """Return a study in which what a fit has learned is drawn from, if it is to be compared."""
    needs = [
        each
        for each in chain.sections
        if each.command == "validate" and "generated" not in each.values
    ]
    if not (needs and chain.section("fit")) or chain.section("sample"):
        return chain
    drawn = StudySection("sample", "sample", {})
    place = next(k for k, each in enumerate(chain.sections) if each.command == "validate")
    sections = (*chain.sections[:place], drawn, *chain.sections[place:])
    return replace(chain, sections=sections)
