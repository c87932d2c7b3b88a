"""Guards the sine waves: their form by a fit that knows nothing of how they are made, their ranges, heads and windows."""

from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from scenarios.regression.sine_tasks import sine_tasks


def fitted(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Amplitude, phase and the largest residual of the least-squares fit a sin x + b cos x."""
    basis = np.stack([np.sin(x), np.cos(x)], 1)
    (a, b), *_ = np.linalg.lstsq(basis, y, rcond=None)
    return float(np.hypot(a, b)), float(np.arctan2(b, a)), float(np.abs(basis @ (a, b) - y).max())


def test_every_task_is_a_wave_of_the_papers_ranges() -> None:
    amplitudes, phases = [], []
    for seed in range(40):
        for task in sine_tasks(seed).tasks:
            (x, y), (fresh, answers) = ((part.double().numpy()[:, 0] for part in pair) for pair in (task.train, task.test))
            amplitude, phase, residual = fitted(x, y)
            assert residual < 1e-5
            np.testing.assert_allclose(answers, amplitude * np.sin(fresh + phase), atol=1e-5)
            assert f"{amplitude:.2f} sin(x + {phase:.2f})" in task.name
            assert np.abs(x).max() <= 5
            amplitudes.append(amplitude)
            phases.append(phase)
    # 200 uniform draws: means within four standard errors, and the ends are approached.
    assert 0.1 <= min(amplitudes) < 0.3
    assert 4.8 < max(amplitudes) <= 5
    assert np.mean(amplitudes) == pytest.approx(2.55, abs=0.4)
    assert -1e-3 <= min(phases) < 0.15
    assert np.pi - 0.15 < max(phases) <= np.pi + 1e-3
    assert np.mean(phases) == pytest.approx(np.pi / 2, abs=0.26)


def test_sizes_and_domain() -> None:
    waves = sine_tasks(0, tasks=3, samples=20, test_samples=30)
    assert len(waves.tasks) == 3
    assert (waves.inputs, waves.outputs, waves.domain, waves.setting) == (1, 1, ((-5.0, 5.0),), "domain")
    assert {(len(task.train[0]), len(task.test[0])) for task in waves.tasks} == {(20, 30)}


def test_windows_part_the_range() -> None:
    waves = sine_tasks(0, tasks=4, samples=500, windows=True)
    for number, task in enumerate(waves.tasks):
        for x, _ in (task.train, task.test):
            low = -5 + 2.5 * number
            assert low <= float(x.min())
            assert float(x.max()) <= low + 2.5
    assert waves.domain == ((-5.0, 5.0),)


def test_heads_of_their_own_have_the_same_waves() -> None:
    shared, apart = sine_tasks(3), sine_tasks(3, setting="task")
    assert (apart.outputs, apart.setting) == (5, "task")
    for number, (one, other) in enumerate(zip(shared.tasks, apart.tasks, strict=True)):
        assert other.active == (number,)
        for part in ("train", "test"):
            (x, y), (same_x, wide) = getattr(one, part), getattr(other, part)
            assert torch.equal(x, same_x)
            assert torch.equal(y[:, 0], wide[:, number])
            assert not wide[:, [n for n in range(5) if n != number]].any()


@pytest.mark.parametrize("wrong", [{"tasks": 0}, {"samples": 1}, {"test_samples": 0}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        sine_tasks(0, **wrong)
