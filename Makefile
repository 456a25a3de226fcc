# Every target sets itself up: a machine with Python 3.11 or newer (and its venv module) is enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
ONLY ?=
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
# empty: Python keeps what it has compiled, here in this folder, whatever the shell says; commands start in half the time
export PYTHONDONTWRITEBYTECODE :=

$(BIN)/uv:
	@$(PYTHON) -c 'import sys, venv; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/uv
	@echo "Setting up $(VENV) (once) …"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

.PHONY: help setup demo serve test check bench lock econml spark format

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## install everything into .venv

demo: $(VENV)/.installed ## simulate a campaign, train, promote, serve, ask for scores (ARGS=--exit stops at the end)
	@$(BIN)/audience demo $(ARGS)

serve: $(VENV)/.installed ## serve the demo's workspace, or ARGS="--workspace FOLDER"
	@$(BIN)/audience serve $(if $(ARGS),$(ARGS),--workspace demo)

test: $(VENV)/.installed ## run the test suite, a file at a time in two processes, the longest first
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.installed ## lint, format, types, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed ## put the code into the house's format
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

bench: $(VENV)/.installed ## run the benchmarks (ONLY=name runs one)
	@$(BIN)/python -m experiments.benchmarks $(ONLY)

econml: | $(BIN)/uv ## make the environment of the econml oracle
	@test -x .venv-econml/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-econml
	@$(BIN)/uv pip sync --quiet --require-hashes --python .venv-econml/bin/python requirements-econml.lock

spark: $(VENV)/.installed ## add Spark (pyspark) to .venv; it needs Java 17
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements-spark.lock

lock: $(VENV)/.installed ## resolve the dependencies anew
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group dev pyproject.toml --custom-compile-command "make lock" -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 requirements-econml.in --custom-compile-command "make lock" -o requirements-econml.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group spark -c requirements.lock --custom-compile-command "make lock" -o requirements-spark.lock
	@$(BIN)/python -m serving.bento
