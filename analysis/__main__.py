"""The commands that show what evolved: `python -m analysis COMMAND ...`."""

import argparse
import errno
import importlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from evolution.errors import InputError, RunError
from evolution.system import tells_to_stop

# Each command's module, which has `add_arguments(parser)` and `main(arguments)`, and what the command does.
COMMANDS = {
    "draw": ("draw", "a network as a diagram"),
    "evaluate": ("evaluate", "a network with random and tuned, shared and individual weights"),
    "figures": ("figures", "what happened in one or several runs"),
    "random-networks": ("random_networks", "how well randomly mutated networks learn, by rule"),
    "film": ("film", "an episode as a GIF or MP4"),
    "import": ("wann_release", "a champion of the WANN release as network JSON"),
    "export": ("export", "a network as ONNX, PyTorch or GraphML"),
    "controls": ("controls", "is it the architecture? a champion beside networks that keep a part of it"),
    "compare": ("compare", "whether the groups of a study differ by more than chance"),
    "report": ("report", "what came out of a run, in plain words"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of the command that `argv` names; only its module is imported. Raises InputError."""
    parser = _Parser(prog="python -m analysis", description="Draw, measure, film, import and export networks.")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    command = next((argument for argument in argv if not argument.startswith("-")), None)
    for name, (module_name, summary) in COMMANDS.items():
        module = importlib.import_module(f"analysis.{module_name}") if name == command else None
        described = (module.main.__doc__ or "").replace("%", "%%") if module else summary
        subparser = commands.add_parser(name, help=summary, description=described)
        if module:
            module.add_arguments(subparser)
            subparser.set_defaults(main=module.main)
    return parser.parse_args(_with_numbers(argv))


def _with_numbers(argv: Sequence[str]) -> list[str]:
    """The arguments with `--weight -1e-3` as `--weight=-1e-3`: argparse takes -1e-3 for an option."""
    joined: list[str] = []
    for argument in argv:
        if _NEGATIVE.fullmatch(argument) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def main(argv: Sequence[str]) -> int:
    """Run a command; its exit status, see `status_of`."""
    for stream in (sys.stdout, sys.stderr):  # names of files may have what the console cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def command() -> None:
        arguments = parse(argv)
        arguments.main(arguments)

    return status_of(command)


def status_of(command: Callable[[], None]) -> int:
    """Call `command`; the exit status: 0 done, 2 the input is wrong, 1 it could not be done, 130 stopped by Ctrl-C.

    In all but the first case one line on standard error says why.
    """
    try:
        command()
        sys.stdout.flush()
    except InputError as error:
        return _fail(2, " ".join(str(error).split()))
    except BrokenPipeError:  # whoever read the output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(2 if error.errno == errno.ENAMETOOLONG else 1, f"{where}{error.strerror or error}")
    except (RunError, MemoryError) as error:
        return _fail(1, " ".join(str(error).split()))
    except BaseException as error:
        if not tells_to_stop(error):
            raise
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _fail(status: int, line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
