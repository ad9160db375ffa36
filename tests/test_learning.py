"""Learning rules and training in torch, against numpy written by hand, plain autograd, and values from paper."""

import inspect
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from genomes import evolved, genomes
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, LINEAR, Genome
from experiment.parameters import declared
from learning import LEARNING_RULES, compiled, rules, training
from learning.rules import oja_update
from learning.training import (
    OPTIMIZERS,
    Trainer,
    connection_gradients,
    connection_updates,
    draw,
    draw_feedback,
    draw_order,
    train,
)
from networks.activations import ACTIVATIONS
from networks.reference import neuron_values, with_bias

RULES = list(LEARNING_RULES)
RELU = ACTIVATION_NAMES.index("relu")
SMOOTH = [ACTIVATION_NAMES.index(n) for n in ("linear", "sine", "cosine", "gaussian", "tanh", "sigmoid", "inverse")]


@st.composite
def networks(draw, activations=(RELU,)):
    """Genomes of any shape with weights of ordinary size, so that errors reach the inputs of deep ones.

    Half of them as evolution of learning networks makes them, half with connections between any two layers.
    """
    genome = draw(genomes(with_weights=draw(st.booleans())))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = np.full(genome.num_neurons, LINEAR, np.int8)
    visible = genome.num_inputs + genome.num_outputs
    kinds[visible:] = rng.choice(activations, genome.num_hidden)
    weights = rng.normal(size=genome.num_connections).astype(np.float32)
    return replace(genome, weights=weights, activations=kinds)


def batch(genome, size=30, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, genome.num_observed)).astype(np.float32)
    return images, rng.integers(0, genome.num_outputs, size)


def dense(num_hidden=6, seed=0, num_inputs=5, num_outputs=3):
    """One dense hidden layer."""
    hidden = np.arange(num_hidden) + num_inputs + num_outputs
    into = [(i, h) for i in range(num_inputs) for h in hidden]
    out = [(h, num_inputs + o) for h in hidden for o in range(num_outputs)]
    connections = np.array(into + out, np.int32)
    layers = np.repeat([0, 2, 1], [num_inputs, num_outputs, num_hidden]).astype(np.int32)
    activations = np.repeat([LINEAR, RELU], [num_inputs + num_outputs, num_hidden]).astype(np.int8)
    weights = np.random.default_rng(seed).normal(size=len(connections)).astype(np.float32) * np.float32(0.3)
    return Genome(num_inputs, num_outputs, layers, activations, connections, weights)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def output_errors(genome, values, labels):
    """(softmax - one-hot) / batch size, what the mean cross-entropy sends to the outputs."""
    outputs = values[:, genome.num_inputs : genome.num_inputs + genome.num_outputs]
    return (softmax(outputs) - np.eye(genome.num_outputs)[labels]) / len(labels)


def gradients_by_hand(genome, images, labels, backward):
    """Neuron by neuron in float64: errors go back through the weights `backward` (E,) of relu networks."""
    values = neuron_values(genome, images, genome.weights)
    errors = np.zeros_like(values)
    outputs = slice(genome.num_inputs, genome.num_inputs + genome.num_outputs)
    errors[:, outputs] = output_errors(genome, values, labels)
    sources, targets = genome.connections.T
    for neuron in np.argsort(-genome.layers, kind="stable"):
        if neuron >= outputs.stop:
            leaving = sources == neuron
            errors[:, neuron] = (values[:, neuron] > 0) * (errors[:, targets[leaving]] @ backward[leaving])
    return np.array([values[:, u] @ errors[:, v] for u, v in genome.connections])


def assert_close(actual, expected):
    """Equal to float32 precision, relative to the largest of the expected values."""
    scale = np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(actual / scale, np.asarray(expected) / scale, rtol=1e-4, atol=2e-5)


# ---- forward ----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(networks(activations=(0, 4, 5, 6, 7, 8, 9)))  # steps and waves make much of a large value's last bit
def test_forward_is_the_reference(genome):
    images, _ = batch(genome)
    values = neuron_values(genome, images, genome.weights)
    outputs = training.forward(genome, images)
    assert outputs.shape == (30, genome.num_outputs)
    assert outputs.dtype == np.float32
    if np.abs(values).max() < 100:
        assert_close(outputs, values[:, genome.num_inputs : genome.num_inputs + genome.num_outputs])


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_torch_and_numpy_activations_are_the_same_functions(name):
    x = np.concatenate([[-100.0, -1.0, 0.0, 1.0, 100.0], np.random.default_rng(0).normal(size=100)])
    activation = ACTIVATIONS[name]
    np.testing.assert_allclose(activation.torch(torch.tensor(x)).numpy(), activation.numpy(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_layers_of_mixed_activations_and_outputs_that_are_not_linear(name):
    rng = np.random.default_rng(1)
    genome = dense(num_hidden=10)
    activations = np.array([LINEAR] * 5 + [ACTIVATION_NAMES.index(name), LINEAR, LINEAR, *range(10)], np.int8)
    genome = replace(genome, activations=activations)
    images = rng.normal(size=(20, 5)).astype(np.float32)
    values = neuron_values(genome, images, genome.weights)
    np.testing.assert_allclose(training.forward(genome, images), values[:, 5:8], rtol=1e-4, atol=1e-5)


def test_images_of_another_width_are_refused():
    genome = evolved(0, with_weights=True, use_bias=True)
    with pytest.raises(ValueError, match=r"\(B, 5\)"):
        training.forward(genome, np.zeros((3, 6), np.float32))


# ---- gradients ---------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(networks())
def test_backprop_is_autograd_on_a_dense_masked_network(genome):
    images, labels = batch(genome)
    sources, targets = genome.connections.T
    size = genome.num_neurons
    mask = torch.zeros(size, size, dtype=torch.float64)
    mask[sources, targets] = 1
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix[sources, targets] = torch.tensor(genome.weights, dtype=torch.float64)
    matrix.requires_grad_()
    values = torch.zeros(len(images), size, dtype=torch.float64)
    values[:, : genome.num_inputs] = torch.tensor(with_bias(genome, images))
    for layer in range(1, genome.num_layers):
        here = torch.tensor(genome.layers == layer)
        sums = values @ (matrix * mask)
        values = torch.where(here, sums if layer == genome.num_layers - 1 else torch.relu(sums), values)
    outputs = values[:, genome.num_inputs : genome.num_inputs + genome.num_outputs]
    torch.nn.functional.cross_entropy(outputs, torch.tensor(labels)).backward()
    expected = matrix.grad.numpy()[sources, targets]
    assert_close(connection_gradients(genome, images, labels, "backprop"), expected)
    assert_close(gradients_by_hand(genome, images, labels, genome.weights), expected)


@settings(max_examples=25, deadline=None)
@given(networks(activations=SMOOTH))
def test_backprop_is_the_slope_of_the_loss(genome):
    """Central differences of the float64 reference: no autograd at all, any differentiable activation."""
    images, labels = batch(genome, size=8)

    def loss(weights):
        outputs = neuron_values(genome, images, weights)[:, genome.num_inputs :][:, : genome.num_outputs]
        return -np.log(softmax(outputs)[np.arange(8), labels]).mean()

    weights = genome.weights * np.float32(0.3)  # small, so that sines of sines stay tame
    genome = replace(genome, weights=weights)
    chosen = np.random.default_rng(0).permutation(genome.num_connections)[:10]
    steps = np.eye(genome.num_connections)[chosen] * 1e-6
    slopes = [(loss(weights + step) - loss(weights - step)) / 2e-6 for step in steps]
    gradients = connection_gradients(genome, images, labels, "backprop")[chosen]
    np.testing.assert_allclose(gradients, slopes, rtol=1e-2, atol=1e-4)


def test_a_step_has_the_gradient_zero():
    genome = dense()
    step = replace(genome, activations=np.where(genome.activations == RELU, 1, genome.activations).astype(np.int8))
    gradients = connection_gradients(step, *batch(step), "backprop")
    assert (gradients[:30] == 0).all()
    assert (gradients[30:] != 0).any()


@settings(max_examples=30, deadline=None)
@given(networks())
def test_feedback_alignment_with_symmetric_feedback_is_backprop(genome):
    images, labels = batch(genome)
    aligned = connection_gradients(genome, images, labels, "feedback_alignment", genome.weights)
    np.testing.assert_array_equal(aligned, connection_gradients(genome, images, labels, "backprop"))


@settings(max_examples=40, deadline=None)
@given(networks())
def test_feedback_alignment_is_the_computation_by_hand(genome):
    images, labels = batch(genome)
    feedback = draw_feedback(genome, "feedback_alignment", np.random.default_rng(0))
    assert feedback.shape == (genome.num_connections,)
    assert feedback.dtype == np.float32
    expected = gradients_by_hand(genome, images, labels, feedback)
    assert_close(connection_gradients(genome, images, labels, "feedback_alignment", feedback), expected)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_direct_feedback_alignment_is_the_computation_by_hand(genome):
    images, labels = batch(genome)
    feedback = draw_feedback(genome, "direct_feedback_alignment", np.random.default_rng(0))
    assert feedback.shape == (genome.num_hidden, genome.num_outputs)
    values = neuron_values(genome, images, genome.weights)
    visible = genome.num_inputs + genome.num_outputs
    errors = np.zeros_like(values)
    errors[:, genome.num_inputs : visible] = output_errors(genome, values, labels)
    errors[:, visible:] = (values[:, visible:] > 0) * (errors[:, genome.num_inputs : visible] @ feedback.T)
    expected = [values[:, u] @ errors[:, v] for u, v in genome.connections]
    assert_close(
        connection_gradients(genome, images, labels, "direct_feedback_alignment", feedback),
        np.array(expected).reshape(genome.num_connections),
    )


@pytest.mark.parametrize(
    ("rule", "feedback", "expected"),
    [
        # One image x = 2 of class 0. Hidden values h = 2, then g = relu(3 h) = 6; outputs g and 6 - 6 = 0 by skips.
        # softmax e = (p - 1, 1 - p), p = e^6 / (e^6 + 1); s = 1 - p is all that the numbers below are made of.
        # Error of g: 1 * -s + (-1) * s = -2s, of h: 3 * -2s + 3 * s = -3s.
        ("backprop", None, [2 * -3, 2 * -2, 6 * -1, 6 * 1, 2 * 1]),
        # Through feedback (5, 7, 2, 4, 10): g: 2 * -s + 4 * s = 2s, h: 7 * 2s + 10 * s = 24s.
        ("feedback_alignment", [5, 7, 2, 4, 10], [2 * 24, 2 * 2, 6 * -1, 6 * 1, 2 * 1]),
        # Rows of hidden neurons: h gets 3 * -s + 8 * s = 5s, g gets -1 * -s + 1 * s = 2s.
        ("direct_feedback_alignment", [[3, 8], [-1, 1]], [2 * 5, 2 * 2, 6 * -1, 6 * 1, 2 * 1]),
        ("last_layer", None, [0, 0, 6 * -1, 6 * 1, 2 * 1]),
        ("hebbian", None, [0, 0, 6 * -1, 6 * 1, 2 * 1]),
    ],
)
def test_gradients_worked_out_on_paper(rule, feedback, expected):
    genome = Genome.from_dict(
        {
            "in_size": 1,
            "out_size": 2,
            "num_neurons": 5,
            "neurons_in_layer": [[0], [3], [4], [1, 2]],
            "connections": [[0, 3], [3, 4], [4, 1], [4, 2], [3, 2]],
            "weights": [1, 3, 1, -1, 3],
            "activation_name": "relu",
        }
    )
    images, labels = np.array([[2.0]], np.float32), np.array([0])
    feedback = None if feedback is None else np.array(feedback, np.float32)
    s = 1 / (np.exp(6) + 1)
    found = connection_gradients(genome, images, labels, rule, feedback)
    np.testing.assert_allclose(found, np.array(expected) * s, rtol=1e-4)


def test_feedback_that_is_missing_or_of_another_shape_is_refused():
    genome = dense()
    images, labels = batch(genome)
    with pytest.raises(ValueError, match=r"\(48,\); none is given"):
        connection_gradients(genome, images, labels, "feedback_alignment")
    with pytest.raises(ValueError, match=r"\(6, 3\); its shape is \(48,\)"):
        connection_gradients(genome, images, labels, "direct_feedback_alignment", np.zeros(48, np.float32))


# ---- Oja's rule --------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(networks(activations=SMOOTH))
def test_oja_update_is_the_formula(genome):
    images, _ = batch(genome)
    values = neuron_values(genome, images, genome.weights)
    expected = np.zeros(genome.num_connections)
    for k, (j, i) in enumerate(genome.connections):
        if i >= genome.num_inputs + genome.num_outputs:
            pre, post = values[:, j], values[:, i]
            expected[k] = 0.1 * ((post * pre).mean() - (post**2).mean() * genome.weights[k])
    updates = oja_update(genome, images, 0.1)
    assert updates.dtype == np.float32
    if np.abs(values).max(initial=0) < 20:  # a sine of a large value makes much of the last bit
        np.testing.assert_allclose(updates, expected, rtol=1e-2, atol=1e-3)


def test_oja_finds_the_first_principal_component_with_norm_1():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    images = (rng.normal(size=(400, 4)) * [2.0, 1.0, 0.5, 0.3]) @ axes.T
    images = (images - images.mean(axis=0)).astype(np.float32)
    component = np.linalg.svd(images, full_matrices=False)[2][0]
    genome = dense(num_hidden=1, num_inputs=4, num_outputs=1)
    genome = replace(genome, activations=np.zeros(6, np.int8))
    for _ in range(300):
        genome = replace(genome, weights=genome.weights + oja_update(genome, images, 0.05))
    weights = genome.weights[:4]
    assert np.linalg.norm(weights) == pytest.approx(1, abs=1e-4)
    assert abs(weights @ component) == pytest.approx(1, abs=1e-4)


def test_hebbian_changes_hidden_weights_directly_and_output_weights_by_the_optimiser():
    genome = dense()
    images, labels = batch(genome)
    found = connection_updates(genome, images, labels, "hebbian", "adam", 0.03)
    backprop = connection_updates(genome, images, labels, "backprop", "adam", 0.03)
    np.testing.assert_allclose(found[:30], oja_update(genome, images, 0.03)[:30], atol=1e-7)
    np.testing.assert_array_equal(found[30:], backprop[30:])
    assert (found[:30] != backprop[:30]).all()


# ---- optimisers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_are_those_of_torch_on_a_dense_parameter(name):
    genome = Genome.initial(6, 4, 1.0, np.random.default_rng(0), with_weights=True)
    images, labels = batch(genome, size=100)
    order = draw_order(3, 100, np.random.default_rng(1))
    found = train(genome, images, labels, optimizer=name, lr=0.02, num_epochs=3, batch_size=20, order=order)
    matrix = torch.nn.Parameter(torch.tensor(genome.weights).view(6, 4))
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adadelta": torch.optim.Adadelta}[name]
    optimizer = make([matrix], lr=0.02)
    losses = []
    for rows in order.reshape(-1, 20):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(torch.tensor(images[rows]) @ matrix, torch.tensor(labels[rows]))
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(found.weights, matrix.detach().numpy().ravel(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.losses.ravel(), losses, rtol=1e-5)


def test_first_updates_are_those_of_the_formulas():
    genome = dense()
    images, labels = batch(genome)
    g = gradients_by_hand(genome, images, labels, genome.weights)
    lr = 0.1
    updates = {name: connection_updates(genome, images, labels, "backprop", name, lr) for name in OPTIMIZERS}
    np.testing.assert_allclose(updates["sgd"], -lr * g, atol=1e-6)
    np.testing.assert_allclose(updates["adam"], -lr * g / (np.abs(g) + 1e-8), atol=1e-5)
    step = np.sqrt(1e-6) / np.sqrt(0.1 * g**2 + 1e-6) * g
    np.testing.assert_allclose(updates["adadelta"], -lr * step, atol=1e-6)


# ---- training ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(networks(), st.sampled_from(RULES), st.sampled_from(list(OPTIMIZERS)))
def test_no_rule_gives_life_to_a_missing_connection(genome, rule, optimizer):
    """What the trained layers compute is what the genome's connections alone compute with the trained weights."""
    images, labels = batch(genome)
    draws = draw(genome, rule, np.random.default_rng(0))
    trainer = Trainer(genome, learning_rule=rule, optimizer=optimizer, lr=0.01, draws=draws)
    before = genome.weights.copy()
    with torch.no_grad():
        for layer in trainer.network.layers:
            layer.weights.mul_(0.3)
    trainer.epoch(images, labels, np.arange(30), batch_size=10)
    np.testing.assert_array_equal(genome.weights, before)  # the genome itself is never changed
    with torch.no_grad():
        outputs = trainer.network.outputs(trainer.network(torch.from_numpy(images))).numpy()
        for layer in trainer.network.layers:
            assert torch.count_nonzero(layer.matrix(layer.weights)) <= len(layer.connections)
    alone = neuron_values(genome, images, trainer.weights)[:, genome.num_inputs :][:, : genome.num_outputs]
    if np.isfinite(alone).all():
        assert_close(outputs, alone)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("only_outputs", [False, True])
def test_last_layer_leaves_all_other_weights_bit_identical(rule, only_outputs):
    genome = evolved(3, 6, 3, 1.0, 40, with_weights=True)
    images, labels = batch(genome, size=64)
    options = {"num_epochs": 3, "batch_size": 16, "lr": 0.05}
    found = train(
        genome,
        images,
        labels,
        learning_rule=rule,
        train_only_outputs=only_outputs,
        rng=np.random.default_rng(0),
        **options,
    )
    into_outputs = genome.connections[:, 1] < genome.num_inputs + genome.num_outputs
    changed = found.weights != genome.weights
    assert changed[into_outputs].all()
    if only_outputs or rule == "last_layer":
        assert found.weights[~into_outputs].tobytes() == genome.weights[~into_outputs].tobytes()
        other = train(genome, images, labels, learning_rule="last_layer", rng=np.random.default_rng(0), **options)
        np.testing.assert_array_equal(found.weights, other.weights)
    else:
        assert changed[~into_outputs].any()


def test_losses_and_accuracies_are_those_before_each_update_and_a_partial_batch_is_left_out():
    genome = dense()
    images, labels = batch(genome, size=50)
    order = draw_order(2, 50, np.random.default_rng(0))
    found = train(genome, images, labels, num_epochs=2, batch_size=20, order=order)
    assert found.losses.shape == found.accuracies.shape == (2, 2)
    assert found.weights.dtype == np.float32
    loss, accuracy = training.test(genome, images[order[0, :20]], labels[order[0, :20]], 20)
    assert found.losses[0, 0] == pytest.approx(loss, rel=1e-6)
    assert found.accuracies[0, 0] == pytest.approx(accuracy)
    # the images 40..49 of each permutation play no part
    images = images.copy()
    images[np.setdiff1d(np.arange(50), order[0, :40])] = np.nan
    once = train(genome, images, labels, num_epochs=1, batch_size=20, order=order[:1])
    np.testing.assert_array_equal(once.losses[0], found.losses[0])


def test_a_whole_training_is_its_single_updates():
    genome = dense()
    images, labels = batch(genome, size=40)
    order = draw_order(2, 40, np.random.default_rng(0))
    feedback = draw_feedback(genome, "feedback_alignment", np.random.default_rng(1))
    rule = {"learning_rule": "feedback_alignment", "optimizer": "sgd", "lr": 0.1, "feedback": feedback}
    found = train(genome, images, labels, num_epochs=2, batch_size=10, order=order, **rule)
    for rows in order.reshape(-1, 10):
        weights = genome.weights + connection_updates(genome, images[rows], labels[rows], **rule)
        genome = replace(genome, weights=weights)
    np.testing.assert_allclose(found.weights, genome.weights, atol=1e-6)


@pytest.mark.parametrize("rule", ["feedback_alignment", "direct_feedback_alignment"])
def test_order_and_feedback_may_be_drawn_by_train(rule):
    genome = dense()
    images, labels = batch(genome)
    options = {"learning_rule": rule, "num_epochs": 2, "batch_size": 10}
    drawn = train(genome, images, labels, rng=np.random.default_rng(5), **options)
    rng = np.random.default_rng(5)
    order = draw_order(2, 30, rng)
    given = train(genome, images, labels, order=order, feedback=draw_feedback(genome, rule, rng), **options)
    np.testing.assert_array_equal(drawn.weights, given.weights)
    assert (np.sort(order, axis=1) == np.arange(30)).all()
    assert (order[0] != order[1]).any()
    with pytest.raises(ValueError, match="rng"):
        train(genome, images, labels, order=order, **options)


def test_the_test_counts_partial_batches_by_their_size():
    genome = evolved(1, 4, 3, 1.0, 20, with_weights=True, use_bias=True)
    genome = replace(genome, weights=genome.weights * 10)
    images, labels = batch(genome, size=101)
    outputs = neuron_values(genome, images, genome.weights)[:, genome.num_inputs :][:, :3]
    losses = -np.log(softmax(outputs)[np.arange(101), labels])
    accuracy = (outputs.argmax(axis=1) == labels).mean()
    for batch_size in (1, 7, 50, 100, 101, 1000):
        found = training.test(genome, images, labels, batch_size)
        assert found == (pytest.approx(losses.mean(), rel=1e-5), pytest.approx(accuracy, abs=1e-12))


@pytest.mark.parametrize("rule", RULES)
def test_a_network_without_connections_is_trained_as_well(rule):
    genome = Genome.initial(4, 3, 0.0, np.random.default_rng(0), with_weights=True)
    images, labels = batch(genome, size=60)
    found = train(genome, images, labels, learning_rule=rule, num_epochs=2, batch_size=20, rng=np.random.default_rng(0))
    assert found.weights.shape == (0,)
    np.testing.assert_allclose(found.losses, np.log(3), rtol=1e-6)
    assert found.accuracies.mean() == pytest.approx((labels == 0).mean(), abs=0.1)  # the first of equal outputs


def test_overflow_shows_in_the_losses_and_raises_nothing():
    genome = dense()
    images, labels = batch(genome)
    found = train(
        genome, images, labels, optimizer="sgd", lr=1e38, num_epochs=3, batch_size=10, rng=np.random.default_rng(0)
    )
    assert not np.isfinite(found.losses[-1]).any()


def test_what_cannot_be_trained_is_an_input_error():
    genome = dense()
    images, labels = batch(genome)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="'hebb'; known are backprop, feedback_alignment"):
        train(genome, images, labels, learning_rule="hebb", batch_size=10, rng=rng)
    with pytest.raises(InputError, match="'adamw'; known are sgd, adam, adadelta"):
        train(genome, images, labels, optimizer="adamw", batch_size=10, rng=rng)
    with pytest.raises(InputError, match=r"batch_size is 31; there are 30 training images"):
        train(genome, images, labels, batch_size=31, rng=rng)
    with pytest.raises(InputError, match="no weights"):
        train(replace(genome, weights=None), images, labels, batch_size=10, rng=rng)
    with pytest.raises(ValueError, match="order of 2 epochs for 3"):
        train(genome, images, labels, num_epochs=3, batch_size=10, order=draw_order(2, 30, rng))


@pytest.mark.parametrize(
    ("rule", "at_least"),
    [
        ("backprop", 0.95),
        ("feedback_alignment", 0.95),
        ("direct_feedback_alignment", 0.95),
        ("hebbian", 0.35),  # Oja leads all hidden neurons to the same component
        ("last_layer", 0.85),
    ],
)
def test_every_rule_learns_digits(rule, at_least):
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target
    found = train(
        dense(64, 0, 64, 10),
        images,
        labels,
        learning_rule=rule,
        num_epochs=8,
        batch_size=64,
        rng=np.random.default_rng(0),
    )
    assert found.accuracies[-1].mean() > at_least
    assert found.accuracies[0, 0] < 0.3


# ---- the registry and its guide ----------------------------------------------------------------------------------


def test_the_scripts_offer_exactly_the_registered_rules():
    assert tuple(declared()["learning_rule"].known) == tuple(LEARNING_RULES)
    for name in LEARNING_RULES:
        assert issubclass(rules.rule_class(name), rules.LearningRule)


RULE_FROM_OUTSIDE = """
from typing import Any, NamedTuple

from learning.passes import cross_entropy, forward, gradient_of, send_back
from learning.rules import LearningRule


class State(NamedTuple):
    back: Any


@gradient_of(State)
def _gradient(rule, graphs, weights, k, work, n, step):
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    for i in range(graphs.outgoing[graphs.neurons[k]], graphs.outgoing[graphs.neurons[k + 1]]):
        rule.back[i] = abs(weights[graphs.error_edge[i]])
    send_back(graphs, rule.back, k, work, n)
    return result


class Excitatory(LearningRule):
    def propagate(self, layer, values):
        return layer(values, layer.matrix(layer.weights.detach().abs()))

    @staticmethod
    def kernel(chunk):
        return State(chunk.terms())
"""


@pytest.fixture
def rule_from_outside(tmp_path, monkeypatch):
    """The name of a rule with a kernel in a module that is not the program's."""
    (tmp_path / "excitatory.py").write_text(RULE_FROM_OUTSIDE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "excitatory:Excitatory"
    sys.modules.pop("excitatory", None)


def test_a_rule_from_outside_is_one_file_with_its_kernel(rule_from_outside):
    genome = evolved(4, 6, 3, 0.7, 30, with_weights=True)
    images, labels = batch(genome)
    expected = gradients_by_hand(genome, images, labels, np.abs(genome.weights))
    assert_close(connection_gradients(genome, images, labels, rule_from_outside), expected)
    options = {"learning_rule": rule_from_outside, "batch_size": 10, "num_epochs": 3}
    order = draw_order(3, 30, np.random.default_rng(0))
    found = train(genome, images, labels, order=order, **options)
    assert found.losses[-1].mean() < found.losses[0].mean()
    assert compiled.supports(genome, rule_from_outside, "adam")
    (fast,) = compiled.train_population([genome], images, labels.astype(int), order=order, **options)
    np.testing.assert_allclose(fast.weights, found.weights, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hebb", "unknown learning_rule 'hebb'; known are backprop"),
        ("no_such_module:Rule", "no_such_module:Rule: cannot be imported"),
        ("learning.rules.hebbian:Hebb", "cannot be imported"),
        ("learning.rules.hebbian:oja", "not a subclass of"),
        (":Rule", "unknown learning_rule ':Rule'"),
    ],
)
def test_a_rule_that_is_not_there_is_one_line(name, message):
    with pytest.raises(InputError, match=message):
        rules.rule_class(name)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("whole", [np.int32, np.int64, np.uint8])
def test_images_and_labels_of_other_precisions_are_taken(kind, whole):
    genome = dense()
    images, labels = batch(genome)
    expected = connection_gradients(genome, images, labels, "backprop")
    found = connection_gradients(genome, images.astype(kind), labels.astype(whole), "backprop")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(training.forward(genome, images.astype(kind)), training.forward(genome, images))


def test_the_guide_shows_the_code_that_runs():
    guide = (Path(__file__).parent.parent / "docs" / "adding-a-learning-rule.md").read_text(encoding="utf-8")
    assert Path(inspect.getfile(rules.rule_class("direct_feedback_alignment"))).read_text(encoding="utf-8") in guide
    line = '    "direct_feedback_alignment": "learning.rules.direct_feedback_alignment:DirectFeedbackAlignment",'
    assert line in guide
    assert line in (Path(training.__file__).parent / "__init__.py").read_text(encoding="utf-8")
