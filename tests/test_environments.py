"""The table of environments in the docs: every id that Gymnasium registers without a further engine, evolved."""

import gymnasium
import pytest
from runs import ROOT

from envs import compiled, gym_task
from envs.gym_task import GymTask, Rules, look_at
from envs.spaces import Actions, Observations, kind
from evolution.loop import EvolutionSettings, generations
from evolution.selection import SelectionSettings
from evolution.workers import Workers

PACKAGES = ("gymnasium.envs.classic_control", "gymnasium.envs.toy_text", "gymnasium.envs.box2d", "envs.")
IDS = [key for key, spec in gymnasium.registry.items() if str(spec.entry_point).startswith(PACKAGES)]


def row(name: str) -> str:
    look = look_at(Rules(name, {}, None, False))
    seen, done = look.observation_space, look.action_space
    how = "compiled" if compiled.find(name) else ""
    inputs, outputs = Observations(seen, name).size, Actions(done, name).size
    return f"| `{name}` | {inputs} | {kind(seen)} | {outputs} | {kind(done)} | {how} |"


def test_the_table_in_the_docs_is_current():
    lines = (ROOT / "docs" / "environments.md").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [row(name) for name in IDS]


@pytest.mark.parametrize("name", IDS)
def test_every_environment_can_be_evolved_for(name, monkeypatch):
    monkeypatch.setattr(gym_task, "CONFIRMATION_TRIALS", 1)
    monkeypatch.setattr(gym_task, "TEST_TRIALS", 1)
    size = 16 if "Racing" in name else None
    evaluator = "reference" if compiled.find(name) else "auto"  # the kernels have tests of their own
    task = GymTask(
        name,
        num_trials=1,
        workers=Workers(1, "threading"),
        max_episode_steps=3,
        observation_size=size,
        evaluator=evaluator,
    )
    selection = SelectionSettings(population_size=3, tournament_size=2, cull_ratio=0.0, elite_ratio=0.2)
    states = list(generations(task, EvolutionSettings(num_generations=2, test_every=5, selection=selection)))
    assert len(states) == 2
    assert all(len(state.fitness.reward) == 3 for state in states)
    assert states[-1].champion is not None
