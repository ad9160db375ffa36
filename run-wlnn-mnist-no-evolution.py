"""Train one network by a learning rule: fully connected, with a hidden layer, randomly mutated, or a saved one."""

from dataclasses import replace

import utils
from envs import datasets
from evolution.errors import InputError
from evolution.genome import Genome, draw_weights
from evolution.loop import Purpose, generator
from evolution.mutation import MutationSettings, mutate
from learning.session import SessionSettings, device, from_bytes, run_session
from learning.settings import TrainingSettings


def make_network(params: utils.Params, dataset: datasets.Dataset) -> Genome:
    """The network that the parameters ask for. Raises InputError where they contradict each other or the data."""
    rng = generator(params.seed, 0, Purpose.START)
    num_inputs, num_outputs = dataset.train_images.shape[1], int(dataset.train_labels.max()) + 1
    mutation = MutationSettings(params.p_add_node, params.p_add_connection, num_mutations=params.num_mutations)
    if params.network is not None:
        if params.num_hidden:
            raise InputError(f"num_hidden {params.num_hidden} makes a network; it cannot be used with network")
        genome = Genome.load(params.network)
        if (genome.num_observed, genome.num_outputs) != (num_inputs, num_outputs):
            shape = f"{genome.num_observed} inputs and {genome.num_outputs} outputs"
            raise InputError(f"{params.network} has {shape}; {params.dataset} needs {num_inputs} and {num_outputs}")
        if params.keep_weights and genome.weights is None:
            raise InputError(f"keep_weights: {params.network} is a weight agnostic network and holds no weights")
        if not params.keep_weights:
            genome = replace(genome, weights=draw_weights(genome.num_connections, rng))
    elif params.keep_weights:
        raise InputError("keep_weights needs network, the file of a saved one")
    else:
        genome = Genome.initial(
            num_inputs,
            num_outputs,
            params.p_initial_connection_enabled,
            rng,
            num_hidden=params.num_hidden,
            with_weights=True,
            use_bias=params.use_bias,
        )
    return mutate(genome, replace(mutation, inherit_weights=True), rng)


def main(params: utils.Params) -> None:
    dataset = datasets.load(params.dataset, params.data_dir)
    genome = make_network(params, dataset)
    utils.check_sizes(params, genome.num_observed, genome.num_outputs)
    settings = SessionSettings(
        params.seed,
        TrainingSettings.of(vars(params)),
        params.batch_size_eval,
        params.checkpoint_period,
        utils.provenance(params),
        device=device(params.use_cuda),
    )
    with utils.open_run(params, from_bytes) as (run, state):
        run_session(genome, dataset, settings, run, state)


if __name__ == "__main__":
    utils.run_script("run-wlnn-mnist-no-evolution", main, __doc__)
