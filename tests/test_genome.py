"""The genome's checks and its JSON."""

import json

import numpy as np
import pytest
from genomes import evolved, genomes
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome, draw_weights

THESIS_FILE = {  # as the thesis's program writes them: no format_version, one activation name, weights
    "in_size": 2,
    "out_size": 1,
    "num_neurons": 5,
    "p_initial_connection_enabled": 0.5,
    "p_add_connection": 0.8,
    "p_add_node": 0.2,
    "inherit_weights": False,
    "activation_name": "relu",
    "neurons_in_layer": [[0, 1], [3], [4], [2]],
    "connections": [[0, 3], [3, 4], [4, 2], [1, 2], [1, 4]],
    "weights": [0.5, -1.25, 0.125, 0.1, -3.0],
}


def thesis_file(**changes):
    return {**THESIS_FILE, **changes}


def test_reads_the_thesis_format():
    genome = Genome.from_dict(THESIS_FILE)
    assert (genome.num_inputs, genome.num_outputs, genome.num_hidden, genome.num_layers) == (2, 1, 2, 4)
    assert genome.layers.tolist() == [0, 0, 3, 1, 2]
    assert [ACTIVATION_NAMES[a] for a in genome.activations] == ["linear", "linear", "linear", "relu", "relu"]
    assert genome.weights is not None
    assert genome.weights.tolist() == [0.5, -1.25, 0.125, np.float32(0.1), -3.0]
    written = genome.to_dict()
    assert written == {"format_version": 1, **THESIS_FILE}  # nothing is lost on the way back


def test_a_weight_agnostic_network_names_each_activation():
    genome = evolved(3)
    written = genome.to_dict()
    assert "weights" not in written
    assert "activation_name" not in written
    assert len(written["activation_names"]) == written["num_neurons"] == genome.num_neurons


@settings(max_examples=100, deadline=None)
@given(genomes() | genomes(with_weights=True))
def test_json_round_trip(genome):
    again = Genome.from_dict(json.loads(json.dumps(genome.to_dict())))
    assert again == genome
    assert hash(again) == hash(genome)
    assert again.to_dict() == genome.to_dict()


def test_files_are_the_same_bytes_and_come_back(tmp_path):
    genome = evolved(1, with_weights=True)
    for name in ("a.json", "b.json"):
        genome.save(tmp_path / name, {"seed": 3})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert Genome.load(tmp_path / "a.json") == genome
    assert json.loads((tmp_path / "a.json").read_text())["provenance"] == {"seed": 3}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]


FAULTS = {
    "cycle": (thesis_file(connections=[[0, 3], [3, 4], [4, 3], [1, 2], [1, 4]]), "[4, 3]"),
    "same layer": (thesis_file(neurons_in_layer=[[0, 1], [3, 4], [2]]), "lower to a higher layer"),
    "unknown activation": (thesis_file(activation_name="softplus"), "softplus"),
    "id out of range": (thesis_file(connections=[[0, 3], [3, 4], [4, 2], [1, 2], [1, 7]]), "[1, 7]"),
    "negative id": (thesis_file(connections=[[0, 3], [3, 4], [4, 2], [1, 2], [-1, 4]]), "[-1, 4]"),
    "wrong number of neurons": (thesis_file(num_neurons=6), "num_neurons is 6"),
    "wrong number of weights": (thesis_file(weights=[1.0]), "1 weights for 5 connections"),
    "a neuron in two layers": (thesis_file(neurons_in_layer=[[0, 1], [3], [3], [2]]), "twice"),
    "twice the same connection": (thesis_file(connections=[[0, 3], [3, 4], [4, 2], [1, 2], [1, 2]]), "[1, 2]"),
    "inputs in a higher layer": (thesis_file(neurons_in_layer=[[0], [3, 1], [4], [2]]), "layer 0"),
    "outputs not last": (thesis_file(neurons_in_layer=[[0, 1], [3], [2], [4]]), "last layer"),
    "an empty layer": (thesis_file(neurons_in_layer=[[0, 1], [3], [4], [], [2]]), "without neurons"),
    "half a connection": (thesis_file(connections=[[0, 3], [3]]), "[3]"),
    "text for a weight": (thesis_file(weights=[0.5, -1.25, 0.125, 0.1, "x"]), "weight 4"),
    "a weight too large": (thesis_file(weights=[0.5, -1.25, 0.125, 0.1, 1e39]), "weight 4"),
    "both activation keys": (thesis_file(activation_names=["relu"] * 5), "exactly one"),
    "no connections key": ({k: v for k, v in THESIS_FILE.items() if k != "connections"}, "'connections'"),
    "a later format": (thesis_file(format_version=99), "99"),
    "no inputs": (thesis_file(in_size=0), "at least one input"),
    "a list": ([1, 2], "a list"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_is_one_line_that_names_file_and_fault(fault, tmp_path):
    content, named = FAULTS[fault]
    path = tmp_path / "network.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        Genome.load(path)
    assert named in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (json.dumps(thesis_file(weights=[0.5, float("nan"), 0, 0, 0])).encode(), "NaN"),
        (json.dumps(thesis_file(weights=[0.5, float("inf"), 0, 0, 0])).encode(), "Infinity"),
        (b'{"in_size": 1, "in_size": 2}', "in_size"),
        (b"[" * 100000, "nested too deeply"),
    ],
)
def test_what_is_no_network_json_is_refused(content, named, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=named):
        Genome.load(tmp_path / "x.json")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json"):
        Genome.load(tmp_path / "nowhere.json")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 0.5, 1.0]), st.booleans())
def test_new_genomes_connect_inputs_with_outputs_only(seed, p, use_bias):
    genome = Genome.initial(20, 10, p, np.random.default_rng(seed), use_bias=use_bias)
    genome.check()
    assert genome.num_hidden == 0
    assert genome.num_observed == 20
    pairs = (20 + use_bias) * 10
    assert genome.num_connections in {0.0: [0], 1.0: [pairs]}.get(p, range(pairs))
    assert genome.complexity >= 1


def test_fresh_weights_are_normal_with_a_tenth():
    weights = draw_weights(100_000, np.random.default_rng(0))
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(0, abs=0.002)
    assert weights.std() == pytest.approx(0.1, abs=0.001)
    # A twentieth is beyond 1.96 standard deviations, as of a normal distribution.
    assert (np.abs(weights) > 0.196).mean() == pytest.approx(0.05, abs=0.004)
