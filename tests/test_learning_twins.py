"""Kernel and torch class of each rule are held together when a task is built."""

import importlib
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from evolution.errors import RunError
from learning import LEARNING_RULES, noise
from learning.noise import key_of, normal
from learning.rules import rule_class
from learning.twins import check_rule
from networks.jit import kernel

HEBBIAN = Path(str(sys.modules[rule_class("hebbian").__module__].__file__))
TORCH = "lr * (correlations[layer.rows, layer.columns] - squares"
KERNEL = "F(rule.rate) * (product - square"


@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_both_compute_the_same_for_every_rule_in_a_tenth_of_a_second(rule):
    check_rule(rule)
    seconds = []
    for _ in range(5):  # what numba and torch load at their first use, a run loads anyway
        check_rule.cache_clear()
        start = time.process_time()
        check_rule(rule)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1


@pytest.mark.parametrize("edited", [TORCH, KERNEL])
def test_a_sign_that_is_flipped_in_one_of_the_two_ends_the_run(edited, tmp_path, monkeypatch):
    text = HEBBIAN.read_text(encoding="utf-8")
    assert text.count(edited) == 1
    name = f"edited_hebbian_{edited is TORCH}"
    (tmp_path / f"{name}.py").write_text(text.replace(edited, edited.replace(" - ", " + ")), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(RunError, match=f"learning rule {name}:Hebbian: the kernel in .*{name}.py and its reference in"):
        check_rule(f"{name}:Hebbian")


@kernel
def drawn(seed, step, stream, out):
    key = key_of(seed, step, stream)
    for s in range(len(out)):
        out[s] = normal(key, s)


def test_noise_has_the_same_bits_in_both_and_is_noise():
    rows = noise.rows(2**63 - 5, 7, np.arange(40), 500)
    for stream in (0, 39):
        out = np.empty(500, np.float32)
        drawn(np.uint64(2**63 - 5), 7, stream, out)
        np.testing.assert_array_equal(out, rows[stream])
    assert abs(rows.mean()) < 4 / np.sqrt(rows.size)
    assert rows.var() == pytest.approx(1, abs=0.05)
    assert np.abs(np.corrcoef(rows) - np.eye(40)).max() < 0.25
    others = [noise.rows(2**63 - 5, 8, 0, 500), noise.rows(2**63 - 4, 7, 0, 500), rows[1:2]]
    for other in others:
        assert abs(np.corrcoef(rows[0], other[0])[0, 1]) < 0.25
