# Everything runs in .venv, which the first command sets up.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: setup swingup test lint type check clean
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
	$(BIN)/python -m benchmarks.swingup

test: lint type check ## lint, type-check, test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup
	$(BIN)/mypy .

check: setup
	$(BIN)/python -m pytest -n 2

clean: ## remove what tools left (not .venv, not out/)
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
