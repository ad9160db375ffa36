"""Local losses: every hidden layer learns to tell the label by itself, through a fixed random readout."""

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from learning.passes import (
    VECTOR,
    Chunk,
    F,
    FloatArray,
    broadcast,
    cross_entropy,
    forward,
    gradient_of,
    hidden_learn,
    layer_end,
    load,
    multiply_add,
    outputs_learn,
    padded_size,
    softmax_error,
    store,
)
from learning.rules.direct_feedback_alignment import DirectFeedbackAlignment


class State(NamedTuple):
    readout: FloatArray  # (hidden neurons of all networks, O)
    logits: FloatArray  # (O, padded)
    errors: FloatArray  # (O, padded)


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    outputs, padded = rule.readout.shape[1], padded_size(n)
    first = 0
    while first < graphs.num_hidden[k]:
        last = layer_end(graphs, k, first)
        readout = rule.readout[graphs.hidden[k] + first : graphs.hidden[k] + last]
        for o in range(outputs):
            for s in range(0, padded, VECTOR):
                logit = broadcast(F(0))
                for h in range(last - first):
                    y = load(work.values, graphs.num_rows + first + h, s)
                    logit = multiply_add(broadcast(readout[h, o]), y, logit)
                store(rule.logits, o, s, logit)
        softmax_error(rule.logits, 0, rule.errors, 0, outputs, work, n)
        for h in range(last - first):
            for s in range(0, padded, VECTOR):
                error = broadcast(F(0))
                for o in range(outputs):
                    error = multiply_add(broadcast(readout[h, o]), load(rule.errors, o, s), error)
                store(work.errors, first + h, s, error)
        first = last
    hidden_learn(graphs, k, work, n)
    outputs_learn(graphs, k, work, n)
    return result


class LocalLoss(DirectFeedbackAlignment):
    """Each hidden layer has a fixed readout R, N(0, 1) times `local_loss_scale`, and learns by the gradient of the
    cross-entropy of R y; nothing passes between layers. Outputs by the gradient.

    H. Mostafa, V. Ramesh and G. Cauwenberghs, Deep supervised learning using local errors (2018).
    """

    def backward(self, activities: Tensor, labels: Tensor, loss: Tensor) -> None:
        hidden = self.network.hidden
        for layer in self.network.layers[:-1]:
            here = (hidden >= layer.neurons.start) & (hidden < layer.neurons.stop)
            logits = activities[:, hidden[here]] @ (self.settings.local_loss_scale * self.feedback[here])
            loss = loss + torch_cross_entropy(logits, labels)
        loss.backward()

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        readout = np.float32(chunk.settings.local_loss_scale) * chunk.by_hidden()
        shape = readout.shape[1], chunk.shape[1]
        return State(readout, np.zeros(shape, np.float32), np.zeros(shape, np.float32))
