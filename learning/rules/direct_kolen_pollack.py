"""Direct Kolen-Pollack: direct feedback that learns as connections from the hidden neurons to the outputs would."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from learning.layers import Network
from learning.passes import (
    Chunk,
    F,
    FloatArray,
    cross_entropy,
    dot,
    forward,
    gradient_of,
    hidden_learn,
    optimize,
    outputs_learn,
    padded_size,
    send_directly,
    update_of,
)
from learning.rules.direct_feedback_alignment import DirectFeedbackAlignment
from learning.rules.rule import Draws
from learning.settings import OPTIMIZER_NAMES, TrainingSettings


class State(NamedTuple):
    feedback: FloatArray  # (hidden neurons of all networks, O)
    gradient: FloatArray  # the same shape
    moments: FloatArray  # (2, size of these) the optimiser's
    optimizer: int
    lr: float
    decay: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    first = graphs.num_hidden[k]
    for t in range(first):
        for o in range(rule.feedback.shape[1]):
            change = dot(work.values, graphs.num_rows + t, work.errors, first + o, padded_size(n))
            rule.gradient[graphs.hidden[k] + t, o] = change
    send_directly(graphs, rule.feedback, k, work.errors, first, work, n)
    hidden_learn(graphs, k, work, n)
    outputs_learn(graphs, k, work, n)
    return result


@update_of(State)
def _update(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> None:
    outputs = rule.feedback.shape[1]
    a, b = graphs.hidden[k] * outputs, (graphs.hidden[k] + graphs.num_hidden[k]) * outputs
    feedback, change = rule.feedback.reshape(-1)[a:b], rule.gradient.reshape(-1)[a:b]
    optimize(rule.optimizer, rule.lr, step + 1, feedback, change, rule.moments[0, a:b], rule.moments[1, a:b])
    for i in range(len(feedback)):
        feedback[i] *= F(1 - rule.decay)


class DirectKolenPollack(DirectFeedbackAlignment):
    """Direct feedback alignment whose B_ho follow the optimiser with the gradient <y_h e_o>, as a connection from h to
    o would, and then shrink by (1 - lambda), lambda being `direct_kolen_pollack_decay` for each batch.

    M. Webster, J. Choi and C. Ahn, Learning the connections in direct feedback alignment (2021). B begins with N(0, 1).
    """

    remembers = ("feedback",)

    def __init__(self, network: Network, settings: TrainingSettings | None = None, draws: Draws | None = None) -> None:
        super().__init__(network, settings, draws)
        self.feedback = torch.nn.Parameter(self.feedback)

    def parameters(self) -> list[Tensor]:
        return [*super().parameters(), self.feedback]

    def backward(self, activities: Tensor, labels: Tensor, loss: Tensor) -> None:
        (errors,) = torch.autograd.grad(loss, activities)  # (B, N): 0 but for the outputs
        e = self.network.outputs(errors)
        errors[:, self.network.hidden] = e @ self.feedback.detach().T
        activities.backward(errors)
        self.feedback.grad = activities.detach()[:, self.network.hidden].T @ e

    def update(self, activities: Tensor) -> None:
        with torch.no_grad():
            self.feedback.mul_(1 - self.settings.direct_kolen_pollack_decay)

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        settings, feedback = chunk.settings, chunk.by_hidden()
        return State(
            feedback,
            np.zeros_like(feedback),
            np.zeros((2, feedback.size), np.float32),
            OPTIMIZER_NAMES.index(settings.optimizer),
            float(settings.lr),
            float(settings.direct_kolen_pollack_decay),
        )
