"""The check of the built site finds what it is there to find; every public name is given a page."""

import importlib
import pathlib
import sys

import pytest
from examples import public_functions

import dlcore as dl

pytestmark = pytest.mark.job

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture
def module(monkeypatch):
    """Imports a module of docs/, and forgets what that changed."""
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return importlib.import_module


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<a href="b.html">', "links to b.html, which is not there"),
        ('<a href="#nowhere">', "has no such anchor"),
        ('<script src="https://example.org/x.js">', "from a network"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "from a network"),
        ('<img src="x.png">', "loads x.png, which is not there"),
    ],
)
def test_problems_are_found(tmp_path, module, text, problem):
    """Catches a check that passes a broken link or anchor, or a resource of a network."""
    (tmp_path / "a.html").write_text(text)
    (found,) = module("check").problems(tmp_path)
    assert problem in found


def test_filters_of_the_atlas_are_known(tmp_path, module):
    """Catches an address with a filter that the atlas has not, and one that is taken for an anchor."""
    (tmp_path / "atlas").mkdir()
    (tmp_path / "atlas" / "index.html").write_text("")
    (tmp_path / "a.html").write_text('<a href="atlas/index.html#verdict=refuted&amp;text=tanh">')
    assert not [*module("check").problems(tmp_path)]
    (tmp_path / "b.html").write_text('<a href="atlas/index.html#verdict=refuted&amp;words=tanh">')
    (found,) = module("check").problems(tmp_path)
    assert "the atlas does not filter by words" in found


def test_sound_pages_pass(tmp_path, module):
    """Catches a check that refuses links outside, or anchors that are there."""
    (tmp_path / "a.html").write_text('<a id="b" href="#b"></a><a href="https://example.org">x</a>')
    assert not [*module("check").problems(tmp_path)]


def test_every_function_gets_a_page(tmp_path, module):
    """Catches a package that the reference does not know, and a name whose page is missing."""
    reference = module("reference")
    reference.write_pages(tmp_path)
    for path in public_functions():
        assert (tmp_path / f"{reference.page_name(path)}.rst").exists(), path
    assert len([*module("check").uncovered(tmp_path)]) == len(reference.public_names())  # nothing is built


def test_values_lead_to_their_code(module):
    """Catches a value whose page names no file, or one that only passes it on."""
    page = module("reference").object_page
    assert "Defined in `nn/activations.py`." in page("activations.ACTIVATIONS", dl.activations.ACTIVATIONS)
    assert "Defined in `data/sets/sequences.py`." in page("data.PLACES", dl.data.PLACES)


def test_layers_show_their_parameters(module):
    """Catches `(*args, **kwargs)`, which is all that Flax' metaclass lets Python see."""
    page = module("reference").object_page("activations.Activate", dl.activations.Activate)
    assert ".. autoclass:: dlcore.activations.Activate(function)\n" in page


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (dl.data.iris, "Other values raise `ArgumentError`, before anything is computed."),
        (dl.metrics.accuracy, "Other values raise `DataError`, before anything is computed."),
        (
            dl.losses.huber,
            "Other values raise `ArgumentError`, those of `predictions` and `targets` `DataError`, before anything is "
            "computed. A traced number passes; `dl.sweep` checks the values of its axes.",
        ),
    ],
)
def test_the_table_says_what_other_values_raise(module, function, sentence):
    """Catches an error that is not that of the constraint, and a table without the sentence."""
    lines = []
    module("reference").after_napoleon(None, "function", "", function, None, lines)
    assert sentence in lines
