"""Voice and bedroom recordings to features and answers. The names are listed in ``__init__.pyi``."""

import sys as _sys
from importlib import import_module as _import_module
from types import ModuleType as _ModuleType
from typing import Any as _Any

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


class _Front(_ModuleType):
    """Keeps ``vocalbio.errors`` the function: importing the module of that name would put itself in its place."""

    @property
    def errors(self) -> _Any:
        return __getattr__("errors")

    @errors.setter
    def errors(self, module: _ModuleType) -> None:
        pass

    def __reduce__(self) -> _Any:
        # cloudpickle (joblib's workers, Dask) knows plain modules only; a notebook's function refers to this one
        return _import_module, (__name__,)


_sys.modules[__name__].__class__ = _Front
