# The commands of this project. Each works from a fresh clone, with no step before it.

PYTHON ?= python3
RUNTIME ?= 15.4
LOCATION ?= /Volumes/main/default/azureml
BIN := .venv/bin
UV_VERSION := 0.13.9
SHELL_SCRIPTS := init_scripts/azureml-databricks.sh .ci/run

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-emulated test-all spark test-matrix stories parity faults features runtimes lint bundle dist bench figures lock audit clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 21

setup: .venv/ready ## Make .venv with everything, by locked versions

.venv/ready: tests/commands/requirements.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"this needs Python 3.11 or later, and $(PYTHON) is {v}: make PYTHON=python3.11 ...")'
	@echo "==> .venv: an environment of $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@echo "==> .venv: uv $(UV_VERSION)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "==> .venv: the locked packages (the first time fetches some 400 MB)"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes tests/commands/requirements.txt
	@echo "==> .venv: this package, to edit"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup ## Deploy, boot a cluster and run a notebook on it (RUNTIME=19: Spark 4.2; KEEP=1: leave it open)
	@KEEP=$(KEEP) RUNTIME=$(RUNTIME) $(BIN)/python -m tests.commands.demo

# Three files at a time: they wait as much as they work.
PYTEST = $(BIN)/python -m pytest $(THOROUGH) --numprocesses=3 --dist=loadfile --no-loadscope-reorder

test: setup ## Run the tests of the package
	$(PYTEST) --ignore tests/emulated

test-emulated: setup ## Run the tests of what those stand on: the emulated Azure, Databricks and nodes
	$(PYTEST) tests/emulated

spark: setup ## Run the tests of Spark clusters across emulated nodes
	$(BIN)/python -m pytest $(THOROUGH) --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests/matrices/spark

test-all: THOROUGH = --thorough
test-all: test test-emulated spark test-matrix runtimes stories parity faults ## Run all tests: clusters, every Python and runtime, the stories

test-matrix: setup ## Run what needs no node on every Python, and the hooks where overlays are not permitted (PYTHONS='3.10 3.13')
	$(BIN)/python -m tests.matrices.every_python $(PYTHONS)
	TEST_NODE=prefix $(BIN)/python -m pytest tests/node/test_hooks.py -k 'is_ours and not user'

stories: setup ## Run the stories of the oldest and the newest MLflow on Azure, against the README's table
	$(BIN)/python -m tests.matrices.mlflow_versions 2.9.2 3.17.2 --on azure --check $(if $(THOROUGH),,--quick)

parity: setup ## Make the calls of a table on MLflow's own server and on Azure, and compare (README=1: renew the count)
	@$(BIN)/python -m tests.matrices.parity $(if $(README),--readme,--check) $(if $(THOROUGH)$(README),,--mlflow 3.17.2)

faults: setup ## Try each fault of the tables, and tell what became of it (SAMPLE=1: some; README=1: renew the count)
	@$(BIN)/python -m tests.matrices.faults $(if $(SAMPLE),--sample) $(if $(README),--readme)

features: setup ## Run the stories on all MLflow versions, and renew the README's table
	@$(BIN)/python -m tests.matrices.mlflow_versions --readme

runtimes: setup ## Run the matrix of Databricks runtimes, against the README's table (ROWS='14.3,19 ML'; README=1: renew it)
	@$(BIN)/python -m tests.matrices.runtimes $(if $(ROWS),--rows '$(ROWS)') $(if $(README),--readme)

lint: setup ## Check style, types and shell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/shfmt --diff --indent 2 --case-indent $(SHELL_SCRIPTS)

bundle: setup ## Build the bundle to dist/ (LOCATION=/Volumes/... SETTINGS=FILE)
	$(BIN)/azureml-databricks bundle --runtime $(RUNTIME) --location '$(LOCATION)' --out dist \
		$(if $(SETTINGS),--settings '$(SETTINGS)')

dist: setup ## Build wheel and sdist to dist/, of what is committed, and try them outside of the repository
	@$(BIN)/python -m tests.commands.dist

bench: setup ## Print what we cost, beside the plugin alone and the manual way (needs valgrind; LATENCY=40: ms a round trip; ONLY=files: a part; SMALL=1: try the bench itself; README=1: renew the README's tables)
	@$(BIN)/python -m tests.commands.bench $(if $(LATENCY),--latency '$(LATENCY)') $(if $(ONLY),--only '$(ONLY)') $(if $(SMALL),--small) $(if $(README),--readme)

figures: setup ## Renew every table and picture of the README and of the docs (an hour and a half; needs valgrind)
	@echo "==> the settings"
	@$(BIN)/python -m tests.commands.settings_table
	@echo "==> what the emulators serve"
	@$(BIN)/python -m tests.commands.coverage
	@echo "==> the picture"
	@$(BIN)/python -m tests.commands.picture
	@echo "==> the cost"
	@$(MAKE) --no-print-directory bench README=1
	@echo "==> the runtimes"
	@$(MAKE) --no-print-directory runtimes README=1
	@echo "==> the features"
	@$(MAKE) --no-print-directory features
	@echo "==> the calls"
	@$(MAKE) --no-print-directory parity README=1
	@echo "==> the faults"
	@$(MAKE) --no-print-directory faults README=1

audit: setup ## Ask for known vulnerabilities of what is locked; skips where the service cannot be reached
	@$(BIN)/python -m tests.commands.audit

lock: setup ## Renew all locked versions, and show what changed
	$(BIN)/python -m tests.commands.lock

clean: ## Remove everything that was built or fetched
	rm -rf .venv .cache build dist
