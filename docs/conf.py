"""How the site is built: `make docs` writes it to `docs/_build/html`, without a network."""

import json
import os
import pathlib
import re
import sys

from docutils import nodes

DOCS = pathlib.Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]

import reference  # noqa: E402  needs the path above

project = "dlcore"
author = "The dlcore authors"
release = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build", "examples", "figures", "**.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # annotations name types of libraries whose pages are not asked for

# Text. A single backtick is code, in docstrings as in Markdown.
default_role = "code"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["config.cache"]  # nothing of a page

# Notebooks are executed in the build; one that fails, fails it.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 60
nb_ipywidgets_js = {}  # would be loaded from a network

# The API.
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Fields", "Reference", "References"]
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False

# How it looks; the theme brings its fonts and icons.
html_theme = "pydata_sphinx_theme"
html_title = "dlcore"
html_static_path = ["_static"]
html_css_files = ["dlcore.css"]
html_search_scorer = str(DOCS / "scorer.js")
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "atlas": []}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copyright = "The dlcore authors, Apache License 2.0"  # noqa: A001  the name that Sphinx reads
copybutton_exclude = ".linenos, .gp, .go"
html_extra_path = ["_build/extra"] if (DOCS / "_build" / "extra").is_dir() else []  # the atlas, where it was made

# Files outside docs/ that are pages of the site, by the name of the page.
ELSEWHERE = {
    "benchmarks": ROOT / "benchmarks" / "README.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "experiments": ROOT / "experiments" / "README.md",
}
QUESTION = re.compile(r"\[([^\]]+)\]\((?:\w+/)(\w+)\.py\)")  # a link to what measures it; the site has the atlas
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)(#[^)\s]*)?(?=\))")


def read_page(app, name, source):
    """Take pages from outside docs/, and lead links between files of the checkout to pages."""
    path = pathlib.Path(app.env.doc2path(name))
    if path.suffix != ".md":
        return
    if name in ELSEWHERE:
        path, source[0] = ELSEWHERE[name], ELSEWHERE[name].read_text()
        app.env.note_dependency(str(path))
    if name == "experiments":
        source[0] = QUESTION.sub(r'<a href="atlas/questions/\2.html">\1</a>', source[0])
    if name == "atlas":
        verdicts = sorted((ROOT / "experiments" / "results" / "block-1").glob("*/verdict.json"))
        source[0] += questions(verdicts)
        for file in (DOCS / "conf.py", *verdicts):
            app.env.note_dependency(str(file))
    here = (DOCS / name).parent
    source[0] = LINK.sub(lambda link: page_of(path.parent, here, link), source[0])


def questions(verdicts):
    """A list of what the atlas answers: the search of the site does not look into its pages."""
    lines = []
    for file in verdicts:
        plan, address = json.loads(file.read_text())["plan"], f"atlas/questions/{file.parent.name}.html"
        statements = " ".join(claim["statement"] for claim in plan["claims"])
        lines.append(f'- <a href="{address}">{plan["question"]}</a> {statements}\n')
    return "\n## Questions and statements\n\n" + "".join(lines)


def page_of(folder, here, link):
    """The target of a link as a file in `folder` has it, written for a page in `here`."""
    file = (folder / link[1]).resolve()
    for name, path in ELSEWHERE.items():
        if file == path or (path.name == "README.md" and file == path.parent):
            file = DOCS / f"{name}.md"
    if file.is_dir():  # a site has no page for a folder; its first file stands for it
        file = next((each for each in sorted(file.iterdir()) if each.is_file()), file)
    if not file.exists():
        return link[0]  # the build says that it is not there
    return pathlib.Path(os.path.relpath(file, here)).as_posix() + (link[2] or "")


WIDE = 1000  # pixels
NOT_BROKEN = re.compile(
    r"(?<=\d) (?=\d{3}\b)|(?<=[<>]=) (?=\d)|(?<=[<>]) (?=\d)|(?<=[✓✗±?]) (?=\w)|(?<=\d) (?=(?:%|ms|us|GB|MB)\b)"
)
PUBLIC, FILE = re.compile(r"dl\.([\w.]+)(\(.*\))?"), re.compile(r"([a-z_]+(?:/\w+)+)\.py")


def shape_lines(app, doctree, name):
    """Keep 262 144, >= 4 and 13 ms in one line; say of figures where they are, and which a telephone cannot shrink."""
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.literal_block | nodes.raw | nodes.title):
            text.parent.replace(text, nodes.Text(NOT_BROKEN.sub("\u00a0", text)))
    for section in doctree.findall(nodes.section):
        for image in section.findall(nodes.image):  # inner sections come later, and have the last word
            file = pathlib.Path(app.srcdir, image["uri"])
            if image.get("alt", image["uri"]) == image["uri"] or "section" in image:
                image["alt"], image["section"] = f"Figure: {section.next_node(nodes.title).astext()}", True
            if file.suffix == ".png" and file.is_file() and int.from_bytes(file.read_bytes()[16:20]) > WIDE:
                image["classes"] = ["wide"]


def link_code(app, doctree, name):
    """Let names in running text, `dl.sweep` and `core/update.py`, lead to their pages, of the API and of the source."""
    for literal in list(doctree.findall(nodes.literal)):
        if isinstance(literal.parent, nodes.reference | nodes.title):
            continue
        public, file = PUBLIC.fullmatch(literal.astext()), FILE.fullmatch(literal.astext())
        pages = []
        if public:
            pages = [f"api/generated/{public[1]}{kind}" for kind in ("", "-class")]
        elif file and f"dlcore.{file[1].replace('/', '.')}" in getattr(app.env, "_viewcode_modules", {}):
            pages = [f"_modules/dlcore/{file[1]}"]
        for page in pages:
            if page != name and (page in app.env.found_docs or page.startswith("_modules")):
                link = nodes.reference("", "", internal=True, refuri=app.builder.get_relative_uri(name, page))
                literal.replace_self(link)
                link += literal
                break


def setup(app):
    """Register what is above."""
    reference.write_pages(DOCS / "api" / "generated")
    app.connect("source-read", read_page)
    app.connect("doctree-resolved", link_code)
    app.connect("doctree-resolved", shape_lines)
    app.connect("autodoc-process-docstring", reference.before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", reference.after_napoleon, priority=900)
    app.connect("autodoc-skip-member", reference.skip)
