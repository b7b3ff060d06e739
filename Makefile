# Every target sets up what it needs, on a fresh machine too: `make test` is all that anyone has to know.
# Settings:  make test PYTHON=python3.12    the interpreter that .venv is made with (3.11 or later)
#            make test WORKERS=1            how many processes share the tests (default: one a core, at most 4)
#            make fuzz MINUTES=60           how long to look for mismatches
#            make prove PROOFS=leaks        what to prove (default: everything; a run that was stopped goes on)
# For a small torch download on Linux, see the head of constraints.txt.

PYTHON  ?= python3
WORKERS ?= auto
MINUTES ?= 10

IN_VENV := .venv/bin/python
# Newer than pyproject.toml and constraints.txt exactly when .venv holds what they ask for.
STAMP   := .venv/.graphc-installed

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup test smoke disk lint fuzz prove bench clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv and install graphc with everything pinned (other targets do this by themselves)

test: lint ## check style and types, then run the tests
	@echo "Running the tests"
	@$(IN_VENV) -m pytest -n $(WORKERS) --maxprocesses 4

smoke: $(STAMP) ## in some seconds, whether anything works at all: every backend, training, files, drawings
	@$(IN_VENV) -m pytest -q tests/test_smoke.py

disk: $(STAMP) ## train the disk example and draw it, as PNG files under out/
	@echo "Running examples/disk; pictures go to out/"
	@$(IN_VENV) -m examples.disk

lint: $(STAMP) ## check style (ruff) and types (mypy), without running the tests
	@echo "Checking style"
	@$(IN_VENV) -m ruff check --quiet
	@$(IN_VENV) -m ruff format --check --quiet || { echo "Some files are not formatted: run '$(IN_VENV) -m ruff format'." >&2; exit 1; }
	@echo "Checking types"
	@$(IN_VENV) -m mypy --strict graphc

fuzz: $(STAMP) ## look for mismatches on random graphs for MINUTES minutes
	@$(IN_VENV) tools/fuzz.py --minutes $(MINUTES)

prove: $(STAMP) ## prove what docs/promises.md promises, at its figures; PROOFS="graphs leaks" for some of them
	@$(IN_VENV) tools/prove.py $(PROOFS)

bench: $(STAMP) ## measure speed, start-up, memory and accuracy; the numbers go to out/bench.json
	@$(IN_VENV) tools/bench.py --json out/bench.json

clean: ## remove what was generated, except .venv (delete that too for a fresh set-up)
	rm -rf out build dist graphc.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +

# A .venv that works is kept; one that is half-made, or whose interpreter has gone, is made again.
$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	    echo "graphc needs Python 3.11 or later, and '$(PYTHON)' was not found: install python3, or run 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "graphc needs Python 3.11 or later, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1): install a newer one, or run 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@if ! $(IN_VENV) -m pip --version >/dev/null 2>&1; then \
	    echo "Creating .venv with $$("$(PYTHON)" --version)"; \
	    rm -rf .venv; \
	    "$(PYTHON)" -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; \
	        echo "'$(PYTHON) -m venv' failed: install Python's venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }; \
	fi
	@echo "Installing graphc and its pinned dependencies into .venv (a few minutes the first time; torch is the large one)"
	@$(IN_VENV) -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]' || { \
	    echo "Installing failed: the lines above say why. Run make again to retry." >&2; exit 1; }
	@touch $@
