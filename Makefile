# The lab's commands. GNU make 3.81 is enough. `make help` lists them.
#
#   FAILURE=tcp_mtls      only this failure (several: a,b)
#   CLUSTER=embedded      or kind, or recorded; embedded,kind compares the two
#   CLUSTER=context:NAME  a cluster that is there already, by your kubeconfig
#   PARAMS='mtls=DISABLE' a failure's parameters
#   NODES=3               of CLUSTER=kind: a control plane, and callers apart from whom they call
#   RUN=latest            of `make report`: a run, recorded, or a,b side by side
#   KEEP=1                leave cluster and namespaces
#   ON_INCONCLUSIVE=warn  0 and a warning in the place of 3; a verdict that differs stays 1
#   ALLOW_EXEC_PLUGIN=1   let that context's kubeconfig run a program for its credentials
#   IMAGES=official       kind: of a registry; built: made here; else by whether a registry answers
#   BINARIES=official     embedded: programs out of a registry's images, not built here
#   ISTIO=1.30            of the programs built here; 1.30,1.31 compares the two
#   ISTIO=1.30.3          which release, where images are official
#   ENVOY=1.40.0          another Envoy on CLUSTER=embedded; a,b compares the two
#   REGISTRY=HOST:PORT    a mirror that has them all

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAILURE ?=
CLUSTER ?= auto
PARAMS ?=
KEEP ?=
ON_INCONCLUSIVE ?=
NODES ?= $(LAB_NODES)
export LAB_NODES := $(NODES)
ALLOW_EXEC_PLUGIN ?= $(LAB_ALLOW_EXEC_PLUGIN)
export LAB_ALLOW_EXEC_PLUGIN := $(ALLOW_EXEC_PLUGIN)
IMAGES ?= $(LAB_IMAGES)
BINARIES ?= $(LAB_BINARIES)
ISTIO ?= $(LAB_ISTIO)
REGISTRY ?= $(LAB_REGISTRY)
export LAB_IMAGES := $(IMAGES)
export LAB_BINARIES := $(BINARIES)
export LAB_ISTIO := $(ISTIO)
ENVOY ?= $(LAB_ENVOY)
export LAB_ENVOY := $(ENVOY)
export LAB_REGISTRY := $(REGISTRY)
space := $(subst ,, )
comma := ,
# Docker, mmdebstrap, skopeo: only for kind or official programs, and only then looked for.
CLUSTERS = $(subst $(comma), ,$(CLUSTER))
NEEDS_OF_KIND = $(if $(filter kind official,$(CLUSTERS) $(BINARIES)),$(PYTHON) -m lab doctor \
  $(if $(filter kind,$(CLUSTERS)),--cluster kind) --fix --quiet)
# A make that is killed does not tell what it started; Linux can. Where it cannot, it runs to its end.
ENDS_WITH_MAKE = $(shell setpriv --pdeathsig TERM true 2>/dev/null && echo setpriv --pdeathsig TERM)
STAMP := $(VENV)/ready-$(shell cksum requirements.lock pyproject.toml | cksum | cut -d' ' -f1)

.PHONY: help env reproduce test check lab up down status doctor lock verify notebooks readme clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  with FAILURE= CLUSTER= ISTIO= ENVOY= PARAMS= KEEP=1 and more; see the Makefile's head"

reproduce: preview env ## reproduce every failure on a real mesh, and show the verdicts
	@$(NEEDS_OF_KIND)
	@exec $(ENDS_WITH_MAKE) $(BIN)/python -m lab run $(subst $(comma), ,$(FAILURE)) \
	  --cluster $(CLUSTER) --params "$(PARAMS)" $(if $(KEEP),--keep) \
	  $(if $(ON_INCONCLUSIVE),--on-inconclusive=$(ON_INCONCLUSIVE))

.PHONY: report
RUN ?= latest
report: env ## a run as one page: RUN=latest, a run's name, recorded, or several of them
	@$(BIN)/python -m lab report $(subst $(comma), ,$(RUN))

.PHONY: preview
preview:
	@$(PYTHON) -m lab preview --cluster $(CLUSTER)

test: env ## lint, types, and all tests, those on a real cluster too
	@$(PYTHON) -m lab doctor --tests --fix --quiet
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

check: env ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m lab.commands.check_failures

lab: env ## open the notebooks in JupyterLab, on this machine only
	$(BIN)/jupyter lab --ip 127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/00_start_here.ipynb

up: env ## start the standing cluster, which later runs use
	@$(NEEDS_OF_KIND)
	@$(BIN)/python -m lab up --cluster $(CLUSTER)

down: env ## end it, and all it made
	@$(BIN)/python -m lab down --cluster $(CLUSTER)

status: env ## is it up
	@$(BIN)/python -m lab status --cluster $(CLUSTER)

doctor: ## what this machine lacks
	@$(PYTHON) -m lab doctor

env: $(STAMP) ## the lab's own Python environment, from the lock

# On Debian or Ubuntu, as root, missing system packages are installed; else they are named.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -m lab doctor --fix --quiet
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/ready-*
	@touch $@

lock: env ## write requirements.lock anew (needs uv)
	uv pip compile --universal --generate-hashes --no-header --no-annotate -q \
	  --group pyproject.toml:dev pyproject.toml -o requirements.lock

notebooks: env ## execute the notebooks from recorded evidence, and keep their outputs
	$(BIN)/python -m lab.commands.generate notebooks

readme: env ## write README's generated parts anew
	$(BIN)/python -m lab.commands.generate readme

verify: env ## are the generated parts as they would be generated now
	$(BIN)/python -m lab.commands.generate verify

.PHONY: lint-workflows
lint-workflows: ## lint .github/workflows (needs Go)
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 $(wildcard .github/workflows/*.yml)

clean: ## remove the environment and the runs; the cache of binaries stays
	rm -rf $(VENV) runs
