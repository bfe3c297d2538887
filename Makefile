# Two commands do everything on a machine with Python 3.11 or newer and make: `make convergence` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: setup fast test jobs verify costs check check-newest convergence experiments throughput oracle onnx docs clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

convergence: setup
	$(RUN) -m benchmarks convergence

experiments: setup  # every question of the handbook that is answered so far, some minutes; reads what `convergence` has measured
	$(RUN) -m experiments all --fresh --readme experiments/README.md

# How tests are cut, and what each of these runs: docs/testing.md. Python keeps what it has compiled, whatever the environment
# says: two processes a core would otherwise compile all modules anew.
fast test jobs verify costs: export PYTHONDONTWRITEBYTECODE :=

fast: setup  # what to run every minute: the tests that take a moment each
	$(RUN) -m pytest --fast

test: setup
	$(RUN) -m pytest

jobs: setup  # commands, pages and experiments from end to end, as users run them
	$(RUN) -m pytest -m "job and not heavy"

verify: setup  # all tests, those too that take minutes of compiling or training
	$(RUN) -m pytest -m "" --as-users --hypothesis-profile thorough
	$(RUN) -m tests.fuzz --calls 10000

costs: setup  # what each file of tests costs; alone on a machine, for it writes tests/costs.json
	$(RUN) -m pytest -n 0 -p costs

check: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright
	$(MAKE) test
	$(MAKE) jobs

# A cut of the tests with a newer Python and the newest versions that there are, deprecations being errors; docs/testing.md.
NEWEST := .venv-newest
PYTHON_NEWEST ?= $(shell for each in python3.13 python3.12; do $$each -c "" 2>/dev/null && echo $$each && break; done)
CUT := tests/core tests/engine/test_devices.py tests/engine/test_equations.py tests/engine/test_sweep.py tests/test_imports.py tests/test_doctests.py

check-newest: export PYTHONDONTWRITEBYTECODE :=
check-newest:
	@test -n "$(PYTHON_NEWEST)" || { echo "error: no python3.13 or python3.12 on PATH; make check-newest PYTHON_NEWEST=/path/to/python"; exit 1; }
	$(PYTHON_NEWEST) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager --editable ".[dev]"
	$(NEWEST)/bin/python -m pip list --disable-pip-version-check
	$(NEWEST)/bin/python -m pytest $(CUT)

throughput: setup
	$(RUN) -m benchmarks throughput --output benchmarks/results/local.json

# Golden values anew, by libraries that nothing else needs: first `.venv/bin/pip install torch torchmetrics pycocotools`.
oracle: setup
	$(RUN) -m tests.oracle

onnx: setup  # every operator of ours against ONNX's cases and reference evaluator, some minutes; add --golden to write the tests' cases
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt onnx==1.23.2
	$(RUN) -m tests.onnx

docs: setup  # the site, in docs/_build/html; reads no network. Warnings are errors
	rm -rf docs/_build/html docs/_build/extra
	$(RUN) -m experiments atlas --output docs/_build/extra/atlas --home ../index.html
	$(RUN) -m sphinx -b html -W --keep-going -n -q -d docs/_build/doctrees docs docs/_build/html
	$(RUN) docs/check.py docs/_build/html

clean:
	rm -rf $(VENV) $(NEWEST) results docs/_build docs/api/generated
