"""Networks for other programs: ONNX, PyTorch and GraphML."""

import argparse
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import arguments as options
from analysis.arguments import connection_weights
from analysis.graph import used_neurons
from analysis.names import Names, neuron_names
from analysis.plan import Plan
from evolution.errors import InputError, RunError
from evolution.files import write_atomically
from evolution.genome import ACTIVATION_NAMES, Genome
from networks.reference import neuron_values

FORMATS = {"onnx": ".onnx", "torchscript": ".pt", "torch_export": ".pt2", "graphml": ".graphml"}
TOLERANCE = 1e-6  # largest difference between an exported network's outputs and ours, relative above 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_network(parser)
    parser.add_argument("--format", choices=FORMATS, help="what to write (default: as the ending of --to says)")
    parser.add_argument("--weight", type=options.number, help="that all connections of a weight agnostic network share")
    parser.add_argument("--env_name", help="names the inputs and outputs (default: as the file or its run says)")
    parser.add_argument("--to", type=options.file, metavar="FILE", help="the file (default: beside the network)")


def main(arguments: argparse.Namespace) -> None:
    """Write a network for other programs.

    onnx; torchscript and torch_export, a torch.nn.Module; graphml, for networkx and Gephi. All but the last are run and
    compared with our own outputs before they are written.
    """
    genome = Genome.load(arguments.network)
    file_format = _format_of(arguments.format, arguments.to)
    path = arguments.to or arguments.network.with_suffix(FORMATS[file_format])
    options.check_file(path)
    names, _ = options.names_for(genome, arguments.network, arguments.env_name)
    print(f"{path}: {export(genome, path, file_format, arguments.weight, names)}")


def _format_of(asked: str | None, path: Path | None) -> str:
    """The format that is asked for, or that the file's ending says. Raises InputError where the two differ."""
    ending = path.suffix.lower() if path is not None else ""
    of_ending = next((name for name, each in FORMATS.items() if each == ending), None)
    if asked and of_ending and asked != of_ending:
        raise InputError(f"--to {path}: {ending} is the ending of {of_ending}, --format is {asked}")
    if found := asked or of_ending:
        return found
    raise InputError(f"give --format: {', '.join(FORMATS)}; or --to FILE with one of {', '.join(FORMATS.values())}")


def export(genome: Genome, path: Path, file_format: str, weight: float | None, names: Names) -> str:
    """Write the genome as one of FORMATS; gives one line that says what was written.

    ONNX and PyTorch files take float32 inputs (B, observed) and give outputs (B, O). Inside they compute in float64, as
    our evaluators of weight agnostic networks do, and before anything is written they are run and compared with ours.
    Raises InputError if the weight is missing, or is one too many, and RunError if the outputs are not ours.
    """
    if file_format == "graphml":
        _write(path, to_graphml(genome, weight, names))
        return f"{genome.num_neurons} nodes and {genome.num_connections} edges"
    weights = connection_weights(genome, weight)
    content = to_onnx(genome, weights) if file_format == "onnx" else to_torch(genome, weights, file_format)
    difference = largest_difference(genome, weights, content, file_format)
    if not difference <= TOLERANCE:
        raise RunError(f"the exported network's outputs differ from ours by {difference:.1e}: nothing written")
    _write(path, content)
    return f"checked: outputs differ from ours by {difference:.1e} at most"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def largest_difference(
    genome: Genome, weights: npt.NDArray[np.float64], content: bytes, file_format: str, num_inputs: int = 256
) -> float:
    """Largest difference between the outputs of an exported network and of the reference, relative where above 1."""
    inputs = np.random.default_rng(0).standard_normal((num_inputs, genome.num_observed)).astype(np.float32)
    ours = neuron_values(genome, inputs, weights)[:, genome.num_inputs : genome.num_inputs + genome.num_outputs]
    theirs = run_exported(content, file_format, inputs)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))  # also where both overflow
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0, np.abs(ours - theirs) / np.maximum(np.abs(ours), 1))
    return float(np.nan_to_num(difference, nan=np.inf).max())


def run_exported(content: bytes, file_format: str, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The outputs (B, O) of a network that `to_onnx` or `to_torch` made, by the library that it was made for."""
    if file_format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return session.run(["outputs"], {"inputs": inputs})[0]
    import torch

    load = torch.jit.load if file_format == "torchscript" else lambda file: torch.export.load(file).module()
    with _deprecation_of_torchscript_is_known(), torch.no_grad():
        return load(io.BytesIO(content))(torch.from_numpy(inputs)).numpy()


def to_graphml(genome: Genome, weight: float | None, names: Names) -> bytes:
    """GraphML for networkx and Gephi: neurons with name, kind, layer and activation; connections with their weight.

    Connections of a weight agnostic network have the weight given, 1 without one.
    """
    import networkx

    kinds = np.full(genome.num_neurons, "hidden", object)
    kinds[: genome.num_inputs] = "input"
    kinds[genome.num_observed : genome.num_inputs] = "bias"
    kinds[genome.num_inputs : genome.num_inputs + genome.num_outputs] = "output"
    used = used_neurons(genome)
    graph = networkx.DiGraph()
    for neuron, name in enumerate(neuron_names(genome, names)):
        graph.add_node(
            neuron,
            label=name,  # what Gephi shows
            name=name,
            kind=str(kinds[neuron]),
            layer=int(genome.layers[neuron]),
            activation=ACTIVATION_NAMES[genome.activations[neuron]],
            used=bool(used[neuron]),
        )
    weights = connection_weights(genome, 1.0 if genome.weights is None and weight is None else weight)
    for (source, target), value in zip(genome.connections.tolist(), weights.tolist(), strict=True):
        graph.add_edge(source, target, weight=value)
    buffer = io.BytesIO()
    networkx.write_graphml(graph, buffer)
    return buffer.getvalue()


def to_onnx(genome: Genome, weights: npt.NDArray[np.float64]) -> bytes:
    """An ONNX model: `inputs` (batch, observed) float32 to `outputs` (batch, O) float32.

    Raises InputError for an activation that has no ONNX form.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    plan, nodes = Plan.of(genome), _OnnxNodes()
    for group in plan.groups:
        if group.activation not in _ONNX_ACTIVATIONS:
            raise InputError(
                f"the activation {group.activation} has no ONNX form; torchscript and torch_export take any"
            )
    values = nodes("Cast", "inputs", to=TensorProto.DOUBLE)
    if genome.use_bias:
        values = nodes("Pad", values, np.array([0, 0, 0, 1]), 1.0)
    for group in plan.groups:
        sums = nodes("MatMul", values, group.matrix(weights))
        values = nodes("Concat", values, _ONNX_ACTIVATIONS[group.activation](nodes, sums), axis=1)
    outputs = nodes("Gather", values, plan.outputs, axis=1)
    nodes("Cast", outputs, output="outputs", to=TensorProto.FLOAT)

    graph = helper.make_graph(
        nodes.made,
        "network",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", genome.num_observed])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", genome.num_outputs])],
        [numpy_helper.from_array(value, name) for name, value in nodes.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _ONNX_OPSET)], ir_version=_ONNX_IR)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


_ONNX_OPSET, _ONNX_IR = 17, 8  # what runtimes since 2022 read


class _OnnxNodes:
    """Collects nodes and the constants among their inputs. Called, it adds a node and gives the name of its output."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.constants: dict[str, npt.NDArray] = {}

    def __call__(self, operator: str, *inputs: str | float | npt.NDArray, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"{operator.lower()}_{len(self.made)}"
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        self.made.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def _constant(self, value: float | npt.NDArray) -> str:
        name = f"constant_{value:.17g}" if isinstance(value, float) else f"array_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name


def _onnx_step(nodes: _OnnxNodes, x: str) -> str:
    from onnx import TensorProto

    return nodes("Cast", nodes("Greater", x, 0.0), to=TensorProto.DOUBLE)


def _onnx_wave(nodes: _OnnxNodes, x: str, zero: float, sign: float) -> str:
    """sin(pi x) for `zero` 0.0 and `sign` 1.0, cos(pi x) for 0.5 and -1.0: where it is 0 first, and rising or falling.

    onnxruntime's own Sin and Cos miss the sign of what is left near a zero (cos(pi / 2) is 6e-17 in numpy), and a step
    behind it then differs by 1. So the angle is first taken from the nearest zero, as W. Cody and W. Waite, "Software
    Manual for the Elementary Functions" (1980), do, with pi in two parts. Far out, where the parts do not reach, no
    sign can be told either way. That x has two uses also keeps onnxruntime's optimiser from fusing the factor pi with
    the product before it, in 32 bits.
    """
    whole = nodes("Round", nodes("Sub", x, zero))
    zeros = nodes("Add", whole, zero)
    angle = nodes("Mul", x, np.pi)
    rest = nodes("Sub", nodes("Sub", angle, nodes("Mul", zeros, _PI_HIGH)), nodes("Mul", zeros, _PI_LOW))
    odd = nodes("Abs", nodes("Mod", whole, 2.0, fmod=1))
    signs = nodes("Sub", sign, nodes("Mul", odd, 2.0 * sign))
    near = nodes("Mul", signs, nodes("Sin", rest))
    far = nodes("Sin" if zero == 0 else "Cos", angle)
    return nodes("Where", nodes("Less", nodes("Abs", x), 2.0**20), near, far)


# The first 33 bits of pi, so that products with whole numbers up to 2^20 and halves are exact, and the rest.
_PI_HIGH, _PI_LOW = 3.1415926534682512, 1.2154201013012384e-10
# Each activation as ONNX nodes behind its sum (docs/method.md, Activations). A factor behind a MatMul would be fused
# with it by onnxruntime's optimiser, which keeps it in 32 bits: one half is exact there.
_ONNX_ACTIVATIONS: dict[str, Callable[[_OnnxNodes, str], str]] = {
    "linear": lambda nodes, x: x,
    "step": _onnx_step,
    "sine": lambda nodes, x: _onnx_wave(nodes, x, 0.0, 1.0),
    "cosine": lambda nodes, x: _onnx_wave(nodes, x, 0.5, -1.0),
    "gaussian": lambda nodes, x: nodes("Exp", nodes("Mul", nodes("Mul", x, x), -0.5)),
    "tanh": lambda nodes, x: nodes("Tanh", x),
    "sigmoid": lambda nodes, x: nodes("Mul", nodes("Add", nodes("Tanh", nodes("Mul", x, 0.5)), 1.0), 0.5),
    "inverse": lambda nodes, x: nodes("Neg", x),
    "abs": lambda nodes, x: nodes("Abs", x),
    "relu": lambda nodes, x: nodes("Relu", x),
}


def to_torch(genome: Genome, weights: npt.NDArray[np.float64], file_format: str) -> bytes:
    """A TorchNetwork, as TorchScript or as a program of `torch.export`; either takes batches of any size."""
    import torch

    from analysis.torch_network import TorchNetwork

    network = TorchNetwork(genome, weights)
    example = torch.zeros(2, genome.num_observed)
    buffer = io.BytesIO()
    with _deprecation_of_torchscript_is_known():
        if file_format == "torchscript":
            torch.jit.save(torch.jit.trace(network, example), buffer)
        else:
            batch = torch.export.Dim("batch")
            torch.export.save(torch.export.export(network, (example,), dynamic_shapes=({0: batch},)), buffer)
    return buffer.getvalue()


@contextmanager
def _deprecation_of_torchscript_is_known() -> Iterator[None]:
    """TorchScript is what many programs still load; who can, takes torch_export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
