"""Node perturbation and its cousin with one pass: noise on the neurons' sums, and whether the loss got worse by it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from learning import noise
from learning.layers import MaskedLinear
from learning.passes import (
    Chunk,
    F,
    FloatArray,
    connections_learn,
    cross_entropy,
    example_losses,
    forward,
    gradient_of,
    noisy_forward,
    outputs_learn,
)
from learning.rules.rule import LearningRule


class State(NamedTuple):
    noisy: FloatArray  # (padded,) the losses of the examples
    clean: FloatArray  # (padded,)
    seeds: npt.NDArray[np.uint64]  # (N,)
    sigma: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    noisy_forward(graphs, weights, k, work, n, rule.sigma, rule.seeds[k], step)
    cross_entropy(graphs, k, work, n)
    example_losses(graphs, k, work, n, rule.noisy)
    forward(graphs, weights, k, work, n)  # the noise is still where the hidden neurons' errors will be
    result = cross_entropy(graphs, k, work, n)
    example_losses(graphs, k, work, n, rule.clean)
    for s in range(n):
        rule.noisy[s] = (rule.noisy[s] - rule.clean[s]) * F(1 / (rule.sigma * n))
    for t in range(graphs.num_hidden[k]):
        for s in range(n):
            work.errors[t, s] *= rule.noisy[s]
        connections_learn(graphs, k, t, work, n)
    outputs_learn(graphs, k, work, n)
    return result


class NodePerturbation(LearningRule):
    """A second pass has noise xi_j on the sums of hidden neurons; w_ij changes along -(L' - L) xi_j y_i / sigma^2,
    example by example, with the activities y of the clean pass. Outputs by the gradient.

    S. Dalm et al., Effective learning with node perturbation in multi-layer neural networks (2023). In the
    mean over the noise that is the gradient, for small sigma (`noise_sigma`). Needs two passes and the change of the
    loss.
    """

    trains_all = True  # what leads to no output is shaken as well
    is_random = True

    def noise(self, images: Tensor) -> Tensor:
        """xi / sigma of this batch (B, N): 0 but for hidden neurons."""
        hidden, genome = self.network.hidden, self.network.genome
        values = torch.zeros(len(images), genome.num_neurons, device=images.device)
        values[:, hidden] = self.tensor(noise.rows(self.seed, self.step, np.arange(len(hidden)), len(images))).T
        return values

    def noisy_pass(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Activities (B, N) with the noise on the hidden neurons' sums; each layer a graph of its own."""

        def propagate(layer: MaskedLinear, values: Tensor) -> Tensor:
            sums = layer.sums(values.detach())
            return layer.activation(sums + self.settings.noise_sigma * drawn[:, layer.neurons])

        return self.network(images, propagate)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        return layer(values.detach())

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        drawn = self.noise(images)
        with torch.no_grad():
            noisy = self.losses(self.noisy_pass(images, drawn), labels)
        activities = self.forward(images)
        clean = self.losses(activities, labels)
        clean.mean().backward()  # of the outputs' connections alone
        self.hidden_gradients(activities.detach(), drawn, noisy - clean.detach())
        return activities.detach(), clean.mean()

    def losses(self, activities: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of each example (B,)."""
        return torch_cross_entropy(self.network.outputs(activities), labels, reduction="none")

    def hidden_gradients(self, activities: Tensor, drawn: Tensor, worse: Tensor) -> None:
        """By how much an example's loss got worse (B,) is blamed on the noise `drawn` (B, N)."""
        errors = worse[:, None] * drawn / (self.settings.noise_sigma * len(worse))
        for layer in self.network.layers[:-1]:
            self.set_gradient(layer, activities, errors)

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        losses = np.zeros((2, chunk.shape[1]), np.float32)
        return State(losses[0], losses[1], chunk.seeds, float(chunk.settings.noise_sigma))
