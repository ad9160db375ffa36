"""Train one network by a learning rule: fully connected, with a hidden layer, randomly mutated, or a saved one."""

from dataclasses import replace

import experiment
import utils
from envs import datasets
from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome, draw_weights
from evolution.loop import Purpose, generator
from evolution.mutation import MutationSettings, mutate
from experiment import origin
from experiment.folder import Codec, open_run
from experiment.observers import Bar, Checkpoints, Epochs, finish, watch
from learning import session
from learning.settings import TrainingSettings


def make_network(params: utils.Params, num_inputs: int, num_outputs: int) -> Genome:
    """The network that the parameters ask for. Raises InputError where they contradict each other or the data."""
    rng = generator(params.seed, 0, Purpose.START)
    mutation = MutationSettings(
        probabilities={"p_add_node": params.p_add_node, "p_add_connection": params.p_add_connection},
        num_mutations=params.num_mutations,
        inherit_weights=True,
    )
    made_with = {name: getattr(params, name) for name in ("p_initial_connection_enabled", *mutation.probabilities)}
    if params.network is not None:
        genome = load_network(params, num_inputs, num_outputs)
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
            hidden_activation=ACTIVATION_NAMES.index(params.hidden_activation),
            made_with=made_with | {"inherit_weights": True},
        )
    return mutate(genome, mutation, rng)


def load_network(params: utils.Params, num_inputs: int, num_outputs: int) -> Genome:
    """The saved network that is to be trained. Raises InputError where it is not what the data need."""
    if params.num_hidden:
        raise InputError(f"num_hidden {params.num_hidden} makes a network; it cannot be used with network")
    genome = Genome.load(params.network)
    if (genome.num_observed, genome.num_outputs) != (num_inputs, num_outputs):
        shape = f"{genome.num_observed} inputs and {genome.num_outputs} outputs"
        raise InputError(f"{params.network} has {shape}; {params.dataset} needs {num_inputs} and {num_outputs}")
    if params.keep_weights and genome.weights is None:
        raise InputError(f"keep_weights: {params.network} is a weight agnostic network and holds no weights")
    return genome


def main(params: utils.Params) -> None:
    dataset = datasets.for_run(params)
    num_inputs, num_outputs = dataset.train_images.shape[1], int(dataset.train_labels.max()) + 1
    utils.check_sizes(params, num_inputs, num_outputs)
    settings = session.SessionSettings(
        seed=params.seed,
        training=TrainingSettings.of(vars(params)),
        batch_size_eval=params.batch_size_eval,
        device=session.device(params.use_cuda),
    )

    def begin() -> Genome:
        return make_network(params, num_inputs, num_outputs)

    if params.resume is None:
        session.check(begin(), dataset, settings)
    codec = Codec(session.pack, session.unpack)
    with open_run(params, codec, lambda state: session.check(state.genome, dataset, settings, state)) as (run, state):
        genome = begin() if state is None else state.genome
        epochs = session.epochs(genome, dataset, settings, state)
        record, bar = Epochs(run, origin.provenance(params)), Bar(params.num_epochs, state, "epoch")
        with bar, Checkpoints(run, codec, params.checkpoint_period, state) as checkpoints:
            state = watch(epochs, [record, bar, checkpoints], state)
        finish(state, [record])


if __name__ == "__main__":
    utils.run_script(experiment.TRAINING, main, __doc__)
