# imza: `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := pki ca ocsp tsa mobile_id card_reader signing_service imza
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -n auto --dist loadgroup

.PHONY: help demo test test-all lint format bench dev lock wheel docs system clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## sign a contract by card and by phone in a throw-away world, and verify it
	@$(BIN)/imza demo --dir demo

test: $(INSTALLED) ## the fast suite, under ten minutes
	$(PYTEST) -m "not slow" --ignore=tests/journeys --ignore=tests/peers tests

test-all: $(INSTALLED) ## the fast suite, the journeys and other people's software
	$(PYTEST) tests

lint: $(INSTALLED) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## let ruff put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## every benchmark as a ratio to a peer; writes benchmarks/results.md
	$(BIN)/python -m benchmarks

dev: $(INSTALLED) ## a sandbox in ./world, for trying things by hand
	$(BIN)/imza sandbox --dir world

lock: $(VENV)/bin/python ## resolve the dependencies anew into requirements.lock
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras \
		--generate-hashes --no-emit-index-url --no-header --upgrade \
		--output-file requirements.lock pyproject.toml

wheel: $(INSTALLED) ## build the distribution into dist/
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

docs: $(INSTALLED) ## make the conformance table, the schema of diagnostic data and the page of codes anew
	$(BIN)/python -m tests.support.conformance docs/conformance-table.md
	$(BIN)/python -m tests.support.diagnostic_schema docs/diagnostic-data.schema.json
	$(BIN)/python -m tests.support.finding_codes docs/finding-codes.md

system: ## install the Debian packages that are missing (with sudo when not root)
	@missing=$$(for one in $$(cat deploy/debian-packages.txt); do \
		dpkg-query -W -f '$${Status}' $$one 2>/dev/null | grep -q 'install ok installed' || echo $$one; done); \
	if [ -n "$$missing" ]; then \
		echo "Installing Debian packages:" $$missing; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq && \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

clean: ## remove what the other targets made
	rm -rf demo world build dist *.egg-info .mypy_cache* .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(MAKE) --no-print-directory system
	@echo "Making the virtual environment $(VENV)"
	@python3 -m venv $(VENV)

$(INSTALLED): requirements.lock pyproject.toml deploy/debian-packages.txt | $(VENV)/bin/python
	@$(MAKE) --no-print-directory system
	@echo "Installing the locked Python packages (about half a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
