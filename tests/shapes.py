"""Checks, in tests only, the shapes that annotations promise: as jaxtyping's own hook does, but not the same thing twice.

Only functions and dataclasses with a shape in their signature are checked (other types are mypy's business), and a call is let
through if its arguments and value have types, shapes and number types that this function was seen with before: the answer is
known. Whatever holds other things, such as a list of tensors, is always checked.
"""

import ast
import dataclasses
import functools
import importlib.machinery
import inspect
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import CodeType, ModuleType
from typing import Any, get_args

import jaxtyping
import numpy as np
import torch
from beartype import beartype
from jaxtyping import jaxtyped

PACKAGES = (
    "kancl.splines.dense",
    "kancl.splines.local",
    "kancl.models",
    "kancl.metrics",
    "kancl.statistics",
    "kancl.verdict",
    "scenarios.objectives",
    "runners.stream.batches",
    "runners.measure.evaluate",
    "runners.measure.result",
    "runners.stream.stream",
    "runners.stream.stack",
)
"""Not the public edges, where wrong shapes are to be told in words."""
HOLDERS = (list, tuple, dict, set, frozenset)
NAME = "_shapes_are_checked"


def known_by(value: object) -> object:
    """Return all that the check of a value can depend on; an object that equals no other where that is not known."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return type(value), tuple(value.shape), value.dtype
    if isinstance(value, str):
        return value
    return object() if isinstance(value, HOLDERS) else type(value)


def checked(what: Any) -> Any:
    """Return a function, or a dataclass with its ``__init__``, checked: each combination of shapes once."""
    if inspect.isclass(what):
        if dataclasses.is_dataclass(what):
            what.__init__ = checked(what.__init__)
        return what
    if not has_shape(tuple(what.__annotations__.values())):
        return what
    given: list[object] = []  # the value to be checked, where it is there already
    passed: set[object] = set()

    @functools.wraps(what)
    def call(*args: Any, **kwargs: Any) -> Any:
        return given.pop() if given else what(*args, **kwargs)

    slow = jaxtyped(call, typechecker=beartype)

    @functools.wraps(what)
    def check(*args: Any, **kwargs: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return what(*args, **kwargs)
        asked = (*map(known_by, args), *kwargs, *map(known_by, kwargs.values()))
        if asked not in passed:
            value = slow(*args, **kwargs)
            passed.update((asked, (asked, known_by(value))))
            return value
        value = what(*args, **kwargs)
        answer = (asked, known_by(value))
        if answer not in passed:
            given.append(value)
            try:
                slow(*args, **kwargs)
            finally:
                given.clear()
            passed.add(answer)
        return value

    return check


def has_shape(annotation: object) -> bool:
    """Whether an annotation holds something like ``Float[Tensor, "S B I"]``."""
    if isinstance(annotation, (list, tuple)):
        return any(map(has_shape, annotation))
    return (inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray)) or has_shape(get_args(annotation))


class Marked(ast.NodeTransformer):
    """Puts the decorator at every function and class: next to the function, and outside of a dataclass."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.decorator_list.append(ast.copy_location(ast.Name(NAME, ast.Load()), node))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.decorator_list.insert(0, ast.copy_location(ast.Name(NAME, ast.Load()), node))
        return node


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with its shapes checked; what is compiled is kept in memory only."""

    def get_code(self, fullname: str) -> CodeType:
        tree = ast.parse(self.get_data(self.path), self.path)
        return compile(ast.fix_missing_locations(Marked().visit(tree)), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[NAME] = checked
        super().exec_module(module)


class Finder(MetaPathFinder):
    """Finds the modules whose shapes are checked."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if not any(name == package or name.startswith(f"{package}.") for package in PACKAGES):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(name, spec.origin)
        return spec


def install() -> None:
    """Check shapes from now on; nothing that is to be checked may be imported yet."""
    early = sorted(set(PACKAGES) & set(sys.modules))
    assert not early, f"imported before their shapes could be checked: {early}"
    sys.meta_path.insert(0, Finder())
