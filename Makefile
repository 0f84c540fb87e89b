# Everything is done in .venv, which is made on first use and again when pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
PROTOS = $(shell cd protos && find diptych -name '*.proto' | sort)

.DEFAULT_GOAL := help
.PHONY: help demo up test test-base check format protos benchmarks clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

demo: $(VENV)/.services ## Text to pictures and pictures to text: starts everything, writes out/, stops everything.
	$(BIN)/diptych demo --output out

up: $(VENV)/.services ## Start the platform on this machine, until Ctrl-C.
	$(BIN)/diptych up

test: $(VENV)/.dev ## Run the tests.
	$(BIN)/python -m pytest $(ARGS)

test-base: .venv-base/.base ## Run the gateway's tests where torch, numpy and Pillow are not installed.
	.venv-base/bin/python -m pytest tests/gateway tests/shared/rpc $(ARGS)

check: $(VENV)/.dev ## Lint, types, import rules, protos.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/buf format --diff --exit-code protos
	@BUF=$(BIN)/buf protos/breaking.sh
	@PYTHON=$(BIN)/python protos/generate.sh --check

format: $(VENV)/.dev ## Format the code.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format -w protos

protos: $(VENV)/.dev ## Generate the code beside the .proto files.
	@PYTHON=$(BIN)/python protos/generate.sh

benchmarks: $(VENV)/.dev ## Memory of each process, and seconds to the first answer.
	$(BIN)/python -m tests.benchmarks.memory
	$(BIN)/python -m tests.benchmarks.first_answer

clean: ## Remove the environments and what runs left behind.
	rm -rf .venv .venv-base out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python .venv-base/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(@D)/..

$(VENV)/.services: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --editable '.[services]'
	@touch $@

$(VENV)/.dev: $(VENV)/.services
	$(PIP_INSTALL) --editable '.[services,train,dev]'
	@touch $@

.venv-base/.base: pyproject.toml constraints.txt | .venv-base/bin/python
	.venv-base/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt \
		--editable . pytest pytest-asyncio pytest-timeout hypothesis psutil
	@touch $@
