"""Every parameter of every public function has a constraint, and what it refuses is refused in the library's words."""

import examples
import pytest

import dlcore as dl

FUNCTIONS = examples.public_functions()
EXAMPLES = examples.examples()
JUNK = tuple(examples.junk())


@pytest.mark.parametrize("path", sorted(FUNCTIONS))
def test_bad_values_are_refused(path):
    """Catches a parameter without a constraint, and a constraint that is declared but not enforced."""
    function, given = FUNCTIONS[path], EXAMPLES[path]()
    constraints = getattr(function, "constraints", {})
    assert set(constraints) == set(examples.signature(function).parameters)
    for name, constraint in constraints.items():
        for bad in JUNK:
            if not constraint.refuses(examples.passed(function, name, bad)):
                continue
            with pytest.raises(dl.DlcoreError, match=f"{function.__name__}: {name} is "):
                examples.call(function, given | {name: bad})


def test_examples_are_of_public_functions():
    """Catches arguments kept for functions that are gone."""
    assert set(EXAMPLES) == set(FUNCTIONS)
