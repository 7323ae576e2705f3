"""What a study and its samples say of the compared features, brought together."""

from __future__ import annotations

from collections.abc import Mapping

from verisimile.core.errors import InputError
from verisimile.data.derived import described, periodic_descriptions, worded_by
from verisimile.data.description import Description, agreed
from verisimile.data.events import Events, match_features


def all_descriptions(
    features: Mapping[str, Description], periodic: tuple[str, ...]
) -> dict[str, Description]:
    """Return what a study says of features in its table and by its list of periodic ones.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    return agreed(features, periodic_descriptions(periodic), ("feature", "samples.periodic"))


def described_alike(
    samples: Mapping[str, Events],
    descriptions: Mapping[str, Description],
    *,
    called: Mapping[str, str],
) -> dict[str, Events]:
    """Return samples with what a study says of features, then the units and labels of each other.

    Columns are put into the order of the first sample.  Errors call samples as `called` says by
    their roles.

    Raises
    ------
    InputError
        If a described name is no feature, if the features of samples differ, or their units.
    SupportError
        If values lie outside of a support.
    """
    said = {role: _within(events, called[role], descriptions) for role, events in samples.items()}
    base, (first, *others) = next(iter(said)), said.values()
    # Two units of one feature are noticed here, also where the first sample states none.
    target = worded_by(first, others).features
    matched = {
        role: match_features(events, target, where=called[role], of=called[base])
        for role, events in said.items()
    }
    return {role: worded_by(events, list(matched.values())) for role, events in matched.items()}


def _within(events: Events, name: str, descriptions: Mapping[str, Description]) -> Events:
    try:
        return described(events, descriptions)
    except InputError as error:
        raise error.within(name) from None


def kind_mismatches(samples: Mapping[str, Events]) -> list[str]:
    """Return a warning for every feature that samples describe as different in kind."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for role, events in samples.items():
        for spec in events.features:
            kinds.setdefault(spec.name, {}).setdefault(spec.kind, []).append(role)
    return [
        f"feature {name!r} is {', '.join(_said(*each) for each in found.items())}: taken as "
        f"{next(iter(found))}; say which, by kind in [features] or --feature"
        for name, found in kinds.items()
        if len(found) > 1
    ]


def _said(kind: str, roles: list[str]) -> str:
    return f"{kind} in the {' and '.join(roles)} sample"
