"""The example in each public docstring runs, and shows what it says."""

import doctest
import inspect

import examples
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dlcore as dl

FUNCTIONS = examples.public_functions()
NAMES = {"dl": dl, "jax": jax, "jnp": jnp, "np": np, "optax": optax}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("path", sorted(FUNCTIONS))
@pytest.mark.job
def test_example_in_the_docstring(path, tmp_path, monkeypatch):
    """Catches a docstring without an example, and one that shows what is no longer so."""
    monkeypatch.chdir(tmp_path)  # examples may write files
    text = inspect.getdoc(FUNCTIONS[path]) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(NAMES), path, None, 0)
    assert test.examples, f"dl.{path} has no example in its docstring"
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert not report, "".join(report)
