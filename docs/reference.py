"""The pages of the API reference: one for each public package, one for each public name in it.

A name is public if it stands in the `__all__` of dlcore, or of a package that dlcore names.
"""

import inspect
import pathlib
import re
import sys

from flax import nnx

import dlcore as dl
from dlcore.core.arguments import ANYTHING

PACKAGES = (
    *("", "activations", "data", "evidence", "executors", "generation", "initializers", "losses", "metrics", "models"),
    *("optimizers", "plots", "probes", "tasks", "textbook"),
)
MODULES = {name: getattr(dl, name) if name else dl for name in PACKAGES}
for _name, _module in MODULES.items():  # autodoc and viewcode import what they show by the name users know
    sys.modules.setdefault(f"dlcore.{_name}".rstrip("."), _module)


def public_names():
    """Path below `dlcore`, such as "losses.focal", to the object."""
    return {
        f"{package}.{name}".lstrip("."): getattr(module, name)
        for package, module in MODULES.items()
        for name in module.__all__
        if not inspect.ismodule(getattr(module, name))
    }


def page_name(path):
    """The page of a public name; names that differ only by case get two even where file systems ignore it."""
    twins = [other for other in public_names() if other.lower() == path.lower()]
    return path + ("-class" if len(twins) > 1 and inspect.isclass(public_names()[path]) else "")


def write_pages(folder):
    """Write all pages; those that did not change keep their time, so that a second build is short."""
    pages = {}
    names = public_names()
    for package, module in MODULES.items():
        title = f"dlcore.{package}".rstrip(".")
        mine = {path: names[path] for path in names if path.rpartition(".")[0] == package}
        pages[f"package-{package or 'dlcore'}"] = package_page(title, module, mine)
        pages |= {page_name(path): object_page(path, value) for path, value in mine.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.rst")) - {folder / f"{name}.rst" for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        file = pathlib.Path(folder, f"{name}.rst")
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def package_page(title, module, names):
    """What a package is, and a table of its names."""
    lines = [title, "=" * len(title), "", *plain(inspect.getdoc(module)), ""]
    lines += [".. list-table::", "   :widths: 30 70", "   :class: api-table", ""]
    for path, value in names.items():
        lines += [f"   * - :doc:`{path.rpartition('.')[2]} <{page_name(path)}>`", f"     - {summary(value)}"]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    lines += [f"   {path.rpartition('.')[2]} <{page_name(path)}>" for path in names]
    return "\n".join(lines) + "\n"


def object_page(path, value):
    """The page of a function, a class or a value."""
    name = f"dlcore.{path}"
    lines = [name, "=" * len(name), ""]
    if inspect.isclass(value):
        lines += [f".. autoclass:: {name}{hidden_signature(value)}", "   :members:", "   :undoc-members:"]
    elif inspect.isfunction(inspect.unwrap(value)):
        lines += [f".. autofunction:: {name}"]
    else:
        module, _, short = name.rpartition(".")
        lines += [f".. py:data:: {short}", f"   :module: {module}", "", f"   {described(value)}"]
        lines += ["", f"   Defined in `{source_of(short, value)}`."]
    return "\n".join(lines) + "\n"


def hidden_signature(value):
    """The parameters of a Flax module, whose metaclass hides them from Python; of other classes nothing."""
    if not issubclass(value, nnx.Module):
        return ""
    _, *own = inspect.signature(value.__init__).parameters.values()
    return f"({', '.join(str(parameter.replace(annotation=parameter.empty)) for parameter in own)})"


def source_of(name, value):
    """The file that a value is assigned in, below `dlcore`: its page of the source is linked by this name."""
    for module in [module for key, module in sys.modules.items() if key.startswith("dlcore.")]:
        file = pathlib.Path(module.__file__)
        if vars(module).get(name) is value and re.search(rf"^{name}(:.*)? = ", file.read_text(), re.MULTILINE):
            return file.relative_to(pathlib.Path(dl.__file__).parent).as_posix()
    raise LookupError(f"no module of dlcore assigns {name}")


def described(value):
    """A value that is neither a function nor a class, in a sentence."""
    if isinstance(value, dict):
        return "A dictionary with the keys " + ", ".join(f"`{key}`" for key in value) + "."
    if hasattr(value, "expected"):
        return f"The constraint on a parameter: {escaped(value.expected)}."
    if isinstance(value, tuple | int | float | str):
        return f"The value `{value!r}`."
    if "Callable" in type(value).__name__:
        return f"A type: `{re.sub(r'(?:[a-z_]+[.])+', '', str(value))}`."
    return f"A `{type(value).__name__}`. {summary(type(value))}"


def summary(value):
    """The first sentence of what a name says about itself."""
    if not (inspect.isclass(value) or callable(value)) or "Callable" in type(value).__name__:
        return described(value)
    text = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return escaped(text)


def plain(text):
    """Lines of a module's docstring: paragraphs, indented examples as code."""
    lines = []
    for paragraph in (text or "").split("\n\n"):
        first = paragraph.splitlines()
        if all(line.startswith("    ") for line in first if line):
            lines += ["::", "", *first, ""]
        else:
            lines += [*map(escaped, first), ""]
    return lines


def escaped(text):
    """Text in which what RST would read as markup outside backticks stays what it is."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        p if p.startswith("`") and p.endswith("`") else re.sub(r"([*|]|_(?!\w))", r"\\\1", p) for p in pieces
    )


def before_napoleon(app, what, name, value, options, lines):
    """Keep plain text plain: stars and bars are no markup, fields of tuples say nothing that the class does not."""
    if lines and lines[0].startswith("Alias for field number"):
        lines[:] = []
    if what in ("class", "exception"):
        lines[:] = with_fields(lines)
    lines[:] = [row for line in lines for row in one_error_a_line(line)]
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else escaped(line) for line in lines]


def one_error_a_line(line):
    """A line of "Raises:", which may name several errors, as one line for each."""
    if not re.match(r" +\w+Error: ", line):
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return [indent + each.strip() for each in re.split(r"(?<=\.) (?=\w+Error: )", line)]


def with_fields(lines):
    """The lines of a class's docstring; paragraphs of "field: what it is" as lists."""
    field = re.compile(r"\w+(, \w+)*: \S")
    result = []
    for paragraph in "\n".join(lines).split("\n\n"):
        rows = paragraph.splitlines()
        if rows and all(field.match(row) or row.startswith("  ") for row in rows) and field.match(rows[0]):
            rows = [re.sub(r"^([^:]*):", r"- `\1`:", row) if field.match(row) else f"  {row.strip()}" for row in rows]
        result += [*rows, ""]
    return result


def after_napoleon(app, what, name, value, options, lines):
    """Add what each parameter may be, from the constraints that the function or the class checks."""
    constraints = getattr(value.__init__ if what == "class" else value, "constraints", None)
    if what in ("function", "method", "class") and constraints:
        lines += ["", ".. rubric:: What each parameter may be", "", ".. list-table::", "   :class: constraints", ""]
        for parameter, constraint in constraints.items():
            lines += [f"   * - `{parameter}`", f"     - {escaped(constraint.expected)}"]
        lines += ["", others_raise(constraints), ""]


def others_raise(constraints):
    """What a value raises that meets no constraint, in a sentence."""
    errors = {name: constraint.error.__name__ for name, constraint in constraints.items() if constraint != ANYTHING}
    data = [f"`{name}`" for name, error in errors.items() if error == "DataError"]
    if not errors:
        return ""
    if not data:
        text = "Other values raise `ArgumentError`"
    elif len(data) == len(errors):
        text = "Other values raise `DataError`"
    else:
        names = " and ".join(filter(None, [", ".join(data[:-1]), data[-1]]))
        text = f"Other values raise `ArgumentError`, those of {names} `DataError`"
    known = " A traced number passes; `dl.sweep` checks the values of its axes."
    has_domain = any(constraint.has_domain for constraint in constraints.values())
    return f"{text}, before anything is computed.{known * has_domain}"


def skip(app, what, name, value, skipped, options):
    """Methods that every tuple has are not shown."""
    return True if name in ("count", "index", "__init__") or name.startswith("_") else None
