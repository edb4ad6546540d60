# make demo: set up, then the whole loop on real prompts.   make test: set up, then the tests.
PYTHON ?= python3
# Installed first, by itself, so that whatever depends on it is content with the build that is there.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q
DISTILL := $(BIN)/distill
DEMO := demo

.PHONY: demo busy test lint fix docs coverage real weights clean

# Exit status 1 says that some rows failed for good: the rows that did not are worth going on with.
demo: $(VENV)/.ready
	$(DISTILL) generate demo -o $(DEMO)/run || [ $$? -eq 1 ]
	$(DISTILL) filter demo $(DEMO)/run -o $(DEMO)/set
	$(DISTILL) train smollm2-135m-lora $(DEMO)/set -o $(DEMO)/student
	$(DISTILL) eval eval/demo --model smollm2-135m-instruct -o $(DEMO)/scores-base
	$(DISTILL) eval eval/demo --model $(DEMO)/student -o $(DEMO)/scores-student
	$(DISTILL) status $(addprefix $(DEMO)/,run set student scores-base scores-student)

# The demo alone and beside a process that takes a core: seconds, ratio, peak memory. For a quiet machine.
busy: $(VENV)/.ready
	$(BIN)/python -m bench.busy

# On every core, because the tests mostly wait for processes that they start; on four at most, because
# each worker collects all tests (15 s, up to 1 GB). worksteal keeps the tests of a file together, so
# that what a file builds once is built twice at most. One torch thread each: more fight for the cores.
test: lint weights
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Which lines and branches the tests ran, subprocesses included; what runs in a jail is not seen.
coverage: $(VENV)/.ready-dev
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -q -n logical --maxprocesses 4 --dist worksteal
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# The checks that need the data beside the checkout, in ../shared.
real: $(VENV)/.ready-dev
	$(BIN)/python -m pytest bench/real

# The one real model that tests run, 100 MB, into the user's cache.
weights: $(VENV)/.ready
	$(BIN)/python -c 'from distill.local_models.weights import fetch; print(fetch("smollm2-135m-instruct"))'

fix: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site of docs/, in site/. A broken link is an error.
docs: $(VENV)/.ready-docs
	$(BIN)/python -m tests.commands_page
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/zensical build --strict --clean

# The environment itself: all that the documentation needs of it.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("distill needs Python 3.11 or newer")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/.ready: pyproject.toml $(VENV)/.python
	$(PIP) "$(TORCH)"
	$(PIP) -e ".[local,train,hub]"
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) -e ".[local,train,hub,ray,dev]"
	touch $@

$(VENV)/.ready-docs: pyproject.toml $(VENV)/.python
	$(PIP) -e ".[docs]"
	touch $@

clean:
	rm -rf $(DEMO) dist build site .cache
