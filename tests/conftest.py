"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side in several processes; more threads than cores would only wait for each other."""
    torch.set_num_threads(1)
