"""The tasks of all seeds, stacked: what runners train on and strategies are given."""

from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stack import stack
from runners.stream.stream import Stream

__all__ = ["Batch", "Samples", "Stream", "stack"]
