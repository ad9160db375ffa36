"""The weights that weight agnostic networks are evaluated at: fixed ones, or some that each generation draws."""

import numpy as np
import pytest
from runs import ROOT, finish, scalars, start

from envs.gym_task import GymTask
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.workers import Workers
from networks.shared_weights import SharedWeights, parse


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_what_the_parameter_may_be():
    assert parse(None).values == (-2, -1, -0.5, 0.5, 1, 2)
    assert parse([1, -0.25]).values == (1.0, -0.25)
    assert parse("random: 3") == parse("random:3") == SharedWeights(random=3)


@pytest.mark.parametrize(
    "given", [[], [1, 1], [float("nan")], "random", "random: 0", "random: -2", "six", "random: 1001"]
)
def test_what_it_may_not_be(given):
    with pytest.raises(InputError, match="shared_weights is"):
        parse(given)


def test_random_weights_are_drawn_anew_within_the_range_and_change_no_other_draw():
    one, other = (parse("random: 50").draw(rng(seed)) for seed in (1, 2))
    assert len(one) == 50
    assert min(one) < -1.5
    assert max(one) > 1.5
    assert np.abs(one).max() <= 2
    assert one != other
    assert one == parse("random: 50").draw(rng(1))
    used, unused = rng(1), rng(1)
    parse("random: 50").draw(used)
    assert used.random() == unused.random()


def test_the_fitness_is_the_mean_over_the_chosen_weights():
    genome = Genome.initial(5, 1, 1.0, rng())

    def fitness(weights: SharedWeights) -> float:
        task = GymTask(
            "CartPoleSwingUp",
            num_trials=2,
            take_argmax_action=False,
            workers=Workers(),
            shared_weights=weights,
            max_episode_steps=50,
        )
        return float(task.evaluate([genome], rng(5)).reward[0])

    apart = [fitness(SharedWeights((w,))) for w in (-1.0, 0.3)]
    assert apart[0] != apart[1]
    assert fitness(SharedWeights((-1.0, 0.3))) == pytest.approx(np.mean(apart))


def test_a_run_with_weights_of_its_own(tmp_path):
    arguments = ["params/wann-classification/digits.yaml", "--num_generations=2", "--population_size=6"]
    arguments += ["--tournament_size=2", "--batch_size=20", "--seed=1", f"--out_dir={tmp_path / 'run'}"]
    status, _, err = finish(start(ROOT / "run-wann-classification.py", *arguments, "--shared_weights", "[0.5, 1]"))
    assert status == 0, err
    assert "shared_weights:\n- 0.5\n- 1\n" in (tmp_path / "run" / "params.yaml").read_text()
    assert "champion/test_mean_acc" in scalars(tmp_path / "run")
    status, _, err = finish(
        start(ROOT / "run-wann-classification.py", *arguments[:-1], "--shared_weights", "random: x")
    )
    assert status == 2
    assert "shared_weights is 'random: x'; it must be" in err
