"""Pages with a place for verdicts, which is written anew."""

import pathlib
import re

from dlcore.core.errors import ArgumentError

BETWEEN_MARKERS = re.compile(r"(<!-- verdicts -->\n).*?(<!-- /verdicts -->)", re.DOTALL)


def check_page(path: pathlib.Path) -> str:
    """The text of a page with a place for the verdicts: to be called before anything is measured.

    Raises:
      ArgumentError: the page cannot be read, or has no such place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error}; pass the path of a Markdown page.") from None
    if len(BETWEEN_MARKERS.findall(text)) != 1:
        raise ArgumentError(
            f"{str(path)!r} has no one place for the verdicts; put a line <!-- verdicts --> and a line <!-- "
            "/verdicts --> where the table belongs."
        )
    return text


def update_page(path: pathlib.Path, table: str) -> None:
    """Put the table between the lines `<!-- verdicts -->` and `<!-- /verdicts -->` of a page, and nothing else there.

    Raises:
      ArgumentError: the page cannot be read, or has no such lines.
    """
    text = BETWEEN_MARKERS.sub(lambda match: f"{match[1]}\n{table}\n{match[2]}", check_page(path))
    path.write_text(text, encoding="utf-8")
