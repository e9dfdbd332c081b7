# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Container images set it to stay small; here every process of every test would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE
SHELLS = bin/setup bin/pulumi bin/mo components/remote/run $(filter-out %.sql %.awk %.php,$(wildcard components/remote/host/*)) $(wildcard sandbox/*.sh) .ci/run

.PHONY: help setup demo sandbox-up sandbox-down sandbox-status monitoring-up monitoring-down test test-fast test-thorough check format docs gates bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing (apt, pip, npm)
	@bin/setup

demo: setup ## set up and deploy all 22 services to the sandbox host
	@$(PY) -m sandbox up
	@PULUMI_STACK=sandbox bin/pulumi stack select --create sandbox
	@bin/mo demo

sandbox-up: setup ## start the sandbox host
	@$(PY) -m sandbox up
	@PULUMI_STACK=sandbox bin/pulumi stack select --create sandbox

sandbox-down: ## stop the sandbox host and remove everything it left
	@$(PY) -m sandbox down

sandbox-status: ## what of the sandbox runs, and on which ports
	@$(PY) -m sandbox status

monitoring-up: setup ## start Prometheus, Alertmanager and exporters for the deployed sandbox
	@$(PY) -m sandbox monitoring up

monitoring-down: setup ## stop them
	@$(PY) -m sandbox monitoring down

test: setup ## set up and pass all tests
	@$(PY) -m pytest -q -n 2 --dist loadfile

test-fast: setup ## unit and policy tests, about a minute
	@$(PY) -m pytest -q -n 2 --dist loadfile -m 'not slow and not sandbox and not pulumi_cli' tests/unit tests/policies

test-thorough: setup ## every point of interruption, 20 kills of each kind, 250 histories; about four hours
	@MO_TEST_EVERY=1 MO_TEST_KILLS=20 MO_TEST_SCHEDULES=200 MO_TEST_FROZEN=50 $(PY) -m pytest -q -n 2 --dist loadfile

check: setup ## types, lint, format, shell programs, import rules, workflows
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@MYPYPATH=policy .venv/bin/mypy --config-file= --strict --explicit-package-bases policy/rules policy/__main__.py
	@shellcheck $(SHELLS)
	@.venv/bin/lint-imports
	@actionlint
	@zizmor --offline --no-progress -q .github/workflows

format: ## format the code
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format -q .

docs: setup ## write docs/commands.md from the commands, the workflow secrets from the catalogue
	@$(PY) -m operations.reference > docs/.commands.md && mv docs/.commands.md docs/commands.md
	@$(PY) -m operations.workflow_secrets > docs/.secrets.yml && mv docs/.secrets.yml .github/workflows/secrets.yml

gates: setup ## run the real tools on the sandbox's monorepo and site, print the table of gates
	@bin/mo gates --stack sandbox --run --required-by production

bench: setup ## benchmarks: ratios against a hand-written deploy of the same work
	@$(PY) -m benchmarks

clean: ## remove what builds and tests left here (not the sandbox: make sandbox-down)
	rm -rf dist quality-reports .mypy_cache .ruff_cache .pytest_cache .hypothesis
