"""Samples of many seeds side by side; what all seeds share is in memory once, seen by each (stride 0 along the seed axis)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one task or more.

    Args:
        x: inputs.
        y: targets: numbers (S, N, O), class numbers (S, N), or an operator's values (S, N, R).
        task: which task each sample belongs to, from 0, the same for every seed; those of pretraining come after the others.
    """

    x: Float[Tensor, "S N I"]
    y: Shaped[Tensor, "S N ..."]
    task: Int[Tensor, "N"]


def once(tensor: Shaped[Tensor, "S ..."]) -> Shaped[Tensor, "..."]:
    """Return what is in memory: one row where all seeds share it, else all of them."""
    return tensor[:1] if tensor.stride(0) == 0 else tensor


def moved(samples: Samples, device: str) -> Samples:
    """Return samples on another device; what all seeds share stays once in memory."""
    x, y = (once(side).to(device).expand(side.shape) for side in (samples.x, samples.y))
    return Samples(x, y, samples.task.to(device))


def union(parts: Sequence[Samples]) -> Samples:
    """Return the samples of several tasks as one set; what all seeds share stays once in memory."""
    if len(parts) == 1:
        return parts[0]
    sides = []
    for tensors in ([part.x for part in parts], [part.y for part in parts]):
        shared = all(tensor.stride(0) == 0 for tensor in tensors)
        joined = torch.cat([tensor[:1] if shared else tensor for tensor in tensors], 1)
        sides.append(joined.expand(tensors[0].shape[0], *joined.shape[1:]))
    return Samples(sides[0], sides[1], torch.cat([part.task for part in parts]))


class SeedStacker:
    """Tensors of several seeds, seed upon seed: each is kept once for as long as the seeds agree on it."""

    def __init__(self, seeds: int, dtype: torch.dtype) -> None:
        self.seeds, self.dtype = seeds, dtype
        self.height = 0
        self.stacker: list[Tensor] = []  # (1, ...) while the seeds agree, then (S, ...)
        self.places: list[int] = []  # where each one's pile is: an earlier place for what is the same tensor in every seed

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Put the next seed's tensors, as many as the first seed's and of the same shapes, on top."""
        listed = list(tensors)
        first_place = {id(tensor): place for place, tensor in reversed(list(enumerate(listed)))}
        for place, tensor in enumerate(listed):
            twin = first_place[id(tensor)]
            if self.height == 0:
                self.places.append(twin)
                self.stacker.append(self.stacker[twin] if twin < place else self._own(tensor)[None])
            elif self.places[place] == place:
                self._put(place, self._own(tensor))
            elif self.places[place] != twin:  # one tensor so far, another one in this seed
                self.stacker[place], self.places[place] = self.stacker[self.places[place]].clone(), place
                self._put(place, self._own(tensor))
        self.height += 1

    def _own(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def _put(self, place: int, row: Tensor) -> None:
        pile = self.stacker[place]
        if len(pile) == 1 and torch.equal(pile[0], row):
            return
        if len(pile) == 1:
            self.stacker[place] = pile.new_empty(self.seeds, *row.shape)
            self.stacker[place][: self.height] = pile
        self.stacker[place][self.height] = row

    def stacked(self) -> list[Shaped[Tensor, "S ..."]]:
        """Return the tensors of the seeds that were added; fewer than were announced, if seeds went elsewhere."""
        found = [self.stacker[place][: self.height] for place in self.places]
        return [pile.expand(self.height, *pile.shape[1:]) if len(pile) < self.height else pile for pile in found]
