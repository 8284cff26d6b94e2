# Two commands do everything on a machine that has Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: demo test check bench clean install

demo: $(VENV)/.installed  ## run the main job: 1,000 health checks over real sockets, on Ray
	$(BIN)/attune-ray run workflows/monitor_servers.yaml \
	  --actions workflows/actions/fleet.py --actions workflows/actions/monitoring.py

test: $(VENV)/.installed-dev  ## all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed-dev  ## lint, format, types, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

bench: $(VENV)/.installed-bench  ## measure everything into benchmarks/results/latest (leave the machine alone meanwhile)
	$(BIN)/python -m benchmarks --all --save latest

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
