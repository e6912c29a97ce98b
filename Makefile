# Everything a person or CI runs. `make run` and `make test` need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
EMULATOR := .venv-emulator
LOCAL := .dynamodb-local
STAGE ?= dev
ONCE ?=
SEEDS ?= 2000
JOBS ?= 20000
MINUTES ?= 15
EXAMPLES ?= 100
BENCH ?=

.PHONY: help install run test check format synth deploy e2e bench simulate soak contract faults fuzz audit sbom openapi screenshots clean

help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e . --group example
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) install -c constraints.txt --group test --group infra
	@touch $@

$(EMULATOR)/.ready: tests/e2e/requirements.txt
	$(PYTHON) -m venv $(EMULATOR)
	$(EMULATOR)/bin/python -m pip --disable-pip-version-check -q install -r tests/e2e/requirements.txt && touch $@ \
	  || echo "the AWS emulator cannot be installed here: the deployed template is not run"

install: $(VENV)/.dev ## Make the virtual environment with all that development needs

$(LOCAL)/.ready:
	@mkdir -p $(LOCAL)
	@cd $(LOCAL) && command -v java >/dev/null && npm pack --silent amplify-dynamodb-simulator@2.9.30 2>/dev/null >name \
	  && tar xzf "$$(cat name)" && rm "$$(cat name)" && touch .ready \
	  || echo "java or npm is not at hand: the contract is not run against DynamoDB Local"

run: $(VENV)/.run ## Start the embedded scheduler and put real documents through it (ONCE=1 ends afterwards)
	$(BIN)/python examples/documents/demo.py $(if $(ONCE),--once)

test: $(VENV)/.dev ## The whole test suite, the deployed template on an emulator included
	@$(MAKE) --no-print-directory -k $(EMULATOR)/.ready $(LOCAL)/.ready
	$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder

e2e: $(VENV)/.dev $(EMULATOR)/.ready ## Deploy the synthesised template to an AWS emulator and drive it
	$(BIN)/python -m pytest tests/e2e

check: $(VENV)/.dev ## Format, lint, import laws, types, docs, synth, cdk-nag, cfn-lint: offline
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python docs/check.py
	$(BIN)/python -m infra.check

format: $(VENV)/.dev ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

synth: $(VENV)/.dev ## Synthesise the cloud stack of STAGE into cdk.out
	$(BIN)/python infra/app.py -c stage=$(STAGE)

deploy: $(VENV)/.dev ## Deploy the cloud stack of STAGE with the AWS credentials at hand
	$(BIN)/python -m infra.deploy $(STAGE)

simulate: $(VENV)/.dev ## Deterministic simulation of the protocol: SEEDS random histories full of faults
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

soak: $(VENV)/.dev ## Real processes killed at random for MINUTES at most while JOBS jobs go through
	$(BIN)/python -m tests.soak --jobs $(JOBS) --minutes $(MINUTES)

contract: $(VENV)/.dev $(LOCAL)/.ready ## Every port on every adapter, all of it on Amazon's DynamoDB Local too
	TIDEGATE_EVERY_HOME=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder tests/contract

faults: $(VENV)/.dev $(EMULATOR)/.ready ## Let every single call of the deployed functions to AWS fail, in two ways (minutes)
	TIDEGATE_FAULTS_EVERY=1 $(BIN)/python -m pytest -n 2 --dist loadscope tests/functions/test_cloud_faults.py tests/e2e/test_cloud_under_faults.py

bench: $(VENV)/.dev ## Benchmarks beside peers, counts and costs of the cloud (BENCH="--only cloud" runs a part)
	$(BIN)/python -m benchmarks $(BENCH)

fuzz: $(VENV)/.dev ## Requests made out of the API's description against the embedded server: EXAMPLES for each route
	TIDEGATE_FUZZ_EXAMPLES=$(EXAMPLES) TIDEGATE_FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest tests/functions/test_fuzz.py

audit: $(VENV)/.dev ## Look for known vulnerabilities of what is shipped (needs a network)
	$(PIP) install -c constraints.txt --group audit
	$(BIN)/python -m infra.advisories

sbom: $(VENV)/.dev ## Write the bill of materials of the Lambda layer to build/sbom.cdx.json
	@mkdir -p build
	$(BIN)/python -m infra.sbom > build/sbom.cdx.json

openapi: $(VENV)/.dev ## Write docs/openapi.json anew
	$(BIN)/python -m tidegate_functions.api.openapi > docs/openapi.json

screenshots: $(VENV)/.dev ## Photograph the console into docs/images: needs chromium and chromedriver
	$(BIN)/python tests/e2e/screenshots.py

clean: ## Remove what the targets made
	rm -rf $(VENV) $(EMULATOR) $(LOCAL) .cache cdk.out build dist *.egg-info
