"""What a strategy of avalanche's carries from step to step, as plain values that can be stored, and back.

A value is a number, a text, a tensor, a list or tuple of values, or one of the :data:`KINDS`; nothing is pickled. Sets and
dictionaries keep their order, since avalanche goes through them.
"""

import copy
import importlib
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from kancl.errors import one_line
from runners.avalanche.data import read_dataset
from runners.measure.record import MisfitError
from runners.training.resume import restore_network

KIND = "is"


def taken(strategy: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return what a strategy carries, its clock, and the states of the global generators, which it may draw from.

    Args:
        strategy: of avalanche's class.
        names: of what it carries; see :attr:`runners.avalanche.strategy.AvalancheStrategy.carried`.
    """
    with torch.random.fork_rng(devices=[]):  # reading a data set draws a number
        carried = {name: _plain(getattr(*_place(strategy, name))) for name in names}
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "carried": carried,
        "clock": dict(vars(strategy.clock)),
        "torch": torch.get_rng_state(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "python": random.getstate(),
    }


def given_back(strategy: Any, names: Iterable[str], state: Mapping[str, Any]) -> Callable[[], None]:
    """Return what puts a strategy to a state that :func:`taken` gave; everything is made now, so that misfits are met now.

    Args:
        strategy: of avalanche's class.
        names: of what it carries.
        state: as it was taken.

    Raises:
        MisfitError: it is of another strategy.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            made = {name: _made(state["carried"][name], strategy.model) for name in names}
        clock = {name: int(state["clock"][name]) for name in vars(strategy.clock)}
        kind, keys, *rest = state["numpy"]
        array, python, own = (kind, keys.numpy().astype(np.uint32), *rest), state["python"], state["torch"].clone()
        random.Random().setstate(python)
        np.random.RandomState().set_state(array)
        torch.Generator().set_state(own)
    except Exception as error:
        raise MisfitError(f"holds the state of another strategy of avalanche's than the cell's ({one_line(error)})") from error

    def put() -> None:
        for name, value in made.items():
            owner, attribute = _place(strategy, name)
            before = getattr(owner, attribute)
            if isinstance(before, dict) and isinstance(value, dict):  # it may be one with defaults
                before.clear()
                before.update(value)
            else:
                setattr(owner, attribute, value)
        vars(strategy.clock).update(clock)
        random.setstate(python)
        np.random.set_state(array)
        torch.set_rng_state(own)

    return put


def _place(strategy: Any, name: str) -> tuple[Any, str]:
    """Return the object and the attribute that a name means."""
    first, *between, last = name.split(".")
    plugins = {type(plugin).__name__: plugin for plugin in strategy.plugins}
    owner = plugins[first] if first in plugins else getattr(strategy, first)
    for part in between:
        owner = getattr(owner, part)
    return owner, last


def _plain(value: Any) -> Any:
    """Return a value in a form that can be stored."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    if isinstance(value, set):
        return {KIND: "set", "of": _plain(list(value))}
    if isinstance(value, dict):
        return {KIND: "dict", "of": [(_plain(key), _plain(part)) for key, part in value.items()]}
    if isinstance(value, nn.Module):
        return {KIND: "network", "of": {name: tensor.clone() for name, tensor in _network(value).state_dict().items()}}
    kind = type(value).__name__
    if kind == "ParamData":
        return {KIND: "param", "name": value.name, "of": value.data.detach().clone()}
    if kind == "ReservoirSamplingBuffer":
        of = value.max_size, _plain(value.buffer), value._buffer_weights.clone()
        return {KIND: "buffer", "of": of}
    if hasattr(value, "subset") and hasattr(value, "concat"):
        return {KIND: "data", "of": read_dataset(value) if len(value) else []}
    raise TypeError(f"{kind} cannot be stored")


def _made(value: Any, model: nn.Module) -> Any:
    """Return what a stored value means.

    Args:
        value: as :func:`_plain` gave it.
        model: the network as avalanche has it; networks that are carried are like it.
    """
    if isinstance(value, list | tuple):
        return type(value)(_made(part, model) for part in value)
    if not isinstance(value, dict):
        return value.clone() if isinstance(value, Tensor) else value
    return KINDS[value[KIND]](value, model)


def _set(value: dict[str, Any], model: nn.Module) -> set[Any]:
    found = set(value["of"])
    if list(found) != value["of"]:
        raise MisfitError("a set has another order now, and avalanche goes through it")
    return found


def _param(value: dict[str, Any], model: nn.Module) -> Any:
    of = importlib.import_module("avalanche.training.utils")
    return of.ParamData(value["name"], init_tensor=value["of"].clone(), device=value["of"].device)


def _buffer(value: dict[str, Any], model: nn.Module) -> Any:
    size, data, weights = value["of"]
    made = importlib.import_module("avalanche.training.storage_policy").ReservoirSamplingBuffer(size)
    made.buffer, made._buffer_weights = _made(data, model), weights.clone()
    return made


def _data(value: dict[str, Any], model: nn.Module) -> Any:
    """Return a data set of inputs, targets and task labels, and of the outputs that DER remembers."""
    utils = importlib.import_module("avalanche.benchmarks.utils")
    if not value["of"]:
        return utils.concat_datasets([])
    x, y, labels, *outputs = value["of"]
    flat = importlib.import_module("avalanche.benchmarks.utils.flat_data").FlatData
    runs = [utils.ConstantSequence(label, len(list(run))) for label, run in groupby(labels.tolist())]  # as a task's data have
    attributes = [utils.TaskLabels(runs[0] if len(runs) == 1 else flat(runs))]
    if outputs:
        rows = flat([list(outputs[0])], discard_elements_not_in_indices=True)
        attributes.append(utils.TensorDataAttribute(rows, name="logits", use_in_getitem=True))
    if y.is_floating_point():
        return utils.AvalancheDataset([TensorDataset(x, y)], data_attributes=attributes)
    attributes.insert(1, utils.DataAttribute(y.tolist(), "targets"))
    return utils.TaskAwareSupervisedClassificationDataset([TensorDataset(x, y)], data_attributes=attributes)


def _like(value: dict[str, Any], model: nn.Module) -> nn.Module:
    made = copy.deepcopy(model)
    restore_network(_network(made), value["of"], room=False)
    return made


def _network(module: nn.Module) -> Any:
    return module.network


KINDS: dict[str, Callable[[dict[str, Any], nn.Module], Any]] = {
    "set": _set,
    "dict": lambda value, model: {key: _made(part, model) for key, part in value["of"]},
    "param": _param,
    "buffer": _buffer,
    "data": _data,
    "network": _like,
}
"""What makes each kind of value that is none of Python's plain ones."""
