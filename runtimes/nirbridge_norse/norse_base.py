"""Norse's base class, from its one file: the packages around it load matplotlib and tensorboard, half a second."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location, spec_from_loader
from pathlib import Path
from types import ModuleType

_NAME = "norse.torch.module.snn"


class _LoadedBefore(MetaPathFinder, Loader):
    """Gives the module to whoever imports Norse's packages later, so that its classes exist once."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(_NAME, self) if fullname == _NAME else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """It ran when it was loaded alone."""


def _load_alone() -> ModuleType:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("norse")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'norse'", name="norse")
    file = Path(package.submodule_search_locations[0], *_NAME.split(".")[1:]).with_suffix(".py")
    spec = spec_from_file_location(_NAME, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.meta_path.insert(0, _LoadedBefore(module))
    return module


SNN = _load_alone().SNN

__all__ = ["SNN"]
