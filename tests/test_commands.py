"""What all commands of `python -m analysis` share: networks by name, guesses, numbers, destinations, any backend."""

import os
import subprocess
import sys

import pytest
from genomes import evolved
from runs import ROOT

from analysis import arguments
from analysis.__main__ import main
from evolution import files
from evolution.errors import InputError
from experiment import EXPERIMENTS
from experiment.parameters import parameter_named


def test_a_notebooks_backend_does_not_matter(tmp_path):
    evolved(0).save(tmp_path / "n.json")
    # matplotlib refuses to be imported with a backend whose module is not there.
    variables = os.environ | {"MPLBACKEND": "module://no_such_notebook.backend_inline"}
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


@pytest.mark.parametrize("command", ["draw", "evaluate", "export"])
def test_a_place_that_cannot_be_written_is_seen_first(command, tmp_path, capsys):
    evolved(0, 4, 2).save(tmp_path / "n.json")
    given = {
        "draw": [],
        "evaluate": ["--env_name", "CartPole-v0", "--iterations", "1000000"],
        "export": ["--weight", "1"],
    }
    to = tmp_path / "n.json/below" / ("a.onnx" if command == "export" else "a")
    assert main([command, str(tmp_path / "n.json"), *given[command], "--to", str(to)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_ending_that_is_anothers_is_said(tmp_path, capsys):
    evolved(0).save(tmp_path / "n.json")
    export = ["export", str(tmp_path / "n.json"), "--weight", "1", "--to", str(tmp_path / "n.pt"), "--format"]
    assert main([*export, "onnx"]) == 2
    assert ".pt is the ending of torchscript" in capsys.readouterr().err
