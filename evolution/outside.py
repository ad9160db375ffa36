"""Modules from outside the program that add something to it."""

import importlib
from types import ModuleType
from typing import Any

from evolution.errors import InputError

MODULES: list[str] = []  # worker processes import them too, before all else


def added_by(module: str) -> None:
    """To be called where something is registered, with the name of the module that it comes from."""
    if module not in ("__main__", *MODULES):
        MODULES.append(module)


def imported(module: str, what: str) -> ModuleType:
    """The module. Raises InputError, which begins with `what` was asked for, where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = str(error)
    except Exception as error:  # whatever a module does when it is run
        reason = f"{type(error).__name__}: {error}"
    raise InputError(f"{what}: cannot be imported ({' '.join(reason.split()):.300})")


def named(path: str, what: str) -> Any:
    """What "module:name" names. Raises InputError, which begins with `what` was asked for, where there is none."""
    module, _, name = path.partition(":")
    try:
        return getattr(imported(module, what), name)
    except AttributeError as error:
        raise InputError(f"{what}: cannot be imported ({error})") from None
