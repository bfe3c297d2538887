"""The pages of docs/guides: their code runs from top to bottom and prints what they say, their links lead somewhere.

How a page is written:

- `python` blocks run one after another, in one process of its own, in an empty folder. Warnings are errors.
- `pycon` blocks are doctests of the same names, for errors above all; `...` stands for anything.
- A `text` block right after a `python` block, with nothing but empty lines between them, is all that the block prints.
  Spaces count as one, `...` stands for anything, numbers with a point may be off by 5 % or 0.02.
- A block whose first line says more (`text no-check`, `python not-run`) is for reading only, and so are other
  languages (`sh`).
"""

import itertools
import json
import pathlib
import re
import subprocess
from typing import NamedTuple

import pytest
from scripts import script_of

pytestmark = pytest.mark.job

REPOSITORY = pathlib.Path(__file__).parents[2]
PAGES = sorted(page for page in (REPOSITORY / "docs" / "guides").glob("*.md") if page.name != "index.md")
QUICK = {"first-study", "hand-written-trainings", "own-data", "reading-results"}  # `make jobs` runs these
BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NUMBER = re.compile(r"[+-]?\d+\.\d*(?:e[+-]?\d+)?")
RUNNER = """
import contextlib, doctest, io, json, sys, warnings
warnings.simplefilter("error")
page, blocks = sys.argv[1], json.load(sys.stdin)
names, printed = {"__name__": "__main__"}, []
for language, line, code in blocks:
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        if language == "python":
            exec(compile("\\n" * line + code, page, "exec"), names)
        else:
            test = doctest.DocTestParser().get_doctest(code, names, page, page, line)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            runner.run(test, out=sys.stderr.write, clear_globs=False)
            names.update(test.globs)
            assert not runner.failures, f"{page}, line {line}"
    printed.append(stdout.getvalue())
json.dump(printed, sys.stdout)
"""


class Block(NamedTuple):
    """A block of code: its first line's words, the line above its code, the code, and whether it follows the last."""

    language: str
    line: int
    code: str
    follows: bool


def blocks_of(text: str) -> list[Block]:
    """All blocks of a page."""
    found, end = [], 0
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2))
        found.append(Block(match[1].strip(), line, match[2], bool(found) and not text[end : match.start()].strip()))
        end = match.end()
    return found


def alike(said: str, printed: str) -> bool:
    """Whether a page says what was printed, but for spaces, rounding, and what it leaves out by `...`."""
    said, printed = " ".join(said.split()), " ".join(printed.split())
    pattern = NUMBER.sub("\0", said)
    pattern = re.escape(pattern).replace(re.escape("..."), ".*?").replace(re.escape("\0"), f"({NUMBER.pattern})")
    match = re.fullmatch(pattern, printed, re.DOTALL)
    numbers = [float(number) for number in NUMBER.findall(said)]
    return match is not None and all(
        abs(float(got) - number) <= max(0.02 if abs(number) >= 0.02 else 0.0, 0.05 * abs(number))
        for got, number in zip(match.groups(), numbers, strict=True)
    )


def anchors(page: pathlib.Path) -> set[str]:
    """What GitHub and MyST call the headings of a page."""
    text = BLOCK.sub("", page.read_text())
    titles = [title.strip().lower() for title in re.findall(r"^#+ (.*)", text, re.MULTILINE)]
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for compiled programs, which pages share."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=[pytest.mark.heavy] * (page.stem not in QUICK)) for page in PAGES]
)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, cache):
    """Catches a block that uses a name or an argument that is not there, and an output that is no longer so."""
    blocks = blocks_of(page.read_text())
    assert page.read_text().count("\n```") == 2 * len(blocks), "blocks begin and end with ``` at the start of a line"
    code = [block for block in blocks if block.language in ("python", "pycon")]
    assert code, "a guide has code that runs"
    script = script_of(RUNNER, str(page))
    # JAX writes a note below an error, which doctest would take for the error.
    script["env"] |= {"XDG_CACHE_HOME": str(cache), "MPLBACKEND": "agg", "JAX_TRACEBACK_FILTERING": "off"}
    sent = json.dumps([(block.language, block.line, block.code) for block in code])
    done = subprocess.run(**script, input=sent, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = dict(zip([block.line for block in code], json.loads(done.stdout.splitlines()[-1]), strict=True))
    for before, block in itertools.pairwise(blocks):
        if block.language == "text" and block.follows and before.language == "python":
            said, got = block.code, printed[before.line]
            assert alike(said, got), f"{page.name}, line {block.line} says:\n{said}\nprinted was:\n{got}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    """Catches a link to a page or a section that is not there."""
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if not link.startswith(("https://", "http://")):
            path, _, section = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not section or section in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_form(page):
    """Catches a page without a title or a first paragraph, one too long to read at once, and lines too wide."""
    text = page.read_text()
    lines = text.splitlines()
    assert re.match(r"# \w", lines[0])
    assert lines[2]
    assert not lines[2].startswith(("#", "```"))
    assert len(lines) <= 250
    printed = {
        line for block in blocks_of(text) if block.language.startswith("text") for line in block.code.splitlines()
    }
    assert not [line for line in lines if len(line) > 150 and line not in printed]


def test_what_counts_as_alike():
    """Catches a comparison that passes whatever was printed, or fails by rounding."""
    assert alike("loss 0.512\n  3 runs", "loss   0.5119 3 runs\n")
    assert alike("a ...\nz 1e-3", "a\nb\nc\nz 1e-3")
    assert alike("1.25e-03", "1.26e-03")
    assert not alike("1.25e-03", "1.45e-03")
    assert not alike("loss 0.512", "loss 0.612")
    assert not alike("3 runs", "4 runs")
    assert not alike("3 runs", "3 runs and more")
