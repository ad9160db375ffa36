"""Networks for other programs: ONNX, PyTorch and GraphML."""

import argparse
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import arguments as options
from analysis.arguments import connection_weights
from analysis.graph import used_neurons
from analysis.names import Names, names_of, neuron_names, task_of
from analysis.plan import Plan
from evolution.errors import InputError, RunError
from evolution.files import write_atomically
from evolution.genome import ACTIVATION_NAMES, Genome
from networks.reference import neuron_values

FORMATS = {"onnx": ".onnx", "torchscript": ".pt", "torch_export": ".pt2", "graphml": ".graphml"}
TOLERANCE = 1e-5  # largest difference between an exported network's outputs and ours, relative above 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_network(parser)
    parser.add_argument("--format", choices=FORMATS, help="what to write (default: as the ending of --to says)")
    parser.add_argument("--weight", type=options.number, help="that all connections of a weight agnostic network share")
    parser.add_argument("--env_name", help="names the inputs and outputs (default: as the file or its run says)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the file to write (default: beside the network)")


def main(arguments: argparse.Namespace) -> None:
    """Write a network for other programs.

    onnx; torchscript and torch_export, a torch.nn.Module; graphml, for networkx and Gephi. All but the last are run and
    compared with our own outputs before they are written.
    """
    genome = Genome.load(arguments.network)
    file_format = arguments.format or _format_of(arguments.to)
    path = arguments.to or arguments.network.with_suffix(FORMATS[file_format])
    names = names_of(genome, arguments.env_name or task_of(arguments.network))
    print(f"{path}: {export(genome, path, file_format, arguments.weight, names)}")


def _format_of(path: Path | None) -> str:
    for name, ending in FORMATS.items():
        if path is not None and path.suffix == ending:
            return name
    raise InputError(f"give --format: {', '.join(FORMATS)}; or --to FILE with one of {', '.join(FORMATS.values())}")


def export(genome: Genome, path: Path, file_format: str, weight: float | None, names: Names) -> str:
    """Write the genome as one of FORMATS; gives one line that says what was written.

    ONNX and PyTorch files take float32 inputs (B, observed) and give outputs (B, O). Inside they compute in float64, as
    our evaluators of weight agnostic networks do, and before anything is written they are run and compared with ours.
    Raises InputError if the weight is missing, or is one too many, and RunError if the outputs are not ours.
    """
    if file_format == "graphml":
        write_atomically(path, to_graphml(genome, weight, names))
        return f"{genome.num_neurons} nodes and {genome.num_connections} edges"
    weights = connection_weights(genome, weight)
    content = to_onnx(genome, weights) if file_format == "onnx" else to_torch(genome, weights, file_format)
    difference = largest_difference(genome, weights, content, file_format)
    if not difference <= TOLERANCE:
        raise RunError(f"the exported network's outputs differ from ours by {difference:.1e}: nothing written")
    write_atomically(path, content)
    return f"checked: outputs differ from ours by {difference:.1e} at most"


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
    """An ONNX model: `inputs` (batch, observed) float32 to `outputs` (batch, O) float32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    plan = Plan.of(genome)
    constants: dict[str, npt.NDArray] = {}
    nodes = []

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(name: str, value: Any, dtype: Any = np.float64) -> str:
        constants[name] = np.asarray(value, dtype)
        return name

    values = add("Cast", ["inputs"], "observed", to=TensorProto.DOUBLE)
    if genome.use_bias:
        pads = constant("bias_pads", [0, 0, 0, 1], np.int64)
        values = add("Pad", [values, pads, constant("one", 1.0)], "observed_and_bias")
    for number, group in enumerate(plan.groups):
        x = add("MatMul", [values, constant(f"weights_{number}", group.matrix(weights))], f"sums_{number}")
        for operator, operand in _ONNX_ACTIVATIONS[group.activation]:
            operands = [x] if operand is None else [x, constant(f"constant_{operand:g}", operand)]
            attributes = {"to": TensorProto.DOUBLE} if operator == "Cast" else {}
            x = add(operator, operands, f"{operator.lower()}_{number}_{len(nodes)}", **attributes)
        values = add("Concat", [values, x], f"values_{number}", axis=1)
    positions = constant("output_positions", plan.outputs, np.int64)
    add("Cast", [add("Gather", [values, positions], "outputs_64", axis=1)], "outputs", to=TensorProto.FLOAT)

    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", genome.num_observed])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", genome.num_outputs])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _ONNX_OPSET)], ir_version=_ONNX_IR)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


_ONNX_OPSET, _ONNX_IR = 17, 8  # what runtimes since 2022 read
# Each activation as a chain of operators, with the second operand of those that have one (SPEC 2).
_ONNX_ACTIVATIONS: dict[str, tuple[tuple[str, float | None], ...]] = {
    "linear": (),
    "step": (("Greater", 0.0), ("Cast", None)),
    "sine": (("Mul", np.pi), ("Sin", None)),
    "cosine": (("Mul", np.pi), ("Cos", None)),
    "gaussian": (("Pow", 2.0), ("Mul", -0.5), ("Exp", None)),
    "tanh": (("Tanh", None),),
    "sigmoid": (("Mul", 0.5), ("Tanh", None), ("Add", 1.0), ("Mul", 0.5)),
    "inverse": (("Neg", None),),
    "abs": (("Abs", None),),
    "relu": (("Relu", None),),
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
