"""Guards previews: every kind of scenario gets its figure, with the tasks, samples and labels that it has."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from runners.authoring.previews import draw_preview, preview
from runners.authoring.previews.line import line_data
from runners.authoring.previews.plane import plane_data
from runners.authoring.previews.table import table_data
from runners.authoring.scenario_tables import null_score
from scenarios import Scenario, Task


def uniform(samples: int, inputs: int, *purpose: int | str) -> Tensor:
    return torch.rand(samples, inputs, generator=generator(0, "previewed", *purpose))


def tasks_of(
    count: int,
    inputs: int,
    targets: Callable[[Tensor, int], Tensor],
    samples: int = 30,
    train: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Task, ...]:
    made = []
    for number in range(count):
        x, fresh = (uniform(samples, inputs, number, part) + number for part in ("train", "test"))
        y = targets(x, number) if train is None else train(x)
        made.append(Task(f"task number {number}", (x, y), (fresh, targets(fresh, number))))
    return tuple(made)


def total(x: Tensor, number: int) -> Tensor:
    return x.sum(1, keepdim=True)


def parity(x: Tensor, number: int) -> Tensor:
    return (10 * x[:, 0]).long() % 2


def bands(count: int) -> Scenario:
    """A full grid of 12 x 10 points: a picture, every fifth point of it for the test."""
    up, across = np.meshgrid(np.linspace(0, 1, 12), np.linspace(-1, 1, 10), indexing="ij")
    x = np.stack([across.ravel(), up.ravel()], 1).astype(np.float32)
    y = (x[:, :1] + 2 * x[:, 1:]).astype(np.float32)
    made = []
    for number, rows in enumerate(np.split(np.arange(120), count)):
        test = rows % 5 == 0
        made.append(Task(f"band {number}", (x[rows[~test]], y[rows[~test]]), (x[rows[test]], y[rows[test]])))
    return Scenario(tuple(made), "mse")


def heads(count: int, shape: tuple[int, ...] | None = None) -> Scenario:
    inputs = int(np.prod(shape)) if shape else 5
    made = [
        Task(task.name, (task.train[0], task.train[1] + 2 * k), (task.test[0], task.test[1] + 2 * k), active=(2 * k, 2 * k + 1))
        for k, task in enumerate(tasks_of(count, inputs, parity))
    ]
    return Scenario(tuple(made), "cross-entropy", setting="task", image_shape=shape)


def operated(inputs: int) -> Scenario:
    """What is trained has two columns, what is tested one."""
    made = tasks_of(3, inputs, total, train=lambda x: torch.cat([x[:, :1], 9 + x[:, :1]], 1))
    return Scenario(made, "mse", outputs=1, operator=lambda network, x: network(x))


KINDS: dict[str, tuple[Callable[[], Scenario], int]] = {
    # what there is to draw, and how many panels (colour bars among them) it takes
    "a line": (lambda: Scenario(tasks_of(3, 1, total), "mse", target=lambda x: x), 1),
    "one task on a line": (lambda: Scenario(tasks_of(1, 1, total), "mse", target=lambda x: x), 1),
    "three outputs on a line": (lambda: Scenario(tasks_of(2, 1, lambda x, _: x.repeat(1, 3)), "mse"), 3),
    "classes on a line": (lambda: Scenario(tasks_of(3, 1, parity), "cross-entropy"), 1),
    "an operator on a line": (lambda: operated(1), 3),
    "tests that are the training samples": (
        lambda: Scenario(tuple(Task(t.name, t.train, t.train) for t in tasks_of(2, 1, total)), "mse", test_is_train=True), 1
    ),
    "numbers in the plane": (lambda: Scenario(tasks_of(3, 2, total), "mse"), 2 + 1 + 3),
    "one task in the plane": (lambda: Scenario(tasks_of(1, 2, total), "mse"), 1 + 1),
    "classes in the plane": (lambda: Scenario(tasks_of(7, 2, parity), "cross-entropy"), 2 + 1 + 8),
    "a picture in the plane": (lambda: bands(3), 2 + 1 + 3),
    "an operator in the plane": (lambda: operated(2), 2 + 1 + 3),
    "many tasks in the plane": (lambda: Scenario(tasks_of(20, 2, total), "mse"), 2 + 1 + 8),
    "grey pictures": (lambda: heads(3, (4, 5)), 3 * 10),
    "colour pictures": (lambda: heads(2, (4, 4, 3)), 2 * 10),
    "pictures with numbers": (lambda: Scenario(tasks_of(1, 16, total, samples=4), "mse", image_shape=(4, 4)), 10),
    "a table of numbers": (lambda: Scenario(tasks_of(3, 7, total), "mse"), 4 + 1),
    "a table of classes": (lambda: heads(3), 4 + 2),
    "an operator of many inputs": (lambda: operated(5), 4 + 1),
    "constant inputs": (lambda: Scenario(constant(), "mse"), 4 + 1),
    "a table of bits": (lambda: bits(), 2 + 1),
    "regressions with heads on a line": (lambda: own_outputs(1), 1),
    "regressions with heads in the plane": (lambda: own_outputs(2), 2 + 1 + 3),
}  # fmt: skip


def bits() -> Scenario:
    """Sum and difference of three bits; the second task lacks the last row, and each row comes twice."""
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    y = torch.stack([x.sum(1), x[:, 0] - x[:, 1]], 1)
    made = [Task(name, (rows, values), (rows, values)) for name, rows, values in (
        ("all", torch.cat([x, x]), torch.cat([y, y])), ("other", x[:7], y[:7] + 5)
    )]  # fmt: skip
    return Scenario(tuple(made), "mse", test_is_train=True)


def own_outputs(inputs: int) -> Scenario:
    """Task k has the value 10 k + 1 at its own output, and the others are never looked at."""
    made = []
    for k, task in enumerate(tasks_of(3, inputs, total)):
        y = torch.full((30, 3), -99.0)
        y[:, k] = 10.0 * k + 1
        made.append(Task(task.name, (task.train[0], y), (task.test[0], y), active=(k,)))
    return Scenario(tuple(made), "mse", setting="task")


def constant() -> tuple[Task, ...]:
    return (Task("flat", (torch.ones(9, 4), torch.ones(9, 1)), (torch.zeros(9, 4), torch.ones(9, 1))),)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def axes_of(figure: Figure) -> list[Axes]:
    return list(figure.axes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_panels_and_names_its_tasks(kind: str) -> None:
    make, panels = KINDS[kind]
    scenario = make()
    figure = preview(scenario, "the-label:option=3", seed=5)
    figure.draw_without_rendering()
    assert len(axes_of(figure)) == panels
    said = texts(figure)
    drawn = min(8, len(scenario.tasks))
    for task in scenario.tasks[:drawn]:
        assert task.name in said
    for task in scenario.tasks[drawn:]:
        assert task.name not in said
    for part in ("the-label:option=3", f"{scenario.setting}-incremental", "seed 5"):
        assert part in said
    if len(scenario.tasks) > 8:
        assert f"tasks 1 to 8 of {len(scenario.tasks)}" in said


def test_pretraining_and_blur_are_said() -> None:
    made = tasks_of(3, 1, total)
    said = texts(preview(Scenario(made[1:], "mse", pretrain=made[:1], blur=0.5), "x"))
    assert "after 1 task of pretraining" in said
    assert "blur 0.5" in said


def test_points_and_target_are_where_the_samples_are() -> None:
    (task,) = tasks_of(1, 1, total)
    figure = preview(Scenario((task,), "mse", target=lambda x: 2 * x), "x")
    (ax,) = figure.axes
    np.testing.assert_allclose(ax.collections[0].get_offsets(), torch.cat(task.train, 1), rtol=1e-6)
    np.testing.assert_allclose(ax.collections[1].get_offsets(), torch.cat(task.test, 1), rtol=1e-6)
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, 2 * np.asarray(x), rtol=1e-6)


def test_a_picture_in_the_plane_has_every_point_in_its_place() -> None:
    figure = preview(bands(3), "x")
    pictures = {ax.get_title(): np.asarray(ax.images[-1].get_array().filled(np.nan)) for ax in figure.axes if ax.images}
    up, across = np.meshgrid(np.linspace(0, 1, 12), np.linspace(-1, 1, 10), indexing="ij")
    whole = across + 2 * up
    np.testing.assert_allclose(pictures["by target"], whole, atol=1e-6)
    np.testing.assert_allclose(pictures["2: band 1"][4:8], whole[4:8], atol=1e-6)
    assert np.isnan(pictures["2: band 1"][[*range(4), *range(8, 12)]]).all()


def test_tasks_that_share_points_are_no_picture() -> None:
    one, *_ = bands(1).tasks
    figure = preview(Scenario((one, Task("again", one.train, one.test)), "mse"), "x")
    assert not any(ax.images for ax in figure.axes)


def test_pictures_show_samples_of_every_class_with_their_label() -> None:
    scenario = heads(2, (4, 5))
    figure = preview(scenario, "x")
    for number, task in enumerate(scenario.tasks):
        row = figure.axes[10 * number : 10 * number + 10]
        labels = [int(ax.get_title()) for ax in row]
        assert labels == sorted(labels)
        assert {labels.count(label) for label in set(labels)} == {5}
        for ax, label in zip(row, labels, strict=True):
            pixels = np.asarray(ax.images[0].get_array())
            own = task.train[0][task.train[1] == label].view(-1, 4, 5).numpy()
            # Brightness is scaled by the extremes of all that is shown: a line through the sample's own values.
            matches = [np.corrcoef(pixels.ravel(), sample.ravel())[0, 1] for sample in own]
            assert max(matches) > 1 - 1e-6
            assert 0 <= pixels.min() <= pixels.max() <= 1


def test_a_table_of_bits_holds_every_target_and_leaves_out_what_a_task_lacks() -> None:
    scenario = bits()
    figure = preview(scenario, "x")
    for output, ax in enumerate(figure.axes[:2]):
        table = np.asarray(ax.images[0].get_array().filled(np.nan))
        np.testing.assert_allclose(table[0], scenario.tasks[0].train[1][:8, output])
        np.testing.assert_allclose(table[1, :7], scenario.tasks[1].train[1][:, output])
        assert np.isnan(table[1, 7])
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()][3] == "0 1 1"


def test_few_values_have_points_that_hide_nothing() -> None:
    x = torch.cartesian_prod(*[torch.arange(5.0)] * 3)
    made = tuple(
        Task(f"task number {k}", (x, y), (x, y)) for k, y in enumerate([(x[:, :1] > 3).float(), (x[:, :1] > 0).float()])
    )
    figure = preview(Scenario(made, "mse", test_is_train=True), "x")
    targets = figure.axes[3]
    assert [line.get_xydata().tolist() for line in targets.lines] == [
        [[0.0, pytest.approx(0.8)], [1.0, pytest.approx(0.2)]],
        [[0.0, pytest.approx(0.2)], [1.0, pytest.approx(0.8)]],
    ]


def test_tasks_with_outputs_of_their_own_show_these_alone() -> None:
    (line,) = preview(own_outputs(1), "x").axes
    heights = [set(np.asarray(points.get_offsets())[:, 1].tolist()) for points in line.collections]
    assert heights == [{1.0}, {1.0}, {11.0}, {11.0}, {21.0}, {21.0}]
    assert line.get_ylabel() == "target of the task's own output"
    plane = preview(own_outputs(2), "x")
    values = {ax.get_title(): set(np.asarray(ax.collections[0].get_array()).tolist()) for ax in plane.axes if ax.get_title()}
    assert values["by target of the task's own output"] == {1.0, 11.0, 21.0}
    assert values["3: task number 2"] == {21.0}


def test_targets_have_other_colours_than_tasks() -> None:
    figure = preview(Scenario(tasks_of(3, 2, total), "mse"), "x")
    by_task, by_target = figure.axes[:2]
    assert by_task.collections[0].get_cmap().name != by_target.collections[0].get_cmap().name == "targets"


def test_a_photograph_stands_upright() -> None:
    from sklearn.datasets import load_sample_image

    from scenarios.regression.image_bands import image_bands

    figure = preview(image_bands(0, image="china", height=20), "x")
    (drawn,) = (ax.images[0] for ax in figure.axes if ax.get_title() == "by target")
    rows = np.asarray(drawn.get_array().filled(np.nan)).mean(1)
    from_the_top = rows[::-1] if drawn.origin == "lower" else rows
    whole = load_sample_image("china.jpg").mean((1, 2))
    np.testing.assert_allclose(
        np.corrcoef(from_the_top, np.interp(np.linspace(0, 426, 20), range(427), whole))[0, 1], 1, atol=0.1
    )


def test_long_names_are_folded_and_dollars_are_no_formula() -> None:
    x = torch.rand(9, 1, generator=generator(0, "named"))
    names = ("0.8 - exp(-150*(x - 0.75)^2) on [0.6, 1]", "a price of 5$ or $x_1", "word " * 40)
    figure = preview(Scenario(tuple(Task(name, (x, x), (x, x)) for name in names), "mse", test_is_train=True), "a$b$c")
    FigureCanvasAgg(figure).draw()
    said = texts(figure)
    assert "1: 0.8 - exp(-150*(x -\n0.75)^2) on [0.6, 1]" in said
    assert r"5$ or $x_1" in said
    assert "3: word word word word word\nword word word word word…" in said
    assert r"a$b$c" in said
    assert not any(
        text.get_parse_math()
        for text in figure.findobj(Text)
        if "$" in text.get_text() and "mathdefault" not in text.get_text()
    )


def test_dots_per_inch_make_the_size(tmp_path: Path) -> None:
    from PIL import Image

    scenario = Scenario(tasks_of(1, 1, total), "mse")
    widths = []
    for dpi in (50, 100):
        draw_preview(scenario, "x", tmp_path / f"{dpi}.png", dpi=dpi)
        with Image.open(tmp_path / f"{dpi}.png") as picture:
            widths.append(picture.width)
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)
    with pytest.raises(InputError, match="at least 1 dot per inch and at most 1,200, got 0"):
        draw_preview(scenario, "x", tmp_path / "b.png", dpi=0)


def test_components_are_those_of_the_standardised_inputs() -> None:
    scenario = Scenario(tasks_of(1, 7, total), "mse")
    x = scenario.tasks[0].train[0].double().numpy()
    x = (x - x.mean(0)) / x.std(0)
    shares = np.linalg.svd(x, compute_uv=False) ** 2
    said = texts(preview(scenario, "x"))
    assert f"component 1 ({shares[0] / shares.sum():.0%} of the variance)" in said
    assert f"component 2 ({shares[1] / shares.sum():.0%})" in said


def test_an_operator_shows_what_is_trained_apart_from_what_is_tested() -> None:
    figure = preview(operated(1), "x")
    first, second, tested = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["trained: operator 1 of 2", "trained: operator 2 of 2", "tested: output"]
    assert second.get_ylim()[0] > 8.5
    assert [len(ax.collections) for ax in (first, second, tested)] == [3, 3, 3]


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_a_preview_is_written_in_the_format_of_its_name(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    draw_preview(Scenario(tasks_of(1, 1, total), "mse"), "x", path)
    assert path.read_bytes().startswith(start)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf, got a\.txt"):
        draw_preview(Scenario(tasks_of(1, 1, total), "mse"), "x", tmp_path / "a.txt")


def test_drawing_leaves_the_global_generators_alone() -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for kind in ("a table of classes", "numbers in the plane"):
        preview(KINDS[kind][0](), "x")
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])


@pytest.mark.parametrize("scenario", ["gaussian-peaks:noise=0.1,test=fresh", "split-digits", "split-digits:setting=task"])
def test_null_scores_are_those_of_the_runs(scenario: str) -> None:
    from kancl.options import parse_spec
    from runners.stream.stack import stack
    from scenarios import build_scenario, complete_scenario

    spec = complete_scenario(parse_spec(scenario))
    stream, built = stack(spec, (0,), torch.float64), build_scenario(spec, 0)
    score = next(iter(stream.null))
    found: list[Any] = [null_score(built, task) for task in built.tasks]
    np.testing.assert_allclose(found, stream.null[score][0], rtol=1e-6)


DATA = """
import sys

from runners.authoring.previews import line, pictures, plane, rows, table
from kancl.options import parse_spec
from scenarios import build_scenario, complete_scenario

made = {
    "gaussian-peaks": line.line_data,
    "split-digits": pictures.picture_data,
    "overlap-dial:samples=50": plane.plane_data,
    "binary-addition": rows.rows_data,
    "permuted-wine": table.table_data,
}
for name, data_of in made.items():
    scenario = build_scenario(complete_scenario(parse_spec(name)), 0)
    print(type(data_of(scenario)).__name__)
assert "matplotlib" not in sys.modules
"""


def test_data_of_previews_need_no_matplotlib() -> None:
    done = subprocess.run([sys.executable, "-c", DATA], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["LineData", "PictureData", "PlaneData", "RowsData", "TableData"]


def test_data_of_a_line_are_the_samples() -> None:
    scenario = Scenario(tasks_of(3, 1, total), "mse", target=lambda x: 2 * x)
    data = line_data(scenario)
    (panel,) = data.panels
    assert [(dots.task, dots.test) for dots in panel.dots] == [(k, test) for k in range(3) for test in (False, True)]
    for dots in panel.dots:
        x, y = scenario.tasks[dots.task].test if dots.test else scenario.tasks[dots.task].train
        np.testing.assert_array_equal(dots.x, x[:, 0])
        np.testing.assert_array_equal(dots.y, y[:, 0])
    assert panel.curve is not None
    np.testing.assert_allclose(panel.curve[1], 2 * panel.curve[0], rtol=1e-6)
    assert (data.classes, data.tested, len(data.tasks)) == (None, True, 3)


def test_data_of_the_plane_are_the_samples_of_all_tasks() -> None:
    scenario = Scenario(tasks_of(3, 2, total), "mse")
    data = plane_data(scenario)
    for task, points in zip(scenario.tasks, data.each, strict=True):
        np.testing.assert_array_equal(points.x, task.train[0])
        np.testing.assert_array_equal(points.values, task.train[1][:, 0])
    every = np.concatenate([points.x for points in data.each])
    assert sorted(map(tuple, data.together.x)) == sorted(map(tuple, every))
    assert (data.targets.low, data.targets.high) == (data.together.values.min(), data.together.values.max())
    assert data.grid is None
    assert plane_data(bands(3)).grid is not None


def test_data_of_a_table_of_classes_count_the_samples() -> None:
    scenario = heads(3)
    counts = table_data(scenario).counts
    assert isinstance(counts, np.ndarray)
    for task, row in zip(scenario.tasks, counts, strict=True):
        assert row.tolist() == torch.bincount(task.train[1], minlength=6).tolist()
