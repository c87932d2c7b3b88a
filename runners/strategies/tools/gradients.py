"""Gradients of single samples, for a stack of networks, and what is averaged over them.

A stack of S networks and n samples becomes a stack of S n networks with one sample each, so that one ordinary backward pass
gives all gradients, by the same kernels as training. On the scenarios' own networks it took
0.4 to 0.7 of the time of ``torch.func.vmap``, each with parts of its best size (one CPU thread).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from kancl.models import Network, parameters_per_seed
from kancl.seeding import generator
from runners.strategies.strategy import State
from runners.strategies.tools.anchors import trained
from runners.stream.samples import Samples
from runners.stream.stream import Stream

CHUNK = {"cpu": 1 << 19, "cuda": 1 << 24}
"""Numbers of all gradients held at once: few enough for a CPU's cache, and many enough to fill a GPU."""

Cotangents = Callable[[Float[Tensor, "S n O"], slice], Iterable[Float[Tensor, "S n O"]]]
"""Takes outputs and the place of their samples; returns vectors v, each for a gradient of sum_o v_o y_o."""

Fisher = Literal["exact", "sampled", "empirical"]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Samples of a finished task; ``mask`` are the active output units."""

    x: Float[Tensor, "S N I"]
    y: Shaped[Tensor, "S N ..."]
    mask: Bool[Tensor, "S N O"] | None

    @property
    def classes(self) -> bool:
        """Whether targets are classes; else they are numbers."""
        return not self.y.is_floating_point()


def remember_stream(stream: Stream) -> State:
    """Return what :func:`choose`, :func:`fisher` and the memories need of a stream, as state: its seeds and its heads.

    Args:
        stream: the tasks of all seeds.
    """
    seeds = torch.tensor(stream.seeds, device=stream.device)
    if stream.heads is None:
        return {"seeds": seeds}
    return {"seeds": seeds, "heads": stream.heads.repeat(len(seeds), 1, 1)}


def choose(state: State, samples: Samples, count: int | None, phase: int) -> Chosen:
    """Return all samples, or ``count`` of them, drawn without replacement for every seed.

    Args:
        state: with what :func:`remember_stream` gave.
        samples: of a task, x (S, N, I).
        count: how many for each seed; None for all.
        phase: from 0; names the random stream.
    """
    x, y, device = samples.x, samples.y, samples.x.device
    mask = state["heads"][:, samples.task] if "heads" in state else None
    if count is None or count >= x.shape[1]:
        return Chosen(x, y, mask)
    orders = [torch.randperm(x.shape[1], generator=g)[:count] for g in _generators(state, "samples", phase)]
    chosen, rows = torch.stack(orders).to(device), torch.arange(len(x), device=device)[:, None]
    return Chosen(x[rows, chosen], y[rows, chosen], None if mask is None else mask[rows, chosen])


def mean_over_samples(
    network: Network, x: Float[Tensor, "S N I"], cotangents: Cotangents, measure: Callable[[Tensor], Tensor]
) -> dict[str, Float[Tensor, "S ..."]]:
    """Return, for every trained parameter, the mean over samples of the sum over v of measure(gradient of v . y).

    Args:
        network: S networks; evaluated in evaluation mode.
        x: N samples of each seed, (S, N, I).
        cotangents: gives the vectors v.
        measure: acts on each number of a gradient, for example squares it.
    """
    (seeds, samples), parameters = x.shape[:2], trained(network)
    # In double precision: how many samples a part has follows from the number of seeds, and their importance must not.
    totals = {name: torch.zeros_like(parameter, dtype=torch.float64) for name, parameter in parameters.items()}
    size = max(1, CHUNK.get(x.device.type, CHUNK["cpu"]) // (seeds * max(1, parameters_per_seed(network))))
    mode, copies = network.training, 0
    network.eval()
    for start in range(0, samples, size):
        part = slice(start, min(start + size, samples))
        inputs = x[:, part]
        if copies != inputs.shape[1]:  # the last part may be smaller
            copies = inputs.shape[1]
            repeated = {key: t.detach().repeat_interleave(copies, 0) for key, t in network.state_dict().items()}
            leaves = [repeated[name].requires_grad_() for name in parameters]
        outputs = functional_call(network, repeated, (inputs.reshape(-1, 1, x.shape[2]),))
        for v in cotangents(outputs.detach().view(seeds, copies, -1), part):
            # materialize_grads: a parameter that the outputs do not depend on has the gradient 0
            found = torch.autograd.grad(outputs, leaves, v.reshape(outputs.shape), retain_graph=True, materialize_grads=True)
            for total, gradient in zip(totals.values(), found, strict=True):
                total += measure(gradient).unflatten(0, (seeds, copies)).sum(1, dtype=torch.float64)
    network.train(mode)
    return {name: (total.detach() / samples).to(parameters[name].dtype) for name, total in totals.items()}


def fisher(network: Network, chosen: Chosen, kind: Fisher, state: State, phase: int) -> dict[str, Float[Tensor, "S ..."]]:
    """Return the diagonal of the Fisher information, E_x E_t[(d log p(t | x) / d parameter)^2], mean over samples x.

    p is softmax(y) over the active units, or, for numbers, a Gaussian of unit variance around each active unit, whatever the
    true noise is: -log p = sum_o (t_o - y_o)^2 / 2 + constant. ``exact`` takes the expectation over the targets t of the
    model's own distribution: sum_c p_c (d log p_c)^2, or sum_o (d y_o)^2; ``sampled`` draws one t for each x; ``empirical``
    takes the data's. The three estimates are compared by van de Ven, "On the computation of the Fisher information in continual
    learning" (2025).

    Args:
        network: S networks; evaluated in evaluation mode.
        chosen: the samples, of :func:`choose`.
        kind: of the estimate.
        state: with what :func:`remember_stream` gave.
        phase: from 0; names the random stream of ``sampled``.

    Returns:
        By the name of a parameter, >= 0, of the parameter's shape (S, ...).
    """
    noise = None
    if kind == "sampled":
        shape = (chosen.x.shape[1], _outputs_of(network, chosen))
        draws = [torch.rand(shape, generator=g, dtype=torch.float64) for g in _generators(state, "fisher", phase)]
        noise = torch.stack(draws).clamp(1e-12, 1 - 1e-12).to(chosen.x.device)

    def cotangents(outputs: Tensor, part: slice) -> Iterator[Tensor]:
        mask = torch.ones_like(outputs, dtype=torch.bool) if chosen.mask is None else chosen.mask[:, part]
        drawn = None if noise is None else noise[:, part]
        if kind == "exact":
            return exact_scores(outputs, mask, chosen.classes)
        return iter([one_score(outputs, mask, chosen.y[:, part], drawn, chosen.classes)])

    return mean_over_samples(network, chosen.x, cotangents, torch.square)


def exact_scores(
    outputs: Float[Tensor, "S n O"], mask: Bool[Tensor, "S n O"], classes: bool
) -> Iterator[Float[Tensor, "S n O"]]:
    """Yield vectors v whose outer products sum to the Fisher information in the outputs.

    For classes sqrt(p_c) (e_c - p) for each class c, for numbers e_o for each unit o; inactive ones are left out.

    Args:
        outputs: y, the logits of classes.
        mask: the active units.
        classes: whether targets are classes; else they are numbers.
    """
    active = mask.any(0).any(0).nonzero().flatten().tolist()
    shares = outputs.masked_fill(~mask, -torch.inf).softmax(-1)
    for unit in active:
        chosen = torch.zeros_like(outputs)
        chosen[..., unit] = mask[..., unit].to(outputs.dtype)
        yield shares[..., unit, None].sqrt() * (chosen - shares) if classes else chosen


def one_score(
    outputs: Float[Tensor, "S n O"],
    mask: Bool[Tensor, "S n O"],
    targets: Shaped[Tensor, "S n ..."],
    noise: Float[Tensor, "S n O"] | None,
    classes: bool,
) -> Float[Tensor, "S n O"]:
    """Return d log p(t) / d outputs for the targets t, or, where uniform noise is given, for t drawn from p with it.

    Args:
        outputs: y, the logits of classes.
        mask: the active units.
        targets: numbers (S, n, O) or class numbers (S, n).
        noise: from U(0, 1), or None.
        classes: whether targets are classes; else they are numbers.
    """
    if not classes:
        residual = targets - outputs if noise is None else torch.special.ndtri(noise).to(outputs.dtype)
        return residual.where(mask, 0.0)
    logits = outputs.masked_fill(~mask, -torch.inf)
    labels = targets if noise is None else (logits - (-noise.log()).log()).argmax(-1)  # Gumbel: exactly softmax's shares
    return functional.one_hot(labels, outputs.shape[-1]).to(outputs.dtype) - logits.softmax(-1)


def _generators(state: State, purpose: str, phase: int) -> list[torch.Generator]:
    return [generator(seed, "importance", purpose, phase) for seed in state["seeds"].tolist()]


@torch.no_grad()
def _outputs_of(network: Network, chosen: Chosen) -> int:
    return network(chosen.x[:, :1]).shape[-1]
