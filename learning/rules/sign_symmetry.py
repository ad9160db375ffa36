"""Sign symmetry: errors come back through the signs of the weights, with magnitudes of their own."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evolution.genome import Genome
from learning import noise
from learning.layers import MaskedLinear
from learning.noise import key_of, normal
from learning.passes import Chunk, F, FloatArray, cross_entropy, forward, gradient_of, send_back
from learning.rules.rule import LearningRule


class State(NamedTuple):
    back: FloatArray  # (terms,)
    magnitudes: FloatArray  # (connections,)


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    for i in range(graphs.outgoing[graphs.neurons[k]], graphs.outgoing[graphs.neurons[k + 1]]):
        e = graphs.error_edge[i]
        rule.back[i] = rule.magnitudes[e] * np.sign(weights[e])
    send_back(graphs, rule.back, k, work, n)
    return result


class BatchState(NamedTuple):
    back: FloatArray  # (terms,)
    seeds: npt.NDArray[np.uint64]  # (N,)
    scale: float


@gradient_of(BatchState)
def _gradient_of_batch(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    key = key_of(rule.seeds[k], step, 0)
    for i in range(graphs.outgoing[graphs.neurons[k]], graphs.outgoing[graphs.neurons[k + 1]]):
        e = graphs.error_edge[i]
        rule.back[i] = F(rule.scale) * abs(normal(key, graphs.connection[e])) * np.sign(weights[e])
    send_back(graphs, rule.back, k, work, n)
    return result


class SignSymmetry(LearningRule):
    """delta_i = f'(a_i) sum over the connections i -> j of m sign(w_ij) delta_j, m one constant
    (`sign_symmetry_scale`).

    Q. Liao, J. Leibo and T. Poggio, How important is weight symmetry in backpropagation? (2016), "uSF"; T. Moskovitz et
    al., Feedback alignment in deep convolutional networks (2018). Needs the signs of the weights on the way back.
    """

    def magnitudes(self) -> Tensor:
        """m_ij of all connections (E,) for the present batch."""
        return torch.full((self.network.genome.num_connections,), self.settings.sign_symmetry_scale)

    def forward(self, images: Tensor) -> Tensor:
        self.present = self.magnitudes().to(images.device)
        return super().forward(images)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        signs = layer.weights.detach().sign()
        return layer(values, layer.matrix(self.present[layer.connections] * signs))

    def backward_weights(self) -> Tensor:
        weights = self.network.by_connection([layer.weights for layer in self.network.layers])
        return self.magnitudes() * torch.from_numpy(weights).sign()

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        return State(chunk.terms(), np.full_like(chunk.weights, chunk.settings.sign_symmetry_scale))


class SignSymmetryFixed(SignSymmetry):
    """Sign symmetry with magnitudes |N(0, 1)| times `sign_symmetry_scale`, drawn once for a training.

    Liao et al. (2016), "frSF". Backpropagation where the magnitudes are the weights'.
    """

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        return (genome.num_connections,)

    def magnitudes(self) -> Tensor:
        return self.settings.sign_symmetry_scale * self.feedback.abs()

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        scale = np.float32(chunk.settings.sign_symmetry_scale)
        return State(chunk.terms(), scale * np.abs(chunk.by_connection()))


class SignSymmetryBatch(SignSymmetry):
    """Sign symmetry with magnitudes |x| times `sign_symmetry_scale`, x of variance 1 drawn anew for each batch.

    Liao et al. (2016), "brSF".
    """

    is_random = True

    def magnitudes(self) -> Tensor:
        (drawn,) = noise.rows(self.seed, self.step, 0, self.network.genome.num_connections)
        return self.settings.sign_symmetry_scale * torch.from_numpy(np.abs(drawn))

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        return BatchState(chunk.terms(), chunk.seeds, float(chunk.settings.sign_symmetry_scale))
