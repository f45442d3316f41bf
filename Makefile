# livesketch. Needs make, Python 3.11 or newer with venv, and a Python package index that pip can reach.
#   make demo PYTHON=python3.12     with another Python
#   make test VENV=/tmp/venv        in another environment

PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
TESTS ?=
# One more than there are cores, as some tests only wait; at most 4.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')
SEED ?= 23
JS = benchmarks/js/node_modules

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check bench gpu peers

help: ## What can be made (this list)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.livesketch ## Draw the bundled cat: in this terminal, over OSC to 127.0.0.1:9000, and into demo.svg
	@$(VENV)/bin/livesketch monitor 9000 --seconds 9 >$(VENV)/demo.osc 2>/dev/null & \
	$(VENV)/bin/livesketch play cat --osc 127.0.0.1:9000 --rate 90 --seconds 6 --seed $(SEED) -o demo.svg || exit; \
	wait; echo "demo.svg is the page: open it in a browser"; \
	if [ -s $(VENV)/demo.osc ]; then \
	  echo "`grep -c /livesketch/ $(VENV)/demo.osc` OSC messages arrived at 127.0.0.1:9000; the first of them:"; \
	  head -n 4 $(VENV)/demo.osc; \
	else echo "Port 9000 was taken, so what arrived there was not shown"; fi

test: $(VENV)/.livesketch-dev ## The quick tests, at most 5 minutes (TESTS="-k osc" for some of them)
	$(VENV)/bin/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile $(TESTS)

test-slow: $(VENV)/.livesketch-dev ## The long tests
	$(VENV)/bin/python -m pytest -m slow $(TESTS)

check: $(VENV)/.livesketch-dev ## Lint, format and types; changes nothing
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.livesketch-dev ## Time one step beside other engines, the import and the first pen action
	$(VENV)/bin/python -m benchmarks step import first-action

gpu: $(VENV)/.livesketch-dev ## On a machine with an NVIDIA GPU: check the cuda backend there and time it
	$(PIP) install -c constraints.txt -e '.[cuda]'
	bash benchmarks/gpu.sh $(VENV)/bin/python

peers: $(VENV)/.livesketch-peers $(JS)/.livesketch ## Install the Python and npm packages that tests and benchmarks compare with

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "No $(PYTHON) here. Install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "livesketch needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`." \
	       "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp says what an environment holds: made again when the project's requirements change, otherwise nothing runs.
$(VENV)/.livesketch: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e .
	@echo "Compiling the drawing kernels, once"
	@$(VENV)/bin/python -c 'import livesketch as ls; next(ls.sketch("cat"))'
	@touch $@

$(VENV)/.livesketch-dev: $(VENV)/.livesketch
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.livesketch-peers: $(VENV)/.livesketch-dev
	$(PIP) install -c constraints.txt -e '.[peers]'
	@touch $@

$(JS)/.livesketch: benchmarks/js/package.json
	@command -v npm >/dev/null || { \
	  echo "No npm here: @magenta/sketch is not installed, and what compares with it says so. Debian: nodejs and npm" >&2; exit 0; }; \
	cd benchmarks/js && npm install --no-audit --no-fund && touch node_modules/.livesketch
