# Everything runs in .venv, which the first command sets up.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
SEED ?= 0
MINUTES ?= 2.5

.PHONY: help setup swingup test lint type check fuzz bench reproduce clean
.DEFAULT_GOAL := help

help: ## say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 28

setup: .venv/installed ## install every package of requirements.txt into .venv

.venv/installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet torch==2.13.0
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements.txt
	touch $@

swingup: setup ## evolve networks that swing a pole up, about three minutes
	$(BIN)/python run-wann-gym.py params/wann-gym/CartPoleSwingUp.yaml --num_workers 2 --seed $(SEED) \
		--max_minutes $(MINUTES) --out_dir out/swingup --overwrite_output
	$(BIN)/python -m analysis draw out/swingup/champion_network.json --env_name CartPoleSwingUp --to out/swingup/champion
	$(BIN)/python -m analysis film out/swingup/champion_network.json --env_name CartPoleSwingUp --weight 1 \
		--to out/swingup/champion.gif
	$(BIN)/python -m analysis report out/swingup

test: lint type check ## lint, type-check, test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup
	$(BIN)/mypy .

check: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

fuzz: setup ## feed the readers of files and command lines with nonsense until one fails or Ctrl-C
	export FUZZ_EXAMPLES=5000; while $(BIN)/python -m pytest -n 2 tests/test_fuzz.py; do :; done; false

bench: setup ## measure the kernels against their references, and print a table
	$(BIN)/python -m benchmarks

# The published experiments, resumable: what was begun goes on. ARGUMENTS="--seed 0..1 --num_generations 101" bounds them.
REPRODUCTIONS := random-networks cartpole swingup bipedal digits mnist-wann wlnn
reproduce: $(addprefix reproduce-,$(REPRODUCTIONS)) ## run all published experiments again (days)

reproduce-random-networks: setup
	$(BIN)/python -m analysis random-networks --rules all --dense 500 $(ARGUMENTS)

reproduce-%: setup
	$(BIN)/python run-study.py params/study/thesis-$*.yaml --num_workers 2 $(ARGUMENTS)
	$(BIN)/python -m analysis compare out/studies/thesis-$*
	$(BIN)/python -m analysis figures out/studies/thesis-$*/*seed*/ --to out/studies/thesis-$*/figures

clean: ## remove what tools left (not .venv, not out/)
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
