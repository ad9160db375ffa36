"""The commands of `python -m analysis`: numbers, round trips, and clean failures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from genomes import evolved
from PIL import Image
from runs import ROOT

from analysis import graph
from analysis.__main__ import COMMANDS, main
from analysis.wann_release import read_wann
from envs.gym_task import GymTask
from evolution.genome import ACTIVATION_NAMES, Genome
from evolution.workers import Workers
from experiment.events import EventLog
from networks.reference import forward

# Nodes: bias, inputs a and b, hidden h, output o. a -> h, bias -> h, h -> o, b -> o; h is tanh (5), o linear (1).
RELEASED = """\
0,0,0,1.5,nan,1
0,0,0,-0.5,0,1
0,0,0,0,2.0,1
0,0,0,0,1.0,5
0,0,0,0,nan,1
"""


@pytest.fixture
def champion(tmp_path):
    path = tmp_path / "champion.json"
    evolved(4, 5, 1, mutations=25).save(path)
    return path


def test_a_released_champion_by_hand(tmp_path):
    (tmp_path / "x.out").write_text(RELEASED)
    genome = read_wann(tmp_path / "x.out", in_size=2, out_size=1)
    assert (genome.num_observed, genome.num_outputs, genome.num_hidden, genome.use_bias) == (2, 1, 1, True)
    x, w = np.array([[0.3, -0.8]]), 0.7
    expected = w * (np.tanh(w * (0.3 + 1)) + -0.8)
    np.testing.assert_allclose(forward(genome, x, w), [[expected]])


def test_the_real_released_champion_earns_what_was_published():
    folder = os.environ.get("WANN_CHAMPIONS")
    if folder is None:
        pytest.skip("WANN_CHAMPIONS names no folder with swing.out")
    genome = read_wann(Path(folder) / "swing.out")
    assert (genome.num_observed, genome.num_outputs, genome.num_neurons, genome.num_connections) == (5, 1, 29, 52)
    task = GymTask("CartPoleSwingUp", num_trials=1, take_argmax_action=False, workers=Workers(1))
    rewards, _ = task.episodes([genome], (-2, -1, -0.5, 0.5, 1, 2, 0.875), range(100))
    published = np.array([536, 688, 521, 522, 702, 689, 721])
    spread = np.array([103, 92, 5, 4, 7, 6, 15])
    # Four standard errors of a difference between two means of 100 trials.
    np.testing.assert_array_less(np.abs(rewards[0].mean(axis=1) - published), 4 * spread * np.sqrt(2 / 100) + 2)


@pytest.mark.parametrize("file_format", ["onnx", "torchscript", "graphml"])
def test_exports_are_written_and_checked(champion, tmp_path, file_format, capsys):
    to = tmp_path / f"out.{file_format}"
    assert main(["export", str(champion), "--format", file_format, "--weight", "0.5", "--to", str(to)]) == 0
    said = capsys.readouterr().out
    genome = Genome.load(champion)
    if file_format == "graphml":
        import networkx

        read = networkx.read_graphml(to)
        assert (read.number_of_nodes(), read.number_of_edges()) == (genome.num_neurons, genome.num_connections)
        return
    assert float(re.search(r"by (\S+) at most", said)[1]) < 1e-5
    if file_format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(to.read_bytes())
        x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
        [outputs] = session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_allclose(outputs, forward(genome, x, 0.5), atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 1), (64, 10), (256, 10)])
def test_drawings(shape, tmp_path):
    evolved(3, *shape, p_initial=0.05, mutations=30).save(tmp_path / "n.json")
    assert main(["draw", str(tmp_path / "n.json"), "--to", str(tmp_path / "picture")]) == 0
    picture = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB"))
    assert picture.std() > 5
    svg = (tmp_path / "picture.svg").read_text()
    assert "<svg" in svg


def test_statistics_by_hand():
    genome = Genome.from_dict(
        {
            "in_size": 2,
            "out_size": 1,
            "num_neurons": 5,
            "neurons_in_layer": [[0, 1], [3, 4], [2]],
            "connections": [[0, 3], [1, 3], [1, 4], [3, 2]],
            "activation_names": ["linear", "linear", "linear", "tanh", ACTIVATION_NAMES[3]],
        }
    )
    found = graph.statistics(genome)
    assert (found["connections"], found["neurons"], found["layers"]) == (4, 5, 3)
    assert graph.used_neurons(genome).tolist() == [True, True, True, True, False]  # 4 reaches no output
    assert found["total_degree_mean"] == pytest.approx(8 / 5)
    assert found["used_connections"] == 3


def test_a_film_has_a_frame_for_each_few_steps(tmp_path, capsys):
    evolved(4, 4, 2, mutations=10).save(tmp_path / "n.json")
    to = tmp_path / "film.gif"
    command = ["film", str(tmp_path / "n.json"), "--env_name", "CartPole-v1", "--weight", "1", "--to", str(to)]
    assert main([*command, "--max_steps", "6"]) == 0
    assert "6 steps, reward 6.00" in capsys.readouterr().out
    film = Image.open(to)
    assert film.n_frames == 4  # the start, and every second of six steps
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.gif", "n.json"]


WRONG = {
    "no such file": ["draw", "nowhere.json"],
    "no network": ["draw", "{junk}"],
    "no run": ["report", "{folder}"],
    "no weight": ["export", "{champion}", "--format", "onnx"],
    "bad weight": ["export", "{champion}", "--format", "onnx", "--weight", "heavy"],
    "another environment": [
        "film",
        "{champion}",
        "--env_name",
        "CartPole-v1",
        "--weight",
        "1",
        "--to",
        "{folder}/a.gif",
    ],
    "no such environment": ["film", "{champion}", "--env_name", "CartPol", "--weight", "1", "--to", "{folder}/a.gif"],
    "no film": ["film", "{champion}", "--env_name", "CartPole-v1", "--weight", "1", "--to", "{folder}/a.txt"],
    "evaluated elsewhere": ["evaluate", "{champion}", "--env_name", "CartPole-v1", "--to", "{folder}/a"],
    "evaluated on images": ["evaluate", "{champion}", "--dataset", "digits", "--to", "{folder}/a"],
    "evaluated twice": ["evaluate", "{champion}", "--dataset", "digits", "--env_name", "CartPole-v1"],
    "evaluated nowhere": ["evaluate", "{champion}"],
    "nothing to evaluate": ["evaluate", "{empty}", "--dataset", "digits", "--to", "{folder}/a"],
    "no champion": ["import", "{junk}"],
    "no command": ["paint"],
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case, champion, tmp_path, capsys):
    (tmp_path / "junk").write_text("no, network\n")
    (tmp_path / "folder").mkdir()
    evolved(0, 64, 10, 0.0, 0).save(tmp_path / "empty.json")
    names = {
        "champion": champion,
        "empty": tmp_path / "empty.json",
        "junk": tmp_path / "junk",
        "folder": tmp_path / "folder",
    }
    assert main([part.format(**names) for part in WRONG[case]]) == 2
    captured = capsys.readouterr()
    assert re.fullmatch(r"error: .+\n", captured.err)
    assert not list((tmp_path / "folder").iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"python -m analysis {command}" in capsys.readouterr().out


def test_the_report_tells_what_came_out(tmp_path, champion, capsys):
    content = json.loads(champion.read_text())
    content["provenance"] = {"generation": 7, "fitness": {"mean_reward": 512.25, "max_reward": 600.5}}
    content["provenance"] |= {"tested": {"test_mean_reward": 498.75}, "code": "commit 0123abc, with changes"}
    (tmp_path / "champion_network.json").write_text(json.dumps(content))
    params = "script: run-wann-gym\nseed: 3\nenv_name: CartPoleSwingUp\npopulation_size: 192\nnum_generations: 9\n"
    (tmp_path / "params.yaml").write_text(params + "num_workers: 2\n")
    log = EventLog(tmp_path / "tensorboard_summary")
    for generation in range(8):
        log.scalars({"stats/connections_mean": 5.0}, generation)
    log.flush()
    assert main(["report", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    parts = ("commit 0123abc, with changes", "generation 7", "498.750", "512.250", "600.500", "tensorboard --logdir")
    places = [said.index(part) for part in (*parts, "8 of 9 generations", f"--resume {tmp_path}")]
    assert places == sorted(places)  # what the test found comes first
    log.scalars({"stats/connections_mean": 5.0}, 8)
    log.close()
    assert main(["report", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "The run is finished: 9 generations." in said
    assert "--num_generations 18" in said


def test_the_report_of_a_run_without_evolution(tmp_path, capsys):
    params = "script: run-wlnn-mnist-no-evolution\nseed: 3\ndataset: digits\nlearning_rule: hebbian\nnum_epochs: 2\n"
    (tmp_path / "params.yaml").write_text(params)
    assert main(["report", str(tmp_path)]) == 2
    assert "no trained network yet" in capsys.readouterr().err
    evolved(1, 64, 10, with_weights=True).save(tmp_path / "trained_network.json", {"epochs": 2})
    log = EventLog(tmp_path / "tensorboard_summary")
    log.scalars({"test/acc": 0.875, "train/acc": 0.5}, 2)
    log.close()
    assert main(["report", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for part in ("without evolution", "2 of 2 epochs", "0.875", "The run is finished: 2 epochs.", "--num_epochs 4"):
        assert part in said


def test_a_reader_of_the_output_that_goes_away_is_no_error(tmp_path, champion):
    champion.rename(tmp_path / "champion_network.json")
    (tmp_path / "params.yaml").write_text("script: run-wann-gym\nenv_name: CartPole-v0\n")
    command = [sys.executable, "-m", "analysis", "report", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stderr.close()
