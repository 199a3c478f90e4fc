# Everything a newcomer or CI needs; the first run makes a virtual environment in .venv.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# A Linux machine without a GPU can point this at PyTorch's index of CPU wheels: --index-url …
TORCH_FLAGS ?=
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz mutations lint bench lock wheel clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt torch==2.13.0 $(TORCH_FLAGS)
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.core
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.core ## from a bare clone to forecasts, scores and a report on real data
	$(BIN)/forecast backtest data=elnino n_windows=4 level=[80,95] hydra.run.dir=runs/demo
	@echo "Open runs/demo/report.html in a browser."

test: $(VENV)/.dev ## lint, types and the whole test suite
	$(MAKE) lint
	$(BIN)/python -m pytest -n auto -q

fuzz: $(VENV)/.dev ## the property tests with a thousand new examples each
	$(BIN)/python -m pytest -n auto -q --hypothesis-profile=fuzz $$(grep -rlE '@(given|holds)' tests --include='test_*.py')

mutations: $(VENV)/.dev ## would the tests notice? twelve mistakes put into a copy of the package
	$(BIN)/python -m tests.mutations

lint: $(VENV)/.dev ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev ## speed and accuracy tables (long; other toolkits get environments of their own)
	$(BIN)/python -m tests.benchmarks

lock: $(VENV)/.dev ## write constraints.txt from what is installed
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove what the targets above made
	rm -rf $(VENV) build dist runs *.egg-info .mypy_cache .ruff_cache .pytest_cache
