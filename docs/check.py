"""Check a built site: `python docs/check.py docs/_build/html`. Says what is wrong, and exits with 1 if anything is.

Wrong are a public name without a page, a link to a file or an anchor that is not there, and a resource that a page
would load from a network.
"""

import functools
import pathlib
import sys
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote, urlsplit

LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "audio": "src",
    "video": "src",
    "link": "href",
}
FILTERS = {"verdict", "part", "text"}  # of the atlas, in its addresses after the "#"
NO_LOAD = {"canonical", "next", "prev", "search", "index", "author", "copyright", "up"}


class Page(HTMLParser):
    """The anchors, links and resources of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.resources = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note what a tag names, leads to or loads."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        address = given.get(LOADS.get(tag, ""), "")
        if address and not (tag == "link" and set(given.get("rel", "").split()) & NO_LOAD):
            self.resources.append(address)


@functools.cache
def read(file):
    """The page in a file, parsed once."""
    return Page(file.read_text(encoding="utf-8"))


def problems(site):
    """What is wrong with the pages in a folder, a line each."""
    for file in sorted(set(site.rglob("*.html")) - set((site / "_static").rglob("*.html"))):  # templates of the theme
        page, where = read(file), file.relative_to(site)
        for address in page.resources:
            if urlsplit(address).netloc:
                yield f"{where} loads {address} from a network"
            elif not address.startswith("data:") and not target(site, file, address).exists():
                yield f"{where} loads {address}, which is not there"
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            to = target(site, file, address)
            if not to.exists():
                yield f"{where} links to {address}, which is not there"
            elif to == site / "atlas" / "index.html" and "=" in parts.fragment:
                if unknown := set(parse_qs(parts.fragment, keep_blank_values=True)) - FILTERS:
                    yield f"{where} links to {address}: the atlas does not filter by {', '.join(sorted(unknown))}"
            elif parts.fragment and to.suffix == ".html" and unquote(parts.fragment) not in read(to).anchors:
                yield f"{where} links to {address}: {to.relative_to(site)} has no such anchor"
    for file in sorted(site.rglob("*.css")):
        text = file.read_text(encoding="utf-8")
        for start in ("url(http", "url('http", 'url("http', "url(//", "@import url(http"):
            if start in text:
                yield f"{file.relative_to(site)} loads from a network: {start}"


def target(site, file, address):
    """The file that an address on a page leads to."""
    path = unquote(urlsplit(address).path)
    to = (site / path[1:] if path.startswith("/") else file.parent / path).resolve() if path else file
    return to / "index.html" if to.is_dir() else to


def uncovered(site):
    """Public names of dlcore without a page that describes them."""
    import reference

    for path in reference.public_names():
        file = site / "api" / "generated" / f"{reference.page_name(path)}.html"
        if not file.exists() or f"dlcore.{path}" not in read(file).anchors:
            yield f"dlcore.{path} is public and has no page; public names stand in the __all__ of their package"


def main(site):
    """Print what is wrong with a site; the number of problems."""
    site = pathlib.Path(site).resolve()
    found = [*problems(site), *uncovered(site)]
    print(*found, f"{len(found)} problems in {len(list(site.rglob('*.html')))} pages", sep="\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1])))
