"""Models in a user's file, ``model.py:my_sampler``, and events drawn from them."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verisimile.core.random import Seeds
    from verisimile.data.events import Events
    from verisimile.density.protocol import Sampler

_SUFFIX = ".py"
_REMEDY = (
    "Name a function f(n, rng), or an object that verisimile.adapt takes: model.py:my_sampler."
)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An object of a Python file: what ``model.py:my_sampler`` names."""

    path: Path
    name: str

    @classmethod
    def named(cls, uri: str | None) -> ModelFile | None:
        """Return what a text names, None if it is no object of a Python file.

        Examples
        --------
        >>> ModelFile.named("model.py:my_sampler").name
        'my_sampler'
        >>> ModelFile.named("generated.root:Events") is None
        True
        """
        path, colon, name = (uri or "").rpartition(":")
        if (uri or "").endswith(_SUFFIX):
            raise InputError(
                str(uri), got="a file", expected="an object of the file", remedy=_REMEDY
            )
        return cls(Path(path), name) if colon and path.endswith(_SUFFIX) else None

    def load(self) -> object:
        """Run the file and return its object; of a function without arguments, what it returns.

        Raises
        ------
        InputError
            If there is no such file or object, or the file fails.
        """
        module = self._module()
        if not hasattr(module, self.name):
            known = [name for name, value in vars(module).items() if _own(name, value, module)]
            raise InputError(
                f"{self.path}:{self.name}",
                got="no such name in the file",
                expected=f"one of {', '.join(known)}" if known else "a name of the file",
                remedy=_REMEDY,
            )
        found = getattr(module, self.name)
        return self._tried(found) if _makes(found) else found

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def _module(self) -> ModuleType:
        if not self.path.is_file():
            raise InputError(str(self.path), got="no such file", expected="a Python file")
        name = f"verisimile_model_{hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()}"
        spec = importlib.util.spec_from_file_location(name, self.path)
        if spec is None or spec.loader is None:
            raise InputError(str(self.path), got="an unreadable file", expected="a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # where dataclasses look for their types
        folder = str(self.path.resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)  # files beside it, as if it were run
        self._tried(lambda: spec.loader.exec_module(module))
        return module

    def _tried(self, action: object) -> object:
        try:
            return action()  # type: ignore[operator]
        except Exception as error:  # a stranger's file may raise anything
            raise InputError(
                str(self.path),
                got=f"{type(error).__name__}: {error}",
                expected="a file that runs",
            ) from error


@dataclass(frozen=True, slots=True)
class FileSampler:
    """A sampler of a Python file, loaded; `names` are its columns, if it says them itself."""

    file: ModelFile
    sampler: Sampler
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, file: ModelFile) -> FileSampler:
        """Run the file; an InputError if its object draws no events."""
        from verisimile.density.adapters import adapt_sampler

        loaded = file.load()
        names = getattr(loaded, "names", None)
        return cls(file, adapt_sampler(loaded), None if names is None else tuple(names))

    def draw(self, n: int, columns: Sequence[str], seeds: Seeds) -> tuple[Events, str]:
        """Return `n` events, and what a reader must know of them.

        Unless the model has `names` its columns are `columns`, in this order.

        Raises
        ------
        InputError
            If it draws another number of columns.
        """
        from verisimile.data.events import Events

        names = self.names or tuple(columns)
        if len(names) != self.sampler.n_features:
            raise InputError(
                f"{self.file.path}:{self.file.name}",
                got=f"events of {self.sampler.n_features} columns",
                expected=f"the {len(names)} columns {', '.join(names)}, in this order",
                remedy="Choose columns by --features, in the model's order, or give the model "
                "`names`.",
            )
        events = Events(self.sampler.sample(n, seeds.numpy()), names=names)
        return events, (
            f"{self.file.path}:{self.file.name}, {n} events drawn with seed {seeds.entropy}, "
            f"columns {', '.join(names)} (file of sha256 {self.file.sha256[:12]})"
        )


def _makes(found: object) -> bool:
    """Return whether this is a function without arguments, which makes the model when called."""
    return inspect.isfunction(found) and not inspect.signature(found).parameters


def _own(name: str, value: object, module: ModuleType) -> bool:
    made_here = getattr(value, "__module__", module.__name__) == module.__name__
    return made_here and not name.startswith("_") and not inspect.ismodule(value)
