"""Whether the same study on other seeds comes to the same verdicts."""

import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from dlcore.core.arguments import arguments, path, sequence
from dlcore.core.errors import ArgumentError
from dlcore.evidence.plans import digest_of

SEEDS = frozenset(("block", "seeds", "tuning_seeds"))  # entries of a design that say which runs, not what runs
ITEM = ["group", "claim", "part", "condition"]
MISSING = "missing"


@arguments(files=sequence(path, 2, text="paths of verdict.json files"))
def agreement(files: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Outcomes of one study on several seeds side by side, down to each condition.

    Args:
      files: paths of what `verdict_json` gave, two or more; their plans differ at most in the entries "block", "seeds"
        and "tuning_seeds" of the design.

    Returns:
      A row for each claim, sub-claim and condition of any file. Its index: group ("claims" or "theory"), claim, part
      and condition, the latter two empty where the row is of the whole. A column of outcomes for each file, "missing"
      where it lacks the item; the last column, "agrees", says whether the outcome is the same in all.

    Raises:
      ArgumentError: a file of something else, one that was edited, or plans that differ.

    Example:
      >>> import json, pathlib
      >>> plan = dl.evidence.Plan("Is it so?", (), {}, ())
      >>> document = dl.evidence.verdict_json(plan, [])
      >>> for name in ("1.json", "2.json"):
      ...     _ = pathlib.Path(name).write_text(json.dumps(document))
      >>> bool(dl.evidence.agreement(["1.json", "2.json"])["agrees"].all())
      True
    """
    names = [str(os.fspath(file)) for file in files]
    if len(set(names)) < len(names):
        raise ArgumentError("agreement: files has a path twice; pass each once.")
    documents = {name: _read(pathlib.Path(name)) for name in names}
    _check_plans(documents)
    found = {name: dict(_items(document)) for name, document in documents.items()}
    items = list(dict.fromkeys(item for outcomes in found.values() for item in outcomes))
    index = pd.MultiIndex.from_tuples(items, names=ITEM) if items else pd.MultiIndex.from_arrays([[]] * 4, names=ITEM)
    table = pd.DataFrame(
        {name: [outcomes.get(item, MISSING) for item in items] for name, outcomes in found.items()}, index, dtype=str
    )
    return table.assign(agrees=(table.nunique(axis=1) == 1) & (table != MISSING).all(axis=1))


def _read(file: pathlib.Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        complete = document["plan_digest"] == digest_of(document["plan"])
        list(_items(document))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"{str(file)!r} is no file that verdict_json describes: {error!r}.") from None
    if not complete:
        raise ArgumentError(f"{str(file)!r} holds a plan that is not the one its digest is of; it was edited.")
    return document


def _check_plans(documents: Mapping[str, Mapping[str, Any]]) -> None:
    (first, reference), *others = ((name, _without_seeds(document["plan"])) for name, document in documents.items())
    for name, plan in others:
        differing = list(differences(reference, plan))
        if differing:
            raise ArgumentError(
                f"{first!r} and {name!r} answer different plans, in {', '.join(differing[:5])}. Only runs of one plan "
                "can agree: measure both by the same one, on other seeds."
            )


def differences(a: Any, b: Any, name: str = "plan") -> Iterator[str]:
    """Where two plans differ, as paths of names."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            below = key if name == "plan" else f"{name}.{key}"
            yield from differences(a.get(key, MISSING), b.get(key, MISSING), below)
    elif a != b:
        yield name


def _without_seeds(plan: Any) -> Any:
    if isinstance(plan, dict):
        return {key: _without_seeds(value) for key, value in plan.items() if key not in SEEDS}
    return plan


def _items(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str, str], str]]:
    """(group, claim, part, condition) and outcome; conditions of one name are numbered."""
    for group in ("claims", "theory"):
        for claim in document[group]:
            yield (group, claim["name"], "", ""), claim["outcome"]
            for part in claim["parts"]:
                yield (group, claim["name"], part["name"], ""), part["outcome"]
                counts: Counter[str] = Counter()
                for condition in part["conditions"]:
                    name = condition["condition"]
                    counts[name] += 1
                    numbered = name if counts[name] == 1 else f"{name} ({counts[name]})"
                    yield (group, claim["name"], part["name"], numbered), condition["outcome"]
