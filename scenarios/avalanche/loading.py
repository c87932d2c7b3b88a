"""Importing avalanche where torchvision's compiled operators do not load.

torchvision declares how some of its operators treat tensors without data. Its wheel for CUDA cannot load these operators beside
torch's CPU build, and the declaration of an operator that does not exist is an error: ``import torchvision``, and with it
``import avalanche``, ends in "operator torchvision::nms does not exist". Nothing that avalanche trains needs them, so
such declarations are skipped, for torchvision's operators alone and only while torchvision is being imported.
"""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

NAMESPACE = "torchvision"


def import_avalanche() -> ModuleType:
    """Import avalanche and return it, without its advice to install a solver that only its GEM needs."""
    if NAMESPACE not in sys.modules:
        with missing_operators_skipped():
            importlib.import_module(NAMESPACE)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no QP solver found")
        return importlib.import_module("avalanche")


@contextmanager
def missing_operators_skipped() -> Iterator[None]:
    """Let ``torch.library.register_fake`` pass over operators of torchvision that do not exist; the rest is untouched."""
    register = torch.library.register_fake

    def lenient(operator: Any, function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
        if _is_missing(operator):
            return function if function is not None else lambda decorated: decorated
        return register(operator, function, **settings)

    torch.library.register_fake = lenient
    try:
        yield
    finally:
        torch.library.register_fake = register


def _is_missing(operator: Any) -> bool:
    space, _, name = operator.partition("::") if isinstance(operator, str) else ("", "", "")
    return space == NAMESPACE and not hasattr(getattr(torch.ops, NAMESPACE), name.partition(".")[0])
