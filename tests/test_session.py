"""Training one network: a checkpoint that is not what the program writes is refused, or training goes on from it."""

import numpy as np
import pytest
from genomes import evolved
from states import encoded, opened

from envs.datasets import Dataset
from evolution import checkpoint
from evolution.errors import InputError
from experiment.folder import Codec, decode
from experiment.observers import Checkpoints, Epochs, watch
from learning import session
from learning.session import SessionSettings
from learning.settings import TrainingSettings


def settings(num_epochs: int, optimizer: str) -> SessionSettings:
    training = TrainingSettings(optimizer=optimizer, batch_size=10, num_epochs=num_epochs)
    return SessionSettings(seed=1, training=training, batch_size_eval=10)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    images, labels = rng.random((40, 4), np.float32), rng.integers(2, size=40)
    return Dataset(images, labels, images, labels)


CODEC = Codec(session.pack, session.unpack)


def from_bytes(content):
    return decode(content, CODEC).state


def train(path, dataset, num_epochs, optimizer, state=None, period=0.0, others=()):
    genome = evolved(3, 4, 2, 1.0, mutations=12, with_weights=True)
    run = opened(path)
    try:
        genome = genome if state is None else state.genome
        epochs = session.epochs(genome, dataset, settings(num_epochs, optimizer), state)
        with Checkpoints(run, CODEC, period, state) as checkpoints:
            return watch(epochs, [*others, Epochs(run, {}), checkpoints], state).trained
    finally:
        run.close()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adadelta"])
def test_changed_checkpoints_are_refused_or_gone_on_from(tmp_path, dataset, optimizer):
    train(tmp_path / "begun", dataset, 2, optimizer)
    content = (tmp_path / "begun" / checkpoint.NAME).read_bytes()
    meta, arrays = checkpoint.decode(content)
    assert train(tmp_path / "on", dataset, 4, optimizer, from_bytes(content)) == train(
        tmp_path / "whole", dataset, 4, optimizer
    )
    cases = []
    for name, array in arrays.items():
        without = {other: a for other, a in arrays.items() if other != name}
        changed = [array[:-1], np.concatenate([array, array])] if array.ndim else []
        changed += [np.array("x"), array.astype(np.complex64), array.reshape(1, *array.shape)]
        cases += [(meta, without), *((meta, {**arrays, name: other}) for other in changed)]
    for key in meta:
        for value in (None, -1, 2**70, "x", [], {}):
            cases.append(({**meta, key: value}, arrays))
        cases.append(({k: v for k, v in meta.items() if k != key}, arrays))
    refused = 0
    for number, (other_meta, other_arrays) in enumerate(cases):
        try:
            train(tmp_path / str(number), dataset, 4, optimizer, from_bytes(encoded(other_meta, other_arrays)))
        except InputError:
            refused += 1
    assert refused > len(cases) / 2


def test_a_session_checkpoint_that_ends_early_is_refused_wherever_it_ends(tmp_path, dataset):
    train(tmp_path / "begun", dataset, 1, "adam")
    content = (tmp_path / "begun" / checkpoint.NAME).read_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises(InputError):
            from_bytes(content[:length])


def test_ctrl_c_keeps_every_epoch(tmp_path, dataset):
    def interrupt(state):
        if state.progress == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", dataset, 5, "adam", period=1e9, others=[interrupt])
    assert from_bytes((tmp_path / "run" / checkpoint.NAME).read_bytes()).progress == 2
