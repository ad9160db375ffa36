"""A real Dask scheduler and worker processes: the same bytes as on one machine, whatever dies."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import distributed
import numpy as np
import pytest
from kill_harness import Harness
from made_work import Parcel, failing, fatal, places, scaled, sums
from runs import ENVIRONMENT, MADE_RUN, assert_same, finish, generations, log, run, start, wait_until
from test_kill import SCRIPTS

from evolution import checkpoint
from evolution import workers as workers_module
from evolution.errors import InputError, RunError, WorkerLost
from evolution.workers import Workers

PARAMETERS = "env_name: Made\npopulation_size: 20\ntournament_size: 4\nnum_generations: 8\nseed: 3\n"


class Cluster:
    """A scheduler on this machine, and workers of one thread each."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.environment = folder, {**ENVIRONMENT, **variables}
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        found = []
        wait_until(lambda: found.extend(re.findall(r"Scheduler at: +(tcp://\S+)", self._said("scheduler"))) or found)
        self.address = found[0]
        self.workers: list[subprocess.Popen] = []

    def add_workers(self, count: int, *options: str, **changes: object) -> None:
        for _ in range(count):
            name = f"worker{len(self.workers)}"
            where = ("--local-directory", str(self.folder), "--nthreads", "1")
            self.workers.append(self._start(name, self.address, *where, *options, **changes))
        names = [f"worker{i}" for i in range(len(self.workers))]
        wait_until(lambda: all("Registered to" in self._said(name) for name in names))

    def _start(self, name: str, *options: str, **changes: object) -> subprocess.Popen:
        kind = name.rstrip("0123456789")
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *options]
        with open(self.folder / name, "w") as said:
            settings = {"env": self.environment, "cwd": self.folder} | changes
            process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True, **settings)
        self.processes.append(process)
        return process

    def _said(self, name: str) -> str:
        return (self.folder / name).read_text()

    def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    drop_copies = {"DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__INTERVAL": "50ms"}
    with contextlib.closing(Cluster(tmp_path_factory.mktemp("cluster"), **drop_copies)) as cluster:
        cluster.add_workers(2, "--no-nanny")
        yield cluster


def work_done(cluster: Cluster) -> int:
    """A number that grows with every task that the scheduler handles."""
    with distributed.Client(cluster.address, set_as_default=False) as client:
        return client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "made.yaml"
    path.write_text(PARAMETERS)
    return path


@pytest.fixture
def on_one_machine(tmp_path, file):
    assert run(MADE_RUN, file, "--out_dir", tmp_path / "one")[0] == 0
    return tmp_path / "one"


# ---- workers --------------------------------------------------------------------------------------------------------


def test_a_cluster_computes_the_same_and_gets_data_once(cluster, tmp_path):
    diary = tmp_path / "diary"
    parcel = Parcel(diary, np.ones(200_000))
    pids = {worker.pid for worker in cluster.workers}
    with contextlib.closing(Workers(1, "dask", cluster.address)) as workers:
        for num_items in (0, 1, 2, 17):
            items = [float(i) for i in range(num_items)]
            assert workers.map(scaled, items, 3.0) == [3 * item for item in items]
        for threads in (False, True):  # kernels go to the cluster too
            assert {pid for pid, _, _ in workers.map(places, range(32), threads=threads)} == pids
        for _ in range(3):
            time.sleep(0.3)  # in which Dask would drop copies that nothing waits for
            assert workers.map(sums, range(16), parcel, 0.01) == [200_000.0 * i for i in range(16)]
        received = Counter(int(pid) for pid in diary.read_text().split())
        assert {pid: received[pid] for pid in pids} == dict.fromkeys(pids, 1)
        with pytest.raises(RunError, match=r"^the environment broke$"):
            workers.map(failing, range(4))
    with distributed.Client(cluster.address, set_as_default=False) as client:
        assert client.amm.running()  # as it was before


def test_a_connection_that_has_just_been_lost_is_a_scheduler_that_is_gone(cluster, monkeypatch):
    def broken():
        raise distributed.comm.CommClosedError("ConnectionResetError")

    with contextlib.closing(Workers(1, "dask", cluster.address)) as workers:
        monkeypatch.setattr(workers._cluster._client, "ncores", broken)
        with pytest.raises(RunError, match=f"^the Dask scheduler at {cluster.address} is gone$"):
            workers.map(scaled, [1.0, 2.0])


def test_what_was_sent_does_not_pile_up_on_the_cluster(cluster):
    with contextlib.closing(Workers(1, "dask", cluster.address)) as workers:
        for _ in range(3 * workers_module.NUM_SENT):  # a batch each generation
            workers.map(scaled, [1.0, 2.0], np.ones(5000))
        kept = lambda: workers._cluster._client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))  # noqa: E731
        wait_until(lambda: kept() <= workers_module.NUM_SENT, 5)


ADDRESSES = [
    "tcp://127.0.0.1:1",
    "tcp://",
    "nowhere",
    "http://x:1",
    "tcp://127.0.0.1:x",
    "tls://127.0.0.1:1",
    "tcp://[",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_where_no_scheduler_answers_there_is_one_clear_line(address, monkeypatch):
    with pytest.raises(InputError, match=f"^scheduler_address {re.escape(address)}: no Dask scheduler answers there"):
        Workers(1, "dask", address)


def test_another_service_at_the_address_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(workers_module, "CONNECT_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no Dask scheduler answers there \(timed out\)"):
            Workers(1, "dask", address)


def test_workers_with_other_packages_are_refused(cluster, monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "2.7.18")
    with pytest.raises(InputError, match=r"^the Dask worker tcp://.* has python 3\..*, this process 2\.7\.18$"):
        Workers(1, "dask", cluster.address)


def test_workers_that_do_not_find_the_program_are_refused(tmp_path):
    with contextlib.closing(Cluster(tmp_path)) as cluster:
        cluster.add_workers(1, "--no-nanny", env={k: v for k, v in ENVIRONMENT.items() if k != "PYTHONPATH"})
        with pytest.raises(InputError, match=r"does not find this program; start it with PYTHONPATH set to"):
            Workers(1, "dask", cluster.address)


def test_a_scheduler_that_does_not_find_the_program_is_refused(tmp_path):
    """It unpickles what goes through it: without the program every evaluation fails, and Dask's line names no cause."""
    with contextlib.closing(Cluster(tmp_path, PYTHONPATH="")) as cluster:
        cluster.add_workers(1, "--no-nanny", env=ENVIRONMENT)
        with pytest.raises(
            InputError, match=r"^the Dask scheduler tcp://\S+ does not find this program; start it with"
        ):
            Workers(1, "dask", cluster.address)


def test_a_cluster_without_workers_is_waited_for_and_then_given_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(workers_module, "WORKER_TIMEOUT", 0.5)
    with (
        contextlib.closing(Cluster(tmp_path)) as cluster,
        contextlib.closing(Workers(1, "dask", cluster.address)) as workers,
    ):
        with pytest.raises(RunError, match=rf"^Dask: no worker came to {cluster.address} in 0.5 s$"):
            workers.map(scaled, [1.0, 2.0])
        assert "waiting for a worker" in caplog.text
        monkeypatch.setattr(workers_module, "WORKER_TIMEOUT", 60)
        cluster.add_workers(1, "--no-nanny")
        parcel = Parcel(tmp_path / "diary", np.ones(5000))
        assert workers.map(sums, [1, 2], parcel) == [5000.0, 10000.0]  # on the one thread that there is


def test_data_outlives_the_workers_that_hold_it(tmp_path):
    parcel = Parcel(tmp_path / "diary", np.ones(5000))
    with contextlib.closing(Cluster(tmp_path)) as cluster:
        cluster.add_workers(1, "--no-nanny")
        with contextlib.closing(Workers(1, "dask", cluster.address)) as workers:
            assert workers.map(sums, [1, 2], parcel) == [5000.0, 10000.0]
            cluster.workers[0].kill()
            cluster.add_workers(1, "--no-nanny")
            assert workers.map(sums, [1, 2], parcel) == [5000.0, 10000.0]


def test_an_evaluation_that_kills_its_worker_is_one_clear_error(tmp_path):
    variables = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with contextlib.closing(Cluster(tmp_path, **variables)) as cluster:
        cluster.add_workers(1, "--nanny")
        workers = Workers(1, "dask", cluster.address)
        with pytest.raises(WorkerLost, match=r"^Dask: an evaluation killed one worker after another"):
            workers.map(fatal, [1, -1])
        workers.close()


# ---- runs -----------------------------------------------------------------------------------------------------------


EXPERIMENTS = {
    "episodes": "run-wann-gym.py",
    "classification": "run-wann-classification.py",
    "training": "run-wlnn-mnist.py",
}


def test_the_scripts_leave_the_same_behind_as_on_one_machine(cluster, tmp_path):
    dask = ("--backend=dask", f"--scheduler_address={cluster.address}")
    with contextlib.closing(Harness()) as harness:
        for name, script in EXPERIMENTS.items():
            before = work_done(cluster)
            harness.warm_up(script, [*SCRIPTS[script], "--num_generations=2", "--out_dir", tmp_path / name / "warm"])
            for place, more in (("one", ()), ("many", dask)):
                where = ("--num_generations=2", "--out_dir", tmp_path / name / place / "run")
                ending = harness.run(script, [*SCRIPTS[script], *more, *where])
                assert ending.status == 0, ending.said
            assert work_done(cluster) > before + 30  # the cluster it was that computed
            assert_same(tmp_path / name / "many/run", tmp_path / name / "one/run", but="params.yaml")


def test_a_worker_killed_in_the_middle_of_a_generation_changes_nothing(tmp_path, file, on_one_machine):
    folder = tmp_path / "run"
    with contextlib.closing(Cluster(tmp_path, MADE_SECONDS="0.02")) as cluster:
        cluster.add_workers(2, "--no-nanny")
        dask = ("--backend", "dask", "--scheduler_address", cluster.address)
        process = start(MADE_RUN, file, "--out_dir", folder, *dask)
        wait_until(lambda: "generation 2:" in log(folder))
        cluster.workers[0].kill()
        assert finish(process)[::2] == (0, "")
    assert_same(folder, on_one_machine, but="params.yaml")


def test_a_scheduler_that_goes_away_ends_the_run_and_loses_nothing(tmp_path, file, on_one_machine):
    folder = tmp_path / "run"
    with contextlib.closing(Cluster(tmp_path, MADE_SECONDS="0.02")) as cluster:
        cluster.add_workers(2, "--no-nanny")
        dask = ("--backend", "dask", "--scheduler_address", cluster.address)
        process = start(MADE_RUN, file, "--out_dir", folder, "--checkpoint_period", 10000, *dask)
        wait_until(lambda: "generation 2:" in log(folder))
        cluster.scheduler.kill()
        status, _, errors = finish(process)
    hint = f"to go on: python run-wann-gym.py --resume {folder}"
    assert (status, errors) == (1, f"error: the Dask scheduler at {cluster.address} is gone; {hint}\n")
    last = checkpoint.from_bytes((folder / checkpoint.NAME).read_bytes()).generation
    assert last >= 2
    assert generations(folder)[-1].startswith(f"generation {last}:")
    assert run(MADE_RUN, "--resume", folder, "--backend", "loky", "--num_workers", 1)[0] == 0
    assert_same(folder, on_one_machine, but="params.yaml")
