"""A cell's networks, freshly initialised."""

import torch

from kancl import options
from kancl.models import Network, Problem, architectures
from runners.config.cell import Cell
from runners.stream.stream import Stream


def problem_of(cell: Cell, stream: Stream, phase: int = 0) -> Problem:
    """Return what the cell's networks are built for: the problem that its architecture's builder gets.

    Args:
        cell: the configuration.
        stream: its scenario, which tells I, O, the seeds and the inputs' range.
        phase: from 0; a later one gives other, independent initial weights.
    """
    # On the CPU, wherever they are trained: initial weights are the same everywhere.
    low, high = stream.low.cpu(), stream.high.cpu()
    return Problem(stream.inputs, stream.outputs, stream.seeds, low, high, phase, getattr(torch, cell.dtype))


def build_network(cell: Cell, stream: Stream, phase: int = 0) -> Network:
    """Build the cell's networks, S of them, with their initial weights, where the stream's samples are.

    The weights are drawn on the CPU, so they are the same on every device.

    Args:
        cell: the configuration; its architecture may be any that is registered.
        stream: its scenario, stacked over the cell's seeds.
        phase: from 0; a later one gives other, independent initial weights, for strategies that start anew.

    Raises:
        InputError: an unknown architecture or option, or what the builder refused or failed with.

    For example, with what ``kancl run split-digits --architectures kan`` would train::

        cell, *_ = expand([Request(scenarios=("split-digits",), architectures=("kan",))])
        network = build_network(cell, stack(cell.scenario, cell.seeds))  # x (S, B, I) -> y (S, B, O)
    """
    problem = problem_of(cell, stream, phase)
    return options.build(architectures.get(cell.architecture.name), cell.architecture, problem=problem).to(stream.device)
