# Two commands do everything on a machine with Python 3.11 or newer and make: `make convergence` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: setup test check verify convergence throughput oracle clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

convergence: setup
	$(RUN) -m benchmarks convergence

# Nearly all of the time goes into compiling. Models, losses and the like are compared with oracles to a tolerance, and the pages of
# the documentation run as they stand, so their programs need not be optimized as far as users' are; the core and the engine, whose
# bits are tested, and the commands of the README run as users get them.
FAMILIES := $(addprefix tests/,models generation docs optimizers tasks nn losses metrics data textbook plots evidence \
	benchmarks test_arguments.py test_doctests.py)
QUICK_COMPILES := XLA_FLAGS=--xla_backend_optimization_level=1

test: setup
	$(RUN) -m pytest $(addprefix --ignore=,$(FAMILIES))
	$(QUICK_COMPILES) $(RUN) -m pytest $(FAMILIES)

verify: setup  # all tests, those too that take minutes of compiling or training
	$(RUN) -m pytest -m ""
	$(RUN) -m tests.fuzz --calls 10000

check: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright
	$(MAKE) test

throughput: setup
	$(RUN) -m benchmarks throughput --output benchmarks/results/local.json

oracle: setup  # golden values by PyTorch, anew; needs it installed in $(VENV)
	$(RUN) -m tests.oracle

clean:
	rm -rf $(VENV) results
