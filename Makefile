# make relax   set everything up and relax a real adsorbate on a real slab
# make test    set everything up and run lint, types, architecture contracts and tests
# make test-slow     the tests that are left out for their length
# make test-faults   two hundred random faults of co-located runs
# make test-fuzz     files of finished calculations, damaged in hundreds of ways and imported
# make test-slurm    what needs SLURM: make slurm-up starts a cluster on this machine, as root
# make test-engines  what needs engines that speak i-PI: make engines-up installs five, as root
# make test-browser  the report in a browser: make browser-up installs Debian's Chromium, as root

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMBEDDED := $(VENV)/.embedded

.DELETE_ON_ERROR:
.PHONY: relax test lint types contracts pytest test-slow test-faults test-fuzz test-gpu benchmark clean
.PHONY: slurm-up slurm-down test-slurm engines-up test-engines browser-up test-browser

relax: $(READY) $(EMBEDDED)
	$(BIN)/python workflows/00_first_relaxation.py

test: lint types contracts pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

pytest: $(READY) $(EMBEDDED)
	$(BIN)/pytest

test-slow: $(READY) $(EMBEDDED)
	$(BIN)/pytest -m slow

test-faults: $(READY)
	$(BIN)/pytest -m faults -s

test-fuzz: $(READY)
	$(BIN)/pytest -m fuzz -s

slurm-up:
	sh tests/slurm/up.sh

slurm-down:
	sh tests/slurm/down.sh

test-slurm: $(READY)
	$(BIN)/pytest -m slurm

engines-up:
	sh tests/engines/install.sh

test-engines: $(READY)
	$(BIN)/pytest -m engines

browser-up:
	sh tests/browser/install.sh

test-browser: $(READY)
	$(BIN)/pytest -m browser

test-gpu: $(READY)
	$(BIN)/pytest -m gpu

benchmark: $(READY)
	$(BIN)/python benchmarks/methods.py

# torch first and by exact version: where a build of it lies on the machine, pip takes that one
$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "finetuna_flows needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; choose one with make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(EMBEDDED): $(READY) workflows/install/embedded.sh workflows/install/gpaw_siteconfig.py
	sh workflows/install/embedded.sh $(BIN)/python
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
