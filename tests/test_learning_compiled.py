"""The training kernels against torch, against numbers worked out by hand, and against themselves in other chunks."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from learning import LEARNING_RULES, compiled, passes, training, vectors
from learning.compiled import test_population as evaluate
from learning.compiled import train_population
from learning.rules import Draws, rule_class
from learning.settings import OPTIMIZER_NAMES
from tests.genomes import evolved

RULES = list(LEARNING_RULES)
RELU = ACTIVATION_NAMES.index("relu")
DEEP = 6  # where `deep` is in the chunk of all kinds
SETTINGS: dict[str, Any] = {"learning_rule": "backprop", "optimizer": "adam", "lr": 0.01, "num_epochs": 2}


def made(
    layers: Sequence[int], connections: Sequence[tuple[int, int]], weights: Sequence[float], **more: Any
) -> Genome:
    """A genome with relu neurons in the given layers, inputs first, then outputs."""
    last = max(layers)
    num_inputs, num_outputs = layers.count(0), layers.count(last)
    activations = np.full(len(layers), RELU, np.int8)
    activations[: num_inputs + num_outputs] = 0
    genome = Genome(
        num_inputs,
        num_outputs,
        np.array(layers, np.int32),
        activations,
        np.array(connections, np.int32).reshape(-1, 2),
        np.array(weights, np.float32),
        **more,
    )
    genome.check()
    return genome


def deep(rng: np.random.Generator) -> Genome:
    """Eight inputs, three outputs, and a chain of twelve hidden neurons, each with skip connections from two inputs."""
    layers = [0] * 8 + [13] * 3 + list(range(1, 13))
    chain = [(0, 11), *((11 + i, 12 + i) for i in range(11)), (22, 8), (22, 9), (22, 10), (15, 9)]
    chain += [(int(i), 11 + h) for h in range(1, 12) for i in rng.choice(8, 2, replace=False)]
    return made(layers, chain, np.abs(rng.normal(0, 0.7, len(chain))).tolist())


def wide(rng: np.random.Generator) -> Genome:
    """Eight inputs, 150 hidden neurons in one layer, three outputs: more neurons than lanes and blocks."""
    layers = [0] * 8 + [2] * 3 + [1] * 150
    pairs = [(int(i), 11 + h) for h in range(150) for i in rng.choice(8, 3, replace=False)]
    pairs += [(11 + h, 8 + h % 3) for h in range(150)] + [(0, 8), (1, 9)]
    return made(layers, pairs, rng.normal(0, 0.3, len(pairs)).tolist())


def disconnected(rng: np.random.Generator) -> Genome:
    """Hidden neurons that reach no output (14, 15), one that no input reaches (13), an output without connections."""
    layers = [0] * 8 + [4] * 3 + [1, 2, 1, 2, 3]
    pairs = [(0, 11), (1, 11), (11, 12), (2, 12), (12, 8), (13, 9), (3, 14), (11, 14), (14, 15), (4, 15)]
    return made(layers, pairs, rng.normal(0, 0.5, len(pairs)).tolist())


def chunk_of_all_kinds() -> list[Genome]:
    rng = np.random.default_rng(7)
    sizes = ((0.5, 40), (1.0, 150), (0.05, 20))
    genomes = [evolved(i, 8, 3, p, m, with_weights=True) for i, (p, m) in enumerate(sizes)]
    genomes += [evolved(i + 10, 8, 3, p, m, with_weights=True, use_bias=True) for i, (p, m) in enumerate(sizes)]
    assert len(genomes) == DEEP
    return [*genomes, deep(rng), wide(rng), disconnected(rng), made([0] * 8 + [1] * 3, [], [])]


def data(n: int, num_inputs: int = 8, num_outputs: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images that the labels can be learned from, a third of the pixels zero."""
    rng = np.random.default_rng(seed)
    images = np.maximum(rng.random((n, num_inputs), dtype=np.float32) - np.float32(0.3), 0)
    labels = (images @ rng.normal(size=(num_inputs, num_outputs))).argmax(1)
    return images, labels


def orders(num_epochs: int, n: int) -> np.ndarray:
    return training.draw_order(num_epochs, n, np.random.default_rng(1))


def draws(genomes: Sequence[Genome], rule: str) -> list[Draws]:
    return [training.draw(g, rule, np.random.default_rng(i)) for i, g in enumerate(genomes)]


def weights_of(genome: Genome) -> np.ndarray:
    assert genome.weights is not None
    return genome.weights


def same_bits(a: training.Training, b: training.Training) -> bool:
    pairs = ((a.weights, b.weights), (a.losses, b.losses), (a.accuracies, b.accuracies))
    return all(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in pairs)


# ---- against torch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_optimizer_agrees_with_torch_after_twenty_steps(rule: str, optimizer: str) -> None:
    genomes = chunk_of_all_kinds()
    n, batch_size = 1000, 96  # neither is a multiple of the block, and 40 images are left out
    images, labels = data(n)
    lr = {"sgd": 0.1, "adam": 0.01, "adadelta": 1.0}[optimizer]
    options: dict[str, Any] = {
        "learning_rule": rule,
        "optimizer": optimizer,
        "lr": lr,
        "lr_hebbian": 0.05,
        # With the defaults both rules have differences of numbers so near to each other that rounding shows in them,
        # and adam, which divides by the size of a gradient, makes as much of that as of a large one.
        "pepita_scale": 0.3,
        "predictive_rate": 0.3,
        "predictive_steps": 6,  # torch takes a pass forward and one back for each
        "num_epochs": 2,
        "batch_size": batch_size,
    }
    order, back = orders(2, n), draws(genomes, rule)
    fast = train_population(genomes, images, labels, order=order, draws=back, **options)
    for genome, own, result in zip(genomes, back, fast, strict=True):
        reference = training.train(genome, images, labels, order=order, draws=own, **options)
        if rule == "sign_symmetry" and optimizer == "adam" and genome is genomes[DEEP]:
            # Its hidden neurons reach all outputs by weights of one sign, so that their error is m times the sum of
            # the softmax's errors, which is 0: both twins have nothing but rounding, and adam divides it by its size.
            continue
        np.testing.assert_allclose(result.weights, reference.weights, rtol=0, atol=1e-4)
        np.testing.assert_allclose(result.losses, reference.losses, rtol=0, atol=1e-3)
        # An output within rounding of another may be the larger one in only one of the two.
        np.testing.assert_allclose(result.accuracies, reference.accuracies, rtol=0, atol=1.5 / batch_size)
        assert result.losses.shape == (2, 10)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4),
    num_inputs=st.integers(1, 8),
    num_outputs=st.integers(1, 5),
    p_initial=st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]),
    mutations=st.integers(0, 80),
    batch_size=st.integers(1, 70),
    rule=st.sampled_from(RULES),
    optimizer=st.sampled_from(OPTIMIZER_NAMES),
)
def test_random_genomes_agree_with_torch(
    seeds: list[int],
    num_inputs: int,
    num_outputs: int,
    p_initial: float,
    mutations: int,
    batch_size: int,
    rule: str,
    optimizer: str,
) -> None:
    shape = (num_inputs, num_outputs, p_initial, mutations)
    genomes = [evolved(s, *shape, with_weights=True, use_bias=i % 2 == 1) for i, s in enumerate(seeds)]
    n = 4 * batch_size
    images, labels = data(n, num_inputs, num_outputs, seeds[0])
    options: dict[str, Any] = {
        "learning_rule": rule,
        "optimizer": optimizer,
        "lr": 0.01,
        "num_epochs": 1,
        "batch_size": batch_size,
    }
    order, back = orders(1, n), draws(genomes, rule)
    fast = train_population(genomes, images, labels, order=order, draws=back, **options)
    for genome, own, result in zip(genomes, back, fast, strict=True):
        reference = training.train(genome, images, labels, order=order, draws=own, **options)
        np.testing.assert_allclose(result.weights, reference.weights, rtol=0, atol=1e-4)
        np.testing.assert_allclose(result.losses, reference.losses, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_every_activation_agrees_with_torch(name: str, rule: str) -> None:
    """Hidden and output neurons of imported networks may have any activation."""
    rng = np.random.default_rng(3)
    activation = ACTIVATION_NAMES.index(name)
    images, labels = data(40)
    images[:5] = 0  # the corners of relu and abs
    genomes = []
    for genome in (disconnected(rng), evolved(1, 8, 3, 0.6, 40, with_weights=True, use_bias=True)):
        genomes.append(replace(genome, activations=np.where(genome.activations == RELU, activation, 0).astype(np.int8)))
        activations = genome.activations.copy()
        activations[genome.num_inputs :] = rng.integers(0, 10, genome.num_neurons - genome.num_inputs)
        activations[genome.num_inputs] = activation  # an output
        genomes.append(replace(genome, activations=activations))
    options: dict[str, Any] = {"learning_rule": rule, "optimizer": "sgd", "lr": 0.1, "num_epochs": 1, "batch_size": 20}
    order, back = orders(1, 40), draws(genomes, rule)
    fast = train_population(genomes, images, labels, order=order, draws=back, **options)
    for genome, own, result in zip(genomes, back, fast, strict=True):
        reference = training.train(genome, images, labels, order=order, draws=own, **options)
        np.testing.assert_allclose(result.weights, reference.weights, rtol=0, atol=1e-5)
        np.testing.assert_allclose(result.losses, reference.losses, rtol=1e-5)


def test_outputs_agree_with_the_torch_forward_pass() -> None:
    """The losses of one image under every label are its log softmax."""
    images, _ = data(5)
    genomes = chunk_of_all_kinds()
    losses = [[evaluate(genomes, images[i : i + 1], np.array([o]), 1) for o in range(3)] for i in range(5)]
    for k, genome in enumerate(genomes):
        expected = torch.log_softmax(torch.from_numpy(training.forward(genome, images)), dim=1).numpy()
        found = [[-losses[i][o][k][0] for o in range(3)] for i in range(5)]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 64, 100, 1000])
def test_losses_and_accuracies_of_a_test_agree_with_torch(batch_size: int) -> None:
    images, labels = data(105)
    genomes = chunk_of_all_kinds()
    for genome, (loss, accuracy) in zip(genomes, evaluate(genomes, images, labels, batch_size), strict=True):
        expected = training.test(genome, images, labels, batch_size)
        assert loss == pytest.approx(expected[0], rel=1e-5)
        assert accuracy == pytest.approx(expected[1], abs=1.5 / 105)


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_optimizers_follow_torch_for_two_thousand_steps(optimizer: str) -> None:
    """Gradients that stay 0 among them, where moments shrink to what the kernel sets to 0."""
    rng = np.random.default_rng(5)
    gradients = rng.normal(size=(2000, 20)).astype(np.float32) * np.float32(10.0) ** rng.integers(-12, 2, 20)
    gradients[3:, :5] = 0
    gradients[::2, 5:8] = 0
    weights = rng.normal(size=20).astype(np.float32)
    parameter = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    reference = training.OPTIMIZERS[optimizer]([parameter], lr=0.01)
    moments = np.zeros((2, 20), np.float32)
    code = OPTIMIZER_NAMES.index(optimizer)
    for step, gradient in enumerate(gradients.astype(np.float32), start=1):
        parameter.grad = torch.from_numpy(gradient)
        reference.step()
        passes.optimize(code, 0.01, step, weights, gradient, moments[0], moments[1])
    np.testing.assert_allclose(weights, parameter.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert not ((moments != 0) & (np.abs(moments) < np.finfo(np.float32).tiny)).any()


# ---- by hand -------------------------------------------------------------------------------------------------------


def one_step(genome: Genome, images: Any, labels: Any, rule: str, optimizer: str, feedback: Any = None) -> Any:
    images, labels = np.array(images, np.float32), np.array(labels)
    feedback = None if feedback is None else np.array(feedback, np.float32)
    (result,) = train_population(
        [genome],
        images,
        labels,
        learning_rule=rule,
        optimizer=optimizer,
        lr=0.1,
        num_epochs=1,
        batch_size=len(images),
        order=np.arange(len(images))[None],
        feedbacks=[feedback],
    )
    return result


@pytest.mark.parametrize(
    ("optimizer", "change"),
    [
        ("sgd", -0.1 * 0.25),
        ("adam", -0.1),  # its first step is lr in the gradient's direction
        ("adadelta", -0.1 * 0.25 * np.sqrt(1e-6 / (0.1 * 0.25**2 + 1e-6))),
    ],
)
def test_one_connection_by_hand(optimizer: str, change: float) -> None:
    """Inputs 1 and 2 reach the first output by weight 0: both have p = 1/2, one is right, and
    dL/dw = ((1/2 - 1) * 1 + (1/2 - 0) * 2) / 2 = 1/4."""
    genome = made([0, 1, 1], [(0, 1)], [0.0])
    result = one_step(genome, [[1], [2]], [0, 1], "backprop", optimizer)
    np.testing.assert_allclose(result.weights, [change], rtol=1e-5)
    np.testing.assert_allclose(result.losses, [[np.log(2)]], rtol=1e-6)
    assert result.accuracies == [[0.5]]


def test_one_hidden_neuron_by_hand() -> None:
    """Input 0 -> hidden 3 by 0.5 -> output 1 by 2, for inputs 1 and -1, both of the first class.

    The hidden neuron is 0.5, then 0 (relu); the logits 1 and 0, then 0 and 0; so e = (p - 1) / 2, the first output's
    error, is -1 / (2 (1 + e)) and -1/4. The second image changes nothing.
    """
    genome = made([0, 2, 2, 1], [(0, 3), (3, 1)], [0.5, 2.0])
    e = -1 / (2 * (1 + np.e))
    images, labels = [[1], [-1]], [0, 0]
    changed = {
        "backprop": (None, [0.5 - 0.1 * e * 2, 2 - 0.1 * e * 0.5]),
        "feedback_alignment": ([7.0, -3.0], [0.5 - 0.1 * e * -3, 2 - 0.1 * e * 0.5]),
        # the second output's error is minus the first's
        "direct_feedback_alignment": ([[5.0, 1.0]], [0.5 - 0.1 * e * (5 - 1), 2 - 0.1 * e * 0.5]),
        # <post pre> = 0.5 * 1 / 2, <post^2> = 0.5^2 / 2
        "hebbian": (None, [0.5 + 0.1 * (0.25 - 0.125 * 0.5), 2 - 0.1 * e * 0.5]),
        "last_layer": (None, [0.5, 2 - 0.1 * e * 0.5]),
    }
    for rule, (feedback, expected) in changed.items():
        result = one_step(genome, images, labels, rule, "sgd", feedback)
        np.testing.assert_allclose(result.weights, expected, rtol=1e-6, err_msg=rule)
        np.testing.assert_allclose(result.losses, [[(np.log(1 + np.exp(-1)) + np.log(2)) / 2]], rtol=1e-6)


def test_bias_is_an_input_of_one() -> None:
    """Only the bias is connected: p = 1/2 at weight 0, so dL/dw = -1/2 for the first class, whatever the image."""
    genome = made([0, 0, 1, 1], [(1, 2)], [0.0], use_bias=True)
    result = one_step(genome, [[17.0]], [0], "backprop", "sgd")
    np.testing.assert_allclose(result.weights, [0.05], rtol=1e-6)


@njit
def _exp_of(x: np.ndarray, y: np.ndarray) -> None:
    for s in range(0, x.shape[1], 16):
        vectors.store(y, 0, s, vectors.exp(vectors.load(x, 0, s)))


def test_exponential_function() -> None:
    x = -np.geomspace(1e-9, 69, 16000, dtype=np.float32)[None]
    y = np.empty_like(x)
    _exp_of(x, y)
    np.testing.assert_allclose(y, np.exp(x.astype(np.float64)), rtol=1.2e-7)
    x = np.array([[0, -70, -1000, -np.inf, np.nan] + [-1.0] * 11], np.float32)
    y = np.empty_like(x)
    _exp_of(x, y)
    np.testing.assert_array_equal(y[0, :5], np.array([1, 0, 0, 0, np.nan], np.float32))


# ---- what must not matter ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_results_do_not_depend_on_the_chunk(rule: str) -> None:
    genomes = chunk_of_all_kinds()
    images, labels = data(400)
    back = draws(genomes, rule)
    options = SETTINGS | {"learning_rule": rule, "order": orders(2, 400), "batch_size": 100}
    together = train_population(genomes, images, labels, draws=back, **options)
    alone = [train_population([g], images, labels, draws=[f], **options)[0] for g, f in zip(genomes, back, strict=True)]
    backwards = train_population(genomes[::-1], images, labels, draws=back[::-1], **options)[::-1]
    for a, b, c in zip(together, alone, backwards, strict=True):
        assert same_bits(a, b)
        assert same_bits(a, c)
    tested = evaluate(genomes, images, labels, 150)
    assert tested == [evaluate([g], images, labels, 150)[0] for g in genomes]


def test_threads_give_the_same_results() -> None:
    genomes = chunk_of_all_kinds()
    images, labels = data(600)
    options = SETTINGS | {"order": orders(2, 600), "batch_size": 60}
    expected = train_population(genomes, images, labels, **options)
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(train_population, genomes, images, labels, **options) for _ in range(8)]
        for run in runs:
            assert all(same_bits(a, b) for a, b in zip(run.result(), expected, strict=True))


def test_the_arithmetic_is_the_same_with_any_vector_width(tmp_path: Any) -> None:
    """Compiled for a processor without AVX and fused multiply-add, in a process of its own."""
    command = [sys.executable, "-c", "from tests import test_learning_compiled as t; print(t.bits_of_the_arithmetic())"]
    environment = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [bits_of_the_arithmetic()]


def bits_of_the_arithmetic() -> str:
    """Of sums, exponentials and optimisers; all else in the kernels moves, compares and rounds single numbers."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1, 640)).astype(np.float32)
    results = [np.array([passes.dot(x, 0, y, 0, 640)]), np.empty_like(x)]
    _exp_of(-np.abs(x), results[1])
    for optimizer in range(len(OPTIMIZER_NAMES)):
        weights, moments = y[0].copy(), np.abs(y[:, 3:] * x[:, 3:])
        passes.optimize(optimizer, 0.01, 3, weights[3:], x[0, 3:], moments[0], moments[0].copy())
        results += [weights, moments]
    return b"".join(array.astype(np.float32).tobytes() for array in results).hex()


def test_other_layouts_and_precisions_of_the_data_set() -> None:
    genomes = [deep(np.random.default_rng(0))]
    images, labels = data(200)
    options = SETTINGS | {"order": orders(2, 200), "batch_size": 50}
    (expected,) = train_population(genomes, images, labels, **options)
    options["order"] = options["order"].astype(np.int32)
    wider: Any = np.asfortranarray(images.astype(np.float64))
    assert same_bits(train_population(genomes, wider, labels.astype(np.uint8), **options)[0], expected)


# ---- what must not change ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
@pytest.mark.parametrize(("rule", "only_outputs"), [("last_layer", False), *((rule, True) for rule in RULES)])
def test_only_the_connections_into_outputs_change(rule: str, only_outputs: bool, optimizer: str) -> None:
    genomes = chunk_of_all_kinds()
    images, labels = data(200)
    options = SETTINGS | {"learning_rule": rule, "optimizer": optimizer, "order": orders(2, 200), "batch_size": 50}
    results = train_population(genomes, images, labels, train_only_outputs=only_outputs, **options)
    for genome, result in zip(genomes, results, strict=True):
        into_hidden = genome.layers[genome.connections[:, 1]] < genome.num_layers - 1
        assert result.weights[into_hidden].tobytes() == weights_of(genome)[into_hidden].tobytes()
    into_outputs = genomes[7].connections[:, 1] < 11
    changed = results[7].weights[into_outputs] != weights_of(genomes[7])[into_outputs]
    assert changed.mean() > 0.5  # the others come from neurons that are always 0


@pytest.mark.parametrize("rule", RULES)
def test_neurons_that_reach_no_output(rule: str) -> None:
    """Connections into hidden neurons 14 and 15 have no gradient; rules that do without one change them.

    In predictive coding their values lag behind what is below, and so they pull on it.
    """
    genome = disconnected(np.random.default_rng(1))
    genome = replace(genome, weights=np.abs(weights_of(genome)))
    images, labels = data(200)
    options = SETTINGS | {"learning_rule": rule, "order": orders(2, 200), "batch_size": 50}
    (result,) = train_population([genome], images, labels, draws=draws([genome], rule), **options)
    useless = genome.connections[:, 1] >= 14
    changed = result.weights[useless] != weights_of(genome)[useless]
    assert changed.any() if rule_class(rule).trains_all and rule != "weight_mirror" else not changed.any()


def test_the_genomes_stay_as_they_are() -> None:
    genomes = chunk_of_all_kinds()
    before = [weights_of(g).copy() for g in genomes]
    images, labels = data(100)
    train_population(genomes, images, labels, order=orders(2, 100), batch_size=50, **SETTINGS)
    assert all(np.array_equal(weights_of(g), w) for g, w in zip(genomes, before, strict=True))


# ---- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("weight", [3e38, -3e38])
def test_a_network_that_overflows_leaves_the_others_alone(weight: float, rule: str) -> None:
    genomes = chunk_of_all_kinds()
    images, labels = data(200)
    back = draws(genomes, rule)
    options = SETTINGS | {"learning_rule": rule, "optimizer": "sgd", "order": orders(2, 200), "batch_size": 50}
    expected = train_population(genomes, images, labels, draws=back, **options)
    for place in (1, 6, 7):
        weights = weights_of(genomes[place]).copy()
        weights[:] = np.where(np.arange(len(weights)) % 2, abs(weight), weight)
        broken = [*genomes[:place], replace(genomes[place], weights=weights), *genomes[place + 1 :]]
        results = train_population(broken, images, labels, draws=back, **options)
        assert not np.isfinite(results[place].losses).all()
        for k in set(range(len(genomes))) - {place}:
            assert same_bits(results[k], expected[k])
        losses = [loss for loss, _ in evaluate(broken, images, labels, 64)]
        assert [np.isfinite(loss) for loss in losses] == [k != place for k in range(len(genomes))]


def test_relu_does_not_hide_what_is_not_a_number() -> None:
    """Two hidden neurons overflow; a third is their difference."""
    connections = [(0, 3), (0, 4), (3, 5), (4, 5), (5, 1)]
    genome = made([0, 3, 3, 1, 1, 2], connections, [3e38, 3e38, 1, -1, 1])
    images, labels = np.full((4, 1), 2, np.float32), np.zeros(4, np.int64)
    assert np.isnan(training.test(genome, images, labels, 4)[0])
    assert np.isnan(evaluate([genome], images, labels, 4)[0][0])


def test_arguments_that_cannot_be() -> None:
    genome = deep(np.random.default_rng(0))
    images, labels = data(100)
    good = SETTINGS | {"order": orders(2, 100), "batch_size": 50}

    def error(genomes: Any = (genome,), images: Any = images, labels: Any = labels, **more: Any) -> str:
        with pytest.raises(ValueError) as info:
            train_population(genomes, images, labels, **(good | more))
        return f"{info.type.__name__}: {info.value}"

    assert error(learning_rule="hebb").startswith("InputError: unknown learning_rule 'hebb'")
    assert error(optimizer="lion") == "InputError: unknown optimizer 'lion'; known are sgd, adam, adadelta"
    assert error(batch_size=101).startswith("InputError: batch_size is 101")
    assert error(order=orders(3, 100)) == "ValueError: an order of shape (3, 100) for 2 epochs"
    assert error(order=orders(2, 101)) == "ValueError: an order with images 0..100 of 100"
    assert error(order=orders(2, 100) - 1) == "ValueError: an order with images -1..98 of 100"
    assert error(images=images[:, :7]) == "ValueError: images of shape (100, 7); it takes (n, 8)"
    assert error(labels=labels[1:]) == "ValueError: labels of shape (99,) for images of shape (100, 8)"
    assert error(labels=np.full(100, 3)) == "ValueError: labels 3..3 for 3 outputs"
    assert error(learning_rule="feedback_alignment").startswith("ValueError: FeedbackAlignment needs")
    shapes = {"learning_rule": "feedback_alignment", "feedbacks": [np.zeros(3, np.float32)]}
    assert error(**shapes).endswith("needs feedback of shape (38,); its shape is (3,)")
    with pytest.raises(ValueError, match="labels -1"):
        evaluate([genome], images, labels - 1, 10)
    assert isinstance(InputError("x"), ValueError)


def test_no_networks_have_no_results() -> None:
    images, labels = data(100)
    assert train_population([], images, labels, order=orders(2, 100), batch_size=50, **SETTINGS) == []
    assert evaluate([], images, labels, 50) == []


def test_what_the_kernels_support() -> None:
    genome = deep(np.random.default_rng(0))
    assert all(compiled.supports(genome, rule, optimizer) for rule in RULES for optimizer in OPTIMIZER_NAMES)
    assert not compiled.supports(replace(genome, weights=None), "backprop", "adam")
    assert not compiled.supports(genome, "a rule of one's own", "adam")
    assert not compiled.supports(genome, "backprop", "lion")
