"""Do memory and open files stay flat over 2000 generations? Runs the scripts and looks at their processes.

    python -m benchmarks.long_run [--num_generations 2000]

Prints a table for each run, and ends with exit status 1 where memory or open files grew after the first quarter.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
ROWS = 8  # of a table
SMALL = (
    "--population_size=24", "--tournament_size=8", "--test_every=100", "--checkpoint_period=0.5", "--seed=1",
)  # fmt: skip
# Networks that do not grow, so that nothing else should.
WANN = (*SMALL, "--p_change_activation=1", "--p_add_node=0", "--p_add_connection=0")
CARTPOLE = ("run-wann-gym.py", "params/wann-gym/CartPole-v0.yaml", *WANN, "--num_workers=2")
RUNS = {
    "episodes by kernels, in threads": CARTPOLE,
    "episodes by Gymnasium, in processes": (
        *CARTPOLE, "--evaluator=reference", "--max_episode_steps=5", "--num_trials=1", "--test_every=1000",
    ),
    "images by the shared graph": (
        "run-wann-classification.py", "params/wann-classification/digits.yaml", *WANN, "--batch_size=50",
    ),
    "training by kernels": (
        "run-wlnn-mnist.py", "params/wlnn-mnist/digits-backprop.yaml", *SMALL, "--p_add_node=0", "--p_add_connection=1",
        "--num_epochs=1", "--num_epochs_long=1",
    ),
}  # fmt: skip


class Sample(NamedTuple):
    """What a run and its workers hold at a time."""

    generation: int
    memory: int  # bytes, resident
    files: int  # open


def samples(arguments: tuple[str, ...], num_generations: int) -> Iterator[Sample]:
    """Run a script, and look at it every fifth of a second."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *arguments, f"--num_generations={num_generations}", f"--out_dir={folder}/run"]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        log = Path(folder, "run", "run.log")
        while process.poll() is None:
            time.sleep(0.2)
            done = re.findall(r"generation (\d+): best", log.read_text()[-1000:]) if log.exists() else []
            if done:
                tree = list(processes(process.pid))
                yield Sample(int(done[-1]), sum(map(memory, tree)), sum(map(open_files, tree)))
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with exit status {process.returncode}")


def processes(pid: int) -> Iterator[int]:
    """The process and its children, and theirs."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            yield from processes(int(child))


def memory(pid: int) -> int:
    pages = (_read(Path(f"/proc/{pid}/statm")).split() or ["0", "0"])[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:  # it has ended
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def report(name: str, found: list[Sample], num_generations: int) -> bool:
    """Print the table; whether the last quarter holds as much as the second, within a tenth and two files."""
    quarters = [[s for s in found if s.generation * 4 // num_generations == q] for q in range(4)]
    if not all(quarters):
        raise SystemExit(f"{name}: too short to tell; give more --num_generations")
    print(f"\n{name}\n\n| generation | memory, MB | open files |\n| --- | --- | --- |")
    for row in range(ROWS + 1):
        nearest = min(found, key=lambda s: abs(s.generation - row * num_generations / ROWS))
        print(f"| {nearest.generation} | {nearest.memory / 1e6:.0f} | {nearest.files} |")
    second, last = (sorted(quarters[q]) for q in (1, 3))
    growth = max(s.memory for s in last) / max(s.memory for s in second)
    files = max(s.files for s in last) - max(s.files for s in second)
    print(f"\nlast quarter against the second: memory x {growth:.3f}, open files {files:+d}", flush=True)
    return growth < 1.1 and files <= 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_generations", type=int, default=2000)
    num_generations = parser.parse_args().num_generations
    flat = [report(name, list(samples(run, num_generations)), num_generations) for name, run in RUNS.items()]
    raise SystemExit(0 if all(flat) else 1)


if __name__ == "__main__":
    main()
