"""Spreading a population over workers by joblib: threads, processes of this machine, or a Dask cluster."""

import importlib
import logging
import os
import signal
import socket
import threading
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any, TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from evolution.errors import InputError, RunError, WorkerLost
from evolution.outside import MODULES
from evolution.system import STOP_SIGNALS, blocked

Item = TypeVar("Item")
Result = TypeVar("Result")

LOG = logging.getLogger(__name__)
BACKENDS = ("loky", "threading", "dask")
CHUNKS_PER_WORKER = 4  # so that a worker with small networks does not wait long for one with large networks


class Workers:
    """A pool of workers that lives as long as the run. With one worker everything happens in this process.

    With the backend dask the workers are those of the cluster whose scheduler has the given address, however many
    there are; `num_workers` then does not count.
    """

    def __init__(self, num_workers: int = 1, backend: str = "loky", scheduler_address: str | None = None) -> None:
        """Raises InputError for a backend that there is not, and for a cluster that cannot be used."""
        if backend not in BACKENDS:
            raise InputError(f"backend is {backend!r:.60}; it must be one of {', '.join(BACKENDS)}")
        self.num_workers, self.backend = num_workers, backend
        self._cluster: _Cluster | None = None
        self._loky: joblib.Parallel | None = None
        if backend == "dask":
            if not scheduler_address:
                raise InputError("backend dask needs scheduler_address, the address of its scheduler (tcp://host:port)")
            self._cluster = _Cluster(scheduler_address)

    def map(
        self,
        function: Callable[..., Sequence[Result]],
        items: Sequence[Item],
        *shared: Any,
        threads: bool = False,
        isolated: bool = False,
    ) -> list[Result]:
        """`function(chunk, *shared)` for chunks of `items`; the results, one per item, in the order of the items.

        With `threads` the chunks go to threads of this process even with the backend loky: for kernels that release
        the GIL. A cluster gets them all the same. What a chunk's result holds must not depend on how the items were
        divided, `function` must be one of a module, and what is `shared` must not be changed afterwards: a cluster is
        sent each such object once. With `isolated` the backend loky uses a process even where there is one worker, for
        what may kill the process that it runs in. Raises WorkerLost, RunError where a cluster is gone, and whatever
        `function` raises.
        """
        alone = len(items) < 2 or (self.num_workers == 1 and self._cluster is None)
        if alone and not (isolated and items and self.backend == "loky"):
            return list(function(items, *shared)) if len(items) else []
        if self._cluster is not None:
            results = self._cluster.map(function, items, shared)
        else:
            # One worker gets everything at once: joblib counts two processes at least, but only one is then at work.
            chunks = divide(items, self.num_workers * CHUNKS_PER_WORKER if self.num_workers > 1 else 1)
            calls = [joblib.delayed(function)(chunk, *shared) for chunk in chunks]
            results = self._in_threads(calls) if threads or self.backend == "threading" else self._in_processes(calls)
        return [result for chunk in results for result in chunk]

    def _in_threads(self, calls: list[Any]) -> list[Any]:
        return joblib.Parallel(self.num_workers, "threading", batch_size=1, pre_dispatch="all")(calls)

    def _in_processes(self, calls: list[Any]) -> list[Any]:
        try:
            if self._loky is None:
                self._loky = _start_processes(max(2, self.num_workers))
            return self._loky(calls)
        except BaseException as error:
            self._loky = None  # jobs of the failed call may still report to it
            if isinstance(error, TerminatedWorkerError):
                raise WorkerLost("a worker process was killed (did the machine run out of memory?)") from None
            raise

    def close(self) -> None:
        """End the processes, or leave the cluster."""
        if self._cluster is not None:
            self._cluster.close()
        if self._loky is not None:
            get_reusable_executor().shutdown(kill_workers=True)
            self._loky = None


def divide(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """At most `count` slices of `items`, in order, whose lengths differ by one at most; none is empty."""
    count = min(count, len(items))
    ends = [len(items) * i // count for i in range(count + 1)] if count else []
    return [items[start:end] for start, end in pairwise(ends)]


# ---- processes of this machine --------------------------------------------------------------------------------------

PARENT_PERIOD = 0.5  # seconds between a worker's looks at whether the run is still there


def _start_processes(num_workers: int) -> joblib.Parallel:
    """joblib with worker processes that outlive a call, leave Ctrl-C to the run, and end with it."""
    # One thread each: the workers share the processor, and what they sum must not depend on how many there are.
    with joblib.parallel_config("loky", n_jobs=num_workers, inner_max_num_threads=1):
        parallel = joblib.Parallel(
            batch_size=1,
            pre_dispatch="all",
            idle_worker_timeout=86400,
            initializer=_serve,
            initargs=(os.getpid(), tuple(MODULES)),
        )
    # Ctrl-C reaches every process of a terminal. A worker inherits the blocked signals, so that not even one that is
    # just starting shows a traceback; this process gets those that came meanwhile when it unblocks them.
    with blocked():
        parallel(joblib.delayed(_nothing)() for _ in range(num_workers))
    return parallel


def _nothing() -> None: ...


def _serve(parent: int, modules: Sequence[str]) -> None:
    """What a worker process does first: leave the signals that stop it to the run, and watch that it is still there."""
    # loky takes what a worker imports and maps for a leak, and replaces it where psutil is there to tell it.
    process_executor._USE_PSUTIL = False
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    for module in modules:
        importlib.import_module(module)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_PERIOD)
    os._exit(1)


# ---- a Dask cluster -------------------------------------------------------------------------------------------------

CONNECT_TIMEOUT = 15.0  # seconds
WORKER_TIMEOUT = 600.0  # seconds to wait for the first worker, and for another where all are gone
NUM_SENT = 8  # objects that are kept on the cluster: a data set's arrays, and what this generation shares
SMALL = 10_000  # bytes; what is smaller goes with every chunk
COMPUTES_WITH = ("numpy", "numba", "torch", "gymnasium", "box2d", "joblib", "dask")


class _Cluster:
    """A Dask cluster as joblib sees it, with the data that was sent to it."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise InputError("backend dask: the package is missing (pip install 'dask[distributed]')") from None
        _silence("distributed")

        class Client(distributed.Client):
            def __del__(self) -> None:
                """Not what the base class does, which complains where connecting failed; `close` is enough."""

        try:
            _reach(address)
            self._client = Client(address, set_as_default=False, timeout=CONNECT_TIMEOUT)
        except Exception as error:  # of many kinds
            raise InputError(
                f"scheduler_address {address}: no Dask scheduler answers there ({_first(error)})"
            ) from None
        self._address, self._distributed = address, distributed
        self._checked: set[str] = set()
        # id -> the object, held so that its id stays its own, and what stands for it on the cluster
        self._sent: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        with self._failures():
            self._check(self._client.ncores())
            # Dask's memory manager drops all copies but one of what no task is waiting for, every two seconds: what
            # was sent to a worker would not stay there.
            self._drops_copies = self._client.amm.running()
            if self._drops_copies:
                self._client.amm.stop()

    def map(self, function: Callable, items: Sequence[Any], shared: Sequence[Any]) -> list[Any]:
        with self._failures():
            chunks = divide(items, self._num_cores() * CHUNKS_PER_WORKER)
            arguments = [self._send(value) for value in shared]
            with joblib.parallel_config(_DaskBackend(self._client)):
                parallel = joblib.Parallel(batch_size=1, pre_dispatch="all")
                return parallel(joblib.delayed(function)(chunk, *arguments) for chunk in chunks)

    def _num_cores(self) -> int:
        cores = self._client.ncores()
        if not cores:
            LOG.warning("waiting for a worker of the Dask scheduler at %s", self._address)
            try:
                self._client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
            except TimeoutError:
                raise RunError(f"Dask: no worker came to {self._address} in {WORKER_TIMEOUT:g} s") from None
            cores = self._client.ncores()
        self._check(cores)
        return max(1, sum(cores.values()))

    def _check(self, workers: Iterable[str]) -> None:
        """Raise InputError for a new worker that would not compute the same as this process, or the scheduler if it
        could not unpickle what passes through it.
        """
        new = [worker for worker in workers if worker not in self._checked]
        if not new:
            return
        look_around = _looking_around()
        own = look_around()
        first = not self._checked
        for worker, found in self._client.run(look_around, workers=new, on_error="ignore").items():
            _agree(f"worker {worker}", own, found)
            self._checked.add(worker)
        if first:
            found = self._client.run_on_scheduler(look_around)
            computes = {name: found.get(name) for name in COMPUTES_WITH if name in own}  # which the scheduler does not
            _agree(f"scheduler {self._address}", own | computes | {"machine": found["machine"]}, found)

    def _send(self, value: Any) -> Any:
        """What stands for the object in a call: itself where it is small, else its result of a task.

        Scattered data is gone with the worker that holds it; a task's result is made again, from the object that the
        scheduler keeps with the task.
        """
        from dask.sizeof import sizeof

        key = id(value)
        if key not in self._sent:
            if sizeof(value) < SMALL:
                return value
            self._sent[key] = value, self._client.submit(_itself, value, pure=False)
        self._sent.move_to_end(key)
        while len(self._sent) > NUM_SENT:
            self._sent.popitem(last=False)
        return self._sent[key][1]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what Dask raises when the cluster fails into a RunError."""
        distributed = self._distributed
        try:
            yield
        except distributed.KilledWorker as error:
            raise WorkerLost(f"Dask: an evaluation killed one worker after another ({_first(error)})") from None
        except Exception as error:
            # The client learns of a lost connection only a little later than the call that it breaks off.
            if self._client.status == "running" and not isinstance(error, distributed.comm.CommClosedError):
                raise
            raise RunError(f"the Dask scheduler at {self._address} is gone") from None

    def close(self) -> None:
        self._sent.clear()
        with suppress(Exception):  # a scheduler that is gone
            if self._drops_copies and self._client.status == "running":
                self._client.amm.start()
            self._client.close(timeout=1)


class _DaskBackend(joblib.parallel.ParallelBackendBase):
    """A cluster as a backend of joblib. joblib's own waits for ever where a call has killed its workers."""

    supports_retrieve_callback = True

    def __init__(self, client: Any, nesting_level: int | None = None) -> None:
        super().__init__(nesting_level)
        self._client = client

    def effective_n_jobs(self, n_jobs: int) -> int:
        return 2  # not 1, where joblib computes in this process; how many there are decides nothing else

    def submit(self, func: Any, callback: Callable | None = None) -> Any:
        ((function, arguments, _),) = func.items  # batches are of one call
        future = self._client.submit(function, *arguments, pure=False)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> list[Any]:
        return [out.result()]


def _reach(address: str) -> None:
    """See whether a scheduler greets us at the address: Dask's own attempt takes longer, or waits for ever."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("tcp", "tls") or parts.hostname is None or parts.port is None:
        raise ValueError("it must be tcp://host:port")
    with socket.create_connection((parts.hostname, parts.port), CONNECT_TIMEOUT) as connection:
        if parts.scheme == "tcp" and not connection.recv(1):
            raise ConnectionError("it hung up")


def _itself(value: Any) -> Any:
    return value


def _looking_around() -> Callable[[], dict[str, Any]]:
    """A function that says what decides a result: Python, packages and architecture, and modules that add to it.

    A worker that does not find this program could not load a function of this module; this one is sent as it is.
    """
    packages, modules = COMPUTES_WITH, tuple(MODULES)

    def look_around() -> dict[str, Any]:
        import importlib.metadata
        import importlib.util
        import platform

        found: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine()}
        for distribution in importlib.metadata.distributions():
            if distribution.name in packages:
                found[distribution.name] = distribution.version
        found["program"] = importlib.util.find_spec("evolution") is not None
        for module in modules if found["program"] else ():
            try:
                importlib.import_module(module)
                found[f"the module {module}"] = "imported"
            except ImportError:
                found[f"the module {module}"] = "missing"
        return found

    return look_around


def _agree(other: str, own: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise InputError where another process of the cluster differs from this one."""
    if not found["program"]:
        raise InputError(
            f"the Dask {other} does not find this program; start it with PYTHONPATH set to the folder of the scripts"
        )
    for name in own:
        if found.get(name) != own[name]:
            raise InputError(f"the Dask {other} has {name} {found.get(name)}, this process {own[name]}")


def _silence(package: str) -> None:
    """Keep the package's loggers from the console: what the user needs to know comes as one line of ours."""
    for name in (package, *logging.root.manager.loggerDict):
        if name == package or name.startswith(f"{package}."):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _first(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
