# Everything happens in .venv, which is made on first use and again when pyproject.toml or constraints.txt change.
# Only Python 3.11 or later with its venv module, make and bash are needed: make PYTHON=python3.12 demo
PYTHON ?= python3
SHELL := bash
PIP_INSTALL := -m pip install --disable-pip-version-check --constraint constraints.txt
ALL_EXTRAS := services,web,tracing,train,dev,deploy
SERVERS := gateway text classification generation captioning
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
TORCH ?= cpu
WORKERS ?= 2
# In the order of the files, where those that take longest are not left for the end.
IN_WORKERS = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
IMAGE_TAG = $(VERSION)$(if $(filter cuda,$(TORCH)),-cuda)
ENGINE ?= docker

.DEFAULT_GOAL := help
.PHONY: help demo up environments test test-base check check-code check-types check-imports check-protos check-manifests check-deploy images test-containers lock sbom format protos manifests dashboards benchmarks bench bench-peers robustness soak fuzz clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.services ## Start everything, paint a dozen prompts, describe the pictures, stop everything; writes out/.
	@.venv/bin/diptych demo --output out

up: .venv/.services ## Start the platform on this machine, until Ctrl-C.
	@trap : INT; .venv/bin/diptych up; code=$$?; exit $$((code == 130 ? 0 : code))  # Ctrl-C is how it ends

environments: .venv/.all .venv-checkov/.checkov ## Install all that tests and checks need; with --jobs 2 side by side.

# Workers share the cores with all that they start, and OpenMP's threads would wait for one another by spinning.
test: export OMP_NUM_THREADS := 1
test: export OMP_WAIT_POLICY := PASSIVE
test: .venv/.dev ## Run all tests in two workers, WORKERS=4 in four; ARGS="..." goes to pytest, in one process.
	.venv/bin/python -m pytest $(or $(ARGS),$(IN_WORKERS))

test-base: .venv-base/.base ## Run the gateway's tests where torch, numpy and Pillow are not installed.
	.venv-base/bin/python -m pytest tests/gateway --ignore tests/gateway/access $(or $(ARGS),$(IN_WORKERS))

check: check-code check-types check-imports check-protos check-manifests check-deploy ## Lint, format, types, import rules, protos, manifests, images and Compose.

check-code: .venv/.dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check

check-types: .venv/.dev
	.venv/bin/mypy

check-imports: .venv/.dev
	PYTHONPATH=. .venv/bin/lint-imports --no-logo

check-protos: .venv/.dev
	.venv/bin/buf lint protos
	.venv/bin/buf format --diff --exit-code protos
	@BUF=.venv/bin/buf protos/breaking.sh
	@PYTHON=.venv/bin/python protos/generate.sh --check

manifests: .venv/.dev ## Write the manifests that repeat other files: rules and dashboards for Kubernetes.
	.venv/bin/python -m deploy.kubernetes.generate

check-manifests: .venv/.dev .venv-checkov/.checkov
	@rm -rf out/manifests && .venv/bin/python -m tests.deploy.manifests out/manifests
	.venv-checkov/bin/checkov --config-file deploy/kubernetes/checkov.yaml

check-deploy: .venv/.deploy .venv-checkov/.checkov
	.venv/bin/hadolint --config deploy/hadolint.yaml deploy/Dockerfile
	.venv-checkov/bin/checkov --config-file deploy/checkov.yaml
	.venv/bin/docker-compose --file docker-compose.yml config --quiet
	.venv/bin/docker-compose --file docker-compose.yml --file deploy/compose.gpu.yml config --quiet

images: ## Build the five images; ENGINE=podman, TORCH=cuda, PIP_EXTRA_INDEX_URL=... as pip knows it.
	@set -e; for name in $(SERVERS); do \
		echo "diptych-$$name:$(IMAGE_TAG)"; \
		$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) --file deploy/Dockerfile --target $$name \
			--tag diptych-$$name:$(IMAGE_TAG) --build-arg TORCH=$(TORCH) --build-arg VERSION=$(VERSION) \
			--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
			--build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL $(BUILD_FLAGS) .; \
	done

test-containers: .venv/.deploy ## Build the images, run Compose in a real dockerd, and kill, scale and restart; needs root.
	.venv/bin/python -m pytest tests/containers --timeout 900 -s $(ARGS)

lock: .venv/.deploy ## Pin what the images hold, with hashes: deploy/requirements/*.txt.
	@deploy/requirements/lock.sh .venv/bin/uv

sbom: .venv/.deploy ## Write which Python packages the images hold, as CycloneDX: out/sbom/.
	@mkdir -p out/sbom
	@set -e; for pins in gateway services-$(TORCH); do \
		.venv/bin/python -W ignore -m cyclonedx_py requirements deploy/requirements/$$pins.txt --pyproject pyproject.toml \
			--mc-type application --output-reproducible --of JSON -o out/sbom/diptych-$$pins.cdx.json; \
		echo out/sbom/diptych-$$pins.cdx.json; \
	done

format: .venv/.dev ## Format the code.
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	.venv/bin/buf format -w protos

protos: .venv/.dev ## Generate the code beside the .proto files.
	@PYTHON=.venv/bin/python protos/generate.sh

dashboards: .venv/.dev ## Generate deploy/grafana/dashboards from the code beside it.
	@.venv/bin/python -m deploy.grafana

benchmarks: .venv/.dev ## Memory of each process, and seconds to the first answer.
	.venv/bin/python -m tests.benchmarks.memory
	.venv/bin/python -m tests.benchmarks.first_answer

bench: .venv/.dev ## Diptych beside the bare loop, under load and overload; ARGS="--quick" for a look; under 10 minutes.
	.venv/bin/python -m tests.benchmarks.bench $(ARGS)

bench-peers: .venv/.dev ## Diptych beside other servers of the same modules, each in .venv-peers/; under 30 minutes.
	.venv/bin/python -m tests.benchmarks.peers.bench $(ARGS)

robustness: .venv/.dev ## Cancelled calls, rolling restarts and killed processes under load, counted; a quarter of an hour.
	.venv/bin/python -m tests.benchmarks.robustness.cancel_storm
	.venv/bin/python -m tests.benchmarks.robustness.rolling_restarts
	.venv/bin/python -m tests.benchmarks.robustness.kills

soak: .venv/.dev ## Mixed load for 10 minutes: are memory and throughput level? ARGS="--minutes 60" for longer.
	.venv/bin/python -m tests.benchmarks.robustness.soak $(ARGS)

fuzz: .venv/.dev ## A million inputs to picture decoding and every request; ARGS="--inputs 4000" as in CI.
	.venv/bin/python -m tests.fuzz $(ARGS)

clean: ## Remove the environments and what runs left behind.
	rm -rf .venv .venv-base .venv-checkov .venv-peers out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/diptych-containers"

.venv/bin/python .venv-base/bin/python .venv-checkov/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(patsubst %/bin/python,%,$@) \
		|| { rm -rf $(patsubst %/bin/python,%,$@); echo 'error: no virtual environment; Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }

# After .venv/.all where both are made: two pips must not install into one environment at a time.
.venv/.services: pyproject.toml constraints.txt | .venv/bin/python $(if $(filter environments,$(MAKECMDGOALS)),.venv/.all)
	@echo 'Installing Diptych and PyTorch into .venv: a minute or a few, nearly all of it downloads.'
	@.venv/bin/python $(PIP_INSTALL) --quiet --editable '.[services,web]'
	@touch $@

.venv/.dev: .venv/.services
	@echo 'Installing the development tools into .venv: half a minute.'
	@.venv/bin/python $(PIP_INSTALL) --quiet --editable '.[services,web,tracing,train,dev]'
	@touch $@

.venv/.deploy: .venv/.dev
	@echo 'Installing the tools for deployment into .venv.'
	@.venv/bin/python $(PIP_INSTALL) --quiet --editable '.[$(ALL_EXTRAS)]'
	@touch $@

# In one go, where all of it is wanted: each of pip's runs resolves and builds for seconds.
.venv/.all: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'Installing Diptych, PyTorch and all tools into .venv: a minute or a few, nearly all of it downloads.'
	@.venv/bin/python $(PIP_INSTALL) --quiet --editable '.[$(ALL_EXTRAS)]'
	@touch .venv/.services .venv/.dev .venv/.deploy $@

# Apart, since it pins many packages of its own.
.venv-checkov/.checkov: Makefile | .venv-checkov/bin/python
	@echo 'Installing checkov into .venv-checkov: a minute.'
	@.venv-checkov/bin/python -m pip install --disable-pip-version-check --quiet checkov==3.3.30
	@touch $@

.venv-base/.base: pyproject.toml constraints.txt | .venv-base/bin/python
	@echo 'Installing the base package and pytest into .venv-base: half a minute.'
	@.venv-base/bin/python $(PIP_INSTALL) --quiet --editable . cryptography pytest pytest-asyncio pytest-timeout pytest-xdist hypothesis psutil
	@touch $@
