# Every target first installs what it needs into .venv. Installations and checks leave a stamp file. They are not
# repeated until a file that they depend on has changed.
#   make serve   install, serve development.ini and print its address
#   make test    all checks
#   make retest  all checks again, without looking at the stamps
#   make lint    style, types, import floors
#   make docs    build the manual
#   make bench   measure pastepool and other servers
#   make tox     the tests on every CPython in the list of tox
#   make slow    the long tests; PostgreSQL has to be installed
#   make pins    write constraints.txt anew
#   make clean   delete everything that is not in a fresh clone

PYTHON ?= python3
CONFIG ?= development.ini
VARS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# Every pip below takes these versions, also one that a test or tox starts. A URL, because pip splits a value at blanks.
export PIP_CONSTRAINT := file://$(subst $() ,%20,$(CURDIR))/constraints.txt
PACKAGING := setup.cfg setup.py pyproject.toml constraints.txt pastepool/__init__.py $(wildcard pastepool/_fast/*.[ch])
CODE := $(shell find pastepool tests benchmarks dropins -name '*.py' 2>/dev/null)
CORPUS := $(shell find tests benchmarks -type f ! -name '*.py' ! -name '*.pyc' 2>/dev/null)
PAGES := $(shell find docs changelog.d -type f -not -path 'docs/_build/*' 2>/dev/null) README.md CHANGELOG.md CONTRIBUTING.md

# Every branch of these is tested: floors 0 to 2, and the public test helpers.
COVERED := pastepool/__init__.py,pastepool/errors.py,pastepool/types.py,pastepool/core/*,pastepool/http1/*,pastepool/settings/*,pastepool/testing/*,pastepool/wsgi/*


# The tests that cover these branches. No other tests run under coverage, because of a fault of CPython 3.11: after an
# injected exception was withdrawn, its flag stays set. While it is set, the interpreter repeats the start of a traced
# function for ever, so a traced thread can hang.
# They run without the accelerator, so that every rule in Python is reached. Those that it has a part in run with it too.
ACCELERATED := tests/http1 tests/wsgi tests/compat
PURE := tests/core tests/http1 tests/settings tests/testing tests/wsgi tests/compat tests/watch/test_options.py

# Two of the three parts that run at the same time. The third part is all other tests.
SERVED := tests/server
PROCESSES := tests/process tests/adapters tests/pooling

.PHONY: serve test lint docs bench tox slow pins clean retest
.PHONY: tests-covered tests-accelerated tests-served tests-processes tests-others
.DELETE_ON_ERROR:

serve: $(STAMPS)/serve
	@$(BIN)/paster serve $(CONFIG) $(VARS)

test: $(STAMPS)/lint $(STAMPS)/pytest $(STAMPS)/docs $(STAMPS)/pythons
	@echo "make test: style, types, floors, tests, coverage, manual and the other CPythons hold for this tree."

lint: $(STAMPS)/lint

docs: $(STAMPS)/docs
	@echo "the manual: docs/_build/html/index.html"

bench: $(STAMPS)/bench
	@$(BIN)/python -m benchmarks

tox: $(STAMPS)/dev
	@$(BIN)/tox run-parallel

slow: $(STAMPS)/databases
	@$(BIN)/python -m pytest -m slow -o timeout=900
	@$(BIN)/python .ci/pythons.py -m slow -o timeout=900 tests/slow/test_kill_stress.py

pins: $(STAMPS)/dev
	@$(BIN)/python .ci/pin.py

retest:
	@rm -f $(addprefix $(STAMPS)/,lint pytest docs pythons)
	@$(MAKE) --no-print-directory test

clean:
	rm -rf $(VENV) $(STAMPS) .tox .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis \
	  build docs/_build pastepool.egg-info

# ------------------------------------------------------------------------------------------------------------- set-up

$(BIN)/python:
	@echo "setting up $(VENV) with $$($(PYTHON) --version 2>&1)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "pastepool needs Python 3.10 or later")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(STAMPS)/serve: $(BIN)/python $(PACKAGING)
	@$(PIP) -e '.[paster]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(BIN)/python $(PACKAGING)
	@$(PIP) -e '.[dev]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/serve

$(STAMPS)/databases: $(STAMPS)/dev
	@$(PIP) -e '.[dev,databases]'
	@touch $@

$(STAMPS)/bench: $(STAMPS)/serve
	@$(PIP) -e '.[paster,bench]'
	@touch $@

# ------------------------------------------------------------------------------------------------------------- checks

$(STAMPS)/lint: $(STAMPS)/dev $(CODE)
	@$(BIN)/ruff check --quiet && $(BIN)/ruff format --quiet --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@touch $@

$(STAMPS)/pytest: $(STAMPS)/dev $(CODE) $(CORPUS) $(PAGES) development.ini production.ini Makefile
	@$(MAKE) --no-print-directory --jobs=2 --output-sync tests-covered tests-accelerated
	@$(MAKE) --no-print-directory --jobs=3 --output-sync tests-served tests-processes tests-others
	@touch $@

# These tests compute, so as many run at the same time as there are processors on a small machine.
tests-covered:
	@PASTEPOOL_PURE=1 $(BIN)/coverage run -m pytest -q $(PURE)
	@$(BIN)/coverage report --skip-covered --fail-under=100 --include='$(COVERED)'

tests-accelerated:
	@$(BIN)/python -m pytest -q tests/fast $(ACCELERATED)

# These tests mostly wait, so three parts run at the same time.
tests-served:
	@$(BIN)/python -m pytest -q $(SERVED)

tests-processes:
	@$(BIN)/python -m pytest -q $(PROCESSES)

tests-others:
	@$(BIN)/python -m pytest -q $(addprefix --ignore=,tests/fast $(SERVED) $(PROCESSES) $(PURE))

$(STAMPS)/docs: $(STAMPS)/dev $(PAGES) $(CODE)
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@$(BIN)/towncrier build --draft >/dev/null
	@touch $@

$(STAMPS)/pythons: $(STAMPS)/dev $(CODE) $(CORPUS)
	@$(BIN)/python .ci/pythons.py
	@touch $@
