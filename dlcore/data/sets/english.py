"""English prose that comes with Python: no file, no network."""

from typing import Any

from dlcore.core.arguments import arguments
from dlcore.core.dataset import FIELDS, Dataset
from dlcore.data.arrange.windows import WINDOWS, next_token
from dlcore.data.parameters import keywords

ALREADY = ("length", "validation", "test")
OPTIONS = keywords(
    "stride, unit, predict, max_vocabulary and fields of Dataset",
    {name: constraint for name, constraint in (WINDOWS | FIELDS).items() if name not in ALREADY},
)


@arguments(options=OPTIONS, **{name: WINDOWS[name] for name in ALREADY})
def english(*, length: int = 32, validation: float = 0.1, test: float = 0.1, **options: Any) -> Dataset:
    """Prose from Python's own help texts, half a million characters, to predict each from those before it.

    No file, no network; the text differs a little from one version of Python to the next.

    Args:
      length, validation, test, options: as in `next_token`.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more; more windows than fit in memory; `max_vocabulary` of
        characters.
      DataError: a part with fewer than `length + 1` tokens.

    Example:
      >>> dl.data.english(length=64).train.inputs.shape[1:]
      (64,)
    """
    fields: dict[str, Any] = {"name": "english", "source": "CPython pydoc_data.topics"}
    return next_token(english_text(), length=length, validation=validation, test=test, **fields | options)


@arguments()
def english_text() -> str:
    """The help texts of Python's language reference as one string, topics in the order of their names.

    >>> "statement" in dl.data.english_text()
    True
    """
    from pydoc_data import topics

    return "\n".join(text for _, text in sorted(topics.topics.items()))
