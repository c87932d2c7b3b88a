"""A copy of a stack of networks that can be asked "what if": other weights, other hidden inputs, other splines."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from kancl.models import Network

State = dict[str, Tensor]
"""Parameters and buffers by name, as in a ``state_dict``; a part of a network's, or all of it."""

Inputs = Mapping[str, Sequence[Tensor]]
"""What each layer was given, by its name, in the order of its calls."""

Terms = Mapping[str, Sequence[tuple[State, State]]]
"""Pairs of states of a layer: layer(x; first) - layer(x; second) is added to what the layer gives."""


@dataclass(frozen=True, eq=False)
class Pass:
    """What one forward pass gave.

    Args:
        outputs: of the networks.
        inputs: of every layer by its name, one for each call of the layer.
    """

    outputs: Float[Tensor, "S B O"]
    inputs: Inputs


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers by name: modules with a method ``usage``, and all others that hold parameters of their own.

    What lies inside a module with ``usage`` is a part of that layer. A network's own parameters make it a layer named "".

    Args:
        network: S networks.
    """
    found: dict[str, nn.Module] = {}

    def visit(module: nn.Module, name: str) -> None:
        if has_usage(module) or any(parameter is not None for parameter in module._parameters.values()):
            found[name] = module
        if not has_usage(module):
            for child, inner in module.named_children():
                visit(inner, f"{name}.{child}" if name else child)

    visit(network, "")
    return found


def has_usage(module: nn.Module) -> bool:
    """Tell whether a layer says itself what it uses.

    Args:
        module: any.
    """
    return callable(getattr(module, "usage", None))


def coefficients_of(layer: nn.Module) -> str | None:
    """Return the name of the parameter that holds the coefficients of a layer's basis functions, or None if it has none.

    It is ``coef``, or what the layer's attribute ``used_parameter`` says.

    Args:
        layer: one of :func:`layers_of`.
    """
    name = getattr(layer, "used_parameter", "coef")
    return name if has_usage(layer) and isinstance(layer._parameters.get(name), Tensor) else None


def key_of(layer: str, name: str) -> str:
    """Return the name that a tensor of a layer has in the network's state.

    Args:
        layer: its name; "" for the network itself.
        name: of the tensor in the layer.

    >>> key_of("layers.0", "coef"), key_of("", "scale")
    ('layers.0.coef', 'scale')
    """
    return f"{layer}.{name}" if layer else name


class Probe:
    """A copy of the networks, in evaluation mode; the networks themselves are never touched.

    Args:
        network: what to copy.
    """

    def __init__(self, network: Network) -> None:
        self.network = copy.deepcopy(network).eval()
        self.layers = layers_of(self.network)
        # Counterfactual states of a layer are evaluated on copies without hooks.
        self._bare = {name: copy.deepcopy(layer) for name, layer in self.layers.items() if has_usage(layer)}
        self._seen: dict[str, list[Tensor]] = {}
        self._fed: Inputs = {}
        self._terms: Terms = {}
        for name, layer in self.layers.items():
            layer.register_forward_pre_hook(self._feeder(name))
            if name in self._bare:
                layer.register_forward_hook(self._adder(name))

    def state(self) -> State:
        """Return all parameters and buffers as they are now."""
        return {name: tensor.detach() for name, tensor in self.network.state_dict().items()}

    @torch.no_grad()
    def run(
        self, x: Float[Tensor, "S B I"], state: Mapping[str, Tensor] | None = None, inputs: Inputs | None = None,
        terms: Terms | None = None,
    ) -> Pass:  # fmt: skip
        """Evaluate the networks, or what they would be.

        Args:
            x: one batch per seed.
            state: parameters and buffers that replace the networks' own.
            inputs: what to give each layer instead of what comes from the layers before it.
            terms: differences to add to the outputs of layers.
        """
        self._seen, self._fed, self._terms = {}, inputs or {}, terms or {}
        try:
            outputs = functional_call(self.network, dict(state or {}), (x,))
            return Pass(outputs, self._seen)
        finally:
            self._seen, self._fed, self._terms = {}, {}, {}

    def _feeder(self, name: str) -> Any:
        def feed(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not given or not isinstance(given[0], Tensor):
                return None
            calls = self._seen.setdefault(name, [])
            fed = self._fed.get(name)
            x = given[0] if fed is None else fed[len(calls)]
            calls.append(x)
            return (x, *given[1:])

        return feed

    def _adder(self, name: str) -> Any:
        def add(layer: nn.Module, given: tuple[Any, ...], y: Tensor) -> Tensor:
            for plus, minus in self._terms.get(name, ()):
                bare = self._bare[name]
                y = y + (functional_call(bare, plus, given) - functional_call(bare, minus, given))
            return y

        return add
