"""`make bench`: everything that is measured, fast against reference pair by pair, as one table."""

import argparse
import importlib
import os
import platform
import sys

from analysis.__main__ import status_of
from benchmarks.measure import table
from evolution.errors import InputError

MODULES = ("episodes", "walker", "population", "training", "evolution")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help=f"which of {', '.join(MODULES)}; all by default")
    given = parser.parse_args()
    unknown = [name for name in given.modules if name not in MODULES]
    if unknown:
        raise InputError(f"there is no benchmark {unknown[0]}; there are {', '.join(MODULES)}")
    rows = [row for name in given.modules for row in importlib.import_module(f"benchmarks.{name}").rows()]
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(table(rows))


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(status_of(main))
