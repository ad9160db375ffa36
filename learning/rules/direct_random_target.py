"""Direct random target projection: the label itself, through fixed random weights, in place of any error."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from learning.passes import Chunk, F, FloatArray, cross_entropy, forward, gradient_of, hidden_learn, outputs_learn
from learning.rules.direct_feedback_alignment import DirectFeedbackAlignment


class State(NamedTuple):
    direct: FloatArray  # (hidden neurons of all networks, O)


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    for t in range(graphs.num_hidden[k]):
        of_labels = rule.direct[graphs.hidden[k] + t]
        for s in range(n):
            work.errors[t, s] = of_labels[work.labels[s]] * F(1 / n)
        work.errors[t, n:] = F(0)
    hidden_learn(graphs, k, work, n)
    outputs_learn(graphs, k, work, n)
    return result


class DirectRandomTarget(DirectFeedbackAlignment):
    """delta_h = f'(a_h) sum over outputs o of B_ho t_o, t the one-hot label, B_ho from N(0, 1); outputs by the
    gradient.

    C. Frenkel, M. Lefebvre and D. Bol, Learning without feedback: fixed random learning signals allow for feedforward
    training of deep neural networks (2021), "DRTP". Hidden neurons can learn before the outputs are known.
    """

    def backward(self, activities: Tensor, labels: Tensor, loss: Tensor) -> None:
        (errors,) = torch.autograd.grad(loss, activities)  # (B, N): 0 but for the outputs
        targets = one_hot(labels, self.network.genome.num_outputs).to(errors) / len(labels)
        errors[:, self.network.hidden] = targets @ self.feedback.T
        activities.backward(errors)

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        return State(chunk.by_hidden())
