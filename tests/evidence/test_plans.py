"""A plan names itself by its content, and verdicts name the plan that they answer."""

import json
import math

import numpy as np
import pytest

import dlcore as dl
from dlcore.evidence import (
    Check,
    Claim,
    Evidence,
    Interval,
    Plan,
    Revision,
    SubClaim,
    Verdict,
    above,
    agreement,
    below,
    exact,
    undetermined,
    verdict_json,
    within,
)

PARTS = (
    SubClaim("speed", "It is faster.", "ratio of steps", above(1.0, margin=1.25)),
    SubClaim("share", "They are the same.", "difference of shares", within(-0.1, 0.1)),
)
CLAIM = Claim("a", "It is so.", PARTS)


def plan(**changes):
    """A plan; `changes` are entries of its design."""
    design = {"sizes": (1, 8), "seeds": np.arange(3), "block": 1, "rule": {"rate": 0.5, "limit": math.inf}}
    return Plan("Is it so?", (CLAIM,), design | changes, (Revision(1, "2026-01-01", "first"),))


def verdict(speed=2.0, conditions=("here", "there"), claim=CLAIM):
    """A verdict; the second sub-claim is not decided."""
    censored = Interval(math.nan, 3.0, math.inf, 5, bound="at least")
    evidence = {
        "speed": [Evidence(condition, exact(speed)) for condition in conditions],
        "share": [Evidence("here", undetermined("no run arrived", 5)), Evidence("there", censored, "stopped")],
    }
    return Verdict(claim, evidence, [Check("1 = 1", True, "0")])


@pytest.mark.parametrize(
    "other",
    [
        plan(sizes=(1, 9)),
        plan(seeds=np.arange(4)),
        plan(rule={"rate": 0.5, "limit": 9.0}),
        plan()._replace(question="Is it not?"),
        plan()._replace(history=()),
        plan()._replace(claims=(CLAIM._replace(parts=(PARTS[0]._replace(holds=above(1.0)), PARTS[1])),)),
        plan()._replace(claims=(CLAIM._replace(parts=(PARTS[0]._replace(holds=below(1.0)), PARTS[1])),)),
    ],
)
def test_another_plan_has_another_digest(other):
    """Catches a threshold, a size, a seed or a revision that the digest leaves out."""
    assert other.digest != plan().digest


def test_the_digest_is_of_the_content():
    """Catches a digest of the order of entries, of how they are held, or of what was lost on the way through a file."""
    same = plan(sizes=[np.int64(1), 8], seeds=[0, 1, 2])
    same = same._replace(design=dict(reversed(same.design.items())))
    assert same.digest == plan().digest
    assert len(plan().digest) == 64
    read = json.loads(json.dumps(plan().to_json(), allow_nan=False))
    assert read == plan().to_json()
    assert read["claims"][0]["parts"][0]["holds"] == {"low": 1.0, "high": "inf", "margin": 1.25}


def test_a_design_of_something_else_is_refused():
    """Catches a digest of the address of an object."""
    with pytest.raises(dl.ArgumentError, match=r"design holds <object .*; expects numbers, text, sequences and mapp"):
        plan(rule=object()).digest  # noqa: B018


def test_verdicts_as_json():
    """Catches numbers of conditions that are not theirs, NaN in JSON, and an outcome or note that is lost."""
    document = verdict_json(plan(), [verdict()], theory=[verdict(0.5)], provenance={"cores": np.int64(2)})
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["plan_digest"] == plan().digest
    assert document["provenance"] == {"cores": 2}
    assert document["theory"][0]["parts"][0]["outcome"] == "refuted"
    (claim,) = document["claims"]
    assert (claim["name"], claim["outcome"], claim["supported"], claim["judged"]) == ("a", "inconclusive", 2, 4)
    speed, share = claim["parts"]
    assert (speed["outcome"], speed["supported"], speed["judged"]) == ("supported", 2, 2)
    assert speed["conditions"][0]["estimate"] == 2.0
    unknown, censored = share["conditions"]
    assert (unknown["estimate"], unknown["reason"], unknown["bound"]) == (None, "no run arrived", "none")
    assert (censored["low"], censored["high"], censored["note"]) == (3.0, "inf", "stopped")
    assert claim["checks"] == [{"statement": "1 = 1", "holds": True, "measured": "0"}]


@pytest.fixture
def written(tmp_path):
    """A function that writes a document and gives its path."""

    def write(name, plan, verdicts, theory=()):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(verdict_json(plan, verdicts, theory=theory)))
        return file

    return write


def test_blocks_that_agree(written):
    """Catches a comparison that stops at claims, or counts an item twice; blocks differ in seeds only."""
    files = [written(block, plan(block=block, seeds=[block]), [verdict()], [verdict()]) for block in (1, 2, 3)]
    found = agreement(files)
    assert found["agrees"].all()
    assert len(found) == 2 * (1 + 2 + 4)
    assert list(found.columns) == [*map(str, files), "agrees"]


def test_blocks_that_differ(written):
    """Catches agreement of the whole that hides a condition, and a condition that only one block has."""
    names = ("here", "here", "there")
    other = verdict(0.5, ("here", "elsewhere"))
    found = agreement([written(1, plan(), [verdict(2.0, names)]), written(2, plan(), [other])])
    agrees = found["agrees"].droplevel("group").to_dict()
    assert agrees == {
        ("a", "", ""): True,  # inconclusive in both
        ("a", "speed", ""): False,
        ("a", "speed", "here"): False,
        ("a", "speed", "here (2)"): False,
        ("a", "speed", "there"): False,
        ("a", "speed", "elsewhere"): False,
        ("a", "share", ""): True,
        ("a", "share", "here"): True,
        ("a", "share", "there"): True,
    }
    assert found.loc[("claims", "a", "speed", "elsewhere")].tolist()[:2] == ["missing", "refuted"]


@pytest.mark.parametrize(
    ("other", "where"),
    [(plan(rule={"rate": 0.4}), r"design\.rule\.rate, design\.rule\.limit"), (plan(x=None), "design\\.x")],
)
def test_another_plan_is_no_block(written, other, where):
    """Catches agreement of measurements that are not the same, a threshold among them."""
    with pytest.raises(dl.ArgumentError, match=rf"answer different plans, in {where}\."):
        agreement([written(1, plan(), []), written(2, other, [])])
    stricter = plan()._replace(claims=(CLAIM._replace(parts=PARTS[:1]),))
    with pytest.raises(dl.ArgumentError, match="answer different plans, in claims"):
        agreement([written(1, plan(), []), written(2, stricter, [])])


@pytest.mark.parametrize("content", ["years of work", "[1]", "{}", '{"plan_digest": "0", "plan": {}}', "1"])
def test_a_file_of_something_else_is_refused(written, tmp_path, content):
    """Catches a traceback of the file's reader."""
    (tmp_path / "thesis.json").write_text(content)
    with pytest.raises(dl.ArgumentError, match="is no file that verdict_json describes"):
        agreement([written(1, plan(), []), tmp_path / "thesis.json"])
    with pytest.raises(dl.ArgumentError, match="has a path twice"):
        agreement([tmp_path / "thesis.json"] * 2)


def test_a_plan_that_was_edited_is_refused(written):
    """Catches a threshold that is changed after the measurement."""
    file = written(1, plan(), [verdict()])
    file.write_text(file.read_text().replace('"margin": 1.25', '"margin": 1.5'))
    with pytest.raises(dl.ArgumentError, match="not the one its digest is of; it was edited"):
        agreement([file, written(2, plan(), [verdict()])])
