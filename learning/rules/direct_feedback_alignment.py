"""Direct feedback alignment: the outputs' error reaches every hidden neuron at once, through fixed random weights."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from evolution.genome import Genome
from learning.layers import MaskedLinear
from learning.passes import (
    Chunk,
    FloatArray,
    cross_entropy,
    forward,
    gradient_of,
    hidden_learn,
    outputs_learn,
    send_directly,
)
from learning.rules.rule import LearningRule


class State(NamedTuple):
    direct: FloatArray  # (hidden neurons of all networks, O)


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    send_directly(graphs, rule.direct, k, work.errors, graphs.num_hidden[k], work, n)
    hidden_learn(graphs, k, work, n)
    outputs_learn(graphs, k, work, n)
    return result


class DirectFeedbackAlignment(LearningRule):
    """Each hidden neuron gets the output error through a fixed random matrix.

    delta_h = f'(a_h) sum over outputs o of B_ho e_o, B_ho from N(0, 1): A. Nøkland, Direct feedback alignment provides
    learning in deep neural networks (2016), equation 7.
    """

    trains_all = True

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        return (genome.num_hidden, genome.num_outputs)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        return layer(values.detach())  # no error goes back from one layer to another

    def backward(self, activities: Tensor, labels: Tensor, loss: Tensor) -> None:
        (errors,) = torch.autograd.grad(loss, activities)  # (B, N): 0 but for the outputs
        errors[:, self.network.hidden] = self.network.outputs(errors) @ self.feedback.T
        activities.backward(errors)

    @staticmethod
    def kernel(chunk: Chunk) -> State:
        return State(chunk.by_hidden())
