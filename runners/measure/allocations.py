"""The tensors that a piece of work holds: how many bytes at once at most."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):
    """Counts the tensors that are made while it is entered, in bytes: what is held, and the peak of it.

    What was there before is not counted, and a view counts once with what it is a view of. What a kernel takes for itself
    and gives back before it returns is not seen.

    >>> with Allocations() as seen:
    ...     a = torch.zeros(100, dtype=torch.float32)
    ...     b = a + 1
    ...     del a
    >>> seen.peak, seen.held
    (800, 400)
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = self.peak = 0
        self._known: dict[int, int] = {}  # bytes of the storages that live, by address; 0 for those from outside

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        for tensor in tree_leaves((args, kwargs)):
            self._note(tensor, outside=True)
        found = func(*args, **kwargs)
        for tensor in tree_leaves(found):
            self._note(tensor, outside=False)
        self.peak = max(self.peak, self.held)
        return found

    def _note(self, tensor: object, outside: bool) -> None:
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        place = storage._cdata
        if place in self._known:
            return
        self._known[place] = size = 0 if outside else storage.nbytes()
        self.held += size
        weakref.finalize(storage, self._forget, place)

    def _forget(self, place: int) -> None:
        self.held -= self._known.pop(place, 0)
