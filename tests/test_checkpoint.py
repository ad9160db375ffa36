"""Checkpoints: all of a state comes back; damage is found, wherever it is; there is always a whole one."""

import contextlib
import hashlib
import io
import os
from dataclasses import replace

import numpy as np
import pytest
from states import encoded, opened, state

from evolution import checkpoint
from evolution.checkpoint import from_bytes, to_bytes
from evolution.errors import InputError, RunError
from experiment.folder import EVOLUTION
from experiment.observers import Checkpoints

DAMAGED = r"^(not a checkpoint|a checkpoint of another version|the checkpoint is damaged)"
KINDS = [
    {"with_weights": False},
    {"with_weights": True},
    {"with_weights": True, "use_bias": True},
    {"with_weights": False, "champion": False},
]


def assert_equal(one, other):
    assert one.generation == other.generation
    assert list(one.population) == list(other.population)
    assert [g.made_with for g in one.population] == [g.made_with for g in other.population]
    assert one.fitness.objectives == other.fitness.objectives
    assert set(one.fitness.values) == set(other.fitness.values)
    for name, values in one.fitness.values.items():
        np.testing.assert_array_equal(values, other.fitness.values[name])
    assert one.fitness.trained == other.fitness.trained
    assert (one.champion is None) == (other.champion is None)
    if one.champion is not None:
        assert (one.champion.genome, one.champion.generation) == (other.champion.genome, other.champion.generation)
        np.testing.assert_equal(dict(one.champion.values), dict(other.champion.values))
        assert (one.champion.trained, one.champion.tested) == (other.champion.trained, other.champion.tested)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_comes_back_as_it_was(kind):
    assert_equal(from_bytes(to_bytes(state(**kind))), state(**kind))


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_checkpoint_that_ends_early_is_refused_wherever_it_ends(kind):
    content = to_bytes(state(**kind))
    for length in range(len(content)):
        with pytest.raises(InputError, match=DAMAGED):
            from_bytes(content[:length])
    with pytest.raises(InputError, match="damaged"):
        from_bytes(content + b"\0")


def test_a_flipped_bit_is_found_in_every_byte():
    content = to_bytes(state(with_weights=True))
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(InputError, match=DAMAGED):
            from_bytes(bytes(damaged))


WRONG = {
    "num_inputs": [4.0, "4", True, None, -1, 10**20],
    "num_outputs": [0, 3],
    "hidden_activation": [-1, 10, "relu"],
    "use_bias": [0, 1, "yes", None],
    "made_with": [[], None, 1],
}


@pytest.mark.parametrize("key", WRONG)
def test_what_all_networks_share_is_checked(key):
    for value in WRONG[key]:
        meta, arrays = checkpoint.decode(to_bytes(state(with_weights=True)))
        meta["population"][key] = value
        with pytest.raises(InputError):
            from_bytes(checkpoint.encode(meta, arrays))
        del meta["population"][key]
        with pytest.raises(InputError):
            from_bytes(checkpoint.encode(meta, arrays))


BROKEN_GRAPHS = {
    "a target that is no neuron": ("connections", lambda pairs: pairs.__setitem__((0, 1), 10**6)),
    "a negative source": ("connections", lambda pairs: pairs.__setitem__((0, 0), -1)),
    "a connection backwards": ("connections", lambda pairs: pairs.__setitem__(0, pairs[0, ::-1].copy())),
    "a connection twice": ("connections", lambda pairs: pairs.__setitem__(1, pairs[0])),
    "an input above the others": ("layers", lambda layers: layers.__setitem__(0, 1)),
    "an activation that there is not": ("activations", lambda kinds: kinds.__setitem__(-1, 10)),
}


def test_weights_that_training_left_are_checked():
    meta, arrays = checkpoint.decode(to_bytes(state(with_weights=True)))
    arrays["trained/weights"] = np.full_like(arrays["trained/weights"], np.nan)
    with pytest.raises(InputError, match="is not a finite number"):
        from_bytes(checkpoint.encode(meta, arrays))


@pytest.mark.parametrize("owner", ["population", "champion"])
@pytest.mark.parametrize("fault", BROKEN_GRAPHS)
def test_graphs_are_checked(fault, owner):
    meta, arrays = checkpoint.decode(to_bytes(state(with_weights=False)))
    name, spoil = BROKEN_GRAPHS[fault]
    array = arrays[f"{owner}/{name}"] = arrays[f"{owner}/{name}"].copy()
    spoil(array)
    with pytest.raises(InputError):
        from_bytes(checkpoint.encode(meta, arrays))


def test_nothing_in_a_checkpoint_is_a_pickle():
    arrays = {"fitness/reward": np.array([object()], object)}
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoint.encode({}, arrays)
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([{"generation": 1}], object))
    body = buffer.getvalue()
    content = checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    with pytest.raises(InputError, match="allow_pickle=False"):
        from_bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_without_one_of_its_arrays_is_refused(kind):
    meta, arrays = checkpoint.decode(to_bytes(state(**kind)))
    for name in arrays:
        with pytest.raises(InputError, match="arrays are missing"):
            from_bytes(encoded(meta, {other: array for other, array in arrays.items() if other != name}))
    with pytest.raises(InputError, match="arrays are missing"):
        from_bytes(encoded(meta, {**arrays, "another": np.zeros(1)}))


# ---- the two files --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    run = opened(tmp_path)
    yield run
    run.close()


@pytest.fixture
def keeper(run):
    return Checkpoints(run, EVOLUTION, period=0)


def states(*generations):
    return [state(with_weights=False, generation=generation) for generation in generations]


def found(folder):
    loaded, damaged = checkpoint.load(folder, from_bytes)
    return None if loaded is None else loaded.generation, len(damaged)


def test_the_newest_whole_checkpoint_counts(tmp_path, keeper):
    assert found(tmp_path) == (None, 0)
    for newest in states(1, 2, 3):
        keeper(newest)
        assert found(tmp_path) == (newest.generation, 0)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:-1])
    assert found(tmp_path) == (2, 1)
    path.unlink()
    assert found(tmp_path) == (2, 0)
    (tmp_path / checkpoint.PREVIOUS_NAME).write_bytes(b"")
    with pytest.raises(InputError, match=r"^no whole checkpoint: .*checkpoint.previous.npz: not a checkpoint$"):
        found(tmp_path)


def test_a_checkpoint_of_another_version_is_not_gone_on_with():
    content = to_bytes(state(with_weights=False))
    assert content.startswith(b"neuroevolution checkpoint 3\n")
    with pytest.raises(InputError, match=r"^a checkpoint of another version of this program: only that one"):
        from_bytes(content.replace(b"checkpoint 3", b"checkpoint 2", 1))


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("number", range(4))
def test_whatever_fails_while_it_is_written_the_last_one_stays(tmp_path, keeper, monkeypatch, call, number):
    for newest in states(1, 2):
        keeper(newest)
    real, calls = getattr(os, call), iter(range(100))

    def failing(*arguments):
        if next(calls) == number:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(os, call, failing)
    (newer,) = states(3)
    raised = False
    try:
        keeper(newer)
    except OSError:
        raised = True
    assert raised == (number < {"fsync": 3, "chmod": 1, "replace": 2}[call])
    assert found(tmp_path) == (2 if raised else 3, 0)
    assert not list(tmp_path.glob(".unfinished*"))


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RunError, OSError, ZeroDivisionError])
def test_a_period_bounds_how_often_and_the_end_is_kept(tmp_path, run, error):
    keeper = Checkpoints(run, EVOLUTION, period=3600)
    with contextlib.suppress(error or ()), keeper:
        for newest in states(1, 2, 3):
            keeper(newest)
            assert found(tmp_path) == (1, 0)
        if error is not None:
            raise error("why")
    assert found(tmp_path) == (3, 0)


def test_a_full_disk_at_a_stop_is_told_and_after_another_error_is_not(run, monkeypatch):
    """The stop may be what Python makes of a signal at the end of a kernel's call."""

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    changed = SystemError("a result with an exception set")
    changed.__cause__ = KeyboardInterrupt()
    for error, told in (
        (KeyboardInterrupt(), True),
        (changed, True),
        (RunError("first"), False),
        (SystemError(), False),
    ):
        keeper = Checkpoints(run, EVOLUTION, period=3600)
        with pytest.raises(OSError if told else type(error)), monkeypatch.context() as patched, keeper:  # noqa: PT012
            for newest in states(1, 2):
                keeper(newest)
            patched.setattr(os, "fsync", full)
            raise error


def test_a_checkpoint_comes_after_the_files_whose_lengths_it_holds(tmp_path, keeper, monkeypatch):
    """Else they could be shorter than it says after a power failure."""
    order = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    (newest,) = states(1)
    keeper(newest)
    assert order[0].endswith(".log")
    assert "/events.out.tfevents." in order[1]
    assert ".unfinished" in order[2]


def test_a_run_that_goes_on_does_not_write_what_it_read(tmp_path, run):
    (read,) = states(4)
    with Checkpoints(run, EVOLUTION, 0, read):
        pass
    assert found(tmp_path) == (None, 0)
    with Checkpoints(run, EVOLUTION, 0, read) as keeper:
        keeper(replace(read, generation=5))
    assert found(tmp_path) == (5, 0)


@pytest.mark.parametrize("value", [-1, 2**63, 1.0, True, "1", None])
def test_what_counts_nothing_is_refused(value):
    assert checkpoint.count(2**63 - 1, "step") == 2**63 - 1
    with pytest.raises(InputError, match=r"^step is "):
        checkpoint.count(value, "step")
