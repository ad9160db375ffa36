"""Runs each of the scripts once, each in a process of its own that has the libraries imported already.

Called as `python surrounded.py PROGRAM OUT`: the scripts of the folder PROGRAM write below OUT. Says on file descriptor
STATUS (a variable) how each ended: "name status", a line each.
"""

import importlib
import os
import runpy
import sys
from pathlib import Path

EVOLUTION = ("--population_size=4", "--tournament_size=2", "--num_generations=2", "--test_every=100", "--seed=1")
SCRIPTS = {
    "gym": ("run-wann-gym", "CartPoleSwingUp", *EVOLUTION, "--num_trials=1", "--max_episode_steps=20"),
    "images": ("run-wann-classification", "digits", *EVOLUTION, "--batch_size=20"),
    "learning": ("run-wlnn-mnist", "digits-backprop", *EVOLUTION, "--num_epochs=1", "--num_epochs_long=1"),
    "one": ("run-wlnn-mnist-no-evolution", "mnist-backprop", "--dataset=digits", "--num_inputs=64", "--num_epochs=1",
            "--seed=1"),
}  # fmt: skip
LIBRARIES = ("numba", "torch._dynamo", "gymnasium", "tensorboardX", "joblib", "analysis.style", "scipy.optimize")


def run(script: str, params: str, *arguments: str) -> None:
    program = Path(sys.argv[1])
    sys.path[0] = str(program)
    sys.argv = [f"{script}.py", str(program / "params" / script.removeprefix("run-") / f"{params}.yaml"), *arguments]
    runpy.run_path(str(program / f"{script}.py"), run_name="__main__")


def import_all() -> None:
    """What takes long in every script: libraries, and numba's own compiler."""
    for library in LIBRARIES:
        importlib.import_module(library)
    importlib.import_module("numba").njit(lambda: 0)()


if __name__ == "__main__":
    import_all()
    statuses, out = int(os.environ["STATUS"]), sys.argv[2]
    for name, command in SCRIPTS.items():
        child = os.fork()
        if not child:
            run(*command, "--out_dir", f"{out}/{name}")
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        os.write(statuses, f"{name} {os.waitstatus_to_exitcode(status)}\n".encode())
