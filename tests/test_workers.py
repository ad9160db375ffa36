"""Workers: the same results whoever computes them, and nothing left behind however a run ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_work import Parcel, failing, fatal, places, scaled, sums, unblocking

from evolution.errors import InputError, RunError
from evolution.workers import Workers, divide

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def processes():
    workers = Workers(2)
    yield workers
    workers.close()


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20))
def test_chunks_hold_every_item_once_in_order_and_are_even(items, count):
    chunks = divide(items, count)
    assert [item for chunk in chunks for item in chunk] == items
    lengths = [len(chunk) for chunk in chunks]
    assert len(chunks) == min(count, len(items))
    assert not lengths or (min(lengths) >= 1 and max(lengths) - min(lengths) <= 1)


@pytest.mark.parametrize("num_items", [0, 1, 2, 3, 17])
@pytest.mark.parametrize("threads", [False, True])
def test_results_are_in_order_whoever_computes_them(processes, num_items, threads):
    items = [float(i) for i in range(num_items)]
    expected = [3 * item for item in items]
    for workers in (Workers(1), Workers(3, "threading"), processes):
        assert workers.map(scaled, items, 3.0, threads=threads) == expected


def test_processes_compute_elsewhere_with_one_thread_each_and_threads_here(processes):
    elsewhere = processes.map(places, range(8))
    assert os.getpid() not in {pid for pid, _, _ in elsewhere}
    assert {num_threads for _, _, num_threads in elsewhere} == {"1"}
    for here in (processes.map(places, range(8), threads=True), Workers(2, "threading").map(places, range(8))):
        assert {pid for pid, _, _ in here} == {os.getpid()}
        assert len({thread for _, thread, _ in here}) == 2


def test_what_the_function_raises_arrives_as_it_is(processes):
    for threads in (False, True):
        with pytest.raises(RunError, match=r"^the environment broke$"):
            processes.map(failing, range(4), threads=threads)


def test_a_killed_process_is_one_clear_error_and_the_next_call_works():
    workers = Workers(2)
    try:
        with pytest.raises(RunError, match=r"^a worker process was killed \(did the machine run out of memory\?\)$"):
            workers.map(fatal, [1, 2, -1, 3])
        assert workers.map(fatal, [1, 2, 3]) == [1, 2, 3]
    finally:
        workers.close()


def test_large_data_does_not_pile_up(processes, tmp_path):
    def left() -> tuple[int, int]:
        shared_memory = list(Path("/dev/shm").glob("joblib_memmapping_folder_*/*")) if os.path.isdir("/dev/shm") else []
        return len(os.listdir("/proc/self/fd")), sum(f"_{os.getpid()}_" in str(path) for path in shared_memory)

    for i in range(12):
        processes.map(sums, range(4), Parcel(tmp_path / "diary", np.ones(500_000)))
        if i == 1:
            before = left()
    assert left() == before


def test_processes_end_with_a_run_that_is_killed():
    program = (
        "import os, signal\n"
        "from made_work import places\n"
        "from evolution.workers import Workers\n"
        "print(*{pid for pid, _, _ in Workers(2).map(places, range(8))}, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = run_python(program)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stderr == ""
    pids = [int(pid) for pid in killed.stdout.split()]
    assert pids
    end = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(is_alive(pid) for pid in pids)


def test_processes_that_start_or_wait_leave_ctrl_c_and_sigterm_to_the_run():
    program = (
        "import os, signal, threading, time\n"
        "from pathlib import Path\n"
        "from made_work import places\n"
        "from evolution.workers import Workers\n"
        "signal.signal(signal.SIGINT, lambda *_: None); signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "def interrupt():\n"
        "    while True:\n"
        "        for child in Path('/proc/self/task', str(os.getpid()), 'children').read_text().split():\n"
        "            for number in (signal.SIGINT, signal.SIGTERM): os.kill(int(child), number)\n"
        "        time.sleep(0.02)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "workers = Workers(2)\n"
        "for _ in range(5): print(len(workers.map(places, range(8))), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = run_python(program)
    assert killed.stdout.split() == ["8"] * 5
    assert killed.stderr == ""


def test_a_process_that_unblocks_ctrl_c_leaves_it_to_the_run_all_the_same(processes):
    assert os.getpid() not in processes.map(unblocking, range(4))


def test_starting_loads_neither_dask_nor_torch():
    program = "import sys, utils, envs.gym_task\nprint({'dask', 'distributed', 'torch'} & set(sys.modules))"
    assert run_python(program).stdout == "set()\n"


def test_without_the_package_the_backend_dask_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        InputError, match=r"^backend dask: the package is missing \(pip install 'dask\[distributed\]'\)$"
    ):
        Workers(1, "dask", "tcp://127.0.0.1:1")


def test_a_backend_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="backend is 'spark'; it must be one of loky, threading, dask"):
        Workers(2, "spark")
    with pytest.raises(InputError, match="needs scheduler_address"):
        Workers(2, "dask")


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
