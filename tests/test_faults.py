"""What happens to a run in days: full disks, folders that vanish, Ctrl-C, a second run in the same folder."""

import fcntl
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from genomes import evolved
from runs import ENVIRONMENT, MADE_RUN, ROOT, assert_same, finish, generations, log, members, run, start, wait_until

from analysis.__main__ import status_of
from analysis.film import Player
from envs.gym_task import Rules, episode, make
from evolution import checkpoint
from evolution.errors import InputError
from evolution.system import tells_to_stop
from experiment import GYM
from experiment import folder as folders
from experiment.parameters import read_params

PARAMETERS = "env_name: Made\npopulation_size: 20\ntournament_size: 4\nnum_generations: 40\nseed: 3\n"
ENDLESS = ("--num_generations", 100000, "--checkpoint_period", 10000)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "made.yaml"
    path.write_text(PARAMETERS)
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run of 40 generations that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "made.yaml").write_text(PARAMETERS)
    assert run(MADE_RUN, folder / "made.yaml", "--out_dir", folder / "run")[::2] == (0, "")
    return folder / "run"


def resume_hint(folder):
    return f"; to go on: python run-wann-gym.py --resume {folder}"


def last_generation(folder):
    return checkpoint.from_bytes((folder / checkpoint.NAME).read_bytes()).generation


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGINT, ("--num_workers", 1)),
        (signal.SIGTERM, ("--num_workers", 2)),
        (signal.SIGINT, ("--num_workers", 2, "--backend", "loky")),
        (signal.SIGINT, ("--num_workers", 2, "--backend", "threading")),
    ],
)
def test_ctrl_c_keeps_every_generation_and_says_how_to_go_on(tmp_path, file, number, workers):
    folder = tmp_path / "run"
    process = start(MADE_RUN, file, "--out_dir", folder, *ENDLESS, *workers, variables={"MADE_SECONDS": "0.001"})
    wait_until(lambda: "generation 4:" in log(folder))
    os.killpg(process.pid, number)  # to the workers too, as a terminal does
    status, _, errors = finish(process)
    assert (status, errors) == (128 + number, f"stopped{resume_hint(folder)}\n")
    assert last_generation(folder) >= 3
    # The line of one generation more may stand in the log: it is written just before the generation counts.
    done = last_generation(folder)
    assert generations(folder)[-1].startswith((f"generation {done}:", f"generation {done + 1}:"))


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(tmp_path, file, undisturbed):
    folder = tmp_path / "run"
    process = start(MADE_RUN, file, "--out_dir", folder, variables={"MADE_SECONDS": "0.001"})
    wait_until(lambda: "generation 3:" in log(folder))
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert run(MADE_RUN, "--resume", folder)[::2] == (0, "")
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_ends_at_once_and_leaves_no_process(tmp_path, file, number):
    arguments = (file, "--out_dir", tmp_path / "run", "--num_workers", 2)
    process = start(MADE_RUN, *arguments, variables={"MADE_STUBBORN": "1"})
    for said in ("stubborn\n", "not yet\n"):
        while (line := process.stdout.readline()) != said:
            assert line  # of the log
        assert len(members(process.pid)) >= 3  # the workers wait for more to do
        os.killpg(process.pid, number)
    assert process.wait(5) == 128 + number
    wait_until(lambda: not members(process.pid), 10)
    assert finish(process)[2] == ""


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("program.read_params = lambda *_: os.kill(os.getpid(), signal.SIGINT)", "stopped\n"),
        ("program.read_params = lambda *_: atexit.register(os.kill, os.getpid(), signal.SIGINT)", ""),
    ],
    ids=["on the way in", "on the way out"],
)
def test_ctrl_c_shows_no_traceback(tmp_path, moment, said):
    program = tmp_path / "program.py"
    program.write_text(
        "import atexit, experiment, os, signal\nfrom experiment import program\n"
        f"{moment}\nprogram.run_script(experiment.GYM, lambda params: None, '')\n"
    )
    assert run(program) == (130, "", said)


LOST = """
import ctypes, experiment, itertools, os, signal, sys, time
from experiment import observers, program

@ctypes.CFUNCTYPE(None)
def called_from_c():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)  # the exception comes here, and cannot get out

def main(params):
    called_from_c()
    observers.watch(itertools.count(), [])

sys.argv = ["program.py", "params/wann-gym/CartPole-v0.yaml"]
program.run_script(experiment.GYM, main, "")
"""


def test_a_signal_whose_exception_is_lost_ends_the_run_after_the_generation(tmp_path):
    """As in numba's callbacks while it loads or compiles a kernel."""
    program = tmp_path / "program.py"
    program.write_text(LOST)
    process = start(program)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert finish(process)[2] == "stopped\n"


CHANGED = """
import experiment, os, signal, sys
from experiment import program

def main(params):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    except KeyboardInterrupt as error:
        raise SystemError("a result with an exception set") from error

sys.argv = ["program.py", "params/wann-gym/CartPole-v0.yaml"]
program.run_script(experiment.GYM, main, "")
"""


def test_a_signal_that_python_makes_an_error_of_is_a_stop_too(tmp_path, monkeypatch):
    """As where it comes at the very end of a call of a kernel."""
    program = tmp_path / "program.py"
    program.write_text(CHANGED)
    assert run(program) == (128 + signal.SIGTERM, "", "stopped\n")

    def command(*_, **__):
        raise SystemError("a result with an exception set") from KeyboardInterrupt()

    assert status_of(command) == 130
    with pytest.raises(SystemError):  # no fault of the environment, which could be ranked last
        episode(command, 1.0, 0, Rules("CartPole-v1", {}, 10, True))
    player = Player(evolved(0, 4, 2), np.ones(8), "CartPole-v1", 0, 10)
    player.policy = command
    with pytest.raises(SystemError):
        list(player.frames())
    monkeypatch.setattr(gymnasium, "make", command)
    with pytest.raises(SystemError):
        make("CartPole-v1")


def test_an_error_that_has_nothing_to_do_with_a_signal_is_none():
    """Also where it came up while a stop was on its way: a full disk, say, is told."""
    for error in (SystemError("other"), ValueError()):
        assert not tells_to_stop(error)
    full = OSError("full")
    full.__context__ = KeyboardInterrupt()
    assert not tells_to_stop(full)
    assert tells_to_stop(KeyboardInterrupt())


# ---- files that cannot be written -----------------------------------------------------------------------------------


def limit_files(size):
    """Files cannot grow beyond so many bytes: a full disk that needs no rights to be made."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# By size, the first that cannot be written: champion, log, checkpoint, event file.
@pytest.mark.parametrize("size", [750, 1500, 4500, 12000])
def test_a_full_disk_ends_the_run_with_one_line_and_whole_files(tmp_path, file, undisturbed, size):
    folder = tmp_path / "run"
    status, _, errors = run(MADE_RUN, file, "--out_dir", folder, preexec_fn=limit_files(size))
    assert status == 1
    assert errors.count("\n") == 1
    assert errors.startswith(f"error: {folder}")
    assert errors.endswith(f": File too large{resume_hint(folder)}\n")
    for name in (checkpoint.NAME, checkpoint.PREVIOUS_NAME):
        if (folder / name).exists():
            checkpoint.from_bytes((folder / name).read_bytes())
    assert run(MADE_RUN, "--resume", folder)[::2] == (0, "")
    assert_same(folder, undisturbed)


def test_where_a_checkpoint_does_not_fit_the_last_ones_stay(tmp_path, file):
    folder = tmp_path / "run"
    arguments = (file, "--out_dir", folder, "--checkpoint_period", 0)
    status, _, errors = run(MADE_RUN, *arguments, preexec_fn=limit_files(7825))
    assert (status, errors) == (1, f"error: {folder / checkpoint.NAME}: File too large{resume_hint(folder)}\n")
    done = len(re.findall(r"generation \d+: best", log(folder)))  # the last of them is not in a checkpoint
    assert last_generation(folder) == done - 2 > 0
    previous = checkpoint.from_bytes((folder / checkpoint.PREVIOUS_NAME).read_bytes())
    assert previous.generation == done - 3


def test_a_log_that_cannot_be_written_ends_the_run_with_one_line(tmp_path, file):
    folder = tmp_path / "run"
    assert run(MADE_RUN, file, "--out_dir", folder, "--num_generations", 1)[0] == 0
    (folder / "run.log").unlink()
    (folder / "run.log").symlink_to("/dev/full")
    status, _, errors = run(MADE_RUN, "--resume", folder)
    assert (status, errors) == (1, f"error: {folder}: No space left on device{resume_hint(folder)}\n")


def test_where_not_even_params_yaml_can_be_written_there_is_no_folder(tmp_path, file):
    status, _, errors = run(MADE_RUN, file, "--out_dir", tmp_path / "run", preexec_fn=limit_files(100))
    assert (status, errors) == (2, f"error: out_dir {tmp_path / 'run'} cannot be written (File too large)\n")
    assert list(tmp_path.iterdir()) == [file]


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system can only be mounted as root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_run_goes_on_when_a_full_disk_has_room_again(tmp_path, file, undisturbed, small_disk):
    folder = small_disk / "run"
    status, _, errors = run(MADE_RUN, file, "--out_dir", folder, "--checkpoint_period", 0)
    assert status == 1
    assert errors.startswith(f"error: {folder}")
    assert errors.endswith(f": No space left on device{resume_hint(folder)}\n")
    assert last_generation(folder) >= 1
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    assert run(MADE_RUN, "--resume", folder, "--checkpoint_period", 60)[::2] == (0, "")
    assert_same(folder, undisturbed)


def test_a_folder_that_becomes_read_only_ends_the_run_with_one_line(tmp_path, file):
    wrapper = []
    if os.geteuid() == 0:  # whom permissions do not hold back
        if shutil.which("setpriv") is None:
            pytest.skip("root can write everywhere, and there is no setpriv to run without that")
        wrapper = ["setpriv", "--bounding-set=-dac_override"]
    folder = tmp_path / "run"
    variables = {"MADE_SECONDS": "0.001"}
    process = start(MADE_RUN, file, "--out_dir", folder, *ENDLESS[:2], wrapper=wrapper, variables=variables)
    wait_until(lambda: "generation 1:" in log(folder))
    folder.chmod(0o555)
    process.send_signal(signal.SIGINT)  # which asks for a checkpoint
    status, _, errors = finish(process)
    hint = resume_hint(folder)
    assert (status, errors) == (1, f"error: {folder / checkpoint.NAME}: Permission denied{hint}\n")
    status, _, errors = run(MADE_RUN, "--resume", folder, wrapper=wrapper)
    assert status == 1
    assert errors.startswith(f"error: {folder}")
    assert errors.count("\n") == 1
    folder.chmod(0o755)
    assert run(MADE_RUN, "--resume", folder, "--num_generations", last_generation(folder) + 2)[0] == 0


def test_a_folder_that_is_removed_ends_the_run_with_one_line(tmp_path, file):
    folder = tmp_path / "run"
    process = start(MADE_RUN, file, "--out_dir", folder, *ENDLESS, variables={"MADE_SECONDS": "0.001"})
    wait_until(lambda: "generation 1:" in log(folder))
    folder.rename(tmp_path / "elsewhere")
    status, _, errors = finish(process)
    assert status == 1
    assert errors.endswith(f": No such file or directory; the run's folder {folder} is gone\n")
    assert errors.count("\n") == 1
    assert not folder.exists()


def test_a_reader_of_the_output_that_goes_away_does_not_stop_the_run(tmp_path, file, undisturbed):
    folder = tmp_path / "run"
    process = start(MADE_RUN, file, "--out_dir", folder, variables={"MADE_SECONDS": "0.0005"})
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("hung_up", [False, True], ids=["nobody says so", "a signal says so"])
def test_a_terminal_that_vanishes(tmp_path, file, undisturbed, hung_up):
    """As when a connection is lost. Whom the terminal was not the own of, as under nohup, hears nothing of it."""
    folder = tmp_path / "run"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(MADE_RUN), file, "--out_dir", folder],
        env=ENVIRONMENT | {"MADE_SECONDS": "0.0005"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if hung_up else None,
    )
    os.close(theirs)
    wait_until(lambda: "generation 3:" in log(folder))
    shown = os.read(ours, 10**6).decode()
    assert "gen" in shown  # the bar, of a terminal
    os.close(ours)
    assert process.wait(60) == (128 + signal.SIGHUP if hung_up else 0)
    if hung_up:
        assert run(MADE_RUN, "--resume", folder)[::2] == (0, "")
    assert_same(folder, undisturbed)


# ---- two runs in one folder -----------------------------------------------------------------------------------------


def test_a_second_run_in_the_folder_is_refused_and_a_killed_one_leaves_no_lock(tmp_path, file):
    folder = tmp_path / "run"
    arguments = (file, "--out_dir", folder, "--num_workers", 2, *ENDLESS)
    first = start(MADE_RUN, *arguments, variables={"MADE_SECONDS": "0.001"})
    wait_until(lambda: "generation 1:" in log(folder))
    for second in (("--resume", folder), (file, "--out_dir", folder, "--overwrite_output")):
        status, _, errors = run(MADE_RUN, *second)
        assert (status, errors) == (2, f"error: {folder}: another run is at work in this folder\n")
    done = len(generations(folder))
    wait_until(lambda: len(generations(folder)) > done + 2)
    first.kill()  # its workers see it a moment later
    first.wait()
    assert run(MADE_RUN, "--resume", folder, "--num_generations", 5)[0] == 0
    finish(first)


def test_runs_that_begin_in_the_same_second_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = read_params(GYM, "", [str(ROOT / "params/wann-gym/CartPole-v0.yaml")])
    taken = folders._create(params)
    names = iter([taken.path])  # what a run saw that looked just before the other made its folder
    monkeypatch.setattr(folders, "_dated_folder", lambda find=folders._dated_folder: next(names, None) or find())
    other = folders._create(params)
    assert other.path != taken.path
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([other.path.name, taken.path.name])
    taken.close()
    other.close()


def test_what_a_killed_run_was_writing_is_removed_when_it_goes_on(tmp_path, file):
    folder = tmp_path / "run"
    assert run(MADE_RUN, file, "--out_dir", folder, "--num_generations", 2)[0] == 0
    (folder / ".unfinished.abc").write_text("half")
    (folder / "networks").mkdir()
    (folder / "networks" / ".unfinished.def").write_text("half")
    assert run(MADE_RUN, "--resume", folder)[0] == 0
    assert not list(folder.rglob(".unfinished*"))


def test_a_checkpoint_of_another_run_is_refused(tmp_path, file):
    for name, size in (("one", 20), ("other", 30)):
        arguments = ("--out_dir", tmp_path / name, "--num_generations", 2, "--population_size", size)
        assert run(MADE_RUN, file, *arguments)[0] == 0
    shutil.copy(tmp_path / "other" / checkpoint.NAME, tmp_path / "one" / checkpoint.NAME)
    status, _, errors = run(MADE_RUN, "--resume", tmp_path / "one", "--num_generations", 3)
    assert status == 2
    assert "params.yaml is not what the run was begun with: population_size was 30 and is 20" in errors


def test_folders_without_a_run_cannot_be_resumed(tmp_path):
    for folder in (tmp_path, tmp_path / "missing", Path("x" * 300)):
        with pytest.raises(InputError, match="there is no run in this folder"):
            read_params(GYM, "", ["--resume", str(folder)])
