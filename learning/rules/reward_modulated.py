"""Reward-modulated plasticity: three factors, of which the third is how much better than usual it went."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learning.layers import Network
from learning.passes import (
    Chunk,
    F,
    FloatArray,
    connections_learn,
    cross_entropy,
    example_losses,
    gradient_of,
    noisy_forward,
    outputs_learn,
)
from learning.rules.node_perturbation import NodePerturbation
from learning.rules.rule import Draws
from learning.settings import TrainingSettings


class State(NamedTuple):
    losses: FloatArray  # (padded,) of the examples
    usual: FloatArray  # (N,) running mean of the reward
    seeds: npt.NDArray[np.uint64]  # (N,)
    sigma: float
    rate: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    noisy_forward(graphs, weights, k, work, n, rule.sigma, rule.seeds[k], step)
    result = cross_entropy(graphs, k, work, n)
    example_losses(graphs, k, work, n, rule.losses)
    reward = -F(result[0])
    usual = reward if step == 0 else rule.usual[k]
    for s in range(n):
        rule.losses[s] = (rule.losses[s] + usual) * F(1 / (rule.sigma * n))
    rule.usual[k] = usual + F(rule.rate) * (reward - usual)
    for t in range(graphs.num_hidden[k]):
        for s in range(n):
            work.errors[t, s] *= rule.losses[s]
        connections_learn(graphs, k, t, work, n)
    outputs_learn(graphs, k, work, n)
    return result


class RewardModulated(NodePerturbation):
    """One pass, with noise xi_j on the sums of hidden neurons; w_ij changes along (R - <R>) xi_j y_i / sigma^2, example
    by example. R is minus the example's loss, <R> its running mean over batches, which begins with the first batch's
    and moves by `reward_average_rate`. Outputs by the gradient.

    N. Fremaux and W. Gerstner, Neuromodulated spike-timing-dependent plasticity, and theory of three-factor learning
    rules (2016), section on R-max. Needs no clean pass and no derivative: noise (`noise_sigma`), activity, and reward.
    """

    remembers = ("usual",)

    def __init__(self, network: Network, settings: TrainingSettings | None = None, draws: Draws | None = None) -> None:
        super().__init__(network, settings, draws)
        self.usual = torch.zeros((), device=network.hidden.device)

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        drawn = self.noise(images)
        activities = self.noisy_pass(images, drawn)
        losses = self.losses(activities, labels)
        losses.mean().backward()  # of the outputs' connections alone
        rewards = -losses.detach()
        usual = rewards.mean() if self.step == 0 else self.usual
        self.hidden_gradients(activities.detach(), drawn, usual - rewards)
        self.usual = usual + self.settings.reward_average_rate * (rewards.mean() - usual)
        return activities.detach(), losses.mean()

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        settings = chunk.settings
        return State(
            np.zeros(chunk.shape[1], np.float32),
            np.zeros(len(chunk.genomes), np.float32),
            chunk.seeds,
            float(settings.noise_sigma),
            float(settings.reward_average_rate),
        )
