"""Fitness by training: what is averaged, what depends on what, and what overflows."""

import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from genomes import evolved

import learning.task
import networks.devices
from evolution.errors import InputError, RunError
from evolution.genome import Genome
from evolution.workers import Workers
from learning import LEARNING_RULES, training
from learning.settings import TrainingSettings
from learning.task import EVALUATION_PERIODS, LearningTask, _is_finite
from learning.training import Training, draw, draw_feedback, draw_order, to_tensor

EVALUATORS = ["reference", "compiled"]


def data(num_train=130, num_test=45, num_inputs=6, num_classes=3):
    """Noisy copies of one pattern per class."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(num_classes, num_inputs)) * 2
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_train + num_test - num_classes)])
    images = (patterns[labels] + rng.normal(size=(len(labels), num_inputs))).astype(np.float32)
    return images[:num_train], labels[:num_train], images[num_train:], labels[num_train:]


def task(dataset=None, **changes):
    options = {
        "learning_rule": "backprop",
        "optimizer": "adam",
        "lr": 0.01,
        "num_epochs": 2,
        "num_epochs_long": 3,
        "batch_size": 20,
        "batch_size_eval": 32,
        "evaluation_period": "last_epoch",
        "train_only_outputs": False,
        "workers": Workers(1),
        "evaluator": "reference",
    }
    options |= changes
    names = ("num_epochs_long", "batch_size_eval", "evaluation_period", "workers", "evaluator", "use_cuda")
    others = {name: options[name] for name in names if name in options}
    return LearningTask(data() if dataset is None else dataset, TrainingSettings.of(options), **others)


def population(size=7, use_bias=False):
    """Shallow, deep, and one without connections at the end."""
    genomes = [
        evolved(i, 6, 3, 0.6, 6 * i, with_weights=True, use_bias=use_bias and i % 2 == 1) for i in range(size - 1)
    ]
    return [*genomes, Genome.initial(6, 3, 0.0, np.random.default_rng(0), with_weights=True)]


def same(a, b):
    assert a.values.keys() == b.values.keys()
    for name in a.values:
        np.testing.assert_array_equal(a.values[name], b.values[name])
    assert a.trained == b.trained


# ---- what is averaged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("last_epoch", sum(range(100, 112)) / 12),
        ("last_batch", 111),
        ("last_ten_batches", sum(range(102, 112)) / 10),
        ("first_ten_batches", sum(range(10)) / 10),
        ("integral", (sum(range(12)) + sum(range(100, 112))) / 24),
    ],
)
def test_evaluation_periods(period, expected):
    batches = np.stack([np.arange(12), np.arange(100, 112)])
    assert EVALUATION_PERIODS[period](batches).mean() == expected


@pytest.mark.parametrize(("period", "expected"), [("last_ten_batches", 11), ("first_ten_batches", 1)])
def test_evaluation_periods_of_an_epoch_of_fewer_than_ten_batches(period, expected):
    assert EVALUATION_PERIODS[period](np.array([[0, 1, 2], [10, 11, 12]])).mean() == expected


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("period", EVALUATION_PERIODS)
def test_reward_and_accuracy_are_means_over_the_period(evaluator, period, monkeypatch):
    losses = np.stack([np.arange(12), np.arange(100, 112)]).astype(np.float32)
    fixed = training.Training(np.ones((3, 18), np.float32), losses, losses / 200)
    made = task(
        evaluation_period=period, evaluator=evaluator
    )  # compares kernel and reference, so before they are fakes
    if evaluator == "reference":
        monkeypatch.setattr(learning.task, "train", lambda *_, **__: fixed)
    else:
        monkeypatch.setattr("learning.compiled.train_population", lambda genomes, *_, **__: [fixed] * len(genomes))
    genome = Genome.initial(6, 3, 1.0, np.random.default_rng(0), with_weights=True)
    fitness = made.evaluate([genome], np.random.default_rng(0))
    mean = EVALUATION_PERIODS[period](losses.astype(np.float64)).mean()
    assert fitness.of(0) == {"reward": -mean, "acc": pytest.approx(mean / 200)}
    assert fitness.objectives == ("reward", "reward")
    np.testing.assert_array_equal(fitness.trained[0].weights, fixed.weights)


@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_evaluate_trains_each_network_on_the_same_batches_with_its_own_feedback(rule):
    genomes, (images, labels, *_) = population(use_bias=True), data()
    fitness = task(learning_rule=rule).evaluate(genomes, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    order = draw_order(2, len(images), rng)
    for i, (genome, own) in enumerate(zip(genomes, rng.spawn(len(genomes)), strict=True)):
        draws = draw(genome, rule, own)
        expected = training.train(
            genome, images, labels, learning_rule=rule, num_epochs=2, batch_size=20, order=order, draws=draws
        )
        np.testing.assert_array_equal(fitness.trained[i].weights, expected.weights)
        assert fitness.values["reward"][i] == pytest.approx(-expected.losses[-1].mean(), rel=1e-6)
        assert fitness.values["acc"][i] == pytest.approx(expected.accuracies[-1].mean(), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adadelta"])
@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_compiled_and_reference_evaluators_agree(rule, optimizer):
    genomes = population(use_bias=True)
    results = [
        task(learning_rule=rule, optimizer=optimizer, evaluator=e).evaluate(genomes, np.random.default_rng(5))
        for e in EVALUATORS
    ]
    np.testing.assert_allclose(results[0].reward, results[1].reward, rtol=1e-3)
    np.testing.assert_allclose(results[0].values["acc"], results[1].values["acc"], atol=0.02)
    for one, other in zip(results[0].trained, results[1].trained, strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=2e-3)
    untrained = [task(evaluator=e).evaluate_untrained(genomes, np.random.default_rng(0)) for e in EVALUATORS]
    np.testing.assert_allclose(untrained[0].reward, untrained[1].reward, rtol=1e-5)


def test_train_only_outputs_is_last_layer_whatever_the_rule():
    genomes = population()
    expected = task(learning_rule="last_layer").evaluate(genomes, np.random.default_rng(1))
    for rule in LEARNING_RULES:
        found = task(learning_rule=rule, train_only_outputs=True).evaluate(genomes, np.random.default_rng(1))
        same(found, expected)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_untrained_networks_are_evaluated_on_all_training_images(evaluator):
    genomes, (images, labels, *_) = population(), data()
    fitness = task(evaluator=evaluator).evaluate_untrained(genomes, np.random.default_rng(0))
    assert fitness.trained is None
    for i, genome in enumerate(genomes):
        loss, accuracy = training.test(genome, images, labels, 130)
        assert fitness.of(i) == {"reward": pytest.approx(-loss, rel=1e-5), "acc": pytest.approx(accuracy)}
    assert fitness.reward[-1] == pytest.approx(-np.log(3), rel=1e-6)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_champion_is_trained_afresh_and_tested_on_the_whole_test_set(evaluator):
    genome, (images, labels, test_images, test_labels) = population()[4], data()
    one = task(learning_rule="feedback_alignment", evaluator=evaluator)
    assert one.confirm(genome, np.random.default_rng(7)) == {}
    found = one.test(genome, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    order = draw_order(3, len(images), rng)
    feedback = draw_feedback(genome, "feedback_alignment", rng.spawn(1)[0])
    rule = {"learning_rule": "feedback_alignment", "order": order, "feedback": feedback}
    trained = training.train(genome, images, labels, num_epochs=3, batch_size=20, **rule)
    loss, accuracy = training.test(replace(genome, weights=trained.weights), test_images, test_labels, 45)
    assert {"learning/angle", "learning/dead_neurons", "learning/dimension"} < set(found)
    assert {name: value for name, value in found.items() if "/" not in name} == {
        "long_training_reward": pytest.approx(-trained.losses[-1].mean(), rel=1e-4),
        "long_training_acc": pytest.approx(trained.accuracies[-1].mean(), abs=0.01),
        "test_reward": pytest.approx(-loss, rel=1e-4),
        "test_acc": pytest.approx(accuracy, abs=0.03),
    }


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_learning_curve_is_a_test_after_each_epoch(evaluator):
    genomes, (images, labels, test_images, test_labels) = population()[:3], data()
    one = task(learning_rule="feedback_alignment", evaluator=evaluator)
    losses, accuracies = one.learning_curves(genomes, np.random.default_rng(7))
    assert losses.shape == accuracies.shape == (3, 4)
    rng = np.random.default_rng(7)
    order = draw_order(3, len(images), rng)
    for genome, child, loss, accuracy in zip(genomes, rng.spawn(3), losses, accuracies, strict=True):
        feedback = draw_feedback(genome, "feedback_alignment", child)
        for epochs in range(4):
            rule = {"learning_rule": "feedback_alignment", "order": order[:epochs], "feedback": feedback}
            weights = genome.weights
            if epochs:
                weights = training.train(genome, images, labels, num_epochs=epochs, batch_size=20, **rule).weights
            expected = training.test(replace(genome, weights=weights), test_images, test_labels, 45)
            assert (loss[epochs], accuracy[epochs]) == (
                pytest.approx(expected[0], rel=1e-4),
                pytest.approx(expected[1], abs=0.03),
            )


# ---- what depends on what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_workers_do_not_change_a_bit(evaluator):
    """The rule has random feedback of each network's own; one pool are processes, one are threads."""
    genomes = population(use_bias=True)
    pools = Workers(1), Workers(2), Workers(4, "threading")
    tasks = [task(workers=pool, learning_rule="feedback_alignment", evaluator=evaluator) for pool in pools]
    one, two, four = (t.evaluate(genomes, np.random.default_rng(3)) for t in tasks)
    same(one, two)
    same(one, four)
    for t in tasks:
        t.close()


@pytest.mark.parametrize("rule", ["weight_mirror", "node_perturbation", "reward_modulated", "sign_symmetry_batch"])
def test_workers_do_not_change_a_bit_of_rules_with_noise(rule):
    """Noise is a function of a network's own seed, not of who draws it or when."""
    genomes = population(use_bias=True)
    pools = Workers(1), Workers(2, "threading"), Workers(4, "threading")
    tasks = [task(workers=pool, learning_rule=rule, evaluator="compiled") for pool in pools]
    one, two, four = (t.evaluate(genomes, np.random.default_rng(3)) for t in tasks)
    same(one, two)
    same(one, four)
    assert not np.array_equal(one.trained[2].weights, genomes[2].weights)
    for t in tasks:
        t.close()


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_network_learns_as_it_would_alone(evaluator):
    genomes = population()
    together = task(evaluator=evaluator).evaluate(genomes, np.random.default_rng(3))
    for i in (0, 3):
        alone = task(evaluator=evaluator).evaluate([genomes[i]], np.random.default_rng(3))
        assert alone.reward[0] == together.reward[i]
        np.testing.assert_array_equal(alone.trained[0].weights, together.trained[i].weights)


def test_workers_share_the_data_set():
    images = np.zeros((10, 4), np.float32)
    images.flags.writeable = False  # as joblib maps it into worker processes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_tensor(images, "cpu").data_ptr() == images.ctypes.data


# ---- overflow ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_a_network_that_overflows_is_ranked_last_and_others_go_on(evaluator, rule):
    genomes = population(size=4)
    huge = task(learning_rule=rule, optimizer="sgd", lr=1e38, num_epochs=3, evaluator=evaluator)
    fitness = huge.evaluate(genomes, np.random.default_rng(0))
    assert (fitness.reward[:3] == -np.inf).all()
    assert np.isnan(fitness.values["acc"][:3]).all()
    assert fitness.reward[3] == pytest.approx(-np.log(3), rel=1e-6)
    for genome, weights in zip(genomes, [g.weights for g in fitness.trained], strict=True):
        np.testing.assert_array_equal(weights, genome.weights)  # nothing that is not finite is inherited
    assert not np.isfinite(huge.test(genomes[0], np.random.default_rng(0))["test_reward"])


@pytest.mark.parametrize("period", ["first_ten_batches", "last_batch"])
def test_an_overflow_outside_the_period_counts_too(period, monkeypatch):
    losses = np.zeros((2, 12), np.float32)
    weights = np.zeros(18, np.float32)
    genome = Genome.initial(6, 3, 1.0, np.random.default_rng(0), with_weights=True)
    one = task(evaluation_period=period)
    for spoilt in (losses[1:, 3:4], weights[5:6]):
        monkeypatch.setattr(learning.task, "train", lambda *_, **__: training.Training(weights[None], losses, losses))
        assert one.evaluate([genome], np.random.default_rng(0)).reward[0] == 0
        spoilt[:] = np.inf
        assert one.evaluate([genome], np.random.default_rng(0)).reward[0] == -np.inf
        spoilt[:] = 0


# ---- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rule": "hebb"}, "unknown learning_rule 'hebb'; known are backprop"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'; known are sgd, adam, adadelta"),
        ({"evaluation_period": "epoch"}, "unknown evaluation_period 'epoch'; known are last_epoch"),
        ({"evaluator": "fast"}, "unknown evaluator 'fast'; known are auto, reference, compiled"),
        ({"batch_size": 131}, "batch_size is 131; there are 130 training images"),
        ({"evaluator": "compiled", "use_cuda": True}, "compiled runs on the CPU"),
    ],
)
def test_settings_that_cannot_be_are_input_errors(changes, message):
    with pytest.raises(InputError, match=message):
        task(**changes)


def test_sizes_come_from_the_data():
    assert (task().num_inputs, task().num_outputs) == (6, 3)


def test_the_kernels_are_taken_where_there_are_some():
    assert task(evaluator="auto").evaluator_name == "compiled kernels on the CPU"
    assert task(evaluator="reference").evaluator_name == "torch on the CPU"


def test_a_rule_without_a_kernel_runs_with_torch(monkeypatch):
    monkeypatch.setattr("learning.compiled.supports", lambda *_: False)
    assert task(evaluator="auto").evaluator_name == "torch on the CPU"
    same(
        task(evaluator="auto").evaluate(population(), np.random.default_rng(0)),
        task(evaluator="reference").evaluate(population(), np.random.default_rng(0)),
    )
    with pytest.raises(InputError, match="no kernel for backprop with adam"):
        task(evaluator="compiled")


def test_each_network_takes_the_way_that_covers_it(monkeypatch):
    from learning import compiled

    genomes = population()
    expected = {e: task(evaluator=e).evaluate(genomes, np.random.default_rng(0)) for e in EVALUATORS}
    auto, strict = task(evaluator="auto"), task(evaluator="compiled")
    supports = compiled.supports
    monkeypatch.setattr(
        compiled, "supports", lambda genome, *rest: genome is not genomes[2] and supports(genome, *rest)
    )
    found = auto.evaluate(genomes, np.random.default_rng(0))
    for i in range(len(genomes)):
        other = expected["reference" if i == 2 else "compiled"]
        np.testing.assert_array_equal(found.trained[i].weights, other.trained[i].weights)
        assert found.of(i) == other.of(i)
    with pytest.raises(InputError, match="no kernel covers network 2"):
        strict.evaluate(genomes, np.random.default_rng(0))


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_weight_agnostic_networks_cannot_learn(evaluator):
    genomes = [evolved(0, 6, 3)]
    with pytest.raises(InputError, match=r"weight agnostic|no kernel"):
        task(evaluator=evaluator).evaluate(genomes, np.random.default_rng(0))


# ---- GPUs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def gpus(monkeypatch):
    """Bytes free on three GPUs that are not there; what is appended to `later` comes after each second of waiting."""
    free, later = [3, 7, 5], []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device], 10))
    clock = [0.0]

    def sleep(seconds):
        clock[0] += seconds
        if later:
            free[:] = later.pop(0)

    monkeypatch.setattr(networks.devices.time, "sleep", sleep)
    monkeypatch.setattr(networks.devices.time, "monotonic", lambda: clock[0])
    networks.devices.freest_gpu.cache_clear()
    yield free, later
    networks.devices.freest_gpu.cache_clear()


def test_a_process_takes_the_gpu_with_most_free_memory_once(gpus):
    free, _ = gpus
    assert networks.devices.freest_gpu(6) == torch.device("cuda", 1)
    free[:] = [9, 0, 0]
    assert networks.devices.freest_gpu(6) == torch.device("cuda", 1)


def test_a_process_waits_for_memory_and_gives_up_in_the_end(gpus):
    _, later = gpus
    later += [[4, 4, 4], [4, 4, 8]]
    assert networks.devices.freest_gpu(8) == torch.device("cuda", 2)
    with pytest.raises(RunError, match="fewer num_workers"):
        networks.devices.freest_gpu(9)


def test_use_cuda_computes_on_the_gpu_that_was_chosen(gpus, monkeypatch):
    seen = []
    monkeypatch.setattr(learning.task, "freest_gpu", lambda needed: seen.append(needed) or torch.device("cpu"))
    one = task(evaluator="auto", use_cuda=True)
    assert one.evaluator_name == "torch on the GPU"
    same(
        one.evaluate(population(), np.random.default_rng(0)),
        task(evaluator="reference").evaluate(population(), np.random.default_rng(0)),
    )
    assert seen == [130 * 6 * 4 + learning.task.GPU_MEMORY]


def test_a_full_gpu_ends_the_run_in_one_line(monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")

    monkeypatch.setattr(learning.task, "train", full)
    with pytest.raises(RunError, match="memory of cpu is full"):
        task().evaluate(population(), np.random.default_rng(0))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_use_cuda_warns_once_and_computes_on_the_cpu(caplog):
    with caplog.at_level(logging.WARNING):
        one = task(evaluator="auto", use_cuda=True)
        fitness = one.evaluate(population(), np.random.default_rng(0))
        one.test(population()[0], np.random.default_rng(0))
    assert [record.getMessage() for record in caplog.records] == ["use_cuda: torch finds no GPU, so the CPU computes"]
    assert one.evaluator_name == "compiled kernels on the CPU"
    same(fitness, task(evaluator="auto").evaluate(population(), np.random.default_rng(0)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_on_a_gpu_training_comes_to_the_same(rule):
    genomes = population(use_bias=True)
    on_cpu, on_gpu = (
        task(learning_rule=rule, use_cuda=use_cuda).evaluate(genomes, np.random.default_rng(0))
        for use_cuda in (False, True)
    )
    np.testing.assert_allclose(on_cpu.reward, on_gpu.reward, rtol=1e-3)
    for one, other in zip(on_cpu.trained, on_gpu.trained, strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=2e-3)


@pytest.mark.parametrize(("loss", "weight", "finite"), [(1, 1, True), (np.nan, 1, False), (1, np.inf, False)])
def test_weights_may_overflow_where_no_loss_has_seen_it_yet(loss, weight, finite):
    """The last step of the optimiser is behind the last loss."""
    row = np.full((1, 1), loss, np.float32)
    assert _is_finite(Training(np.full((2, 3), weight, np.float32), row, row, None)) is finite
