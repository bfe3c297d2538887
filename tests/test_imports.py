"""What is imported when: each of these begins in a fresh process."""

import json
import subprocess
import sys

import pytest

import dlcore

HEAVY = ("flax", "matplotlib", "pandas", "rich", "scipy", "sklearn", "tyro", "xarray", "zarr")


def told(script: str):
    """What a script prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_import_loads_little_and_knows_all_names():
    """Catches a library that is imported for what a user may never call, and names that are gone until then."""
    found = told(f"""
import json, sys
import dlcore
loaded = sorted(set({HEAVY}) & set(sys.modules))
print(json.dumps({{"loaded": loaded, "names": dir(dlcore)}}))
""")
    assert found["loaded"] == []
    assert set(dlcore.__all__) <= set(found["names"])


@pytest.mark.job
def test_the_first_study_waits_for_no_library_that_it_does_not_need():
    """Catches scikit-learn imported for its digits or their split, and xarray before XLA has anything to compile."""
    loaded = told("""
import json, sys
import jax, numpy as np, optax
import dlcore as dl
task = dl.tasks.classification(dl.models.mlp([64, 4, 10]), dl.data.digits())
def fit(seed):
    return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=64, num_steps=1)
study = repr(dl.study(fit, seed=np.arange(2)))
unneeded = {"PIL", "grain", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "xarray", "zarr"}
before = sorted(unneeded & set(sys.modules))
from dlcore.engine import execution
begun = []
load = execution.later.load
execution.later.load = lambda: begun.append("xarray" in sys.modules) or load()
dl.sweep(fit, seed=np.arange(2))
print(json.dumps([before, begun, sorted({"matplotlib", "sklearn", "zarr"} & set(sys.modules))]))
""")
    assert loaded == [[], [False], []]


def test_every_name_resolves_at_first_use_under_a_trace():
    """Catches a module that computes when it is imported: its arrays would belong to the trace that first needed it."""
    found = told("""
import gc, json
import jax
import dlcore
def first(x):
    for name in dlcore.__all__:
        getattr(dlcore, name)
    return x
jax.make_jaxpr(first)(1.0)
gc.collect()
print(json.dumps([type(each).__name__ for each in gc.get_objects() if issubclass(type(each), jax.core.Tracer)]))
""")
    assert found == []


def test_many_threads_may_be_the_first():
    """Catches a name that a second thread finds half made, and a class that is there twice."""
    found = told("""
import json, pickle, threading
import dlcore
from dlcore.engine.later import pd, xr
kinds, errors, barrier = [], [], threading.Barrier(8)
def use():
    barrier.wait()
    try:
        made = (dlcore.models.mlp, dlcore.Masked, dlcore.activations.relu, dlcore.probes, xr.Dataset, pd.Index)
        kinds.append(tuple(map(id, made)))
    except BaseException as error:
        errors.append(repr(error))
threads = [threading.Thread(target=use) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
import xarray
from dlcore import Masked, models
alike = xarray.Dataset is xr.Dataset and dlcore.models is models and dlcore.Masked is Masked
same = pickle.loads(pickle.dumps(dlcore.sweep)) is dlcore.sweep and pickle.loads(pickle.dumps(Masked)) is Masked
print(json.dumps([errors, len(kinds), len(set(kinds)), alike, same]))
""")
    assert found == [[], 8, 1, True, True]


def test_an_unknown_name_is_said_to_be_one():
    """Catches a module that makes up what it is asked for."""
    with pytest.raises(AttributeError, match="module 'dlcore' has no attribute 'sweeep'"):
        _ = dlcore.sweeep  # pyright: ignore[reportAttributeAccessIssue]
