"""How a run goes on from what was saved: networks, optimiser and state are put to what they were."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kancl.errors import one_line
from kancl.models import Network
from runners.measure.record import MisfitError, Within
from runners.strategies import State
from runners.training.phase import BegunPhase
from runners.training.training import Training


def go_on(training: Training, begun: BegunPhase, within: Within) -> None:
    """Put a phase that was begun anew to where it was when it was saved: all that its steps changed is as they left it.

    What the hooks at its beginning did was done again, to the same networks, so nobody misses what it keeps to itself.

    Args:
        training: whose phase it is.
        begun: the phase, with as many steps taken.
        within: what was saved.

    Raises:
        MisfitError: it is of other networks, of another optimiser or of another strategy.
    """
    if not 0 < within.step < begun.steps:
        raise MisfitError(f"is of step {within.step} of {begun.steps}")
    restore_network(training.network, within.network, room=False)
    try:
        begun.learner.load_state_dict(within.learner)
        restore_state(begun.learner.state, within.state, training.stream.device)
    except Exception as error:
        raise MisfitError(f"holds the state of another optimiser or strategy than the cell's ({one_line(error)})") from error


def restore_network(network: Network, saved: Mapping[str, Tensor], room: bool = True) -> None:
    """Put networks to what was saved of them.

    Args:
        network: S networks.
        saved: parameters and buffers by name.
        room: whether the networks may take other shapes; not where an optimiser holds their parameters.

    Raises:
        MisfitError: that was of others.
    """
    try:
        if room:
            network.make_room(saved)
        network.load_state_dict(saved)
    except Exception as error:
        raise MisfitError(f"holds other networks than the cell's ({one_line(error)})") from error


@torch.no_grad()
def restore_state(state: State, saved: State, device: torch.device) -> None:
    """Put a strategy's state to what was saved of it.

    Where it can be done, the numbers are written into the tensors that are there: what gives the batches may hold some of them.

    Args:
        state: as the phase began; changed in place.
        saved: what to put there.
        device: of the state's tensors.
    """
    for name in state.keys() - saved.keys():
        del state[name]
    for name, tensor in saved.items():
        held, tensor = state.get(name), tensor.to(device)
        if held is None or held.shape != tensor.shape or held.dtype != tensor.dtype:
            state[name] = tensor
        elif not torch.equal(held, tensor):
            if held.is_contiguous():
                held.copy_(tensor)
            else:  # it may be one row that all seeds share
                state[name] = tensor
