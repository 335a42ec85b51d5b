# make          shows the tasks
# Everything a task needs is put into .venv first; only Python 3.11+ and make have to be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help demo test servers mutants fuzz bench bench-quick soak lint format clean

help:  ## show the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group test
	@touch $@

demo: $(READY)  ## serve the demo at http://127.0.0.1:8000
	@exec $(BIN)/python -m wsgi_sessions.demo --port $(DEMO_PORT)

test: lint servers  ## lint, type-check and run every test (ARGS="-k name" for some)
	$(BIN)/python -m pytest $(ARGS)

servers:
	@sh tests/servers/install.sh

mutants: $(READY)  ## break the code on purpose and see the tests notice
	$(BIN)/python tests/mutants.py

fuzz: $(READY)  ## try hostile inputs for SECONDS (default 60)
	$(BIN)/python -m tests.security.fuzz --seconds $(or $(SECONDS),60)

soak: $(READY) servers  ## break the stores under load for SECONDS (default 60; ARGS=redis for one)
	$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),60) $(ARGS)

bench: $(READY) servers  ## measure everything, about 45 minutes on a quiet machine
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

bench-quick: $(READY) servers  ## see that everything that is measured runs
	$(BIN)/python -m benchmarks --quick

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## reformat the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
