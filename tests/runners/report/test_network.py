"""Guards the network drawn: its numbers are the network's own, what did not move does not count, and it stays readable."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.models.edges import edge_outputs
from runners.report.drawing import own_style, rendered
from runners.report.figures.network import draw_network, network, networks_of
from runners.report.figures.network_drawing import frames, write_animation
from runners.report.figures.network_layout import FOR_FUNCTIONS, FOR_WEIGHTS, lay_out
from runners.report.figures.network_moments import MOVED, densities, hit, moment_of, moved
from runners.results.networks import Networks, networks_of_seed
from runners.results.results import load
from runners.store.cell import CellStore

STEPS = ("--seeds", 2, "--steps", 30, "--optimizer", "adam", "--lr", 0.05)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small cells of several architectures; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("networks") / "out"
    peaks, digits = "gaussian-peaks:tasks=3,samples=40", "split-digits:samples=40"
    names = ("kan:hidden=[],intervals=30", "kan:hidden=[3]", "mlp:hidden=5", "lookup", "mlp-bspline:hidden=4")
    for said in ((peaks, "--architectures", *names), (digits, "--architectures", "kan:hidden=[20]", "mlp:hidden=30"),
                 ("feynman:tasks=2,samples=30", "--architectures", "kan:hidden=[]")):  # fmt: skip
        assert main([*map(str, ("run", *said, *STEPS, "--out", out))]) == 0
    return out


def opened(out: Path, architecture: str, scenario: str = "", seed: int = 1) -> Networks:
    for entry in load(out).entries:
        if entry.labels["architecture"] == architecture and entry.labels["scenario"].startswith(scenario):
            files = CellStore(out / "cells" / entry.cell.key, out)
            return networks_of_seed(files, entry.cell, seed, result=entry.result)
    raise AssertionError(architecture)


def test_the_function_drawn_is_the_network_where_it_has_one_edge(out: Path) -> None:
    networks = opened(out, "kan:hidden=[],intervals=30")
    data = network(networks)
    assert [picture.title for picture in data.pictures][:2] == ["start", "after task 1 (peak at -0.67)"]
    assert len(data.pictures) == 4
    for moment, picture in enumerate(data.pictures):
        x = torch.from_numpy(data.points[0]).float()[None, :, None]
        with torch.no_grad():
            whole = networks.at(moment)(x)[0, :, 0].numpy()
        np.testing.assert_allclose(picture.edges[0].values, whole, atol=1e-6)


def test_the_sum_over_edges_drawn_is_the_network_where_it_has_one_layer(out: Path) -> None:
    networks = opened(out, "kan:hidden=[]", "feynman")
    data, moment = network(networks), moment_of(networks, 2)
    inputs = networks.stream.inputs
    assert len(data.edges) == inputs
    (layer,) = moment.layers
    places = np.array(data.points).T  # (P, I): each edge's own points, put together as one sample
    order = [edge.input for edge in data.edges]
    x = torch.from_numpy(places[:, np.argsort(order)]).float()[None]
    with torch.no_grad():
        whole = networks.at(2)(x)[0, :, 0].double().numpy()
    total = np.sum([own.values for own in data.pictures[2].edges], 0)
    np.testing.assert_allclose(total, whole, atol=1e-5)
    assert edge_outputs(layer, x).shape == (1, len(places), inputs, 1)


def test_weights_drawn_are_the_networks(out: Path) -> None:
    networks = opened(out, "mlp:hidden=5")
    data = network(networks)
    assert data.kind == "weights"
    for moment, picture in enumerate(data.pictures):
        state = networks.states[moment]
        for edge, own in zip(data.edges, picture.edges, strict=True):
            weight = float(state[f"layers.{edge.layer}.weight"][0, edge.input, edge.output])
            assert float(own.values[0]) == pytest.approx(weight, rel=1e-6)
        assert math.isnan(picture.hit)


def test_importance_is_the_share_of_the_largest_of_the_layer_in_any_picture(out: Path) -> None:
    networks = opened(out, "kan:hidden=[3]")
    data = network(networks)
    for layer in (0, 1):
        own = [number for number, edge in enumerate(data.edges) if edge.layer == layer]
        shares = np.array([[picture.edges[number].importance for number in own] for picture in data.pictures])
        assert shares.max() == 1.0
        for picture, row in enumerate(shares):
            moment = moment_of(networks, picture)
            met = torch.cat(moment.inputs[layer], 1)
            values = edge_outputs(moment.layers[layer], met)[0].double()
            plain = [float(values[:, data.edges[n].input, data.edges[n].output].std()) for n in own]
            assert np.argsort(row).tolist() == np.argsort(plain).tolist()
            np.testing.assert_allclose(row / row.max(), np.array(plain) / max(plain), rtol=1e-6)


# What moved.


def test_idle_parts_of_a_function_do_not_count_as_moved(out: Path) -> None:
    """Coefficients of one basis function are changed, and those of all others by as little as rounding and decay do."""
    networks = opened(out, "kan:hidden=[],intervals=30")
    coef = networks.states[0]["layers.0.coef"]
    changed, step = coef.clone(), 2 / 30
    changed += 1e-4 * torch.randn(coef.shape, generator=torch.Generator().manual_seed(0))
    changed[0, 0, 12, 0] += 5.0
    states = {0: networks.states[0], 1: {**networks.states[0], "layers.0.coef": changed}}
    data = network(replace(networks, states=states))
    first, second = (picture.edges[0] for picture in data.pictures)
    assert not first.moved.any()
    low = -1 + (12 - 3) * step  # of the support, 4 intervals wide
    inside = (data.points[0] > low) & (data.points[0] < low + 4 * step)
    assert second.moved.any()
    assert not second.moved[~inside].any()
    assert data.pictures[1].moved == pytest.approx(second.moved.mean())
    assert math.isnan(data.pictures[0].moved)


def test_moving_is_a_share_of_the_span() -> None:
    before = np.zeros(4)
    now = np.array([0.0, MOVED * 2 * 0.99, MOVED * 2 * 1.01, -1.0])
    assert moved(now, before, (-1.0, 1.0)).tolist() == [False, False, True, True]
    assert moved(np.array([MOVED * 3.1]), np.zeros(1), (-3.0, 1.0)).tolist() == [True]
    assert moved(np.array([MOVED * 2.9]), np.zeros(1), (-3.0, 1.0)).tolist() == [False]
    assert moved(np.full(3, np.nan), np.zeros(3), (0.0, 1.0)).tolist() == [False] * 3


def test_a_local_network_moves_where_the_new_data_lie(out: Path) -> None:
    data = network(opened(out, "kan:hidden=[],intervals=30"))
    for picture in data.pictures[2:]:
        (own,) = picture.edges
        assert picture.hit < 0.2
        where = np.interp(np.linspace(-1, 1, len(own.moved)), np.linspace(-1, 1, len(own.here)), own.here)
        assert where[own.moved].mean() > 4 * where[~own.moved].mean()


def test_densities_are_those_of_the_tasks_and_hit_is_counted_sample_by_sample(out: Path) -> None:
    networks = opened(out, "kan:hidden=[3]")
    data, number = network(networks), 3
    moment = moment_of(networks, number)
    for edge, points, own in zip(data.edges, data.points, data.pictures[number].edges, strict=True):
        here, earlier = densities(moment, edge, points)
        assert (own.here == here).all()
        assert max(here.max(), earlier.max()) == 1.0
        parts = [moment.inputs[edge.layer][task][0, :, edge.input].double().numpy() for task in range(3)]
        old, bins = np.concatenate(parts[:2]), np.linspace(points[0], points[-1], len(here) + 1)
        counts = [[((met >= low) & (met < high)).mean() for low, high in pairwise(bins)] for met in (parts[2], old)]
        counts[0][-1] += (parts[2] == bins[-1]).mean()
        counts[1][-1] += (old == bins[-1]).mean()
        np.testing.assert_allclose(here, np.array(counts[0]) / np.max(counts), atol=1e-12)
        np.testing.assert_allclose(earlier, np.array(counts[1]) / np.max(counts), atol=1e-12)
        found = [bool(own.moved[np.abs(points - x).argmin()]) for x in old if points[0] <= x <= points[-1]]
        assert hit(moment, edge, points, own.moved) == pytest.approx(sum(found) / len(old), abs=2 / len(old))


# Which are drawn.


def test_of_a_large_network_the_most_important_part_is_drawn_and_that_is_said(out: Path) -> None:
    for architecture, rooms in (("kan:hidden=[20]", FOR_FUNCTIONS), ("mlp:hidden=30", FOR_WEIGHTS)):
        data, room = network(opened(out, architecture, "split-digits")), rooms[1]
        for layer in (0, 1):
            own = [edge for edge in data.edges if edge.layer == layer]
            assert len(own) == room.edges
            assert sorted(edge.x for edge in own) == [edge.x for edge in own]
        for row in range(3):
            assert 0 < sum(node.row == row for node in data.nodes) <= room.nodes
        assert any(note.startswith("drawn are the most important edges, from the inputs up") for note in data.notes)
        joined = {edge.source for edge in data.edges} | {edge.target for edge in data.edges}
        assert joined == set(range(len(data.nodes)))


def test_the_most_important_edges_are_chosen_and_lead_on() -> None:
    draw = np.random.default_rng(0)
    tables = [draw.random((50, 40)), draw.random((40, 30))]
    layout = lay_out(tables)
    assert layout == lay_out([table * factor for table, factor in zip(tables, (7.0, 0.1), strict=True)])
    tops = np.argsort(-tables[1].sum(0))[: FOR_FUNCTIONS[1].nodes]
    assert {node.index for node in layout.nodes if node.row == 2} == set(tops.tolist())
    drawn = {edge.output: tables[1][edge.input, edge.output] for edge in layout.edges if edge.layer == 1}
    assert drawn.keys() == set(tops.tolist())
    for edge in layout.edges:
        source, target = layout.nodes[edge.source], layout.nodes[edge.target]
        assert (source.row, source.index) == (edge.layer, edge.input)
        assert (target.row, target.index) == (edge.layer + 1, edge.output)
    small = lay_out([np.ones((2, 8)), np.ones((8, 1))])
    assert (len(small.edges), small.notes) == (24, ())


def test_many_moments_are_few_pictures_and_lost_ones_are_said(out: Path) -> None:
    networks = opened(out, "kan:hidden=[3]")
    data = network(networks, most=3)
    assert [picture.title[:12] for picture in data.pictures] == ["start", "after task 2", "after task 3"]
    assert "3 of 4 moments are drawn" in data.notes
    states = {moment: networks.states[moment] for moment in (0, 2)}
    assert "not kept: 2 moments of 4" in network(replace(networks, states=states)).notes


def test_a_strategy_that_answers_otherwise_is_named(out: Path, kancl: Callable[..., Any], tmp_path: Path) -> None:
    run = ("run", "split-digits:samples=40,setting=task", "--architectures", "mlp:hidden=5", "--strategies", "packnet", *STEPS)
    assert kancl(*run, "--out", tmp_path).code == 0
    (entry,) = load(tmp_path).entries
    files = CellStore(tmp_path / "cells" / entry.cell.key, tmp_path)
    notes = network(networks_of_seed(files, entry.cell, 0, result=entry.result)).notes
    assert "packnet answers for earlier tasks with parameters that it holds beside these" in notes
    assert not any("answers" in note for note in network(opened(out, "mlp:hidden=5")).notes)


@pytest.mark.parametrize("architecture", ["lookup", "mlp-bspline:hidden=4"])
def test_what_has_no_edges_is_refused_with_what_has(out: Path, architecture: str) -> None:
    with pytest.raises(InputError, match="its layers are no sums of functions of single inputs"):
        network(opened(out, architecture))


def test_diverged_networks_are_drawn_as_far_as_they_go(out: Path) -> None:
    networks = opened(out, "kan:hidden=[3]")
    broken = {
        name: tensor * float("nan") if tensor.is_floating_point() else tensor for name, tensor in networks.states[2].items()
    }
    broken |= {name: tensor for name, tensor in networks.states[2].items() if name.endswith(("low", "high"))}
    data = network(replace(networks, states={**networks.states, 2: broken, 3: broken}))
    assert not data.pictures[2].edges[0].moved.any()
    with own_style():
        assert rendered(draw_network(data), "png")


# Drawings.


@pytest.mark.parametrize("architecture", ["kan:hidden=[3]", "mlp:hidden=5"])
def test_everything_is_drawn_within_the_figure_and_no_title_over_another(out: Path, architecture: str) -> None:
    with own_style():
        figure = draw_network(network(opened(out, architecture)))
        rendered(figure, "png")
        boxes = [ax.title.get_window_extent() for ax in figure.axes]
        whole = figure.bbox
        for text in (*figure.texts, *(ax.title for ax in figure.axes)):
            box = text.get_window_extent()
            assert whole.x0 <= box.x0
            assert box.x1 <= whole.x1
            assert whole.y0 <= box.y0
            assert box.y1 <= whole.y1
        assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[n + 1 :])


def test_an_animation_has_a_frame_for_each_moment_all_different(out: Path, tmp_path: Path) -> None:
    from PIL import Image

    data = network(opened(out, "kan:hidden=[],intervals=30"))
    assert len(list(frames(data))) == 4
    with own_style():
        write_animation(tmp_path / "network.gif", data)
    with Image.open(tmp_path / "network.gif") as image:
        assert image.n_frames == 4  # type: ignore[attr-defined]
        shown = set()
        for number in range(4):
            image.seek(number)
            assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
            shown.add(image.convert("RGB").tobytes())
    assert len(shown) == 4


def test_a_comparison_draws_a_few_networks_of_naive_cells(out: Path, kancl: Callable[..., Any], tmp_path: Path) -> None:
    names = [planned.name for planned in networks_of(load(out), most=3)]
    scenario = "gaussian-peaks:tasks=3,samples=40"
    assert names == [f"{scenario}-{name}-network" for name in ("kan:hidden=[],intervals=30", "kan:hidden=[3]", "mlp:hidden=5")]
    assert len(list(networks_of(load(out), most=99))) == 6  # lookup and mlp-bspline cannot be
    said = kancl("compare", out, "--figures-to", tmp_path, "--architectures", "mlp:hidden=5", "lookup")
    assert said.code == 0, said.err
    name = "gaussian-peaks_tasks_3_samples_40-mlp_hidden_5-network"
    assert [path.name for path in sorted(tmp_path.glob("*network*"))] == [f"{name}.png", f"{name}.svg"]
