"""Each learning rule against its equation in plain 64-bit numpy, neuron by neuron, and against what theory says."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from genomes import evolved

from envs.datasets import Dataset
from evolution import checkpoint
from evolution.genome import ACTIVATION_NAMES, Genome
from learning import LEARNING_RULES, noise, session, training
from learning.compiled import train_population
from learning.rules import Draws
from learning.session import SessionSettings, SessionState
from learning.settings import TrainingSettings
from learning.training import connection_gradients

Array = Any
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {  # f and f'
    "linear": (lambda a: a, np.ones_like),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0) * 1.0),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
}


# ---- the equations -------------------------------------------------------------------------------------------------


@dataclass
class Written:
    """A network in 64 bits that learns from batch after batch, every rule being a method by its name.

    a: sums, y: activities, d: errors of the sums, all (B, N) by neuron; e (B, O): softmax - one-hot.
    """

    genome: Genome
    settings: TrainingSettings
    draws: Draws
    step: int = 0
    usual: float = 0.0
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        g = self.genome
        self.w = g.weights.astype(float)
        self.b = None if self.draws.feedback is None else self.draws.feedback.astype(float)
        self.pre, self.post = g.connections.T
        self.outputs = np.arange(g.num_inputs, g.num_inputs + g.num_outputs)
        self.hidden = np.arange(g.num_inputs + g.num_outputs, g.num_neurons)
        self.hidden = self.hidden[np.argsort(g.layers[self.hidden], kind="stable")]
        self.names = [ACTIVATION_NAMES[i] for i in g.activations]
        self.into_outputs = np.isin(self.post, self.outputs)

    def learn(self, x: Array, labels: Array) -> None:
        self.x, self.labels, self.B = x.astype(float), labels, len(x)
        self.a, self.y = self.passed(self.x)
        self.e, losses = self.error(self.y)
        self.losses.append(losses.mean())
        getattr(self, self.settings.learning_rule)()
        self.step += 1

    def sums(self, j: int, y: Array) -> Array:
        into = self.post == j
        return y[:, self.pre[into]] @ self.w[into]

    def f(self, j: int, a: Array) -> Array:
        return FUNCTIONS[self.names[j]][0](a)

    def slope(self, j: int, a: Array) -> Array:
        return FUNCTIONS[self.names[j]][1](a)

    def passed(self, x: Array, shaken: Array = 0.0) -> tuple[Array, Array]:
        a = np.zeros((len(x), self.genome.num_neurons))
        y = a.copy()
        y[:, : x.shape[1]] = x
        y[:, x.shape[1] : self.genome.num_inputs] = 1  # the bias
        shaken = a + shaken
        for j in (*self.hidden, *self.outputs):
            a[:, j] = self.sums(j, y)
            y[:, j] = self.f(j, a[:, j] + shaken[:, j])
        return a, y

    def error(self, y: Array) -> tuple[Array, Array]:
        p = np.exp(y[:, self.outputs])
        p /= p.sum(1, keepdims=True)
        return p - np.eye(p.shape[1])[self.labels], -np.log(p[np.arange(self.B), self.labels])

    def output_errors(self, a: Array, e: Array) -> Array:
        d = np.zeros_like(a)
        for o, j in enumerate(self.outputs):
            d[:, j] = e[:, o] * self.slope(j, a[:, j])
        return d

    def come_back(self, b: Array) -> Array:
        """d_i = f'(a_i) sum over i -> j of b_ij d_j."""
        d = self.output_errors(self.a, self.e)
        for i in self.hidden[::-1]:
            leave = self.pre == i
            d[:, i] = self.slope(i, self.a[:, i]) * (d[:, self.post[leave]] @ b[leave])
        return d

    def come_directly(self, signal: Array, b: Array) -> Array:
        d = self.output_errors(self.a, self.e)
        for h in self.hidden:
            d[:, h] = self.slope(h, self.a[:, h]) * (signal @ b[h - self.outputs[-1] - 1])
        return d

    def averages(self, y: Array, d: Array) -> Array:
        return (y[:, self.pre] * d[:, self.post]).mean(0)

    def descend(self, d: Array, y: Array | None = None) -> None:
        self.w = self.w - self.settings.lr * self.averages(self.y if y is None else y, d)

    def drawn(self) -> Array:
        xi = np.zeros((self.B, self.genome.num_neurons))
        count = len(self.hidden)
        xi[:, self.outputs[-1] + 1 :] = noise.rows(self.draws.seed, self.step, np.arange(count), self.B).T
        return xi

    def backprop(self) -> None:
        self.descend(self.come_back(self.w))

    def feedback_alignment(self) -> None:
        self.descend(self.come_back(self.b))

    def last_layer(self) -> None:
        self.descend(self.output_errors(self.a, self.e))

    def hebbian(self) -> None:
        oja = self.averages(self.y, self.y) - (self.y**2).mean(0)[self.post] * self.w
        self.last_layer()
        self.w += np.where(self.into_outputs, 0, self.settings.lr_hebbian * oja)

    def soft_hebb(self) -> None:
        p = np.zeros_like(self.a)
        for layer in set(self.genome.layers[self.hidden]):
            here = self.hidden[self.genome.layers[self.hidden] == layer]
            p[:, here] = np.exp(self.a[:, here] / self.settings.soft_hebb_temperature)
            p[:, here] /= p[:, here].sum(1, keepdims=True)
        change = (p[:, self.post] * (self.y[:, self.pre] - self.a[:, self.post] * self.w)).mean(0)
        self.last_layer()
        self.w += np.where(self.into_outputs, 0, self.settings.lr_hebbian * change)

    def direct_feedback_alignment(self) -> None:
        self.descend(self.come_directly(self.e, self.b))

    def direct_random_target(self) -> None:
        self.descend(self.come_directly(np.eye(len(self.outputs))[self.labels], self.b))

    def direct_kolen_pollack(self) -> None:
        self.descend(self.come_directly(self.e, self.b))
        by_id = self.y[:, self.outputs[-1] + 1 :]
        self.b = (self.b - self.settings.lr * by_id.T @ self.e / self.B) * (
            1 - self.settings.direct_kolen_pollack_decay
        )

    def sign_symmetry(self) -> None:
        self.descend(self.come_back(self.settings.sign_symmetry_scale * np.sign(self.w)))

    def sign_symmetry_fixed(self) -> None:
        self.descend(self.come_back(self.settings.sign_symmetry_scale * np.abs(self.b) * np.sign(self.w)))

    def sign_symmetry_batch(self) -> None:
        magnitudes = np.abs(noise.rows(self.draws.seed, self.step, 0, len(self.w))[0].astype(float))
        self.descend(self.come_back(self.settings.sign_symmetry_scale * magnitudes * np.sign(self.w)))

    def kolen_pollack(self) -> None:
        before, kept = self.w, 1 - self.settings.kolen_pollack_decay
        self.descend(self.come_back(self.b))
        self.b = kept * (self.b + self.w - before)
        self.w = kept * self.w

    def weight_mirror(self) -> None:
        self.descend(self.come_back(self.b))
        x = self.drawn()
        sent = np.stack([self.sums(j, x) for j in range(self.genome.num_neurons)], axis=1)
        decay = self.settings.weight_mirror_decay * self.b
        self.b = self.b + self.settings.weight_mirror_rate * self.averages(x, sent) - decay

    def local_loss(self) -> None:
        d = self.output_errors(self.a, self.e)
        for layer in set(self.genome.layers[self.hidden]):
            here = self.hidden[self.genome.layers[self.hidden] == layer]
            readout = self.settings.local_loss_scale * self.b[here - self.outputs[-1] - 1]
            p = np.exp(self.y[:, here] @ readout)
            p /= p.sum(1, keepdims=True)
            local = (p - np.eye(p.shape[1])[self.labels]) @ readout.T
            for k, h in enumerate(here):
                d[:, h] = self.slope(h, self.a[:, h]) * local[:, k]
        self.descend(d)

    def node_perturbation(self) -> None:
        xi, sigma = self.drawn(), self.settings.noise_sigma
        _, noisy = self.passed(self.x, sigma * xi)
        worse = self.error(noisy)[1] - self.error(self.y)[1]
        self.descend(self.output_errors(self.a, self.e) + worse[:, None] * sigma * xi / sigma**2)

    def reward_modulated(self) -> None:
        xi, sigma = self.drawn(), self.settings.noise_sigma
        a, y = self.passed(self.x, sigma * xi)
        e, losses = self.error(y)
        self.losses[-1] = losses.mean()  # there is no pass without noise
        usual = -losses.mean() if self.step == 0 else self.usual
        self.usual = usual + self.settings.reward_average_rate * (-losses.mean() - usual)
        self.descend(self.output_errors(a, e) - (-losses - usual)[:, None] * sigma * xi / sigma**2, y)

    def pepita(self) -> None:
        _, second = self.passed(self.x - self.settings.pepita_scale * self.e @ self.b.T)
        d = self.output_errors(self.a, self.e)
        d[:, self.hidden] = self.y[:, self.hidden] - second[:, self.hidden]
        self.descend(d, second)

    def predictive_coding(self) -> None:
        v = self.y.copy()
        for _ in range(self.settings.predictive_steps):
            eps, d = self.predicted(v)
            pull = np.stack([d[:, self.post[self.pre == i]] @ self.w[self.pre == i] for i in self.hidden], axis=1)
            v[:, self.hidden] -= self.settings.predictive_rate * (eps[:, self.hidden] + pull)
        self.descend(self.predicted(v)[1], v)

    def predicted(self, v: Array) -> tuple[Array, Array]:
        """eps (B, N), and the energy's gradient by the sums: -eps_j f'(a_j), of outputs e_o f'(a_o)."""
        a, mu = np.zeros_like(v), v.copy()
        for j in (*self.hidden, *self.outputs):
            a[:, j] = self.sums(j, v)
            mu[:, j] = self.f(j, a[:, j])
        d, eps = self.output_errors(a, self.error(mu)[0]), v - mu
        for h in self.hidden:
            d[:, h] = -eps[:, h] * self.slope(h, a[:, h])
        return eps, d


def mixed(seed: int) -> Genome:
    """A random network with skip connections, hidden neurons of three activations, and one output of another."""
    genome = evolved(seed, 6, 3, 0.6, 50, with_weights=True, use_bias=seed % 2 == 1)
    rng = np.random.default_rng(seed)
    kinds = [ACTIVATION_NAMES.index(name) for name in FUNCTIONS]
    activations = np.where(np.arange(genome.num_neurons) < 9, 0, rng.choice(kinds, genome.num_neurons))
    activations[7] = ACTIVATION_NAMES.index("tanh")
    weights = rng.normal(0, 0.7, genome.num_connections).astype(np.float32)
    assert (np.diff(genome.layers[genome.connections]) > 1).any()
    assert genome.num_layers > 4
    return replace(genome, activations=activations.astype(np.int8), weights=weights)


def with_a_dead_end() -> Genome:
    """Input 0 -> hidden 4 -> hidden 5 -> output 2, input 1 -> output 3, and hidden 6, from 0 and 4, leads nowhere."""
    layers = np.array([0, 0, 3, 3, 1, 2, 2], np.int32)
    pairs = np.array([(0, 4), (4, 5), (5, 2), (1, 3), (0, 6), (4, 6)], np.int32)
    weights = np.array([0.5, 0.8, 1.2, -0.3, 0.4, 0.9], np.float32)
    activations = np.array([0, 0, 0, 0] + [ACTIVATION_NAMES.index("relu")] * 3, np.int8)
    return Genome(2, 2, layers, activations, pairs, weights)


def batches(genome: Genome, count: int, size: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(count)
    images = rng.random((count * size, genome.num_observed), np.float32)
    return images, rng.integers(0, genome.num_outputs, count * size)


# Constants by which every term of every rule is large enough to be seen.
CONSTANTS: dict[str, Any] = {
    "optimizer": "sgd",
    "lr": 0.1,
    "lr_hebbian": 0.05,
    "pepita_scale": 0.3,
    "local_loss_scale": 0.7,
    "kolen_pollack_decay": 0.05,
    "direct_kolen_pollack_decay": 0.05,
    "weight_mirror_rate": 0.1,
    "weight_mirror_decay": 0.05,
    "soft_hebb_temperature": 0.6,
    "predictive_rate": 0.2,
}


@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_every_rule_is_its_equation(rule: str) -> None:
    """Two batches of seven on random networks and one with a dead end, by torch and by the kernel; weights, feedback
    and losses.
    """
    settings = TrainingSettings(rule, batch_size=7, num_epochs=1, **CONSTANTS)
    for seed, genome in enumerate((mixed(1), mixed(2), mixed(5), with_a_dead_end())):
        images, labels = batches(genome, 2, 7)
        draws = training.draw(genome, rule, np.random.default_rng(seed))
        written = Written(genome, settings, draws)
        for part in (slice(0, 7), slice(7, 14)):
            written.learn(images[part], labels[part])
        assert np.abs(written.w - genome.weights).max() > 1e-3
        order = np.arange(14)[None]
        by_torch = training.train(genome, images, labels, settings, order=order, draws=draws)
        (by_kernel,) = train_population([genome], images, labels, settings, order=order, draws=[draws])
        for found in (by_torch, by_kernel):
            np.testing.assert_allclose(found.weights, written.w, rtol=2e-5, atol=2e-6)
            np.testing.assert_allclose(found.losses[0], written.losses, rtol=2e-6)
            if found.feedback is not None and rule in ("kolen_pollack", "weight_mirror", "direct_kolen_pollack"):
                np.testing.assert_allclose(found.feedback, written.b, rtol=2e-5, atol=2e-6)


# ---- on paper ------------------------------------------------------------------------------------------------------


# Inputs 1 and 2 to a relu neuron by 0.5 and 0.25, and from there to two outputs by l/2 and -l/2, l the logarithm of 3.
# The neuron's sum and value are 1, the outputs' difference is l, so that the softmax is (3/4, 1/4); of class 0 the
# error is (-1/4, 1/4) and the loss log(4/3). Steps are of SGD with lr 0.1, and averages over the one image.
LOG3 = float(np.log(3))
FOUR = Genome(
    2,
    2,
    np.array([0, 0, 2, 2, 1], np.int32),
    np.array([0, 0, 0, 0, ACTIVATION_NAMES.index("relu")], np.int8),
    np.array([(0, 4), (1, 4), (4, 2), (4, 3)], np.int32),
    np.array([0.5, 0.25, LOG3 / 2, -LOG3 / 2], np.float32),
)
SEED = 5
XI = float(noise.rows(SEED, 0, 0, 1)[0, 0])  # the hidden neuron's noise
M0, M1 = np.abs(noise.rows(SEED, 0, 0, 4)[0, 2:].astype(float))  # what sign_symmetry_batch draws for the last two
BACK, DIRECT = [0.0, 0.0, 2.0, -1.0], [[2.0, -1.0]]  # both carry 2 (-1/4) - 1/4 = -3/4 to the hidden neuron
NOISY = 1 + 0.1 * XI  # its value with noise of spread 0.1, by which the loss is log(1 + 3^-NOISY)
WORSE = np.log1p(3**-NOISY) - np.log(4 / 3)
WRONG = 1 / (1 + 3**NOISY)  # the softmax of output 1 then
SETTLED = 1 + 0.2 * LOG3 / 4  # a step of 0.2 along minus what comes back: (l/2 (-1/4) - l/2 (1/4)) = -l/4
LEFT = 1 / (1 + 3**SETTLED)  # and what is left of the outputs' error

# Rule: what it draws, its constants, the gradient by the four weights, and what it adds to them besides.
ON_PAPER: dict[str, tuple[Any, dict[str, float], list[float], list[float]]] = {
    "backprop": (None, {}, [-LOG3 / 4, -LOG3 / 2, -1 / 4, 1 / 4], []),
    "feedback_alignment": (BACK, {}, [-3 / 4, -3 / 2, -1 / 4, 1 / 4], []),
    "last_layer": (None, {}, [0, 0, -1 / 4, 1 / 4], []),
    # Oja: y (x_i - y w_i)
    "hebbian": (None, {"lr_hebbian": 0.1}, [0, 0, -1 / 4, 1 / 4], [0.05, 0.175, 0, 0]),
    "direct_feedback_alignment": (DIRECT, {}, [-3 / 4, -3 / 2, -1 / 4, 1 / 4], []),
    # 0.5 (-1/4) - 0.5 (1/4)
    "sign_symmetry": (None, {"sign_symmetry_scale": 0.5}, [-1 / 4, -1 / 2, -1 / 4, 1 / 4], []),
    # 0.5 |2| (-1/4) - 0.5 |-1| (1/4)
    "sign_symmetry_fixed": (BACK, {"sign_symmetry_scale": 0.5}, [-3 / 8, -3 / 4, -1 / 4, 1 / 4], []),
    "sign_symmetry_batch": (
        None, {"sign_symmetry_scale": 0.5}, [-(M0 + M1) / 8, -(M0 + M1) / 4, -1 / 4, 1 / 4], []
    ),
    # what is left of each weight after the step, times -0.2
    "kolen_pollack": (
        BACK, {"kolen_pollack_decay": 0.2}, [-3 / 4, -3 / 2, -1 / 4, 1 / 4],
        [-0.115, -0.08, -0.2 * (LOG3 / 2 + 0.025), 0.2 * (LOG3 / 2 + 0.025)],
    ),
    "weight_mirror": (
        BACK, {"weight_mirror_rate": 0.5, "weight_mirror_decay": 0.1}, [-3 / 4, -3 / 2, -1 / 4, 1 / 4], []
    ),
    "direct_kolen_pollack": (DIRECT, {"direct_kolen_pollack_decay": 0.2}, [-3 / 4, -3 / 2, -1 / 4, 1 / 4], []),
    # the label's own weight, 2
    "direct_random_target": (DIRECT, {}, [2, 4, -1 / 4, 1 / 4], []),
    # a readout of (l/2, -l/2) has the same error as the outputs: (-1/4, 1/4), which it sends back
    "local_loss": ([[LOG3, -LOG3]], {"local_loss_scale": 0.5}, [-LOG3 / 4, -LOG3 / 2, -1 / 4, 1 / 4], []),
    # (L' - L) sigma xi x_i / sigma^2
    "node_perturbation": (None, {"noise_sigma": 0.1}, [WORSE * XI / 0.1, 2 * WORSE * XI / 0.1, -1 / 4, 1 / 4], []),
    # in the first batch the reward is as usual; the outputs learn from the noisy value
    "reward_modulated": (None, {"noise_sigma": 0.1}, [0, 0, -WRONG * NOISY, WRONG * NOISY], []),
    # F has a single 1, from output 0 to input 0: inputs 1 + 0.4 / 4 and 2, a value of 1.05
    "pepita": ([[1, 0], [0, 0]], {"pepita_scale": 0.4}, [-0.05 * 1.1, -0.05 * 2, -1.05 / 4, 1.05 / 4], []),
    # eps = 0.2 l / 4
    "predictive_coding": (
        None, {"predictive_steps": 1, "predictive_rate": 0.2},
        [-LOG3 / 20, -LOG3 / 10, -LEFT * SETTLED, LEFT * SETTLED], [],
    ),
    # alone in its layer it wins wholly: x_i - a w_i
    "soft_hebb": (None, {"lr_hebbian": 0.1}, [0, 0, -1 / 4, 1 / 4], [0.05, 0.175, 0, 0]),
}  # fmt: skip
FEEDBACK_ON_PAPER = {
    # the weights' changes, then what is left is 0.8 of it; the first two began at 0
    "kolen_pollack": [0.8 * 0.075, 0.8 * 0.15, 0.8 * 2.025, -0.8 * 1.025],
    # with the weights of after the step: 2 + 0.5 xi^2 w - 0.1 * 2
    "weight_mirror": [0, 0, 1.8 + 0.5 * XI**2 * (LOG3 / 2 + 0.025), -0.9 - 0.5 * XI**2 * (LOG3 / 2 + 0.025)],
    "direct_kolen_pollack": [[0.8 * (2 + 0.025), 0.8 * (-1 - 0.025)]],
}


@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_a_step_on_paper(rule: str) -> None:
    drawn, constants, gradient, besides = ON_PAPER[rule]
    settings = TrainingSettings(rule, "sgd", 0.1, batch_size=1, num_epochs=1, **constants)  # type: ignore[arg-type]
    draws = Draws(None if drawn is None else np.array(drawn, np.float32), SEED)
    image, label, order = np.array([[1, 2]], np.float32), np.array([0]), np.array([[0]])
    expected = FOUR.weights - 0.1 * np.array(gradient) + np.array(besides or [0.0] * 4)
    found = [
        training.train(FOUR, image, label, settings, order=order, draws=draws),
        *train_population([FOUR], image, label, settings, order=order, draws=[draws]),
    ]
    for result in found:
        np.testing.assert_allclose(result.weights, expected, atol=1e-6)
        assert result.losses[0, 0] == pytest.approx(np.log(4 / 3) + (rule == "reward_modulated") * WORSE, rel=1e-5)
        if rule in FEEDBACK_ON_PAPER:
            np.testing.assert_allclose(result.feedback, FEEDBACK_ON_PAPER[rule], atol=1e-6)


# ---- what theory says ----------------------------------------------------------------------------------------------


def angle(a: Array, b: Array) -> float:
    """In degrees."""
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def test_predictive_coding_tends_to_backpropagation_as_errors_shrink() -> None:
    """The bias makes one class ever surer, and every image is of that class."""
    genome = mixed(1)
    bias = genome.num_inputs - 1
    into_second = (genome.connections[:, 1] == genome.num_inputs + 1) & (genome.connections[:, 0] == bias)
    assert into_second.any()
    images, _ = batches(genome, 1, 20)
    labels = np.ones(20, np.int64)
    differences = []
    for sure in (0.0, 3.0, 6.0):
        weights = np.where(into_second, np.float32(sure), genome.weights)
        surer = replace(genome, weights=weights.astype(np.float32))
        exact = connection_gradients(surer, images, labels, "backprop")
        found = connection_gradients(
            surer, images, labels, "predictive_coding", predictive_steps=300, predictive_rate=0.1
        )
        differences.append(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    assert differences[0] > 3 * differences[1] > 30 * differences[2]
    assert differences[2] < 0.01


@pytest.mark.parametrize("rule", ["kolen_pollack", "weight_mirror"])
def test_learned_feedback_turns_to_the_weights(rule: str) -> None:
    """From about 90 degrees to within 10, on the connections that carry errors back."""
    genome = mixed(2)
    images, _ = batches(genome, 20, 50)
    labels = ((images - 0.5) @ np.random.default_rng(7).normal(size=(images.shape[1], 3))).argmax(1)  # can be learned
    draws = training.draw(genome, rule, np.random.default_rng(0))
    constants = CONSTANTS | {"lr": 0.3, "kolen_pollack_decay": 0.003}
    settings = TrainingSettings(rule, batch_size=50, num_epochs=60, **constants)
    order = training.draw_order(60, len(images), np.random.default_rng(1))
    (result,) = train_population([genome], images, labels, settings, order=order, draws=[draws])
    carry = genome.connections[:, 0] >= genome.num_inputs
    assert result.feedback is not None
    assert draws.feedback is not None
    assert angle(draws.feedback[carry], genome.weights[carry]) > 50
    assert angle(result.feedback[carry], result.weights[carry]) < 10


def test_node_perturbation_is_the_gradient_in_the_mean_over_its_noise() -> None:
    genome = mixed(1)
    images, labels = batches(genome, 1, 20)
    rng = np.random.default_rng(0)
    draws = [training.draw(genome, "node_perturbation", rng) for _ in range(1000)]
    settings = TrainingSettings("node_perturbation", "sgd", 1.0, batch_size=20, num_epochs=1, noise_sigma=0.01)
    order = np.arange(20)[None]
    results = train_population([genome] * 1000, images, labels, settings, order=order, draws=draws)
    changes = np.stack([result.weights - genome.weights for result in results])
    into_hidden = genome.connections[:, 1] >= genome.num_inputs + genome.num_outputs
    exact = -connection_gradients(genome, images, labels, "backprop")[into_hidden]
    assert angle(changes.sum(0)[into_hidden], exact) < 25
    assert np.median([angle(change[into_hidden], exact) for change in changes]) > 60  # one draw says little


def test_sign_symmetry_with_the_sizes_of_the_weights_is_backpropagation() -> None:
    for seed in (1, 2, 5):
        genome = mixed(seed)
        images, labels = batches(genome, 1, 20)
        constants = {"feedback": genome.weights, "sign_symmetry_scale": 1.0}
        found = connection_gradients(genome, images, labels, "sign_symmetry_fixed", **constants)
        exact = connection_gradients(genome, images, labels, "backprop")
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", ["direct_random_target", "direct_feedback_alignment", "local_loss", "hebbian"])
def test_the_outputs_learn_as_in_backpropagation(rule: str) -> None:
    """Whatever hidden neurons learn from; the bits are the same."""
    genome = mixed(2)
    images, labels = batches(genome, 1, 20)
    draws = training.draw(genome, rule, np.random.default_rng(0))
    found = connection_gradients(genome, images, labels, rule, draws.feedback, seed=draws.seed)
    exact = connection_gradients(genome, images, labels, "backprop")
    into_outputs = genome.connections[:, 1] < genome.num_inputs + genome.num_outputs
    np.testing.assert_array_equal(found[into_outputs], exact[into_outputs])
    assert np.abs(found - exact)[~into_outputs].max() > 1e-3


# ---- interrupted ---------------------------------------------------------------------------------------------------


REMEMBERING = [
    "kolen_pollack",
    "weight_mirror",
    "direct_kolen_pollack",
    "node_perturbation",
    "reward_modulated",
    "sign_symmetry_batch",
]


@pytest.mark.parametrize("rule", REMEMBERING)
def test_a_training_goes_on_from_a_checkpoint_as_if_never_interrupted(rule: str) -> None:
    """Through the bytes of a checkpoint: learned feedback, running means, how far the noise is."""
    genome = mixed(1)
    images, labels = batches(genome, 4, 10)
    dataset = Dataset(images, labels, images, labels)

    def states(num_epochs: int, state: SessionState | None = None) -> list[SessionState]:
        training = TrainingSettings(rule, "adam", batch_size=10, num_epochs=num_epochs)
        return list(session.epochs(genome, dataset, SessionSettings(3, training, 20), state))

    begun = checkpoint.encode(*session.pack(states(2)[-1]))
    resumed = states(4, session.unpack(*checkpoint.decode(begun)))
    whole = states(4)
    assert [state.progress for state in resumed] == [3, 4]
    for on, never in zip(resumed, whole[3:], strict=True):
        assert checkpoint.encode(*session.pack(on)) == checkpoint.encode(*session.pack(never))
        assert on.measured == never.measured
    forgetful = replace_state(session.unpack(*checkpoint.decode(begun)), states(1)[0])
    assert not np.array_equal(states(4, forgetful)[-1].trained.weights, whole[-1].trained.weights)


def replace_state(state: SessionState, other: SessionState) -> SessionState:
    """With the rule's own state of another."""
    own = {name: array for name, array in other.trainer.items() if name.startswith("rule/")}
    assert own
    return replace(state, trainer={**state.trainer, **own})
