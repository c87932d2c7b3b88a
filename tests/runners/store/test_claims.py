"""Claims: one owner a cell, whoever dies, sleeps or writes rubbish."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kancl.errors import InputError
from runners.store import claims, locks
from runners.store.claims import Claim, claim, holder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cells" / "one"


def edit(folder: Path, **changes: object) -> None:
    path = folder / claims.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_cell_has_one_owner_until_it_is_let_go(folder: Path, tmp_path: Path) -> None:
    own = claim(folder, tmp_path)
    assert own is not None
    with own:
        assert claim(folder, tmp_path) is None
        known = holder(folder)
        assert known == own.holder
        assert known.process == os.getpid()
        assert known.lives
    assert holder(folder) is None
    assert claim(folder, tmp_path) is not None


def test_a_claim_of_a_killed_process_is_taken_over_at_once(folder: Path, tmp_path: Path) -> None:
    code = f"from pathlib import Path; from runners.store.claims import claim; import time; claim(Path({str(folder)!r}), "
    code += f"Path({str(tmp_path)!r})).__enter__(); print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert other.stdout is not None
    with other:
        assert other.stdout.readline() == b"held\n"
        assert claim(folder, tmp_path) is None
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        found = holder(folder)
        assert found is not None
        assert found.process == other.pid
        assert not found.lives
        assert claim(folder, tmp_path) is not None


def test_a_process_of_the_same_number_is_not_the_owner(folder: Path, tmp_path: Path) -> None:
    assert claim(folder, tmp_path) is not None
    edit(folder, born="1")
    assert claim(folder, tmp_path) is not None


@pytest.mark.parametrize("silent", [0.0, claims.STALE + 1])
def test_on_another_machine_the_signs_of_life_decide(folder: Path, tmp_path: Path, silent: float) -> None:
    assert claim(folder, tmp_path) is not None
    edit(folder, machine="another", process=1 << 22)
    os.utime(folder / claims.FILE, (time.time() - silent,) * 2)
    assert (claim(folder, tmp_path) is None) == (silent == 0)


def test_an_owner_gives_signs_of_life_and_notices_when_it_was_replaced(folder: Path, tmp_path: Path) -> None:
    first = claim(folder, tmp_path)
    assert first is not None
    with Claim(folder, first.holder, beat=0.01) as own:
        os.utime(folder / claims.FILE, (1, 1))
        wait_until(lambda: (folder / claims.FILE).stat().st_mtime > 1)
        edit(folder, token="another's")
        wait_until(lambda: own.lost)
    known = holder(folder)
    assert known is not None
    assert known.token == "another's"


def wait_until(what: object) -> None:
    assert callable(what)
    last = time.monotonic() + 10
    while not what():
        assert time.monotonic() < last
        time.sleep(0.005)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"process": 1}', b"\xff" * 100])
def test_a_claim_that_cannot_be_read_is_respected_while_it_is_young(folder: Path, tmp_path: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / claims.FILE).write_bytes(content)
    assert claim(folder, tmp_path) is None
    os.utime(folder / claims.FILE, (1, 1))
    assert claim(folder, tmp_path) is not None


def test_a_claim_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (tmp_path / "other").write_text("{}")
    (folder / claims.FILE).symlink_to(tmp_path / "other")
    os.utime(folder / claims.FILE, (1, 1), follow_symlinks=False)
    assert claim(folder, tmp_path) is not None
    assert (tmp_path / "other").read_text() == "{}"


def grab(root: Path, gate: object, won: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    for number in range(20):
        if claim(root / "cells" / str(number), root) is not None:
            won.put(number)  # type: ignore[attr-defined]
    won.put(None)  # type: ignore[attr-defined]
    gate.wait()  # type: ignore[attr-defined]


def test_of_many_that_ask_at_once_one_gets_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    gate, won = context.Barrier(4), context.SimpleQueue()
    workers = [context.Process(target=grab, args=(tmp_path, gate, won)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found, ended = [], 0
    while ended < 4:
        number = won.get()
        ended += number is None
        found += [number] * (number is not None)
    for worker in workers:
        worker.join()
    assert sorted(found) == list(range(20))


def test_a_lock_that_is_kept_is_waited_for_and_then_told(tmp_path: Path) -> None:
    with (
        locks.locked(tmp_path),
        pytest.raises(InputError, match=r"locked for 0\.05 seconds"),
        locks.locked(tmp_path, 0.05),
    ):
        pass
