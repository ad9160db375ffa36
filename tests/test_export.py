"""Exports compute what the reference computes, in double precision, whatever an optimiser makes of them."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
from genomes import evolved
from matplotlib.legend import Legend

from analysis import draw, export, style
from analysis.export import largest_difference, to_onnx
from analysis.names import default_names
from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES
from networks.activations import ACTIVATIONS
from networks.reference import SHARED_WEIGHTS


def test_grown_networks_leave_as_onnx_at_every_shared_weight():
    for seed in (4, 49, *range(50, 62)):  # the first two have a step behind a zero of a cosine
        genome = evolved(seed, 5, 2, mutations=60)
        for weight in SHARED_WEIGHTS:
            weights = np.full(genome.num_connections, weight)
            assert largest_difference(genome, weights, to_onnx(genome, weights), "onnx", num_inputs=64) <= 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_onnx_activation_has_our_values_and_signs_at_its_zeros(name):
    # Zeros of sine and cosine, values beside them and far out: numpy leaves a rest there, and a step sees its sign.
    zeros = np.arange(-50, 51) / 2
    x = np.concatenate([zeros, zeros + 1e-9, 10.0 ** np.arange(-20, 9), -(10.0 ** np.arange(-20, 9))])
    found = _activated(name, x)
    np.testing.assert_allclose(found, ACTIVATIONS[name].numpy(x), rtol=1e-13, atol=3e-16)
    np.testing.assert_array_equal(np.sign(found), np.sign(ACTIVATIONS[name].numpy(x)))


@pytest.fixture
def softsign(monkeypatch):
    """A network with an activation from outside; its kernels are not used."""
    known = ACTIVATIONS["relu"]
    softsign = dataclasses.replace(
        known, name="softsign", numpy=lambda x: x / (1 + abs(x)), torch=lambda x: x / (1 + abs(x))
    )
    monkeypatch.setitem(ACTIVATIONS, "softsign", softsign)
    ACTIVATION_NAMES.append("softsign")
    genome = evolved(3, 4, 2, mutations=20)
    activations = genome.activations.copy()
    activations[genome.num_inputs + genome.num_outputs :] = len(ACTIVATION_NAMES) - 1
    yield dataclasses.replace(genome, activations=activations)
    ACTIVATION_NAMES.pop()


def test_an_activation_from_outside_leaves_by_its_torch_function_and_not_as_onnx(softsign, tmp_path):
    names = default_names(softsign)
    for file_format in ("torchscript", "torch_export"):
        said = export.export(softsign, tmp_path / file_format, file_format, 1.0, names)
        assert said.startswith("checked: outputs differ from ours by")
    with pytest.raises(InputError, match=r"^the activation softsign has no ONNX form; torchscript"):
        export.export(softsign, tmp_path / "onnx", "onnx", 1.0, names)
    assert not (tmp_path / "onnx").exists()


def test_an_activation_from_outside_is_drawn_in_a_colour_of_its_own(softsign):
    colour = style.activation_colour("softsign")
    assert colour not in style.ACTIVATION_COLOURS.values()
    (legend,) = [found for found in draw.figure(softsign).axes[0].get_children() if isinstance(found, Legend)]
    shown = {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}
    assert shown["softsign"].get_markerfacecolor() == colour


def _activated(name: str, x: np.ndarray) -> np.ndarray:
    from onnx import TensorProto, helper, numpy_helper

    nodes = export._OnnxNodes()
    nodes("Identity", export._ONNX_ACTIVATIONS[name](nodes, "x"), output="y")
    values = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"]) for name in "xy"]
    constants = [numpy_helper.from_array(value, name) for name, value in nodes.constants.items()]
    graph = helper.make_graph(nodes.made, "activation", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]
