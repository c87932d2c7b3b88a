"""Random streams: each is named by a seed and a purpose, so none depends on what was drawn before it.

This is what makes seed 3 the same alone and in a stack, and a resumed run the same as an undisturbed one:
there is no generator state to carry along.
"""

import hashlib

import torch


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a new CPU generator for one seed and one purpose, e.g. ``generator(3, "batches", task, epoch)``.

    Args:
        seed: any whole number.
        purpose: words and numbers that no other purpose has in this order.

    >>> a, b = generator(3, "weights"), generator(3, "weights")
    >>> bool(torch.equal(torch.rand(4, generator=a), torch.rand(4, generator=b)))
    True
    >>> bool(torch.equal(torch.rand(4, generator=a), torch.rand(4, generator=generator(3, "batches"))))
    False
    """
    digest = hashlib.blake2b(repr((int(seed), *purpose)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
