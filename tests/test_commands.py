"""What all commands of `python -m analysis` share: networks by name, guesses, numbers, destinations, any backend."""

import io
import os
import subprocess
import sys

import pytest
from genomes import evolved
from made_study import make_run
from runs import ROOT
from test_controls import PARAMS

from analysis import arguments
from analysis.__main__ import main
from evolution import files
from evolution.errors import InputError
from evolution.files import write_atomically
from experiment import EXPERIMENTS
from experiment.parameters import parameter_named


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "no_such_notebooks"])
def test_a_notebooks_backend_does_not_matter(backend, tmp_path):
    evolved(0).save(tmp_path / "n.json")
    # matplotlib refuses to be imported with the name of a backend that it does not know.
    variables = os.environ | {"MPLBACKEND": backend}
    command = [sys.executable, "-m", "analysis", "draw", str(tmp_path / "n.json")]
    assert subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode == 0
    code = "import analysis.draw, os, matplotlib; print(os.environ['MPLBACKEND'], matplotlib.rcParams['backend'])"
    variables |= {"MPLBACKEND": "pdf"}
    kept = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, stdout=-1, text=True, check=True)
    assert kept.stdout.split() == ["pdf", "pdf"]


@pytest.mark.parametrize("params", ["env_name: CartPole-v0", "dataset: mnist", "[" * 5000])
def test_a_guessed_task_never_refuses(params, tmp_path, capsys):
    (tmp_path / "params.yaml").write_text(params)
    network = tmp_path / "n.json"
    evolved(0, 3, 1).save(network)
    assert main(["draw", str(network)]) == 0
    assert main(["export", str(network), "--format", "graphml"]) == 0
    assert "input 0" in (tmp_path / "n.graphml").read_text()
    assert main(["draw", str(network), "--env_name", "CartPole-v0"]) == 2  # what is asked for does
    assert "CartPole-v0" in capsys.readouterr().err


def test_champions_have_names(tmp_path, monkeypatch):
    evolved(0).save(tmp_path / "mine.json")
    monkeypatch.setattr(files, "CHAMPIONS", tmp_path)
    assert files.network_path("champions/mine") == tmp_path / "mine.json"
    assert files.network_path("champions/mine.json") == tmp_path / "mine.json"
    assert str(files.network_path("champions/other")) == "champions/other"
    assert str(files.network_path("elsewhere/mine")) == "elsewhere/mine"
    assert main(["draw", "champions/mine", "--to", str(tmp_path / "picture")]) == 0
    assert parameter_named(EXPERIMENTS["run-wlnn-mnist-no-evolution"], "network", "").check(
        "champions/mine", ""
    ) == str(tmp_path / "mine.json")


def test_a_negative_number_with_an_exponent_is_a_number(tmp_path):
    evolved(0).save(tmp_path / "n.json")
    export = ["export", str(tmp_path / "n.json"), "--format", "graphml", "--weight"]
    for weight in ("-1e-3", "-.5E+1", "-2"):
        assert main([*export, weight]) == 0
        assert f">{float(weight)}<" in (tmp_path / "n.graphml").read_text()
    assert main([*export, "-e3"]) == 2


NAMELESS = {
    "draw": ["draw", "{}"],
    "evaluate": ["evaluate", "{}", "--dataset=digits"],
    "export": ["export", "n.json", "--weight=1", "--format=graphml", "--to={}"],
    "film": ["film", "n.json", "--env_name=CartPole-v0", "--weight=1", "--to={}"],
    "import": ["import", "{}"],
    "import to": ["import", "n.out", "--to={}"],
    "report": ["report", "run", "--html={}"],
}


@pytest.mark.parametrize("case", NAMELESS)
def test_what_is_the_name_of_no_file_is_one_line(case, capsys):
    for name in ("", ".", "/"):
        assert main([part.replace("{}", name) for part in NAMELESS[case]]) == 2
        assert f"'{name}' is the name of no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["draw", "import", "random-networks"])
def test_a_file_without_end_is_one_line(command, tmp_path, monkeypatch, capsys):
    """/dev/zero took all memory."""
    monkeypatch.setattr(files, "LARGEST_FILE", 10**6)
    monkeypatch.setattr(files.read, "__defaults__", (10**6,))
    given = {"random-networks": ["--dataset=file", "--data_dir=/dev/zero", "--to", str(tmp_path)]}
    assert main([command, *given.get(command, ["/dev/zero"])]) == 2
    said = capsys.readouterr().err
    assert "/dev/zero: cannot be read (File too large)" in said or "/dev/zero is no file" in said


@pytest.mark.parametrize("text", [b"{" * 3000, b"a: 2001-13-01", b"[", b"\xff", b"a: 1\na: 2"], ids=range(5))
@pytest.mark.parametrize("command", ["report", "figures", "compare"])
def test_parameters_and_studies_that_are_no_yaml_are_one_line(command, text, things, capsys):
    """PyYAML fails in many ways: RecursionError and ValueError for dates among them."""
    study = things / "study"
    name = "study.yaml" if command == "compare" else "params.yaml"
    folder = study if command == "compare" else study / "seed0"
    (folder / name).write_bytes(text)
    assert main([command, str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"{folder / name}: cannot be read (" in error
    assert error.count("\n") == 1


def test_where_files_go(tmp_path):
    source = tmp_path / "net.json"
    (tmp_path / "there").mkdir()
    for to, expected in (
        (None, "net-x"),
        ("there", "there/net-x"),
        ("new/name", "new/name"),
        ("name.SVG", "name"),
        ("swing.0.5", "swing.0.5"),
    ):
        found = arguments.destination(tmp_path / to if to else None, source, "-x")
        assert found == tmp_path / expected
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match=r"there is no \.pdf"):
        arguments.destination(tmp_path / "name.pdf", source)
    long = arguments.destination(tmp_path / ("ü" * 127), source)
    (tmp_path / f"{long.name}-conditions.json").touch()  # it fits the file system


@pytest.fixture
def things(tmp_path):
    """A network, a study of two runs with champions, and a file of the WANN release."""
    evolved(0, 4, 2).save(tmp_path / "n.json")
    (tmp_path / "x.out").write_text("0,1,nan,1\n0,0,1,1\n0,0,0,1\n")
    values = {"champion/test_acc": [(0, 0.1)], "stats/connections_mean": [(0, 5.0)]}
    for seed in (0, 1):
        params = PARAMS | {"seed": seed}
        folder = make_run(tmp_path / "study" / f"seed{seed}", params, values)
        evolved(seed, 64, 10, 0.1, mutations=5, with_weights=True).save(folder / "champion_network.json")
    return tmp_path


# Command, what it is given, how it is told where to write, and the function that takes long.
COMMANDS = {
    "draw": (["n.json"], "--to", "a", "analysis.draw.figure"),
    "export": (["n.json", "--weight=1"], "--to", "a.onnx", "analysis.export.export"),
    "film": (["n.json", "--env_name=CartPole-v0", "--weight=1"], "--to", "a.gif", "analysis.film.Player"),
    "evaluate": (["n.json", "--env_name=CartPole-v0"], "--to", "a", "analysis.evaluate.measure_episodes"),
    "import": (["x.out"], "--to", "a.json", "analysis.wann_release.read_wann"),
    "compare": (["study"], "--to", "a", "analysis.compare.compare_runs"),
    "controls": (["study"], "--to", "a", "analysis.controls.train"),
    "report": (["study"], "--html", "a.html", "analysis.compare.compare_runs"),
    "figures": (["study/seed0"], "--to", "a", "analysis.figures.group_runs"),
    "random-networks": (["--dataset=digits"], "--to", "a", "analysis.random_networks.measure"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_that_cannot_be_written_is_seen_first(command, things, monkeypatch, capsys):
    given, option, name, slow = COMMANDS[command]
    given = [str(things / part) if (things / part).exists() else part for part in given]
    monkeypatch.setattr(slow, lambda *_, **__: pytest.fail("it computes before it has looked"))
    assert main([command, *given, option, str(things / "n.json/below" / name)]) in (1, 2)
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert said.count("\n") == 1


# The commands that print a table and write files, and what lets them end soon.
SMALL = {
    "evaluate": ["--trials=2", "--points=3", "--iterations=1", "--candidates=2", "--tuning_trials=1"],
    "compare": [],
    "controls": ["--draws=2", "--num_epochs=1", "--num_workers=1"],
    "figures": ["--only", "degrees"],
    "random-networks": ["--sizes", "20", "--networks=2", "--num_epochs=1", "--rules", "backprop"],
}


@pytest.mark.parametrize("command", SMALL)
def test_tables_are_printed_before_files_are_written(command, things, monkeypatch, capsys):
    """Hours of computing are not lost because the disk is full in the end."""

    def full(path, *rest, **more):
        raise OSError(28, "No space left on device", str(path))

    written = write_atomically
    monkeypatch.setattr("analysis.style.save_csv", full)
    monkeypatch.setattr("analysis.style.save", full)
    for module in ("evaluate", "compare", "controls", "figures", "random_networks"):
        keep = lambda path, content: (written if path.suffix in (".csv", ".yaml") else full)(path, content)  # noqa: E731
        monkeypatch.setattr(f"analysis.{module}.write_atomically", keep)
    given = [str(things / part) if (things / part).exists() else part for part in COMMANDS[command][0]]
    assert main([command, *given, *SMALL[command], "--to", str(things / "a")]) == 1
    found = capsys.readouterr()
    assert "| --- |" in found.out  # a table in Markdown
    assert "No space left on device" in found.err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(32, "Broken pipe")])
@pytest.mark.parametrize("command", SMALL)
def test_files_are_written_whatever_becomes_of_the_console(command, error, things, monkeypatch, capsys):
    """Hours of computing are not lost either because the output was full, or led to `head`."""

    console = (things / "console").open("w")  # whose descriptor is led elsewhere after a broken pipe

    class Broken(io.StringIO):
        fileno = console.fileno

        def write(self, text):
            raise error

    monkeypatch.setattr(sys, "stdout", Broken())
    given = [str(things / part) if (things / part).exists() else part for part in COMMANDS[command][0]]
    (things / "to").mkdir()
    status = main([command, *given, *SMALL[command], "--to", str(things / "to")])
    assert status == (0 if isinstance(error, BrokenPipeError) else 1)
    assert ("No space left on device" in capsys.readouterr().err) == (status == 1)
    assert {".png", ".csv"} <= {file.suffix for file in (things / "to").iterdir()}


def test_an_ending_that_is_anothers_is_said(tmp_path, capsys):
    evolved(0).save(tmp_path / "n.json")
    export = ["export", str(tmp_path / "n.json"), "--weight", "1", "--to", str(tmp_path / "n.pt"), "--format"]
    assert main([*export, "onnx"]) == 2
    assert ".pt is the ending of torchscript" in capsys.readouterr().err
