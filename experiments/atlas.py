"""`python -m experiments atlas`: all verdicts as pages to read, filter and link to, from files of verdicts alone."""

import ast
import collections
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from dlcore.core.errors import ArgumentError
from dlcore.engine.folders import check_output, replacing
from dlcore.evidence.agreement import agreement
from dlcore.evidence.claims import Outcome
from dlcore.evidence.plans import digest_of
from dlcore.evidence.tables import SIGNS, SMALLEST_P
from experiments import forest
from experiments.catalog import PARTS, names, part_of
from experiments.execution import VERDICT

HERE = pathlib.Path(__file__).parent
PAGES = HERE / "atlas_pages"
RESULTS = tuple(HERE / "results" / f"block-{block}" for block in (1, 2, 3))
OUTPUT = pathlib.Path("results/atlas")
OTHER = "other"  # part of what the catalog does not know
PLAIN = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)  # names of files that any server and system can hold
SETTING = re.compile(r"^Setting: (.+?)(?:\n(?=Command:|Seen\b|\n)|\Z)", re.DOTALL | re.MULTILINE)  # in a docstring


class Question(NamedTuple):
    """A question with what the first folder of results says of it. files: of verdicts, by block."""

    name: str
    part: str
    document: Mapping[str, Any]
    statements: Sequence[Mapping[str, Any]]
    files: Mapping[str, pathlib.Path]
    table: pd.DataFrame | None

    @property
    def text(self) -> str:
        """The question itself."""
        return self.document["plan"]["question"]

    @property
    def agreeing(self) -> str:
        """How many items the blocks agree on; nothing where there is one block."""
        return "" if self.table is None else f"{sum(self.table['agrees'].tolist())} of {len(self.table)}"

    @property
    def command(self) -> str:
        """What measures it again."""
        origin = self.document["provenance"]
        scale, block = origin.get("scale", "default"), origin.get("block", 1)
        flags = f" --scale {scale}" * (scale != "default") + f" --seed-block {block}" * (block != 1)
        return f"python -m experiments run {self.name}{flags}"

    @property
    def source(self) -> pathlib.Path | None:
        """The file that measures it."""
        file = HERE / self.part / f"{self.name}.py"
        return file if file.is_file() else None

    @property
    def setting(self) -> str:
        """On what it was measured, in words; nothing where its file does not say it."""
        found = SETTING.search(self._docstring)
        return " ".join(found[1].split()) if found else ""

    @property
    def words(self) -> str:
        """What its file says of itself besides, without the question."""
        return SETTING.sub("", self._docstring).partition("\n\n")[2].strip()

    @property
    def _docstring(self) -> str:
        return ast.get_docstring(ast.parse(self.source.read_text(encoding="utf-8"))) or "" if self.source else ""

    def rows(self, *, whole: bool) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        """Names and outcomes by block: of statements, or of what is in them and differs."""
        if self.table is None:
            return
        for (_, claim, part, condition), row in self.table.iterrows():  # pyright: ignore
            *outcomes, agrees = row.tolist()
            if whole != bool(part) and (whole or not agrees):
                yield (claim, part, condition), outcomes


def write_atlas(results: tuple[pathlib.Path, ...] = (), /, *, output: pathlib.Path = OUTPUT, home: str = "") -> None:
    """Write all verdicts as HTML pages, which need neither a network nor a server: open OUTPUT/index.html.

    Args:
      results: folders of `all`, one for each block of seeds; experiments/results/block-1 to block-3 by default. The
        first one is shown, the others are compared with it.
      output: folder for the pages; it replaces an earlier atlas only.
      home: where the site that the atlas is part of begins, as seen from OUTPUT; each page then has a link there.
    """
    check_output(output)
    questions = read(results or RESULTS)
    with replacing(output) as new:
        write_pages(questions, new, home)
    statements = sum(len(question.statements) for question in questions)
    print(f"{len(questions)} questions, {statements} statements: {output / 'index.html'}")


def read(results: Sequence[pathlib.Path]) -> list[Question]:
    """The questions of the first folder, those of a part of the handbook together.

    Raises:
      ArgumentError: a folder or file is missing, damaged, or answers another plan than the others.
    """
    if len(set(results)) < len(results):
        raise ArgumentError("atlas: results has a folder twice; pass each once.")
    labels = _labels(results)
    for folder in results:
        if not any(folder.glob(f"*/{VERDICT}")):
            raise ArgumentError(
                f"{str(folder)!r} has no folder with a {VERDICT}; expects the output of `python -m experiments all`."
            )
    known = names()
    found = sorted(file.parent.name for file in results[0].glob(f"*/{VERDICT}"))
    if odd := [name for name in found if not PLAIN.fullmatch(name)]:
        raise ArgumentError(
            f"{str(results[0])!r} holds {odd[0]!r}; expects names of letters, digits, '_', '-' and '.'."
        )
    ordered = [name for name in known if name in found] + [name for name in found if name not in known]
    questions = []
    for name in ordered:
        files = {label: folder / name / VERDICT for label, folder in zip(labels, results, strict=True)}
        files = {label: file for label, file in files.items() if file.is_file()}
        questions.append(_question(name, part_of(name) if name in known else OTHER, files))
    return questions


def _labels(results: Sequence[pathlib.Path]) -> list[str]:
    last = [folder.name for folder in results]
    if len(set(last)) == len(last) and all(map(PLAIN.fullmatch, last)):
        return last
    return [f"results-{number}" for number, _ in enumerate(results, start=1)]


def _question(name: str, part: str, files: Mapping[str, pathlib.Path]) -> Question:
    file = next(iter(files.values()))
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        edited = document["plan_digest"] != digest_of(document["plan"])
        taken: collections.Counter[str] = collections.Counter()
        answers = document.get("answers", {})
        statements = [
            _statement(claim, group, answers.get(claim["name"], ""), taken)
            for group in ("claims", "theory")
            for claim in document[group]
        ]
        question = Question(name, part, document, statements, files, None)
        assert isinstance(question.text, str)
        assert isinstance(question.command, str)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise ArgumentError(
            f"cannot read {str(file)!r}: {error!r}. Expects what `python -m experiments run` writes; measure it again."
        ) from None
    if edited:
        raise ArgumentError(f"{str(file)!r} holds a plan that is not the one its digest is of; it was edited.")
    return question._replace(table=agreement(list(files.values())) if len(files) > 1 else None)


def _statement(claim: Mapping[str, Any], group: str, answer: str, taken: collections.Counter[str]) -> Mapping[str, Any]:
    """A statement as the pages show it."""
    slug = re.sub(r"[^a-z0-9]+", "-", claim["name"].lower()).strip("-") or "statement"
    taken[slug] += 1
    anchor = f"statement-{slug}" if taken[slug] == 1 else f"statement-{slug}--{taken[slug]}"
    parts = [_part(part) for part in claim["parts"]]
    may_be_wrong = any(row["bound"] != "exact" for part in parts for row in part["rows"])
    shown = {"anchor": anchor, "group": group, "parts": parts, "answer": answer, "outcome": Outcome(claim["outcome"])}
    return {**claim, **shown, "share": _share(claim), "checks": claim["checks"], "may_be_wrong": may_be_wrong}


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    region, conditions = forest.region(part["region"]), part["conditions"]
    intervals = [forest.interval(condition) for condition in conditions]
    outcomes = [Outcome(condition["outcome"]) for condition in conditions]
    rows = [
        {**condition, "interval": str(found), "outcome": outcome, "p": _p_text(condition)}
        for condition, found, outcome in zip(conditions, intervals, outcomes, strict=True)
    ]
    shown = {"holds": str(region), "rows": rows, "outcome": Outcome(part["outcome"]), "share": _share(part)}
    return {**part, **shown, "plot": forest.plot(region, intervals, outcomes)}


def _share(found: Mapping[str, Any]) -> str:
    return f"{found['supported']} of {found['judged']}" if found["judged"] else "none measured"


def _p_text(condition: Mapping[str, Any]) -> str:
    if condition["bound"] in ("exact", "none"):
        return "\N{EN DASH}"
    value = forest.number(condition["p_value"])
    return f"< {SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.2g}"


def write_pages(questions: Sequence[Question], folder: pathlib.Path, home: str = "") -> None:
    """All pages, with the data and the files that they link to."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["compact"] = lambda value: value if isinstance(value, str) else json.dumps(value)
    environment.filters["percent"] = lambda value: f"{value:.2f}%"
    environment.globals.update(signs={str(outcome): sign for outcome, sign in SIGNS.items()}, outcomes=list(Outcome))  # pyright: ignore
    environment.globals["home"] = home
    parts = [part for part in (*PARTS, OTHER) if any(question.part == part for question in questions)]
    missing = [name for name in names() if name not in {question.name for question in questions}]
    counts = collections.Counter(str(each["outcome"]) for question in questions for each in question.statements)
    shown = {"questions": questions, "parts": parts, "missing": missing, "counts": counts}
    index = environment.get_template("index.html.jinja").render(root="", **shown)
    _text(folder / "index.html", index)
    page = environment.get_template("question.html.jinja")
    for before, question, after in zip([None, *questions], questions, [*questions[1:], None], strict=False):
        text = page.render(root="../", question=question, before=before, after=after)
        _text(folder / "questions" / f"{question.name}.html", text)
        for label, file in question.files.items():
            _text(folder / "data" / label / question.name / VERDICT, file.read_text(encoding="utf-8"))
        if question.source:
            _text(folder / "source" / f"{question.name}.py.txt", question.source.read_text(encoding="utf-8"))
    for name in ("atlas.css", "atlas.js"):
        _text(folder / name, (PAGES / name).read_text(encoding="utf-8"))


def _text(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
