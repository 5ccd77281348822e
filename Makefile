# Every target works in a fresh clone, and takes what is there already: packages, binaries, state.
# The Node that runs everything comes with the packages; the machine's own (20 or newer) only installs it.

NODE := node_modules/.bin/node

# For what these programs start. npm itself must not run on the Node that it is about to replace.
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install controlplane tools emulators check test faults e2e up down demo synth bench sim format generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

install: ## Install the packages, if package-lock.json names others than are there
	@node tools/installed.mjs || PATH='$(SYSTEM_PATH)' npm ci --no-audit --no-fund --loglevel=error

controlplane: install ## Download or build kube-apiserver, etcd, kube-controller-manager and kubectl
	@NODE_USE_ENV_PROXY=1 $(NODE) tools/controlplane/src/cli.ts build >/dev/null

tools: install ## Find or build helm, cyclonus and kwok, which tests and charts use
	@NODE_USE_ENV_PROXY=1 $(NODE) tools/controlplane/src/cli.ts tool >/dev/null

emulators: install ## Install MiniStack, DynamoDB Local and ElasticMQ, which tests run against as AWS
	@$(NODE) tools/aws/src/cli.ts install >/dev/null

check: install ## Check types, style, and that generated files are current
	$(NODE) tools/lockfile.mjs --check
	$(NODE) node_modules/typescript/bin/tsc --noEmit
	$(NODE) node_modules/@biomejs/biome/bin/biome check --error-on-warnings .
	$(NODE) operator/src/api/generate.ts --check
	$(NODE) cdk8s/src/main.ts generate --check
	$(NODE) cdk8s/src/argocd/generate.ts --check

test: controlplane tools emulators ## Run all tests; TESTS=path/to/x.test.ts runs that file only, STALLS=1 has them stand still now and then
	@$(if $(STALLS),MERCATO_STALLS=1) $(NODE) tools/test.ts $(TESTS)

KILLS ?= 50

faults: controlplane tools emulators ## Kill each journal's workers KILLS times under load (default 50), and play all other faults on whole shops
	@MERCATO_KILLS=$(KILLS) $(NODE) tools/test.ts test/crash.test.ts test/faults/*.test.ts

e2e: controlplane tools ## Install the shop on a real cluster and try it there: that of KUBECONFIG, else kind; TESTS=file runs that file only
	@NODE_USE_ENV_PROXY=1 $(NODE) tools/test.ts --e2e $(TESTS)

up: controlplane ## Start control plane, operator and services, and leave them running; JOURNAL=sqlite
	@$(NODE) tools/demo/src/main.ts up $(if $(JOURNAL),--journal '$(JOURNAL)')

down: install ## End what "make up" started
	@$(NODE) tools/demo/src/main.ts down

demo: controlplane ## Play a day of orders; ORDERS=file.csv plays that file, JOURNAL=sqlite has runs there
	@$(NODE) tools/demo/src/main.ts demo $(if $(ORDERS),--orders '$(ORDERS)') $(if $(JOURNAL),--journal '$(JOURNAL)')

synth: install ## Write the manifests of every environment to dist/
	@$(NODE) cdk8s/src/main.ts synth

bench: controlplane tools ## Measure the operator beside a raw client
	@$(NODE) bench/run.ts

SEEDS ?= 2000

sim: install ## Simulate faults; SEEDS=n sets how many seeds (default 2000); SEED=s plays one, and shows all of it
	@$(NODE) test/sim/run.ts $(if $(SEED),--seed $(SEED) --trace,--seeds $(SEEDS))

images: install ## Build all images with what builds images here; TAG=x names them, REGISTRY=prefix PUSH=1 sends them
	@$(NODE) tools/images/src/main.ts $(if $(TAG),--tag '$(TAG)') $(if $(REGISTRY),--registry '$(REGISTRY)') $(if $(PUSH),--push)

# What builds, and where it goes, as the programs take it.
IMAGE_OPTIONS := $(if $(TAG),--tag '$(TAG)') $(if $(REGISTRY),--registry '$(REGISTRY)')

kind-up: install ## Start a kind cluster: three zones, and a node for card data
	@$(NODE) tools/e2e/src/main.ts kind-up

kind-down: install ## Remove the kind cluster
	@$(NODE) tools/e2e/src/main.ts kind-down

deploy: install ## Build images and install Mercato where KUBECONFIG points; else into kind; ENVIRONMENT=kind
	@NODE_USE_ENV_PROXY=1 $(NODE) tools/e2e/src/main.ts deploy $(IMAGE_OPTIONS) $(if $(ENVIRONMENT),--environment '$(ENVIRONMENT)')

undeploy: install ## Remove Mercato from there, with all of its data
	@NODE_USE_ENV_PROXY=1 $(NODE) tools/e2e/src/main.ts undeploy $(IMAGE_OPTIONS)

.PHONY: images kind-up kind-down deploy undeploy

format: install ## Put all files into the project's style
	$(NODE) node_modules/@biomejs/biome/bin/biome check --write .

generate: install ## Make crds/, deploy/, reference pages, charts/, environments/ and argocd/ from schemas, model and rules
	$(NODE) operator/src/api/generate.ts
	$(NODE) cdk8s/src/main.ts generate
	$(NODE) cdk8s/src/argocd/generate.ts
	$(NODE) boundary/src/findings/reference.ts
