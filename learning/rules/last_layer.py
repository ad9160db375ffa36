"""Only the outputs' connections learn: what a network can do whose hidden neurons stay as they are born."""

from typing import Any, NamedTuple

from learning.passes import Chunk, cross_entropy, forward, gradient_of, outputs_learn
from learning.rules.rule import LearningRule


class State(NamedTuple):
    pass


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    outputs_learn(graphs, k, work, n)
    return result


class LastLayer(LearningRule):
    """Only the connections into the outputs change, by the gradient."""

    only_outputs = True

    @staticmethod
    def kernel(chunk: Chunk) -> State:
        return State()
