"""Random genomes for tests: by hypothesis, and by hand."""

import numpy as np
from hypothesis import strategies as st

from evolution.genome import Genome
from evolution.mutation import MutationSettings, mutate

WANN_MUTATIONS = MutationSettings({"p_add_node": 0.3, "p_add_connection": 0.4, "p_change_activation": 0.3})
WLNN_MUTATIONS = MutationSettings({"p_add_node": 0.4, "p_add_connection": 0.6}, connect_outputs=False)


def evolved(
    seed: int,
    num_inputs: int = 5,
    num_outputs: int = 2,
    p_initial: float = 0.5,
    mutations: int = 30,
    *,
    with_weights: bool = False,
    use_bias: bool = False,
) -> Genome:
    """A genome after so many random mutations."""
    rng = np.random.default_rng(seed)
    genome = Genome.initial(num_inputs, num_outputs, p_initial, rng, with_weights=with_weights, use_bias=use_bias)
    for _ in range(mutations):
        genome = mutate(genome, WLNN_MUTATIONS if with_weights else WANN_MUTATIONS, rng)
    return genome


@st.composite
def genomes(draw: st.DrawFn, with_weights: bool = False, max_mutations: int = 80) -> Genome:
    """Sparse and dense, shallow and deep, empty and disconnected ones, with and without bias."""
    return evolved(
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(1, 8)),
        draw(st.integers(1, 5)),
        draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0])),
        draw(st.integers(0, max_mutations)),
        with_weights=with_weights,
        use_bias=draw(st.booleans()),
    )
