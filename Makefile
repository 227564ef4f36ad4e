# The lab's commands. GNU make 3.81 is enough. `make help` lists them.
#
#   FAILURE=tcp_mtls      only this failure (several: a,b)
#   CLUSTER=embedded      or kind, or recorded; embedded,kind compares the two
#   CLUSTER=context:NAME  a cluster of yours, by your kubeconfig
#   PARAMS='mtls=DISABLE' a failure's parameters
#   NODES=3               CLUSTER=kind: a control plane, and two nodes that keep callers from servers
#   RUN=latest            make report: a run, recorded, or a,b side by side
#   PODS=12               at most so many pods at a time; else as many as this machine has room for
#   KEEP=1                leave the cluster and the run's namespaces
#   ON_INCONCLUSIVE=warn  0 and a warning instead of 3; a verdict that differs stays 1
#   ALLOW_EXEC_PLUGIN=1   let that context's kubeconfig run a program for its credentials
#   IMAGES=official       CLUSTER=kind: fetch images; IMAGES=built: build them here; else official
#                         where a registry answers
#   BINARIES=official     CLUSTER=embedded: take programs from official images, and build none
#   ISTIO=1.30            which Istio is built here; 1.30,1.31 compares the two
#   ISTIO=1.30.3          which release, with official images
#   ENVOY=1.40.0          another Envoy on CLUSTER=embedded; a,b compares the two
#   REGISTRY=HOST:PORT    a mirror that has all official images

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
PODS ?= $(LAB_PODS)
export LAB_PODS := $(PODS)
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
# Some clusters need more than `make env` installs (Docker, skopeo): the lab knows which.
NEEDS = $(PYTHON) -m lab doctor --before-run --cluster $(CLUSTER) --fix --quiet
# A make that is killed does not end what it started; on Linux setpriv does that. Elsewhere the run
# goes on to its end.
ENDS_WITH_MAKE = $(shell setpriv --pdeathsig TERM true 2>/dev/null && echo setpriv --pdeathsig TERM)
STAMP := $(VENV)/ready-$(shell cksum requirements.lock pyproject.toml | cksum | cut -d' ' -f1)

##@ Look, without running anything

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^##@ / {print "\n" substr($$0, 5)} /^[a-z-]+:.*## / \
	  {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: FAILURE= CLUSTER= ISTIO= ENVOY= PARAMS= KEEP=1 and more: see the head of Makefile\n'

.PHONY: doctor
doctor: ## check what this machine has and lacks
	@$(PYTHON) -m lab doctor

.PHONY: preview
preview: ## show what a first start will build, and at what cost
	@$(PYTHON) -m lab preview --cluster $(CLUSTER)

##@ Reproduce

.PHONY: reproduce
reproduce: preview env ## reproduce every failure on a real mesh, and show the verdicts
	@$(NEEDS)
	@exec $(ENDS_WITH_MAKE) $(BIN)/python -m lab run $(subst $(comma), ,$(FAILURE)) \
	  --cluster $(CLUSTER) --params "$(PARAMS)" $(if $(KEEP),--keep) \
	  $(if $(ON_INCONCLUSIVE),--on-inconclusive=$(ON_INCONCLUSIVE))

.PHONY: lab
lab: env ## open the notebooks in JupyterLab, on this machine only
	$(BIN)/jupyter lab --ip 127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

##@ Learn

.PHONY: learn lessons
learn: env ## open the course in JupyterLab, while a cluster starts in the background
	@$(NEEDS)
	@exec $(BIN)/python -m lab learn --cluster $(CLUSTER)

lessons: env ## run every lesson's notebook on a cluster, and say whether each still holds
	@$(NEEDS)
	@exec $(ENDS_WITH_MAKE) $(BIN)/python -m lab lessons --cluster $(CLUSTER)

##@ Share and compare

.PHONY: report
RUN ?= latest
report: env ## write a run as one HTML page: RUN=latest, a run's name, recorded, or several
	@$(BIN)/python -m lab report $(subst $(comma), ,$(RUN))

.PHONY: site
SITE ?= dist/site
site: env ## write what needs no cluster as a static site, in dist/site (SITE=FOLDER PAGES=FOLDER)
	@$(BIN)/python -m lab site $(SITE) $(if $(PAGES),--pages $(PAGES))

##@ Clusters

.PHONY: up down status
up: env ## start the standing cluster, which later runs use
	@$(NEEDS)
	@$(BIN)/python -m lab up --cluster $(CLUSTER)

down: env ## stop it, and remove everything it made
	@$(BIN)/python -m lab down --cluster $(CLUSTER)

status: env ## show whether it is up
	@$(BIN)/python -m lab status --cluster $(CLUSTER)

##@ Maintain

.PHONY: env
env: $(STAMP) ## make the lab's own Python environment, from the lock

# On Debian or Ubuntu, as root, missing system packages are installed; else they are named.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -m lab doctor --fix --quiet
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/ready-*
	@touch $@

# One worker a core. The tests that use a cluster or look at the whole machine share one worker
# (tests/support/selection.py); the other workers run the others meanwhile.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder
NOT_FAST := cluster kind machine browser slow
# Tests start Python hundreds of times, which would compile the lab each time.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest

.PHONY: test test-fast test-long check
test: env ## lint, types, and all tests, those on a real cluster too
	@$(PYTHON) -m lab doctor --tests --fix --quiet
	@$(MAKE) --no-print-directory check
	$(PYTEST) $(SIDE_BY_SIDE)

test-fast: env ## the tests that need neither a cluster nor a browser, without the slow ones
	$(PYTEST) $(SIDE_BY_SIDE) -m "not ($(subst $(space), or ,$(NOT_FAST)))"

test-long: env ## the tests that need not run at every change; writes benchmarks/long.json
	@$(PYTHON) -m lab doctor --tests --fix --quiet
	$(BIN)/python benchmarks/long.py

check: env ## lint, imports between packages, types, and which stack the long tests ran on
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	@$(BIN)/python -m lab.commands.check_failures
	@$(BIN)/python benchmarks/long.py --check

.PHONY: lock
lock: env ## write requirements.lock anew (needs uv)
	uv pip compile --universal --generate-hashes --no-header --no-annotate -q \
	  --group pyproject.toml:dev --extra lab pyproject.toml -o requirements.lock

.PHONY: wheel sbom
wheel: env ## build the wheel, in dist/: the same files give the same bytes
	@rm -f dist/*.whl
	@$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@ls dist/*.whl

sbom: env ## list what the lab is made of, as CycloneDX, in dist/sbom/ (needs Go)
	@$(BIN)/python -m lab.commands.sbom dist/sbom

.PHONY: notebooks readme verify
notebooks: env ## execute the notebooks from recorded evidence, and keep their outputs
	$(BIN)/python -m lab.commands.generate notebooks

readme: env ## write the generated parts of README and the truth table's page anew
	$(BIN)/python -m lab.commands.generate readme

verify: env ## check that generated parts are as they would be generated now
	$(BIN)/python -m lab.commands.generate verify

.PHONY: lint-workflows
lint-workflows: ## lint .github/workflows (needs Go)
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 $(wildcard .github/workflows/*.yml)

.PHONY: clean
clean: ## remove the environment and the runs; the cache of binaries stays
	rm -rf $(VENV) runs
