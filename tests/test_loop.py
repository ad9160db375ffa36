"""The loop on a made task: reproducible, resumable, and what it does with champions."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from runs import scalars
from states import evolve, opened

from evolution import checkpoint, loop
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.loop import EvolutionSettings, Purpose, add_nodes_at_start, generations, generator
from evolution.mutation import MutationSettings
from evolution.ranking import rank
from evolution.selection import SelectionSettings
from evolution.task import Fitness, Task
from experiment.observers import ChampionFile, Deadline, Portraits


class Sparse(Task):
    """Few neurons and many connections are good; noise by the generator that is handed in."""

    num_inputs, num_outputs = 4, 2

    def __init__(self, confirmed=None, broken=()):
        self.confirmed, self.broken, self.confirmations = confirmed, broken, 0

    def evaluate(self, population, rng):
        reward = np.array([g.num_connections - 2.0 * g.num_hidden for g in population]) + rng.normal(
            size=len(population)
        )
        reward[list(self.broken)] = [np.nan, np.inf, -np.inf][: len(self.broken)]
        return Fitness({"mean_reward": reward, "max_reward": reward + 1}, ("mean_reward", "max_reward"))

    def confirm(self, genome, rng):
        self.confirmations += 1
        return {} if self.confirmed is None else {"mean_reward": self.confirmed[self.confirmations - 1]}

    def test(self, genome, rng):
        return {"test_mean_reward": float(rng.normal())}


class Learning(Sparse):
    """Training adds 1 to each weight."""

    def evaluate(self, population, rng):
        reward = np.array([g.weights.sum() for g in population], np.float64)
        values = {"reward": reward, "acc": np.clip(reward, 0, 1)}
        trained = [replace(g, weights=g.weights + np.float32(1)) for g in population]
        return Fitness(values, ("reward", "reward"), trained)

    def evaluate_untrained(self, population, rng):
        return replace(self.evaluate(population, rng), trained=None)


def settings(**changes):
    defaults = EvolutionSettings(
        seed=1,
        num_generations=6,
        p_initial_connection_enabled=0.5,
        objectives={"p_complexity_objective": 0.5},
        test_every=2,
        selection=SelectionSettings(20, 4, 0.2, 0.2),
        mutation=MutationSettings(),
    )
    return replace(defaults, **changes)


def learning_settings(**changes):
    mutation = MutationSettings({"p_add_node": 0.5, "p_add_connection": 0.5}, connect_outputs=False)
    return replace(settings(learns=True, mutation=mutation), **changes)


def test_the_same_seed_gives_the_same_run_and_another_one_another(tmp_path):
    a = evolve(Sparse(), settings(), tmp_path / "a")
    b = evolve(Sparse(), settings(), tmp_path / "b")
    assert a.population == b.population
    champions = [(tmp_path / name / "champion_network.json").read_bytes() for name in "ab"]
    assert champions[0] == champions[1]
    assert scalars(tmp_path / "a") == scalars(tmp_path / "b")
    assert evolve(Sparse(), settings(seed=2), tmp_path / "c").population != a.population


@pytest.mark.parametrize(("task", "make"), [(Sparse, settings), (Learning, learning_settings)])
def test_going_on_from_a_checkpoint_ends_where_the_whole_run_does(tmp_path, task, make):
    whole = evolve(task(), make(), tmp_path / "whole")
    evolve(task(), make(num_generations=3), tmp_path / "part")
    state, damaged = checkpoint.load(tmp_path / "part", checkpoint.from_bytes)
    assert state is not None
    assert (state.generation, damaged) == (2, [])
    resumed = evolve(task(), make(), tmp_path / "part", state)
    assert resumed.population == whole.population
    assert resumed.champion.genome == whole.champion.genome
    assert resumed.champion.values == whole.champion.values
    assert (tmp_path / "part/champion_network.json").read_bytes() == (
        tmp_path / "whole/champion_network.json"
    ).read_bytes()


def test_a_champion_must_stay_better_when_confirmed(tmp_path):
    # The first is taken as it comes (5); of the next ones only 7 is above the champion's confirmed 5.
    task = Sparse(confirmed=[5.0, 4.0, 5.0, 7.0, *[0.0] * 20])
    end = evolve(task, settings(num_generations=12), tmp_path / "run")
    assert end.champion.values["mean_reward"] == 7.0
    assert task.confirmations >= 4
    saved = json.loads((tmp_path / "run/champion_network.json").read_text())
    assert saved["provenance"]["fitness"]["mean_reward"] == 7.0
    assert Genome.load(tmp_path / "run/champion_network.json") == end.champion.genome


def test_a_champion_must_be_confirmed_with_a_finite_reward(tmp_path):
    task = Sparse(confirmed=[np.nan, np.inf, 5.0, *[0.0] * 20])
    end = evolve(task, settings(num_generations=12), tmp_path / "run")
    assert end.champion.generation == 2
    assert end.champion.values["mean_reward"] == 5.0


class Even(Sparse):
    """All networks are equally good; the second objective tells them apart. Keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def evaluate(self, population, rng):
        values = {"mean_reward": np.ones(len(population)), "max_reward": rng.normal(size=len(population))}
        self.shown.append((population, values["max_reward"]))
        return Fitness(values, ("mean_reward", "max_reward"))


def test_a_network_that_is_as_good_as_the_champion_is_not_confirmed(tmp_path):
    task = Even()
    assert evolve(task, settings(), tmp_path / "run").champion.generation == 0
    assert task.confirmations == 1


@pytest.mark.parametrize("p_complexity_objective", [0.0, 0.8, 1.0])
def test_what_networks_are_ranked_by(tmp_path, monkeypatch, p_complexity_objective):
    task, ranked = Even(), []
    monkeypatch.setattr(loop, "rank", lambda values: ranked.append(values) or rank(values))
    evolve(
        task,
        settings(num_generations=101, objectives={"p_complexity_objective": p_complexity_objective}),
        tmp_path / "run",
    )
    by_complexity = 0
    for (before, max_reward), (after, _), values in zip(task.shown, task.shown[1:], ranked, strict=False):
        np.testing.assert_array_equal(values[:, 0], 1)
        if (values[:, 1] != max_reward).any():
            np.testing.assert_array_equal(values[:, 1], [1 / genome.complexity for genome in before])
            by_complexity += 1
        assert all(one is before[i] for one, i in zip(after, rank(values)[:4], strict=False))
    assert len(ranked) == 100
    assert abs(by_complexity - 100 * p_complexity_objective) <= (12 if p_complexity_objective == 0.8 else 0)


def test_a_run_stops_after_the_generation_in_which_its_time_is_over(tmp_path):
    whole = evolve(Sparse(), settings(), tmp_path / "whole")
    first = evolve(Sparse(), settings(), tmp_path / "part", others=[Deadline(1e-9)])
    assert first.generation == 0
    second = evolve(Sparse(), settings(), tmp_path / "part", first, others=[Deadline(1e-9)])
    assert second.generation == 1
    assert evolve(Sparse(), settings(), tmp_path / "part", second, others=[Deadline(10)]).population == whole.population


def test_only_a_network_above_the_champion_is_confirmed(tmp_path):
    task = Sparse(confirmed=[1000.0] * 20)
    evolve(task, settings(), tmp_path / "run")
    assert task.confirmations == 1


def test_rewards_that_are_not_finite_are_counted_and_never_win(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "neuroevolution"):
        end = evolve(Sparse(broken=(0, 1, 2)), settings(), tmp_path / "run")
    assert "generation 3: 3 of 20 networks have a reward that is not finite" in caplog.text
    assert np.isfinite(end.champion.values["mean_reward"])
    values = [v for series in scalars(tmp_path / "run").values() for _, v in series]
    assert np.isfinite(values).all()


def test_a_generation_without_any_finite_reward_goes_on(tmp_path):
    class Hopeless(Sparse):
        def evaluate(self, population, rng):
            nan = np.full(len(population), np.nan)
            return Fitness({"mean_reward": nan, "max_reward": nan}, ("mean_reward", "max_reward"))

    end = evolve(Hopeless(), settings(), tmp_path / "run")
    assert end.champion is None
    assert end.generation == 5


def test_tags_steps_and_tests_of_the_champion(tmp_path):
    end = evolve(Sparse(), settings(), tmp_path / "run")
    tags = scalars(tmp_path / "run")
    for tag in ("best/mean_reward", "best/max_reward", "champion/mean_reward", "champion/connections"):
        assert [step for step, _ in tags[tag]] == list(range(6))
    for name in ("connections", "neurons", "layers"):
        sizes = [getattr(genome, f"num_{name}") for genome in end.population]
        assert tags[f"stats/{name}_mean"][-1] == (5, pytest.approx(np.mean(sizes)))
        assert tags[f"stats/{name}_std"][-1] == (5, pytest.approx(np.std(sizes)))
    # every second generation, and once more at the end, which was none of them
    assert [step for step, _ in tags["champion/test_mean_reward"]] == [0, 2, 4, 5]
    evolve(Sparse(), settings(num_generations=5), tmp_path / "five")
    assert [step for step, _ in scalars(tmp_path / "five")["champion/test_mean_reward"]] == [0, 2, 4]


def test_the_first_champion_is_the_best_untrained_network(tmp_path):
    class Untrainable(Learning):
        def evaluate(self, population, rng):
            values = super().evaluate(population, rng).values
            return Fitness({**values, "reward": np.full(len(population), -np.inf)}, ("reward", "reward"))

        def evaluate_untrained(self, population, rng):
            return Learning().evaluate_untrained(population, rng)

    end = evolve(Untrainable(), learning_settings(num_generations=1), tmp_path / "run")
    sums = [genome.weights.sum() for genome in end.population]
    assert end.champion.genome == end.population[int(np.argmax(sums))]
    assert end.champion.values["reward"] == max(sums)


def test_learning_tasks_start_with_the_best_untrained_network_and_keep_trained_weights(tmp_path):
    end = evolve(Learning(), learning_settings(), tmp_path / "run")
    first = [Genome.load(tmp_path / f"run/networks/generation0-net{i}.json") for i in range(20)]
    share = sum(g.num_hidden for g in first) / sum(g.num_connections - g.num_hidden for g in first)
    assert 0.3 < share < 0.7  # the round of add node split about half of the connections
    assert len(list((tmp_path / "run/networks").iterdir())) == 60
    saved = Genome.load(tmp_path / "run/champion_network.json")
    champion = end.champion
    np.testing.assert_array_equal(saved.weights, champion.trained.weights)
    if champion.generation:  # as training left them; the genome keeps its own
        np.testing.assert_array_equal(saved.weights, champion.genome.weights + np.float32(1))
    tags = scalars(tmp_path / "run")
    assert {"best/reward", "best/acc", "population/net19_acc", "population/net0_connections"} <= set(tags)
    header, numbers = (tmp_path / "run/results_summary.csv").read_text().splitlines()
    row = dict(zip(header.split(","), map(float, numbers.split(",")), strict=True))
    assert row["mean_reward"] == pytest.approx(end.fitness.values["reward"].mean())
    assert row["best_acc"] == end.fitness.values["acc"][np.argmax(end.fitness.reward)]


def test_children_inherit_the_trained_weights(tmp_path):
    run = learning_settings(num_generations=4, mutation=MutationSettings(num_mutations=0, inherit_weights=True))
    end = evolve(Learning(), run, tmp_path / "run")
    # Without mutations every network is one of the first ones that has been trained three times: N(0, 0.1) + 3.
    weights = np.concatenate([g.weights for g in end.population])
    assert ((weights > 2.5) & (weights < 3.5)).all()


def test_generators_differ_by_seed_generation_and_purpose():
    keys = [(s, g, p) for s in (0, 1) for g in (0, 1) for p in Purpose]
    draws = {generator(*key).random() for key in keys}
    assert len(draws) == len(keys)
    assert generator(0, 1, Purpose.TEST).random() == generator(0, 1, Purpose.TEST).random()


def test_new_networks_draw_from_generators_of_their_own(tmp_path):
    run = learning_settings(num_generations=1)
    end = evolve(Learning(), run, tmp_path / "run")
    for genome, own in zip(end.population, generator(run.seed, 0, Purpose.START).spawn(20), strict=True):
        new = Genome.initial(4, 2, run.p_initial_connection_enabled, own, with_weights=True)
        assert genome == add_nodes_at_start(new, own)


def test_an_interruption_leaves_the_last_whole_generation(tmp_path):
    class Interrupted(Sparse):
        def evaluate(self, population, rng):
            if self.confirmations == 99:
                raise KeyboardInterrupt
            return super().evaluate(population, rng)

        def test(self, genome, rng):
            self.confirmations = 99  # the next evaluation is interrupted
            return {}

    whole = evolve(Sparse(), settings(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        evolve(Interrupted(), settings(), tmp_path / "run", period=1e9)
    state, _ = checkpoint.load(tmp_path / "run", checkpoint.from_bytes)
    assert state.generation == 0
    assert evolve(Sparse(), settings(), tmp_path / "run", state).population == whole.population


class Noisy(Sparse):
    """The reward is noise around a network's size, and so is its confirmation; remembers who was confirmed."""

    def __init__(self):
        super().__init__()
        self.challengers = []

    def confirm(self, genome, rng):
        self.challengers.append(genome)
        return {"mean_reward": float(genome.num_connections + rng.normal())}


def test_a_network_equal_to_the_champion_does_not_challenge_it():
    task, champion = Noisy(), None
    for state in generations(task, settings(num_generations=60)):
        if champion is not None and state.challenge is not None:
            assert task.challengers[-1] != champion.genome
        champion = state.champion
    assert len(task.challengers) > 5


def test_the_best_of_the_other_networks_challenges_instead():
    class Fixed(Sparse):
        def evaluate(self, population, rng):
            self.rewards = np.array([10.0 if g == self.first else g.num_connections for g in population])
            return Fitness({"mean_reward": self.rewards, "max_reward": self.rewards}, ("mean_reward", "max_reward"))

        def confirm(self, genome, rng):
            return {"mean_reward": 0.5}  # below what any network with a connection has

    task = Fixed()
    task.first = loop.first_population(task, settings())[0]
    states = list(generations(task, settings(num_generations=2)))
    assert states[0].champion.genome == task.first
    others = [g.num_connections for g in states[1].population if g != task.first]
    assert states[1].challenge is not None
    assert not states[1].challenge.won
    assert max(others) > 0.5


def test_what_a_test_found_goes_into_the_champions_file_and_stays_with_the_champion(tmp_path):
    end = evolve(Sparse(), settings(num_generations=5), tmp_path / "run")
    saved = json.loads((tmp_path / "run/champion_network.json").read_text())["provenance"]
    assert saved["tested"] == end.champion.tested
    assert set(saved["tested"]) == {"test_mean_reward"}
    state, _ = checkpoint.load(tmp_path / "run", checkpoint.from_bytes)
    assert state.champion.tested == end.champion.tested  # generation 4 is one with a test


def test_the_champions_file_follows_the_state_that_a_run_goes_on_from(tmp_path):
    states = {state.generation: state for state in generations(Sparse(), settings(num_generations=12))}
    first = states[0]
    later = next(state for state in states.values() if state.champion.generation > 0)
    ChampionFile(tmp_path, {}, later)
    assert Genome.load(tmp_path / "champion_network.json") == later.champion.genome
    ChampionFile(tmp_path, {}, first)
    assert Genome.load(tmp_path / "champion_network.json") == first.champion.genome
    assert later.champion.genome != first.champion.genome


def test_a_champion_that_was_drawn_is_not_drawn_again(tmp_path):
    run, drawn = opened(tmp_path / "run"), []
    portraits = Portraits(run, lambda genome: drawn.append(genome) or np.zeros((2, 2, 3), np.uint8), lambda g: {}, 2)
    champions = []
    for state in generations(Sparse(), settings(num_generations=20)):
        portraits(state)
        if state.tested and (not champions or champions[-1] is not state.champion.genome):
            champions.append(state.champion.genome)
    run.close()
    assert drawn == champions
    assert len(drawn) < 10


def test_a_picture_that_cannot_be_made_ends_no_run(tmp_path, caplog):
    def draw(genome):
        raise RuntimeError("no backend")

    run = opened(tmp_path / "run")
    with caplog.at_level(logging.INFO, "neuroevolution"):
        for state in generations(Sparse(), settings()):
            Portraits(run, draw, lambda genome: {"depth": 1.0}, 2)(state)
    run.close()
    assert "no portraits of champions: RuntimeError: no backend" in caplog.text
    assert scalars(tmp_path / "run")["champion/graph_depth"]


def test_an_unexpected_error_leaves_the_last_whole_generation(tmp_path):
    def fail(state):
        if state.generation == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evolve(Sparse(), settings(), tmp_path / "run", period=1e9, others=[fail])
    state, _ = checkpoint.load(tmp_path / "run", checkpoint.from_bytes)
    assert state.generation == 2


def test_a_state_of_another_run_is_refused_with_what_differs():
    *_, state = generations(Sparse(), settings(num_generations=2))
    other = settings(selection=SelectionSettings(30, 4, 0.2, 0.2), use_bias=True)
    with pytest.raises(InputError, match=r"networks: 20, not 30; bias: False, not True"):
        next(generations(Sparse(), other, state))


def test_the_log_says_what_is_so(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "neuroevolution"):
        evolve(Sparse(confirmed=[np.nan] * 99), settings(num_generations=2), tmp_path / "a")
        evolve(Sparse(), settings(), tmp_path / "b", others=[lambda state: state.generation == 1])
    assert "confirmed mean_reward nan, max_reward" in caplog.text
    assert ": new champion" not in caplog.text
    assert "finished after generation 1 without a champion: no network's reward was finite and stayed so" in caplog.text
    assert "stopped before all 6 generations were done: after generation 1; champion of" in caplog.text
