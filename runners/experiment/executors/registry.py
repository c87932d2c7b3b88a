"""The executors by name: the set is closed, since each must keep what :mod:`runners.experiment.executors.executor` promises."""

from runners.experiment.executors.dask import Dask
from runners.experiment.executors.executor import Ears, Executor, MakeExecutor, Terms
from runners.experiment.executors.job import Desk
from runners.experiment.executors.processes import Processes
from runners.experiment.executors.serial import Serial

EXECUTORS: dict[str, MakeExecutor] = {"serial": Serial, "processes": Processes, "dask": Dask}


def make_executor(terms: Terms, ears: Ears, desk: Desk) -> Executor:
    """Return the executor that the terms name."""
    return EXECUTORS[terms.executor](terms, ears, desk)
