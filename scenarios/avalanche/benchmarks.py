"""Avalanche's benchmarks by their names: its classics, or a function of one's own that returns one."""

import contextlib
import difflib
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from kancl.errors import InputError, is_interrupt, one_line
from kancl.registry import place_of
from scenarios.avalanche.files import digest, find_files, offline
from scenarios.avalanche.incoming import from_avalanche, own_randomness
from scenarios.avalanche.loading import import_avalanche
from scenarios.registry import register
from scenarios.task import Scenario

CLASSIC = "avalanche.benchmarks.classic"
OWN_OPTIONS = {"seed": "the seed", "n_experiences": "experiences", "return_task_id": "task_labels"}
"""Arguments of a benchmark that have an option of their own."""


@register("avalanche")
def avalanche(
    seed: int,
    data_root: Path,
    benchmark: str = "SplitMNIST",
    experiences: int | None = 5,
    task_labels: bool = False,
    setting: Literal["auto", "class", "domain", "task"] = "auto",
    samples: int | None = 500,
    test_samples: int | None = 500,
    extra: tuple[str, ...] = (),
) -> Scenario:
    """A benchmark of the avalanche library, by name: SplitMNIST, PermutedMNIST, SplitCIFAR10, CORe50 and others.

    Lomonaco et al., "Avalanche: an end-to-end library for continual learning", CVPR workshops 2021; version 0.6. Each
    experience is a task; :func:`scenarios.from_avalanche` says how inputs, classes, task labels and test streams are read. The
    seed is the benchmark's own (for Split benchmarks it orders the classes, for Permuted and Rotated ones it draws the tasks)
    and draws the samples. Where classes come one set after another and share a head, naive training is expected to keep only
    the last set (van de Ven and Tolias 2019, Split MNIST: an MLP ends at 20 % accuracy).

    Files are read from the folder of data files, by avalanche and torchvision, in their own layout (``MNIST/raw/...``,
    ``cifar-10-batches-py/...``); what is missing is told and never downloaded. Some data sets, CIFAR and CORe50 among them, are
    published as Python pickles, which can run code: torchvision compares CIFAR's with their published checksums before it reads
    them, for others the source must be trusted.

    Args:
        benchmark: a function of ``avalanche.benchmarks.classic``, or ``module:function`` for one of an installed module.
        experiences: number of tasks; none for a benchmark that has a number of its own.
        task_labels: ask the benchmark for task labels, which make the setting ``task``.
        setting: of the scenario; ``auto`` takes it from labels and classes.
        samples: training samples of each class in each task at most; none keeps all. The classes of MNIST differ in size, so
            that without a limit the tasks of two seeds do too, and cannot be trained side by side.
        test_samples: the same for the test.
        extra: further arguments of the benchmark, each ``name=value`` with a JSON value or a text, for example
            ``extra=["scenario=nc","mini=true"]`` for CORe50 or ``extra=["fixed_class_order=[1,0,3,2,5,4,7,6,9,8]"]``.
    """
    function = _find(benchmark)
    arguments = _arguments(function, benchmark, seed, data_root, experiences, task_labels, extra)
    files = find_files(benchmark, data_root)
    made = _call(function, benchmark, arguments, seed, data_root)
    scenario = from_avalanche(
        made,
        samples=samples,
        test_samples=test_samples,
        setting=None if setting == "auto" else setting,
        seed=seed,
    )
    return replace(scenario, files={**scenario.files, **files, **_source(function, benchmark)})


def _find(name: str) -> Callable[..., Any]:
    """Return a function of avalanche's classics, or of another module (``module:function``)."""
    import_avalanche()
    module, colon, attribute = name.rpartition(":")
    try:
        source = importlib.import_module(module if colon else CLASSIC)
    except BaseException as error:  # the user's own module
        if is_interrupt(error):
            raise
        raise InputError(f"benchmark {name!r}: {module} cannot be imported: {one_line(error)}") from error
    if colon:
        known = [key for key, value in vars(source).items() if inspect.isfunction(value)]
    else:
        known = [key for key, value in vars(source).items() if getattr(value, "__module__", "").startswith(CLASSIC + ".")]
    if attribute not in known:
        near = difflib.get_close_matches(attribute, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise InputError(f"{source.__name__} has no benchmark {attribute!r}; {hint} (your own: module:function)")
    return getattr(source, attribute)


def _arguments(
    function: Callable[..., Any],
    name: str,
    seed: int,
    data_root: Path,
    experiences: int | None,
    task_labels: bool,
    extra: tuple[str, ...],
) -> dict[str, Any]:
    """Return what the benchmark is called with: those of the options that it has a parameter for, and the extra ones."""
    parameters = inspect.signature(function).parameters
    given: dict[str, Any] = {"seed": seed, "n_experiences": experiences, "return_task_id": task_labels}
    if experiences is not None and "n_experiences" not in parameters:
        raise InputError(f"{name} has a number of experiences of its own; say experiences=none")
    if task_labels and "return_task_id" not in parameters:
        raise InputError(f"{name} has no choice of task labels; leave task_labels out (setting=task gives every task a head)")
    arguments = {key: value for key, value in given.items() if key in parameters and value is not None}
    arguments |= {key: str(data_root) for key in parameters if key.startswith("dataset_root")}
    for text in extra:
        key, value = _read_extra(text)
        if key in OWN_OPTIONS or key in arguments:
            raise InputError(f"extra: {key} is given by {OWN_OPTIONS.get(key, 'the folder of data files')}, not here")
        if key not in parameters:
            near = difflib.get_close_matches(key, parameters, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(parameters)}"
            raise InputError(f"extra: {name} has no argument {key!r}; {hint}")
        arguments[key] = value
    needed = [key for key, value in parameters.items() if value.default is value.empty and key not in arguments]
    if needed:
        hints = [f"{OWN_OPTIONS[key]}=..." if key in OWN_OPTIONS else f'extra=["{key}=..."]' for key in needed]
        raise InputError(f"{name} needs {', '.join(needed)}: give {' and '.join(hints)}")
    return arguments


def _read_extra(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip().isidentifier():
        raise InputError(f"extra: expected name=value, got {text!r}")
    try:
        return key.strip(), json.loads(value)
    except json.JSONDecodeError:
        return key.strip(), value.strip()


def _call(function: Callable[..., Any], name: str, arguments: Mapping[str, Any], seed: int, data_root: Path) -> Any:
    """Make the benchmark: without a network, with its chance drawn from the seed, and its messages kept out of the output."""
    with offline() as asked, own_randomness(seed, "avalanche-benchmark"), contextlib.redirect_stdout(sys.stderr):
        try:
            return function(**arguments)
        except BaseException as error:
            if is_interrupt(error):
                raise
            if not asked:
                raise InputError(f"{name} failed with {one_line(error)}{place_of(error)}") from error
            raise InputError(
                f"{name} wanted to download from {asked[0]}: its files are not all in {data_root.resolve()}, and nothing is "
                "downloaded here. Put them there as avalanche lays them out, or name another folder of data files"
            ) from error


def _source(function: Callable[..., Any], name: str) -> dict[str, str]:
    """Return the digest of the file of a function of one's own: edited, it is another benchmark."""
    file = inspect.getsourcefile(inspect.unwrap(function)) if ":" in name else None
    return {} if file is None else {Path(file).name: digest(Path(file))}
