"""Guards the networks that are kept: as they were to the bit, whatever ends the run, and named where they are not."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kancl.errors import StorageError
from runners.experiment.blocks import run_blocks
from runners.experiment.keeping import MOST, NetworkKeeper
from runners.measure.merge import merge
from runners.measure.record import Pauses
from runners.results.results import load
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.store.files import DamageError
from runners.store.networks import NETWORKS, Networks, TornError
from runners.stream.cache import StreamCache
from runners.upkeep.litter import litter, sweep
from runners.upkeep.verify import verify

RUN = ("run", "gaussian-peaks:tasks=3,samples=20", "--architectures", "mlp:hidden=4", "--seeds", 2, "--steps", 6)


def networks(folder: Path, said: list[str] | None = None) -> Networks:
    return Networks(folder / NETWORKS, folder, f"cell/{NETWORKS}", (said if said is not None else []).append)


def state(number: float, seeds: int = 3) -> dict[str, Tensor]:
    """Tensors of several kinds, one of them empty, all depending on the number."""
    return {
        "weight": torch.arange(seeds * 4.0).view(seeds, 2, 2) + number,
        "low": torch.full((seeds, 1), number, dtype=torch.float64),
        "half": torch.full((seeds, 2), number, dtype=torch.bfloat16),
        "none": torch.empty(seeds, 0),
        "count": torch.full((seeds,), int(number)),
        "seen": torch.ones(seeds, 3, dtype=torch.bool),
    }


def assert_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype
        assert torch.equal(tensor, other[name]), name


def rows(whole: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    return {name: tensor[seed : seed + 1] for name, tensor in whole.items()}


# The file.


def test_each_seed_is_read_as_it_was_at_each_moment(tmp_path: Path) -> None:
    kept = networks(tmp_path)
    for moment in range(4):
        kept.append(moment, state(moment))
    kept.end()
    for seed in range(3):
        found = networks(tmp_path).read(seed)
        assert list(found) == [0, 1, 2, 3]
        for moment, own in found.items():
            assert_equal(own, rows(state(moment), seed))
    assert networks(tmp_path).read(3) == {}


def test_seeds_may_come_one_after_another(tmp_path: Path) -> None:
    for seed in range(2):
        for moment in range(3):
            networks(tmp_path).append(moment, state(10 * seed + moment, seeds=1), seed)  # a process for each
    for seed in range(2):
        for moment, own in networks(tmp_path).read(seed).items():
            assert_equal(own, state(10 * seed + moment, seeds=1))


def test_a_moment_costs_what_it_holds_and_nothing_before_it_is_written_again(tmp_path: Path) -> None:
    kept, before = networks(tmp_path), b""
    sizes = []
    for moment in range(10):
        kept.append(moment, state(moment))
        now = (tmp_path / NETWORKS).read_bytes()
        assert now.startswith(before)
        sizes.append(len(now) - len(before))
        before = now
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("again", [0, 2, 3])
def test_a_moment_that_comes_again_puts_an_end_to_what_came_after_it(tmp_path: Path, again: int) -> None:
    for moment in range(4):
        networks(tmp_path).append(moment, state(moment))
    kept = networks(tmp_path)
    kept.append(again, state(50))
    kept.end()
    found = networks(tmp_path).read(0)
    assert list(found) == list(range(again + 1))
    assert_equal(found[again], rows(state(50), 0))
    networks(tmp_path).check(ended=True)


def test_no_flip_and_no_cut_is_believed(tmp_path: Path) -> None:
    kept = networks(tmp_path)
    for moment in range(2):
        kept.append(moment, state(moment))
    kept.end()
    path = tmp_path / NETWORKS
    whole = path.read_bytes()
    kept.check(ended=True)
    for place in range(0, len(whole), 5):
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]):
            path.write_bytes(data)
            with pytest.raises(DamageError):
                networks(tmp_path).check(ended=True)
            for moment, own in networks(tmp_path).read(0).items():
                assert_equal(own, rows(state(moment), 0))


def test_what_was_being_written_is_damage_only_where_the_cell_is_finished(tmp_path: Path) -> None:
    networks(tmp_path).append(0, state(0))
    path = tmp_path / NETWORKS
    first = path.read_bytes()
    networks(tmp_path).append(1, state(1))
    path.write_bytes(path.read_bytes()[:-7])
    said: list[str] = []
    torn = networks(tmp_path, said)
    torn.check(ended=False)
    with pytest.raises(TornError):
        torn.check(ended=True)
    torn.append(1, state(1))
    assert said == []
    assert path.read_bytes().startswith(first)
    assert list(networks(tmp_path).read(0)) == [0, 1]
    path.write_bytes(first[:-7] + b"\0" + first[-6:])
    assert networks(tmp_path, said).read(0) == {}
    assert said == [f"{path} is not as it was written (its checksum does not match); what comes after is left out"]


def test_the_file_of_another_cell_and_parts_that_changed_places_are_named(tmp_path: Path) -> None:
    other = Networks(tmp_path / "other.bin", tmp_path, f"other/{NETWORKS}")
    other.append(0, state(0))
    shutil.copy(tmp_path / "other.bin", tmp_path / NETWORKS)
    with pytest.raises(DamageError, match=f"is another file .other/{NETWORKS}"):
        networks(tmp_path).check(ended=False)
    (tmp_path / NETWORKS).unlink()
    for moment in range(2):
        networks(tmp_path).append(moment, state(moment))
    whole = (tmp_path / NETWORKS).read_bytes()
    half = len(whole) // 2
    (tmp_path / NETWORKS).write_bytes(whole[half:] + whole[:half])
    with pytest.raises(DamageError, match="its checksum does not match"):
        networks(tmp_path).check(ended=False)


def test_a_link_is_neither_followed_nor_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / NETWORKS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        networks(tmp_path).append(0, state(0))
    with pytest.raises(DamageError):
        networks(tmp_path).read(0)
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


HEADS = {
    "huge": b'{"of": "cell/networks.bin", "seed": 0, "moment": 0, "tensors": [["w", "float32", [4611686018427387903, 2]]]}\n',
    "negative": b'{"of": "cell/networks.bin", "seed": 0, "moment": 0, "tensors": [["w", "float32", [-1, 2]]]}\n',
    "no kind": b'{"of": "cell/networks.bin", "seed": 0, "moment": 0, "tensors": [["w", "load", [1, 2]]]}\n',
    "a number": b"3\n",
    "no line": b"{" * 3_000_000,
    "deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("head", HEADS)
def test_a_strangers_file_is_refused_soon(tmp_path: Path, head: str) -> None:
    (tmp_path / NETWORKS).write_bytes(HEADS[head] + bytes(200))
    began = time.monotonic()
    with pytest.raises(DamageError):
        networks(tmp_path).check(ended=True)
    assert time.monotonic() - began < 2


# Runs.


def kept_in(folder: Path, cell: Any) -> dict[int, dict[int, dict[str, Tensor]]]:
    return {seed: CellStore(folder).load_networks(seed) for seed in cell.seeds}


def assert_same(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for seed, moments in one.items():
        assert moments.keys() == other[seed].keys()
        for moment, own in moments.items():
            assert_equal(own, other[seed][moment])


def train(
    cell: Any,
    stream: Any,
    folder: Path,
    pauses: Pauses = Pauses(),  # noqa: B008
    stop: int | None = None,
    after: bool = False,
) -> None:
    """Train in a folder as a sweep does; ended before or after the writing of networks number ``stop``."""
    files, written = CellStore(folder), [0]
    resume = files.load_checkpoint()
    files.begin(cell)
    keeper = NetworkKeeper(files, cell, len(stream.names), "on")

    def keep(moment: int, network: Mapping[str, Tensor], seed: int = 0) -> None:
        written[0] += 1
        if written[0] == stop and not after:
            raise KeyboardInterrupt
        keeper(moment, network, seed)
        if written[0] == stop:
            raise KeyboardInterrupt

    result = run_cell(cell, stream, resume, files.save_checkpoint, pauses=pauses, keep=keep)
    files.save_result(result)


CASES: dict[str, dict[str, Any]] = {
    "naive": {},
    "pretraining": {"scenario": "gaussian-peaks:tasks=4,samples=20,pretrain=1"},
    "independent": {"strategy": "independent"},
    "a grid that grows": {"architecture": "kan:hidden=[],grid=refine,intervals=4", "policy": "reset"},
    "avalanche": {"strategy": "naive", "runner": "avalanche"},
}


def cell_of(
    tools: Any, scenario: str = "gaussian-peaks:tasks=3,samples=20", architecture: str = "mlp:hidden=4",
    strategy: str = "naive", policy: str = "keep", **more: Any,
) -> Any:  # fmt: skip
    return tools.make_cell(scenario, architecture, strategy, seeds=2, steps=5, evaluations=3, optimizer="adam", state=policy,
                           batch_size=8, **more)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_networks_are_those_of_the_ends_of_tasks_whatever_ended_the_run(tools: Any, tmp_path: Path, case: str) -> None:
    """Ended before each writing, once with the checkpoints of tasks alone and once with those inside as well."""
    cell = cell_of(tools, **CASES[case])
    stream = tools.stream_of(cell)
    train(cell, stream, tmp_path / "whole")
    whole = kept_in(tmp_path / "whole", cell)
    assert list(whole[1]) == [0, 1, 2, 3]
    CellStore(tmp_path / "whole").networks.check(ended=True)
    ends = range(1, 5) if case == "naive" else (2, 4) if case != "avalanche" else (3, 7)
    for number, every in ((number, every) for number in ends for every in (float("inf"), 0.0)):
        folder = tmp_path / f"{number}-{every}"
        with pytest.raises(KeyboardInterrupt):
            train(cell, stream, folder, Pauses(every), number)
        train(cell, stream, folder, Pauses(every))
        assert_same(kept_in(folder, cell), whole)
        CellStore(folder).networks.check(ended=True)
    with pytest.raises(KeyboardInterrupt):
        train(cell, stream, tmp_path / "never", stop=1)
    assert kept_in(tmp_path / "never", cell) == {0: {}, 1: {}}


def test_a_run_that_was_killed_while_it_wrote_goes_on_with_all_networks(tools: Any, tmp_path: Path) -> None:
    """The last block is there in part, or in full, and no checkpoint after it."""
    cell = cell_of(tools)
    stream = tools.stream_of(cell)
    train(cell, stream, tmp_path / "whole" / "cell")
    whole, number = (tmp_path / "whole" / "cell" / NETWORKS).read_bytes(), 0
    for stop in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            train(cell, stream, tmp_path / "killed" / "cell", stop=stop, after=True)
        written = (tmp_path / "killed" / "cell" / NETWORKS).read_bytes()
        before = len(written) * (stop - 1) // stop  # blocks are of one size
        assert whole.startswith(written)
        for size in (before, before + 1, (before + len(written)) // 2, len(written) - 1, len(written)):
            folder = tmp_path / str(number) / "cell"  # whose name its files repeat
            shutil.copytree(tmp_path / "killed" / "cell", folder)
            (folder / NETWORKS).write_bytes(written[:size])
            train(cell, stream, folder)
            assert (folder / NETWORKS).read_bytes() == whole, size
            number += 1
        shutil.rmtree(tmp_path / "killed")


def test_the_last_networks_score_as_the_result_says(tools: Any, tmp_path: Path) -> None:
    """What is kept is what was measured, at every moment."""
    from runners.measure.evaluate import Evaluator
    from runners.training.networks import build_network

    cell = cell_of(tools)
    stream = tools.stream_of(cell)
    train(cell, stream, tmp_path)
    result, network = CellStore(tmp_path).load_result(), build_network(cell, stream)
    assert result is not None
    kept = kept_in(tmp_path, cell)
    for moment in range(4):
        network.load_state_dict({name: torch.cat([kept[s][moment][name] for s in (0, 1)]) for name in kept[0][moment]})
        scores = Evaluator(stream).scores(network)["rmse"]
        assert (scores == result.R["rmse"][:, moment]).all()


def test_blocks_of_seeds_have_theirs_and_are_read_as_one(tools: Any, tmp_path: Path) -> None:
    cell = cell_of(tools)
    whole, folder = tmp_path / "whole", tmp_path / "cell"
    train(cell, tools.stream_of(cell), whole)
    stream = StreamCache().of(cell)
    grouped = replace(stream, groups=tuple(stream.of_places(slice(s, s + 1)) for s in range(2)))
    files = CellStore(folder)
    files.begin(cell)
    result = run_blocks(cell, grouped, files, lambda progress: None, keeping="auto")
    assert result.seeds == merge([result], cell.seeds).seeds
    assert_same(kept_in(folder, cell), kept_in(whole, cell))
    assert files.networks_size() == sum(path.stat().st_size for path in folder.rglob(NETWORKS)) > 0


def test_of_large_networks_none_are_kept_unless_they_are_asked_for(tools: Any, tmp_path: Path) -> None:
    cell = cell_of(tools, architecture="mlp:hidden=4")
    files = CellStore(tmp_path)
    numbers = MOST // (4 * 2 * 4)  # of 4 bytes, for 2 seeds and 4 moments

    NetworkKeeper(files, cell, 3, "auto")(0, {"weight": torch.zeros(2, numbers)})
    assert list(files.networks.read(0)) == [0]
    keeper = NetworkKeeper(files, cell, 3, "auto")
    keeper(1, {"weight": torch.zeros(2, numbers + 1)})  # it grew
    keeper(2, {"weight": torch.zeros(2, 1)})
    assert not files.networks.path.exists()
    NetworkKeeper(files, cell, 3, "on")(0, {"weight": torch.zeros(2, numbers + 1)})
    assert list(files.networks.read(0)) == [0]
    NetworkKeeper(files, cell, 3, "off")(1, {"weight": torch.zeros(2, 1)})
    assert not files.networks.path.exists()


def test_what_is_not_kept_is_said(kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "kancl show has nothing" not in kancl(*RUN, "--out", tmp_path / "small").out
    monkeypatch.setattr("runners.experiment.keeping.MOST", 100)
    large = kancl(*RUN, "--out", tmp_path / "large")
    assert "kancl show has nothing to draw of 1 cell of 1: " in large.out
    assert "--keep-networks on" in large.out.replace("\n", " ")
    assert "kancl show has nothing" not in kancl(*RUN, "--keep-networks", "on", "--out", tmp_path / "on").out


def test_no_number_depends_on_it_and_no_key(kancl: Callable[..., Any], tmp_path: Path) -> None:
    for keeping in ("auto", "off"):
        assert kancl(*RUN, "--keep-networks", keeping, "--out", tmp_path / keeping).code == 0
    auto, off = (load(tmp_path / keeping).entries[0] for keeping in ("auto", "off"))
    assert auto.cell == off.cell
    ours, theirs = auto.result.to_arrays(), off.result.to_arrays()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"seconds", "step_seconds", "evaluation_seconds"}:
        assert (ours[name] == theirs[name]).all() or (ours[name] != ours[name]).any()
    cells = [Store(tmp_path / keeping).cell(auto.cell.key) for keeping in ("auto", "off")]
    assert [bool(files.load_networks(1)) for files in cells] == [True, False]


def test_they_are_counted_checked_and_outlive_the_checkpoints(kancl: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert kancl(*RUN, "--out", out).code == 0
    (path,) = out.rglob(NETWORKS)
    assert f'"networks": {path.stat().st_size}' in kancl("runs", "status", out, "--format", "json").out
    assert f"{path.stat().st_size / 1000:.0f} kB of networks" in kancl("runs", "status", out).out
    sweep(litter(out))
    assert not (path.parent / "checkpoint.pt").exists()
    assert verify(out).findings == ()
    assert list(Store(out).cell(path.parent.name).load_networks(1)) == [0, 1, 2, 3]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (finding,) = verify(out).of("damage")
    assert finding.file == f"cells/{path.parent.name}/{NETWORKS}"
    said = kancl(*RUN, "--out", out)  # it is no part of the result
    assert (said.code, load(out).missing) == (0, ())


def test_more_tasks_go_on_with_the_networks_of_the_first_ones(kancl: Callable[..., Any], tmp_path: Path) -> None:
    def run(tasks: int, out: Path) -> dict[int, dict[str, Tensor]]:
        scenario = f"permuted-digits:tasks={tasks},samples=60"
        said = kancl("run", scenario, "--architectures", "mlp:hidden=4", "--seeds", 2, "--steps", 4, "--out", out)
        assert said.code == 0, said.err
        (entry,) = [entry for entry in load(out).entries if f"tasks={tasks}" in entry.labels["scenario"]]
        assert ("goes on from the end" in said.out.replace("\n", " ")) == (tasks == 3 and out.name == "grown")
        return Store(out).cell(entry.cell.key).load_networks(1)

    run(2, tmp_path / "grown")
    grown, whole = run(3, tmp_path / "grown"), run(3, tmp_path / "whole")
    assert_same({0: grown}, {0: whole})
    assert verify(tmp_path / "grown").findings == ()
