"""The example in each public docstring runs, and shows what it says; only errors may have none."""

import doctest
import inspect

import examples
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dlcore as dl

CLASSES = examples.public_classes()
DOCUMENTED = examples.public_functions() | CLASSES
NAMES = {"dl": dl, "jax": jax, "jnp": jnp, "np": np, "optax": optax}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("path", sorted(DOCUMENTED))
@pytest.mark.job
def test_example_in_the_docstring(path, tmp_path, monkeypatch):
    """Catches a docstring without an example, and one that shows what is no longer so."""
    monkeypatch.chdir(tmp_path)  # examples may write files
    text = inspect.getdoc(DOCUMENTED[path]) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(NAMES), path, None, 0)
    is_error = path in CLASSES and issubclass(CLASSES[path], Exception)
    assert test.examples or is_error, f"dl.{path} has no example in its docstring"
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("path", sorted(CLASSES))
@pytest.mark.job
def test_a_class_says_what_it_is(path):
    """Catches a public class without a text of its own: that of a base, or what Python makes of its fields."""
    text = vars(CLASSES[path])["__doc__"] or ""
    assert text.strip(), f"dl.{path} has no docstring"
    assert not text.startswith(f"{CLASSES[path].__name__}("), f"dl.{path} has no docstring, only that of its fields"
