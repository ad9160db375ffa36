"""Fitness on Gymnasium environments: against a plain loop, under bad environments, with any number of workers."""

import os

import gymnasium
import numpy as np
import pytest
from genomes import evolved, genomes
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import gym_task
from envs.gym_task import GymTask, Policy, draw_seeds
from evolution.errors import InputError, RunError
from evolution.genome import Genome
from evolution.workers import Workers
from networks.compiled import forward as compiled_forward
from networks.policy import CompiledPolicy
from networks.reference import SHARED_WEIGHTS, forward, neuron_values


@pytest.fixture(autouse=True)
def _workers_find_the_environments(monkeypatch):
    here = os.path.dirname(__file__)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])))


def task(env_name="CartPole-v0", workers=1, **changes):
    arguments = {"num_trials": 3, "take_argmax_action": True, "evaluator": "reference"} | changes
    return GymTask(env_name, workers=Workers(workers), **arguments)


def broken(name, **changes):
    return task(f"broken_environments:{name}-v0", **changes)


def population(count=5, inputs=4, outputs=2):
    return [evolved(seed, inputs, outputs, mutations=12) for seed in range(count)]


def plain_reward(genome, weight, seed):
    """An episode of CartPole-v0, written out."""
    environment = gymnasium.make("CartPole-v0")
    observation, _ = environment.reset(seed=seed)
    total = 0.0
    while True:
        outputs = forward(genome, observation[None], weight)[0]
        observation, reward, terminated, truncated, _ = environment.step(0 if outputs[0] >= outputs[1] else 1)
        total += reward
        if terminated or truncated:
            return total


@pytest.mark.parametrize("evaluator", ["reference", "compiled"])
def test_fitness_is_that_of_a_plain_loop(evaluator):
    nets = population(3)
    fitness = task(evaluator=evaluator).evaluate(nets, np.random.default_rng(5))
    seeds = draw_seeds(np.random.default_rng(5), 3)
    for i, genome in enumerate(nets):
        rewards = np.array([[plain_reward(genome, w, seed) for seed in seeds] for w in SHARED_WEIGHTS])
        assert fitness.values["mean_reward"][i] == pytest.approx(rewards.mean())
        assert fitness.values["max_reward"][i] == pytest.approx(rewards.mean(axis=1).max())


@settings(max_examples=100, deadline=None)
@given(genomes(), st.integers(0, 2**32), st.sampled_from(SHARED_WEIGHTS))
def test_the_policy_answers_as_the_network_does(genome, seed, weight):
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(3, genome.num_observed))
    individual = rng.normal(size=genome.num_connections)
    outputs = slice(genome.num_inputs, genome.num_inputs + genome.num_outputs)
    policy = Policy(genome)
    shared = [policy(observation, weight) for observation in observations]
    np.testing.assert_allclose(shared, forward(genome, observations, weight), rtol=1e-9, atol=1e-12)
    own = [policy(observation, individual) for observation in observations]
    np.testing.assert_allclose(own, neuron_values(genome, observations, individual)[:, outputs], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("evaluator", ["reference", "compiled"])
def test_workers_and_the_company_of_others_change_nothing(evaluator):
    nets = population(6)
    alone = [task(evaluator=evaluator).episodes([g], SHARED_WEIGHTS, [1, 2, 3])[0][0] for g in nets]
    for workers in (1, 3):
        chosen = task(evaluator=evaluator, workers=workers)
        rewards, lengths = chosen.episodes(nets, SHARED_WEIGHTS, [1, 2, 3])
        np.testing.assert_array_equal(rewards, alone)
        np.testing.assert_array_equal(lengths, rewards)  # CartPole gives 1 a step
        one, _ = chosen.episodes(nets[:1], SHARED_WEIGHTS, [1, 2, 3])
        np.testing.assert_array_equal(one[0], alone[0])
        chosen.close()


def test_threads_do_not_share_an_environment():
    nets, seeds = population(16), [1, 2]
    one = task(max_episode_steps=40)
    many = task(max_episode_steps=40)
    many.workers = Workers(8, "threading")
    for _ in range(2):
        alone, together = (chosen.episodes(nets, SHARED_WEIGHTS, seeds)[0] for chosen in (one, many))
        np.testing.assert_array_equal(together, alone)


def test_one_weight_per_connection():
    genome = evolved(3, 4, 2, mutations=12)
    same = np.full((1, genome.num_connections), 0.5)
    for evaluator in ("reference", "compiled"):
        shared, _ = task(evaluator=evaluator).episodes([genome, genome], [0.5], [1, 2])
        individual, _ = task(evaluator=evaluator).episodes([genome, genome], [same, same], [1, 2])
        np.testing.assert_array_equal(individual, shared)


def test_confirmation_and_test_use_16_and_100_trials():
    genome, rng = evolved(3, 4, 2, mutations=12), np.random.default_rng
    chosen = task(evaluator="compiled")
    for method, trials, prefix in ((chosen.confirm, 16, ""), (chosen.test, 100, "test_")):
        rewards, _ = chosen.episodes([genome], SHARED_WEIGHTS, draw_seeds(rng(4), trials))
        values = method(genome, rng(4))
        assert values[f"{prefix}mean_reward"] == pytest.approx(rewards.mean())
        assert values[f"{prefix}max_reward"] == pytest.approx(rewards[0].mean(axis=1).max())
    assert values["test_reward_weight_-2"] == pytest.approx(rewards[0, 0].mean())


def test_the_bipedal_walker_walks():
    walker = task("BipedalWalker-v2", take_argmax_action=False, num_trials=1, max_episode_steps=30)
    assert (walker.num_inputs, walker.num_outputs) == (24, 4)
    rewards, lengths = walker.episodes([evolved(0, 24, 4)], [0.5], [3])
    assert np.isfinite(rewards).all()
    assert lengths.tolist() == [[[30]]]


WRONG = {
    "unknown": (("CartPol-v0", {}), "no such environment; did you mean CartPole"),
    "unlike any": (("Zzyzx", {}), r"no such environment$"),
    "no argmax for a Box": (("CartPoleSwingUp", {}), "it must be false"),
    "argmax for Discrete": (("CartPole-v0", {"take_argmax_action": False}), "it must be true"),
    "no kernel": (("LunarLander-v3", {"evaluator": "compiled"}), "no compiled LunarLander-v3"),
    "a text": (("broken_environments:Telling-v0", {}), "observations are Text.*; Box, Discrete"),
    "no such module": (("nowhere:Thing-v0", {}), "cannot be made"),
    "unknown arguments": (("BipedalWalker-v3", {"env_kwargs": {"softcore": True}}), "with env_kwargs .*cannot be made"),
    "no spaces": (("broken_environments:Spaceless-v0", {}), "it has no spaces"),
    "its constructor exits": (("broken_environments:Leaving-v0", {}), "cannot be made .SystemExit"),
    "its constructor kills": (("broken_environments:Crashing-v0", {}), "making it ended its process"),
    "no bounds": (("CartPole-v0", {"scale_actions": True}), "a bounded Box is needed"),
    "no image": (("CartPole-v0", {"observation_size": 8}), "not images"),
}


@pytest.mark.parametrize("case", WRONG)
def test_environments_that_cannot_be_are_refused(case):
    (name, changes), expected = WRONG[case]
    with pytest.raises(InputError, match=expected) as error:
        task(name, **changes)
    assert "\n" not in str(error.value)


FAULTS = {
    "Raising": "reset: RuntimeError: the floor is lava|step: RuntimeError: the floor is lava",
    "NotANumber": "step: a reward is nan",
    "Blind": "step: an observation is not finite",
    "Exiting": "step: SystemExit: 3",
    "Mute": "step: RuntimeError$",
    "Scalar": r"step: float 0.0 where Box of shape \(2,\) was declared",
    "Narrow": r"step: an array of shape \(1,\) of float64 where Box of shape \(2,\) was declared",
    "Twofold": r"step: a reward is ndarray array\(\[1., 2.\]\), not one number",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_environment_stops_the_run_or_ranks_the_network_last(name):
    nets = population(2, inputs=2)
    with pytest.raises(RunError, match=rf"environment broken_environments:{name}-v0.* seed \d+: ({FAULTS[name]})"):
        broken(name).evaluate(nets, np.random.default_rng(0))
    fitness = broken(name, on_env_error="rank_last").evaluate(nets, np.random.default_rng(0))
    assert np.isnan(fitness.reward).all()


def test_an_episode_without_end_is_ended():
    nets = population(1, inputs=2)
    rewards, lengths = broken("Endless", max_episode_steps=25).episodes(nets, [1.0], [0])
    assert rewards.item() == lengths.item() == 25
    _, lengths = broken("Endless").episodes(nets, [1.0], [0])
    assert lengths.item() == 10_000


@pytest.mark.parametrize("workers", [1, 2])
def test_an_environment_that_kills_its_process(workers):
    nets = population(2, inputs=2)
    with pytest.raises(RunError, match=r"environment broken_environments:Killing-v0 killed its process with seed \d+"):
        broken("Killing", workers=workers).evaluate(nets, np.random.default_rng(0))
    chosen = broken("Killing", workers=workers, on_env_error="rank_last", num_trials=1)
    assert np.isnan(chosen.evaluate(nets, np.random.default_rng(0)).reward).all()


def test_a_worker_killed_from_outside_is_said_and_all_is_played_once_more_by_all_workers(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MORTAL", str(tmp_path / "killed"))
    monkeypatch.setattr(gym_task, "_alone", lambda *_: pytest.fail("each trial gets a process of its own"))
    nets = population(4, inputs=2)
    chosen = broken("Mortal", workers=2)
    with caplog.at_level("WARNING"):
        found, _ = chosen.episodes(nets, [1.0], [0, 1])
    chosen.close()
    expected, _ = broken("Fair").episodes(nets, [1.0], [0, 1])
    np.testing.assert_array_equal(found, expected)
    [line] = [record.message for record in caplog.records]
    assert "a worker process was killed" in line
    assert line.endswith("broken_environments:Mortal-v0 is played again, once more with new ones")


def test_a_network_that_puts_out_nan_is_its_own_fault():
    """The environment gives what it makes of a NaN action: a reward that is no number, and no complaint."""
    nan = Genome.from_dict(
        {
            "in_size": 5,
            "out_size": 1,
            "num_neurons": 9,
            "neurons_in_layer": [[0, 1, 2, 3, 4], [6], [7], [8], [5]],
            "activation_names": ["linear"] * 9,
            "connections": [[2, 6], [6, 7], [6, 8], [7, 5], [8, 5]],
        }
    )
    weight = 1e200  # infinity minus infinity at the output
    activations = nan.activations.copy()
    activations[7] = 7  # inverse
    nan = Genome(nan.num_inputs, nan.num_outputs, nan.layers, activations, nan.connections)
    with np.errstate(all="ignore"):
        assert np.isnan(compiled_forward(nan, [[0, 0, 1.0, 0, 0]], [weight])).all()
        for evaluator in ("reference", "compiled"):
            chosen = task("CartPoleSwingUp", take_argmax_action=False, evaluator=evaluator)
            assert np.isnan(chosen.episodes([nan], [weight], [0])[0]).all()


def test_rewards_of_one_number_in_an_array_are_taken_and_closing_may_fail():
    rewards, _ = broken("Wrapped").episodes(population(1, inputs=2), [1.0], [0])
    assert rewards.item() == 10.0


def test_what_a_worker_met_reaches_the_log_once_for_each_network(caplog):
    chosen = broken("Raising", on_env_error="rank_last", workers=2, num_trials=1)
    with caplog.at_level("WARNING"):
        chosen.evaluate(population(3, inputs=2), np.random.default_rng(0))
    chosen.close()
    lines = [record.message for record in caplog.records if "ranked last" in record.message]
    assert len(lines) == 1  # all three failed in the same way, with the same seed
    assert "the floor is lava" in lines[0]


def test_a_trial_that_fails_is_left_out_of_a_champions_test_and_counted(caplog):
    chosen = broken("Moody", on_env_error="rank_last")
    [genome] = population(1, inputs=2)
    with caplog.at_level("WARNING"):
        found = chosen.test(genome, np.random.default_rng(3))
    seeds = draw_seeds(np.random.default_rng(3), 100)
    failed = sum(seed % 10 == 0 for seed in seeds)
    assert 0 < failed < 30
    assert found["test_failed_trials"] == failed
    rewards = chosen.episodes([genome], SHARED_WEIGHTS, [seed for seed in seeds if seed % 10])[0][0]
    assert found["test_mean_reward"] == pytest.approx(rewards.mean())
    assert found["test_reward_weight_-2"] == pytest.approx(rewards[0].mean())
    [line] = [record.message for record in caplog.records]
    assert line.endswith("step: RuntimeError: not today; such trials are left out of the champion's test")
    assert np.isnan(chosen.confirm(genome, np.random.default_rng(3))["mean_reward"])  # who is to win must not fail
    assert "test_failed_trials" not in broken("Fair").test(genome, np.random.default_rng(3))


def test_where_all_trials_fail_the_test_is_nan():
    [genome] = population(1, inputs=2)
    found = broken("Raising", on_env_error="rank_last").test(genome, np.random.default_rng(3))
    assert found["test_failed_trials"] == 100
    assert np.isnan([found["test_mean_reward"], found["test_max_reward"], found["test_reward_weight_1"]]).all()


def test_an_episode_depends_on_nothing_that_was_played_before():
    """Play A, B, A. An environment that remembers is made afresh; those of REUSABLE are known to put all back."""
    nets = population(2, inputs=2)
    for name, inputs, outputs in (("broken_environments:Remembering-v0", 2, 2), ("LunarLander-v3", 8, 4)):
        chosen = task(name, max_episode_steps=60)
        nets = population(2, inputs=inputs, outputs=outputs)
        first, _, again = (chosen.episodes([nets[i]], [0.5], [7 + i])[0].item() for i in (0, 1, 0))
        assert again == first, name
        chosen.close()


@pytest.mark.parametrize(
    "name",
    [key for key, spec in gymnasium.registry.items() if str(spec.entry_point).startswith(gym_task.REUSABLE)],
)
def test_environments_that_are_reused_leave_nothing_behind(name):
    rules = gym_task.Rules(name, {}, 50, False)

    def play(seed, steps):
        environment, observations, actions = gym_task._made_once(rules)
        rng = np.random.default_rng(seed)
        seen = [observations.flatten(environment.reset(seed=seed)[0])]
        for _ in range(steps):
            observation, reward, terminated, truncated, _ = environment.step(
                actions.choose(rng.normal(size=actions.size))
            )
            seen.append(np.append(observations.flatten(observation), float(reward)))
            if terminated or truncated:
                break
        return np.concatenate(seen)

    first = play(1, 40)
    play(2, 13)  # left in the middle
    np.testing.assert_array_equal(play(1, 40), first)


def test_the_compiled_policy_is_bit_equal_to_the_compiled_network():
    rng = np.random.default_rng(1)
    for seed in range(30):
        genome = evolved(seed, 5, 3, mutations=4 * seed)
        observations = rng.normal(size=(4, 5)) * 10.0 ** rng.integers(-3, 4)
        individual = rng.normal(size=genome.num_connections)
        policy = CompiledPolicy(genome)
        for weight in (-2.0, 0.5, individual, 1.0):
            weights = [weight] if np.ndim(weight) == 0 else weight[None]
            expected = compiled_forward(genome, observations, weights)[0]
            np.testing.assert_array_equal([policy(observation, weight) for observation in observations], expected)
