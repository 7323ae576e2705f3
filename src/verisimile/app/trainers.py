"""Trainers by the names of ``fit --trainer``, and their settings from ``--set key=value``.

The settings are the fields of a trainer's dataclass: nothing is listed here that a new field
would have to be added to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from enum import StrEnum
from importlib import import_module
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.density.protocol import AnyTrainer, SamplerTrainer

_NESTED = "flow"  # the field of a recipe that is made of another one


class TrainerName(StrEnum):
    """What makes each member; the words of ``--trainer``."""

    SPLINE = "spline"
    ZUKO = "zuko"
    BAYESIAN = "bayesian"
    DROPOUT = "dropout"
    FLOW_MATCHING = "flow-matching"
    MIXTURE_NETWORK = "mixture-network"
    GAUSSIAN_MIXTURE = "gaussian-mixture"
    KERNEL_DENSITY = "kernel-density"
    DIFFUSION = "diffusion"
    GAN = "gan"
    VAE = "vae"


SAMPLERS = (TrainerName.DIFFUSION, TrainerName.GAN, TrainerName.VAE)
"""Those whose models draw events and know no density."""

_KINDS = {
    TrainerName.SPLINE: "flows.trainer:SplineFlowTrainer",
    TrainerName.ZUKO: "flows.zuko:ZukoSplineTrainer",
    TrainerName.BAYESIAN: "flows.random_weights:BayesianFlowTrainer",
    TrainerName.DROPOUT: "flows.random_weights:DropoutFlowTrainer",
    TrainerName.FLOW_MATCHING: "paths.flow_matching:FlowMatchingTrainer",
    TrainerName.MIXTURE_NETWORK: "mixtures.autoregressive:MixtureNetworkTrainer",
    TrainerName.GAUSSIAN_MIXTURE: "mixtures.gaussian:GaussianMixtureTrainer",
    TrainerName.KERNEL_DENSITY: "mixtures.kernel:KernelDensityTrainer",
    TrainerName.DIFFUSION: "paths.diffusion:DiffusionTrainer",
    TrainerName.GAN: "samplers:AdversarialTrainer",
    TrainerName.VAE: "samplers:AutoencoderTrainer",
}


@dataclass(frozen=True, slots=True)
class TrainerSetting:
    """One setting of a trainer: its name, its type, and what it is if nothing is said."""

    name: str
    hint: Any
    default: Any

    @property
    def kind(self) -> str:
        """What its value must be, in words."""
        return _words(self.hint)

    def read(self, text: str) -> Any:  # noqa: ANN401  (of its type)
        """Return the value in a text, an InputError if it is none."""
        try:
            return _value(self.hint, text.strip())
        except ValueError:
            raise InputError(
                f"--set {self.name}",
                got=repr(text),
                expected=self.kind,
                remedy=f"For instance --set {self.name}={_shown(self.default)}, the default.",
            ) from None


def kind_of(name: TrainerName) -> type[SamplerTrainer]:
    """Return the class of a trainer."""
    module, _, kind = _KINDS[name].partition(":")
    found = getattr(import_module(f"verisimile.density.{module}"), kind)
    return cast("type[SamplerTrainer]", found)


def settings_of(name: TrainerName) -> dict[str, TrainerSetting]:
    """Return the settings of a trainer by name, those of the flow that it is made of included."""
    kind = kind_of(name)
    own = _settings(kind)
    if _NESTED not in own:
        return own
    inner = own.pop(_NESTED)
    return own | {k: v for k, v in _settings(inner.hint).items() if k not in own}


def trainer_of(name: TrainerName, settings: Mapping[str, str]) -> SamplerTrainer:
    """Return a trainer with these settings, checked.

    Raises
    ------
    InputError
        If it has no such setting, or not with such a value.
    """
    known = settings_of(name)
    for key in settings:
        if key not in known:
            raise InputError(
                f"--set {key}",
                got=f"no setting of the trainer {name.value!r}",
                expected=f"one of {', '.join(known)}",
                remedy="verisimile fit --trainers shows the settings of each with their defaults.",
            )
    values = {key: known[key].read(text) for key, text in settings.items()}
    kind = cast(Any, kind_of(name))
    own = {field.name for field in fields(kind)}
    if _NESTED not in own:
        return cast("SamplerTrainer", kind(**values))
    flow = replace(kind().flow, **{k: v for k, v in values.items() if k not in own})
    made = kind(flow=flow, **{k: v for k, v in values.items() if k in own})
    return cast("SamplerTrainer", made)


def given(trainer: SamplerTrainer, context: Sequence[str] | None) -> AnyTrainer:
    """Return the recipe for the density of all other columns given these, if there are some.

    Raises
    ------
    InputError
        If there is no such recipe: spline flows alone have one.
    """
    if not context:
        return trainer
    from verisimile.density.flows.trainer import SplineFlowTrainer

    if not isinstance(trainer, SplineFlowTrainer):
        raise InputError(
            "--given",
            got=f"a {type(trainer).__name__}",
            expected="--trainer spline, which can be conditional",
        )
    return trainer.given(*context)


def length_of(trainer: AnyTrainer) -> int:
    """Return the epochs of its schedule; one of a trainer without epochs."""
    inner = getattr(trainer, _NESTED, trainer)
    return int(getattr(inner, "epochs", 1))


def rows() -> list[tuple[str, str, str, str]]:
    """Return a row for each setting of each trainer: trainer, setting, default, what it is."""
    return [
        (name.value if not number else "", each.name, _shown(each.default), each.kind)
        for name in TrainerName
        for number, each in enumerate(settings_of(name).values())
    ]


def _settings(kind: Any) -> dict[str, TrainerSetting]:  # noqa: ANN401  (a dataclass)
    hints = get_type_hints(kind)
    return {
        field.name: TrainerSetting(field.name, hints[field.name], _default(field))
        for field in fields(kind)
        if field.init and (is_dataclass(hints[field.name]) is (field.name == _NESTED))
    }


def _default(field: Field[Any]) -> Any:  # noqa: ANN401  (of its type)
    if field.default is not MISSING:
        return field.default
    return None if field.default_factory is MISSING else field.default_factory()


def _value(hint: Any, text: str) -> Any:  # noqa: ANN401  (a type, and a value of it)
    """Return the value of a type that a text writes; a ValueError if it writes none."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for part in parts:
            try:
                return _value(part, text)
            except ValueError:
                continue
        raise ValueError(text)
    if origin is Literal:
        return parts[[str(part) for part in parts].index(text)]
    if origin is tuple:
        return tuple(_value(parts[0], part.strip()) for part in text.split(","))
    if hint is bool:
        return {"true": True, "false": False}[_known(text.lower(), ("true", "false"))]
    if hint in (int, float, str):
        return hint(text)
    raise ValueError(text)


def _known(text: str, words: Sequence[str]) -> str:
    if text not in words:
        raise ValueError(text)
    return text


def _words(hint: Any) -> str:  # noqa: ANN401  (a type)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_words(part) for part in parts)
    if origin is Literal:
        return " or ".join(str(part) for part in parts)
    if origin is tuple:
        return f"{_words(parts[0])}s with commas between them"
    names = {int: "whole number", float: "number", bool: "true or false", str: "word"}
    return names.get(hint, str(hint))


def _shown(value: Any) -> str:  # noqa: ANN401  (of a setting)
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else f"{value}"
