"""Jobs on the machines of a cluster, through a scheduler of dask's; or on this one, where none is named.

A worker writes to the experiment's folder itself, which every machine must see under the same path, and returns a receipt. The
scheduler gives the jobs of a worker that is lost to another one, which goes on from the last checkpoint.
"""

import logging
import multiprocessing
import os
import queue
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kancl import __version__
from kancl.errors import InputError, Stopped, StorageError, is_interrupt, one_line
from kancl.plugins import load_file, loaded_files
from runners.experiment.executors.executor import Ears, Terms
from runners.experiment.executors.job import Desk, Job, Receipt
from runners.experiment.executors.processes import Processes
from runners.experiment.memory import Room, room_on
from runners.measure.record import Progress
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.trackers import Tracking

SELDOM = 1.0
"""Seconds between two signs of progress of a job."""
TAKEN = ("KANCL_", "MLFLOW_", "WANDB_")
"""How the names of the variables begin that workers take over: all others are those of their own machine."""
IN_FLIGHT = 64
"""Jobs that the scheduler has at the least, so that a cluster that grows with its work sees some."""
STARTS = 3
"""How often a cluster of this machine is started whose workers do not come up."""
CONNECT = 60.0
"""Seconds in which a scheduler must answer."""
_ALONE = threading.Lock()
"""Held by the job that a worker does: the threads of torch and the working folder are the whole process's."""


@dataclass(frozen=True)
class Setting:
    """What a worker takes over beside its job.

    Args:
        folder: the working folder, from which plug-ins are named.
        environment: variables of kancl's and of trackers.
        files: plug-ins that were loaded.
        version: of kancl.
        topic: under which it tells how it goes, and hears that it is to stop.
        hang_after: seconds without any sign of progress after which a job is stopped and tried again.
    """

    folder: Path
    environment: dict[str, str]
    files: tuple[Path, ...]
    version: str
    topic: str
    hang_after: float


class Dask:
    """Gives jobs to a cluster; see :class:`runners.experiment.executors.executor.Executor`."""

    here = False

    def __init__(self, terms: Terms, ears: Ears, desk: Desk) -> None:
        self.ears, self.terms = ears, terms
        self.said: queue.SimpleQueue[tuple[str, str, Any]] = queue.SimpleQueue()
        self.running: dict[str, tuple[Job, Any]] = {}
        topic = f"kancl-{secrets.token_hex(8)}"
        taken = {name: value for name, value in os.environ.items() if name.startswith(TAKEN)}
        self.setting = Setting(Path.cwd(), taken, tuple(loaded_files()), __version__, topic, terms.hang_after)
        self.cluster = None if terms.scheduler else _local_cluster(terms.jobs or 1)
        self.client = _client(terms.scheduler or self.cluster)
        self.client.subscribe_topic(topic, self._note)

    @property
    def room(self) -> bool:
        """Whether the scheduler has less than twice what its workers can do."""
        cores = sum(self.client.ncores().values())
        return len(self.running) < max(2 * cores, IN_FLIGHT if self.cluster is None else 0)

    @property
    def busy(self) -> bool:
        """Whether jobs run, or wait for a worker."""
        return bool(self.running)

    def begin(self, job: Job) -> None:
        """Give a job to the scheduler."""
        there = replace(job, out=None if job.out is None else job.out.absolute())
        name = f"{job.cell.key}-{secrets.token_hex(4)}"
        future = self.client.submit(do_there, name, there, self.setting, key=name, pure=False)
        self.running[name] = job, future
        future.add_done_callback(lambda future: self.said.put((name, "end", future)))

    def _note(self, event: tuple[float, Any]) -> None:
        """Hear of a worker, in a thread of the client's."""
        name, what, value = event[1]
        self.said.put((name, what, value))

    def ended(self, patience: float) -> list[Receipt]:
        """Hear what the workers say."""
        receipts: list[Receipt] = []
        until = time.monotonic() + patience
        while not receipts or not self.said.empty():
            try:
                name, what, value = self.said.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if name not in self.running:
                continue
            job = self.running[name][0]
            if what == "progress":
                self.ears.progress(job, Progress(*value))
            elif what == "line":
                self.ears.say(value)
            else:
                del self.running[name]
                receipts.append(self._receipt(job, value))
        return receipts

    def _receipt(self, job: Job, future: Any) -> Receipt:
        try:
            receipt: Receipt | None = future.result()
        except StorageError:
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            said = _lost(error)
            if job.out is not None:
                Store(job.out, self.ears.say).cell(job.cell.key).save_failure(error, said)
            return Receipt(job, "failed", said)
        if receipt is None:
            raise Stopped
        return replace(receipt, job=job)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ask the workers to stop, and wait until they have saved what they have."""
        from distributed import Event, wait

        try:
            if self.running:
                Event(self.setting.topic, client=self.client).set()
                wait([future for _, future in self.running.values()])
        finally:
            self.running.clear()
            with suppress(Exception):  # a scheduler that is gone
                self.client.close()
            if self.cluster is not None:
                self.cluster.close()


def do_there(name: str, job: Job, setting: Setting) -> Receipt | None:
    """Do a job in a worker; None if it was asked to stop, and did.

    Args:
        name: of the job, for the scheduler.
        job: which.
        setting: what the worker takes over.
    """
    from distributed import Event, get_client, get_worker

    if setting.version != __version__:
        raise InputError(f"the worker has kancl {__version__}, and the run is by kancl {setting.version}; install the same")
    worker, stop, over = get_worker(), threading.Event(), threading.Event()
    if job.room.bytes is None and job.out is not None:
        free, limit = room_on(job.device), getattr(worker.memory_manager, "memory_limit", None)
        job = replace(job, room=Room(min(free.bytes, limit)) if free.bytes and limit else free)
    last = -SELDOM

    def say(line: object) -> None:
        worker.log_event(setting.topic, (name, "line", str(line)))

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= SELDOM:
            last = time.monotonic()
            worker.log_event(setting.topic, (name, "progress", astuple(progress)))

    with _ALONE, chdir(setting.folder), _children_allowed():
        os.environ.update(setting.environment)
        for file in setting.files:
            load_file(file)
        asked = Event(setting.topic, client=get_client())
        threading.Thread(target=_listen, args=(asked, stop, over), name="stop", daemon=True).start()
        ears = Ears(lambda job, progress: tell(progress), say)
        try:
            return _apart(job, ears, setting.hang_after, stop)
        finally:
            over.set()


def _apart(job: Job, ears: Ears, hang_after: float, stop: threading.Event) -> Receipt | None:
    """Do a job in a process of its own: dask's threads draw from Python's global generator while a worker works.

    Args:
        job: which.
        ears: hear how it goes.
        hang_after: seconds without progress after which it is tried again.
        stop: is set when it is to stop.
    """
    with Processes(Terms("processes", 1, job.threads, hang_after), ears, Desk(StreamCache(), Tracking())) as one:
        one.begin(job)
        while not stop.is_set():
            for receipt in one.ended(SELDOM):
                return receipt
    return None


@contextmanager
def _children_allowed() -> Iterator[None]:
    """Let a worker have processes of its own.

    Most workers of dask's are daemons, which Python gives no children so that none outlives them; a job's process ends by
    itself where its parent is gone.
    """
    own: Any = multiprocessing.current_process()
    before = own._config.get("daemon")
    own._config["daemon"] = False
    try:
        yield
    finally:
        own._config["daemon"] = before


def _listen(asked: Any, stop: threading.Event, over: threading.Event) -> None:
    """Wait for the word to stop, as long as the job is not over."""
    with suppress(Exception):  # the scheduler is gone, and with it whoever could ask
        while not over.is_set():
            if asked.wait(timeout=SELDOM):
                stop.set()
                return


def _lost(error: BaseException) -> str:
    """Return why there is no receipt."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "the workers that had it were lost, one after another; out of memory? (their logs tell)"
    return one_line(error)


def _local_cluster(workers: int) -> Any:
    """Return a cluster of this machine: a process for each worker, which does a job at a time."""
    from runners.experiment.executors.server import start_server

    try:
        import dask

        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
        from distributed import LocalCluster
    except ImportError as error:
        raise InputError("--executor dask needs the package distributed: pip install 'kancl[dask]'") from error
    quiet = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
    reasons: list[str] = []
    for _ in range(STARTS):
        start_server()  # workers are forks of it, as those of the other executor are
        try:
            return LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0, **quiet)
        except RuntimeError as failed:  # one of them was killed while it started, or their server was
            reasons.append(one_line(failed))
    raise InputError(f"no cluster of dask's can be started on this machine ({reasons[-1]}); try --executor processes")


def _client(cluster: Any) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--executor dask needs the package distributed: pip install 'kancl[dask]'") from error
    try:
        return Client(cluster, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"--scheduler {cluster} does not answer ({one_line(error)}); is it running, and reachable?") from error
