"""A cell's networks, freshly initialised."""

import torch

from kancl import options
from kancl.models import Network, Problem, architectures
from runners.config.cell import Cell
from runners.stream.stream import Stream


def problem_of(cell: Cell, stream: Stream, phase: int = 0) -> Problem:
    """Return what the cell's networks are built for; a later phase gives other, independent initial weights."""
    # On the CPU, wherever they are trained: initial weights are the same everywhere.
    low, high = stream.low.cpu(), stream.high.cpu()
    return Problem(stream.inputs, stream.outputs, stream.seeds, low, high, phase, getattr(torch, cell.dtype))


def build_network(cell: Cell, stream: Stream, phase: int = 0) -> Network:
    """Build the cell's networks, where the stream's samples are."""
    problem = problem_of(cell, stream, phase)
    return options.build(architectures.get(cell.architecture.name), cell.architecture, problem=problem).to(stream.device)
