# make                          shows the tasks
# make PYTHON=python3.13 test   does one with that Python
#
# Only Python 3.11 or newer and make have to be installed: a task puts what else it needs into a
# virtual environment, .venv, or .venv-3.13 where PYTHON names another Python than python3.

PYTHON ?= python3
MINOR = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(MINOR))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
DEMO := $(VENV)/.has-demo
TOOLS := $(VENV)/.has-tools
BENCH := $(VENV)/.has-bench
WSGI_SERVERS := $(VENV)/.has-wsgi-servers
DEMO_PORT ?= 8000
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo docs pictures test full servers servers-full wsgi-servers mutants fuzz bench bench-quick bench-instructions \
        soak lint format clean upstream

help:  ## show the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 28

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) is not installed. Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) -V) ..."
	@$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml | $(BIN)/python
	@echo "Installing the library, Jinja2 and gunicorn into $(VENV) ..."
	@$(PIP) install --editable ".[demo]"
	@touch $@

$(TOOLS): pyproject.toml | $(BIN)/python
	@echo "Installing the library and all that its tests use into $(VENV), which takes a minute ..."
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --editable ".[all]" --group test
	@touch $@

$(BENCH): $(TOOLS)
	@echo "Installing what it is measured against into $(VENV) ..."
	@$(PIP) install --group bench
	@touch $@

$(WSGI_SERVERS): $(TOOLS)
	@echo "Installing every WSGI server into $(VENV) ..."
	@$(PIP) install --group servers
	@touch $@

wsgi-servers: $(WSGI_SERVERS)

docs: $(TOOLS)  ## build the site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

demo: $(DEMO)  ## serve the demo at http://127.0.0.1:8000
	@echo "Starting the demo ..."
	@exec $(BIN)/python -m wsgi_sessions.demo --port $(DEMO_PORT)

pictures: $(TOOLS) servers  ## take the pictures of the demo in docs/images anew
	WSGI_SESSIONS_PICTURES=1 $(BIN)/python -m pytest -q tests/served/test_film.py

test: lint servers  ## lint, type-check and run the tests (ARGS="-k name" for some)
	$(BIN)/python -m pytest $(ARGS)

full: export WSGI_SESSIONS_REQUIRE_SERVERS = 1
full: lint servers-full $(BENCH) $(WSGI_SERVERS)  ## everything, about two hours: every test on every server, fuzz, soak, mutants
	$(BIN)/python -m pytest -m "full or not full"
	$(BIN)/python -m tests.security.fuzz --seconds $(SECONDS)
	$(BIN)/python -m tests.soak --seconds $(SECONDS)
	$(MAKE) mutants

upstream: servers-full $(TOOLS)  ## the tests of Flask, Django and packages for them, and real applications, with our sessions, an hour
	$(BIN)/python -m pytest -m "full or not full" tests/upstream $(ARGS)

servers:
	@sh tests/servers/install.sh

servers-full:
	@sh tests/servers/install.sh full

mutants: $(TOOLS)  ## change the core in every small way and see the tests notice, about 10 minutes
	@$(PIP) install --group mutants
	WSGI_SESSIONS_REQUIRE_SERVERS=none $(BIN)/mutmut run --max-children 2 $(ARGS)
	$(BIN)/mutmut results

fuzz: $(TOOLS)  ## try hostile inputs for SECONDS (default 60)
	$(BIN)/python -m tests.security.fuzz --seconds $(SECONDS)

soak: $(TOOLS) servers  ## break the stores under load for SECONDS (default 60; ARGS=redis for one)
	$(BIN)/python -m tests.soak --seconds $(SECONDS) $(ARGS)

bench: $(BENCH) servers-full  ## measure everything, about 45 minutes on a quiet machine
	$(BIN)/python -m benchmarks

bench-quick: $(BENCH) servers  ## see that everything that is measured runs
	$(BIN)/python -m benchmarks --quick

bench-instructions: $(TOOLS) servers-full  ## instructions per request, ours only (ARGS=--peers for all)
	$(BIN)/python -m benchmarks instructions $(ARGS)

lint: $(TOOLS)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TOOLS)  ## reformat the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the virtual environments and caches
	rm -rf site .venv .venv-3.* .venv-apps .mypy_cache .pytest_cache .ruff_cache .hypothesis mutants
