"""TensorBoard's HParams tab: every run's parameters and final values, in the run's own events."""

import pytest
from runs import ROOT, events, run
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata

SCRIPTS = {
    "run-wann-gym.py": [
        "params/wann-gym/CartPole-v0.yaml", "--population_size=8", "--tournament_size=2", "--num_generations=2",
        "--num_trials=1", "--seed=5",
    ],
    "run-wlnn-mnist-no-evolution.py": [
        "params/wlnn-mnist-no-evolution/mnist-backprop.yaml", "--dataset=digits", "--num_inputs=64", "--num_epochs=1",
        "--seed=5",
    ],
}  # fmt: skip


def plugin_data(folder):
    found = {}
    for file in sorted((folder / "tensorboard_summary").iterdir()):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "hparams":
                    assert value.tag not in found
                    found[value.tag] = value.metadata.plugin_data.content
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_parameters_and_final_values_are_in_the_runs_own_events(script, tmp_path):
    folder = tmp_path / "run"
    assert run(ROOT / script, *SCRIPTS[script], "--out_dir", folder)[0] == 0
    assert [path.name for path in (folder / "tensorboard_summary").iterdir() if path.is_dir()] == []
    found = plugin_data(folder)
    session = metadata.parse_session_start_info_plugin_data(found["_hparams_/session_start_info"])
    assert session.hparams["seed"].number_value == 5
    assert "num_workers" not in session.hparams  # it changes no result
    experiment = metadata.parse_experiment_plugin_data(found["_hparams_/experiment"])
    assert {info.name for info in experiment.hparam_infos} == set(session.hparams)
    written = {tag for tag, _, _ in events(folder)}
    assert {info.name.tag for info in experiment.metric_infos} <= written
    assert "_hparams_/session_end_info" in found
