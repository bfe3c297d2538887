# Two commands do everything on a machine with Python 3.11 or newer and make: `make convergence` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: setup fast test jobs verify costs check convergence experiments throughput oracle onnx clean

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

throughput: setup
	$(RUN) -m benchmarks throughput --output benchmarks/results/local.json

# Golden values anew, by libraries that nothing else needs: first `.venv/bin/pip install torch torchmetrics pycocotools`.
oracle: setup
	$(RUN) -m tests.oracle

onnx: setup  # every operator of ours against ONNX's cases and reference evaluator, some minutes; add --golden to write the tests' cases
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt onnx==1.23.2
	$(RUN) -m tests.onnx

clean:
	rm -rf $(VENV) results
