# Two commands do everything on a machine with Python 3.11 or newer and make: `make convergence` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: setup test check verify convergence experiments throughput oracle onnx clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

convergence: setup
	$(RUN) -m benchmarks convergence

experiments: setup  # every question of the handbook that is answered so far, some minutes; reads what `convergence` has measured
	$(RUN) -m experiments all --fresh --readme experiments/README.md

# Nearly all of the time goes into compiling. Models, losses and the like are compared with oracles to a tolerance, and the pages of
# the documentation run as they stand, so their programs need not be optimized as far as users' are; the core and the engine, whose
# bits are tested, and the commands of the README run as users get them.
FAMILIES := $(addprefix tests/,models generation docs optimizers tasks nn losses metrics data textbook plots probes evidence \
	benchmarks experiments test_arguments.py test_doctests.py)
QUICK_COMPILES := XLA_FLAGS="--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false"

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

# Golden values anew, by libraries that nothing else needs: first `.venv/bin/pip install torch torchmetrics pycocotools`.
oracle: setup
	$(RUN) -m tests.oracle

onnx: setup  # every operator of ours against ONNX's cases and reference evaluator, some minutes; add --golden to write the tests' cases
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt onnx==1.23.2
	$(RUN) -m tests.onnx

clean:
	rm -rf $(VENV) results
