# ClawMates: what one can do in a checkout. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
KEEP ?=
JSON ?=
PROVE ?=
SEED ?=
REMOVE ?=
PART ?=
DEFECT ?=
JOBS ?=
WRITE ?=
# Bash counts in a variable of this name; only what stands on make's command line is meant.
FUZZ_SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)

# Where it is set, pytest rewrites the assertions of every test anew in every process.
unexport PYTHONDONTWRITEBYTECODE

# Root is needed for containers; without it, sudo asks.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help setup ready image demo test lint bench prove soak egress fuzz mutate interop install fresh clean

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## install what this machine lacks to build, run and test: system packages, virtual environment, users
	@scripts/setup

# Without what only the checks need: a newcomer does not wait for a browser and 77 Python packages.
ready:
	@scripts/setup --to-run

image: ready ## build the container image and sign the release that names it
	@$(ROOT) $(PYTHON) image/build >&2

demo: image ## a whole platform against local stand-ins: talk, look, prove (KEEP=1 keeps it running)
	@$(ROOT) $(PYTHON) -I -m clawmates.trials.demo $(if $(KEEP),--keep)

lint: setup ## ruff, mypy, import contracts, dependencies
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/deptry src

# The image needs no more than what is ready, so it is built beside the rest of the setting up. Beside the tests, which often
# wait, runs the linting: it takes one processor for a minute, and what it finds is said at the end.
test: ready ## every check and every test
	@$(MAKE) --no-print-directory -j2 setup image
	@nice -n 19 $(MAKE) --no-print-directory lint >build/lint.log 2>&1 & lint=$$!; \
	$(ROOT) scripts/test $(if $(SEED),--hypothesis-seed=$(SEED)); tests=$$?; \
	wait $$lint; checks=$$?; [ $$checks = 0 ] || cat build/lint.log >&2; exit $$((tests ? tests : checks))

prove: image ## try the claims on a throw-away platform (PROVE="--claim no-storage --json")
	@$(ROOT) $(PYTHON) -I -m clawmates.trials.prove $(PROVE)

bench: setup image ## measure, beside a floor in the same run (JSON=path for flat keys, PART="messages alert" for some)
	@$(ROOT) $(PYTHON) -I -m clawmates.trials.bench $(if $(JSON),--json $(JSON)) $(PART:%=--part %)

soak: image ## a thousand messages while mate and gateway are killed at random; nothing may be lost
	@$(ROOT) $(PYTHON) -I -m clawmates.trials.soak $(if $(JSON),--json $(JSON)) $(if $(SEED),--seed $(SEED))

egress: setup ## every way out that must be closed, counted by a resolver of ours and a packet capture (JSON=path)
	@$(ROOT) $(PYTHON) -I -m clawmates.trials.egress $(if $(JSON),--json $(JSON))

mutate: setup image ## seed defects one by one and see that exactly the right claim turns red (JSON=path, DEFECT="a b", JOBS=n)
	@$(ROOT) $(PYTHON) -I -m clawmates.trials.mutate $(if $(JSON),--json $(JSON)) $(DEFECT:%=--only %) $(JOBS:%=--jobs %)

interop: ready ## OpenClaw itself validates what we export for it, and we read what it writes (WRITE=1: its schema anew)
	@scripts/interop $(if $(WRITE),--write)

fuzz: setup ## coverage-guided fuzzing of the handshake parser (make fuzz SECONDS=n)
	@$(PYTHON) tests/fuzz/hello.py --seconds $(FUZZ_SECONDS)

install: image ## the program in /opt/clawmates, service units, manual pages, completion (REMOVE=1 takes it away)
	@$(ROOT) deploy/install $(if $(REMOVE),--remove)

fresh: ## clone into a bare Debian root; `make demo`, a second image build to compare, and `make test` there
	@$(ROOT) scripts/fresh

clean: ## remove what was built here
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
