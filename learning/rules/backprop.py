"""Backpropagation, what all other rules are compared with."""

from typing import Any, NamedTuple

from learning.passes import Chunk, FloatArray, cross_entropy, forward, gradient_of, send_back, terms_of
from learning.rules.rule import LearningRule


class State(NamedTuple):
    back: FloatArray  # (terms,) the weights at present, in the order in which errors come back


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    terms_of(graphs, weights, k, rule.back)
    send_back(graphs, rule.back, k, work, n)
    return result


class Backprop(LearningRule):
    """The gradient of the loss for all weights: D. Rumelhart, G. Hinton and R. Williams (1986)."""

    @staticmethod
    def kernel(chunk: Chunk) -> State:
        return State(chunk.terms())
