"""The atlas: what its pages say, on the committed results and on made-up verdicts; its figures; what it refuses."""

import html.parser
import itertools
import json
import math
import sys
from urllib.parse import unquote

import pytest

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Plan, Region, SubClaim, Verdict, above, verdict_json, within
from dlcore.evidence.intervals import Interval, exact, mean_interval, undetermined
from experiments import __main__ as commands
from experiments import atlas, forest

ODD = "<script>alert('&')</script> \"x\" | {{ y }} \N{GREEK SMALL LETTER ALPHA}"
LINKS, POSITIVE = ("href", "src"), above(0.0)


class Page(html.parser.HTMLParser):
    """Elements with their attributes, and all text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def part(name, region=POSITIVE, statement="On average."):
    return SubClaim(name, statement, f"unit of {name}", region)


def made_up():
    """A verdict of each outcome; intervals of each kind; text that HTML has to escape; a claim without conditions."""
    good, bad = mean_interval([1.0, 1.1, 0.9, 1.05]), mean_interval([-1.0, -1.1, -0.9, -1.05])
    censored = Interval(3.0, 2.5, math.inf, 4, bound="at least", tails=lambda x: (float(x > 2.5), 1.0))
    lower = Interval(-3.0, -math.inf, -2.5, 4, bound="at most", tails=lambda x: (1.0, float(x < -2.5)))
    cases = {
        "holds": (part("a"), [Evidence("one", good)]),
        "fails": (part("b"), [Evidence("two", bad, "a note"), Evidence("two", lower)]),
        "mixed": (part("c", within(-2, 2)), [Evidence("three", good), Evidence("four", exact(5.0))]),
        "open": (part("d"), [Evidence("five", undetermined("3 of 8 runs are not finite", 8))]),
        ODD: (part(ODD, above(2.0, margin=2.0), ODD), [Evidence(ODD, censored, ODD)]),
        "none": (part("f"), []),
    }
    return [Verdict(Claim(name, f"It {name}.", (sub,)), {sub.name: found}) for name, (sub, found) in cases.items()]


def save(folder, verdicts, question="Is it <so>?", block=1):
    claims = tuple(verdict.claim for verdict in verdicts)
    document = verdict_json(Plan(question, claims, {"block": block}, ()), verdicts, provenance={"block": block})
    document["answers"] = {claim.name: f"Remember {claim.name}." for claim in claims}
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps(document))
    return document


@pytest.fixture
def results(tmp_path):
    for block in (1, 2):
        save(tmp_path / f"block-{block}" / "mine", made_up(), block=block)
    return tmp_path / "block-1", tmp_path / "block-2"


def pages_of(folder):
    return {file: Page(file.read_text(encoding="utf-8")) for file in folder.rglob("*.html")}


def check(folder):
    """What holds of any atlas."""
    pages = pages_of(folder)
    for file, page in pages.items():
        identifiers = page.all("id")
        assert len(set(identifiers)) == len(identifiers), file
        for name in ("aria-labelledby", "for"):
            assert set(page.all(name)) <= set(identifiers), file
        for link in [link for name in LINKS for link in page.all(name)]:
            path, _, anchor = link.partition("#")
            assert not path.startswith(("http:", "https:", "//", "/")), link
            if path.startswith("data:"):
                continue
            target = (file.parent / unquote(path)).resolve() if path else file
            assert target.is_file(), link
            assert not anchor or anchor in pages[target].all("id"), link
        headings = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
        assert headings[0] == 1
        assert headings.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(headings)), file
        for tag, attributes in page.elements:
            if tag == "svg" and "strip" in attributes.get("class", ""):
                assert attributes["role"] == "img"
                assert attributes["aria-label"]


def test_each_kind_of_verdict(results, tmp_path):
    """Catches a statement, number, note or reason that is left out, text that is not escaped, figures of nothing."""
    questions = atlas.read(results)
    atlas.write_pages(questions, tmp_path / "out")
    check(tmp_path / "out")
    pages = {file.name: page for file, page in pages_of(tmp_path / "out").items()}
    verdicts = [attributes for tag, attributes in pages["index.html"].elements if "data-verdict" in attributes]
    outcomes = ["supported", "refuted", "conditional", "inconclusive", "supported", "inconclusive"]
    assert [each["data-verdict"] for each in verdicts] == outcomes
    assert pages["index.html"].all("data-part") == ["other"]
    for name, page in pages.items():
        assert "Is it <so>?" in page.text
        assert "script" not in [tag for tag, _ in page.elements][: 0 if name == "index.html" else None]
        for outcome in ("✓ supported", "✗ refuted", "± conditional", "? inconclusive"):
            assert outcome in page.text
        for claim in ("holds", "fails", "mixed", "open", ODD, "none"):
            assert f"It {claim}." in page.text
            assert f"Remember {claim}." in page.text
        assert "1 of 2 conditions hold" in page.text
        assert "no condition was measured" in page.text
    text = pages["mine.html"].text
    numbers = ["1.01 [0.877, 1.15] (n=4)", "exact: 5", "> 2.5 (n=4, censored)", "< -2.5 (n=4, censored)"]
    for expected in [*numbers, "undetermined: 3 of 8 runs are not finite", "a note", "above 2, refuted below 1", ODD]:
        assert expected in text
    assert text.count("block-2 ✓ supported") >= 1
    assert "Where they differ" not in text


def test_blocks_that_differ(tmp_path):
    """Catches a verdict of other seeds that is not shown where it differs, and another plan that passes as the same."""
    sub = part("a")
    for block, values in ((1, [1.0, 1.1, 0.9]), (2, [-1.0, -1.1, -0.9])):
        verdict = Verdict(Claim("sign", "It is.", (sub,)), {"a": [Evidence("here", mean_interval(values))]})
        save(tmp_path / f"block-{block}" / "mine", [verdict], block=block)
    folders = tmp_path / "block-1", tmp_path / "block-2"
    atlas.write_pages(atlas.read(folders), tmp_path / "out")
    text = Page((tmp_path / "out" / "questions" / "mine.html").read_text()).text
    assert "They agree on 0 of 3 items" in text
    assert "sign, a, here: block-1 ✓ supported, block-2 ✗ refuted" in text
    save(tmp_path / "block-3" / "mine", [verdict], question="Another?")
    with pytest.raises(dl.ArgumentError, match="different plans, in question"):
        atlas.read((folders[0], tmp_path / "block-3"))


def test_the_way_home(results, tmp_path):
    """Catches a link to the site that leads elsewhere from the pages of questions, and one where there is no site."""
    questions = atlas.read(results)
    for home in ("../index.html", ""):
        atlas.write_pages(questions, tmp_path, home)
        for page, link in (("index.html", "../index.html"), ("questions/mine.html", "../../index.html")):
            assert (f'<a href="{link}">dlcore: documentation</a>' in (tmp_path / page).read_text()) == bool(home)


def test_what_it_refuses(results, tmp_path):
    """Catches a damaged, edited or missing file that becomes a page, and a folder of somebody else that is replaced."""
    with pytest.raises(dl.ArgumentError, match=r"no folder with a verdict.json; expects the output of"):
        atlas.read((tmp_path / "nowhere",))
    with pytest.raises(dl.ArgumentError, match="twice; pass each once"):
        atlas.read((results[0], results[0]))
    file = results[0] / "mine" / "verdict.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "plan": {**document["plan"], "question": "Another?"}}))
    with pytest.raises(dl.ArgumentError, match="it was edited"):
        atlas.read(results)
    for damaged in ("{", "[]", json.dumps({**document, "claims": [{}]})):
        file.write_text(damaged)
        with pytest.raises(dl.ArgumentError, match=r"cannot read .*; measure it again\."):
            atlas.read(results)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear reader")
    with pytest.raises(dl.ArgumentError, match="dlcore did not write"):
        atlas.write_atlas(results[1:], output=tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").is_file()


def test_places_on_an_axis():
    """Catches a figure that is not true to its numbers: a wrong scale, an end cut off unseen, sides exchanged."""
    found = [Interval(1.0, 0.5, 2.0, 4), Interval(1000.0, 900.0, 1100.0, 4), exact(0.0)]
    plot = forest.plot(Region(low=10.0), found, ["refuted", "supported", "refuted"])
    assert plot.axis.logarithmic
    first, second, zero = plot.marks
    assert first.begin < first.center < first.end < plot.region[0] < second.begin < second.center < second.end < 100
    assert first.center - first.begin == pytest.approx(first.end - first.center)  # a factor of 2 on either side
    per_decade = plot.axis.place(100.0) - plot.axis.place(10.0)
    assert second.center - first.center == pytest.approx(3 * per_decade)
    assert plot.region[1] == 100
    assert zero.left
    assert zero.center < first.begin
    assert (first.shape, second.shape) == ("refuted", "supported")
    assert not first.left
    assert not second.right

    linear = forest.plot(within(-1.0, 1.0), [Interval(0.5, -0.5, 1.5, 4)], ["inconclusive"])
    assert not linear.axis.logarithmic
    assert linear.marks[0].center == pytest.approx(linear.axis.place(0.5))
    assert sum(linear.edges) == pytest.approx(2 * linear.axis.place(0.0))
    assert linear.marks[0].shape == "inconclusive"


def test_ticks_stay_inside():
    """Catches a text at the end of an axis that touches the next column, and an edge that loses its number for it."""
    for low, high in ((-0.5, 0.401), (0.0, 0.4), (0.4, 0.801), (1e-9, 1e4)):
        found = [Interval((low + high) / 2, low, high, 4), Interval(high, high, high, 4)]
        for edge in (low, high):
            plot = forest.plot(above(edge), found, ["inconclusive"] * 2)
            assert plot.axis.place(edge) in [tick.place for tick in plot.ticks]
            for tick in plot.ticks:
                assert tick.anchor == "middle" or tick.place == plot.axis.place(edge)
                wide = forest.CHARACTER * len(tick.text)
                begin = tick.place - {"start": 0.0, "middle": wide / 2, "end": wide}[tick.anchor]
                assert forest.MARGIN <= begin <= begin + wide <= 100 - forest.MARGIN, (low, high, tick)


@pytest.mark.parametrize("bound", ["two-sided", "at least", "at most", "exact", "none"])
@pytest.mark.parametrize("values", [(math.nan, math.nan, math.nan), (1.0, -math.inf, math.inf), (1e300, -1e300, 1e308)])
def test_whatever_an_interval_is(bound, values):
    """Catches NaN or infinity as a place in a figure."""
    plot = forest.plot(Region(), [Interval(*values, 3, bound=bound)], ["inconclusive"])
    assert (plot.marks[0] is None) == (bound == "none")
    numbers = [*plot.region, *(tick.place for tick in plot.ticks)]
    numbers += [value for mark in plot.marks if mark for value in (mark.begin, mark.end, mark.center or 0.0)]
    assert all(0 <= value <= 100 for value in numbers)


@pytest.fixture(scope="module")
def questions():
    return {question.name: question for question in atlas.read(atlas.RESULTS[:1])}


@pytest.mark.parametrize("name", commands.names())
def test_the_setting_of_a_question(name, questions, tmp_path):
    """Catches a question whose page does not say what was measured on what, says it twice, or too much of it."""
    question = questions[name]
    assert question.setting.endswith(".")
    assert 80 <= len(question.setting) <= 260
    assert not {"Setting:", "Command:", "Seen"} & set(question.setting.split())
    assert question.words.startswith("Command: ")
    assert "\nSeen" in question.words
    atlas.write_pages([question], tmp_path)
    page = Page((tmp_path / "questions" / f"{name}.html").read_text(encoding="utf-8"))
    assert page.text.count(question.setting) == page.text.count("Setting:") == 1
    assert page.text.index(question.setting) < page.text.index(question.statements[0]["answer"])
    assert ("a", {"href": "#design"}) in page.elements


@pytest.mark.parametrize(
    ("docstring", "setting", "words"),
    [
        ("Q?\n\nSetting: a b\nc.\nCommand: `x`\nSeen: y.", "a b c.", "Command: `x`\nSeen: y."),
        ("Q?\n\nCommand: `x`\nSetting: a.\n\nMore.", "a.", "Command: `x`\n\nMore."),
        ("Q?\n\nCommand: `x`\nSetting: a.", "a.", "Command: `x`"),
        ("Q?\n\nThe Setting: of others.", "", "The Setting: of others."),
        ("Q?", "", ""),
    ],
)
def test_settings_of_others(docstring, setting, words, results, tmp_path, monkeypatch):
    """Catches a line of an experiment that is lost, or taken for its setting; a page that needs one."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.py").write_text(f'"""{docstring}\n"""\n')
    monkeypatch.setattr(atlas, "HERE", tmp_path)
    (question,) = atlas.read(results[:1])
    assert (question.setting, question.words) == (setting, words)
    atlas.write_pages([question], tmp_path / "out")
    assert ("Setting:</span>" in (tmp_path / "out" / "questions" / "mine.html").read_text()) == bool(setting)


@pytest.mark.job
def test_the_committed_results(tmp_path, monkeypatch, capsys):
    """Catches a question, verdict, number or file that is left out, and bytes that change from call to call."""
    folder = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["python -m experiments", "atlas", "--output", str(folder)])
    commands.main()
    assert "questions, " in capsys.readouterr().out
    check(folder)
    pages = {file.stem: page for file, page in pages_of(folder).items()}
    for name in commands.names():
        file = atlas.RESULTS[0] / name / "verdict.json"
        document = json.loads(file.read_text())
        assert (folder / "data" / "block-1" / name / "verdict.json").read_bytes() == file.read_bytes()
        for claim in document["claims"]:
            for page in (pages["index"], pages[name]):
                assert claim["statement"] in page.text
                assert document["answers"][claim["name"]] in page.text
                assert f"{claim['supported']} of {claim['judged']} conditions hold" in page.text
            for each in (row for sub in claim["parts"] for row in sub["conditions"]):
                assert each["condition"] in pages[name].text
                assert str(forest.interval(each)) in pages[name].text
    written = {file: file.read_bytes() for file in folder.rglob("*") if file.suffix in (".html", ".json", ".txt")}
    commands.main()  # replaces its own
    assert all(file.read_bytes() == content for file, content in written.items() if file.name != "manifest.json")
