"""The house: who may import whom, read from the imports themselves."""

import ast
import pathlib
import re

PACKAGE = pathlib.Path(__file__).parents[1] / "dlcore"

# From the ground up: a package imports from itself and from those before it.
FLOORS = (
    ("core",),
    ("engine",),
    ("nn", "optimizers"),
    ("data",),
    ("losses",),
    ("metrics",),
    ("models",),
    ("tasks",),
    ("evidence", "generation", "plots", "probes", "textbook"),
)
MAX_LINES_OF_CORE = 1_650
LOOKED_UP = (
    "arguments",
    "errors",
    "description",
    "optimizer",
    "values",
    "precision",
    "mesh",
    "memory",
)  # constraints and words, which nobody reads through


def imports() -> dict[str, set[str]]:
    """Module to the modules of dlcore that it imports, anywhere in it."""
    modules = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, file in modules.items():
        found[module] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in named:
                while name and name not in modules:
                    name = name.rpartition(".")[0]
                if name and name != module:
                    found[module].add(name)
    return found


def floor(module: str) -> int:
    """Number of the floor a module stands on; the package itself is the roof."""
    parts = module.split(".")
    if len(parts) == 1:
        return len(FLOORS)
    return next(number for number, rooms in enumerate(FLOORS) if parts[1] in rooms)


def test_nothing_imports_upwards():
    """Catches a core that knows what stands on it, also by an import inside a function."""
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if floor(other) > floor(module)
        or (floor(other) == floor(module) < len(FLOORS) and other.split(".")[1] != module.split(".")[1])
    ]
    assert not wrong


def test_no_circle_of_imports():
    """Catches modules that need each other."""
    graph = imports()
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for other in graph[module]:
            visit(other, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_the_core_is_read_in_an_hour():
    """Catches a core that grows with everything that is built on it; the examples of docstrings are no part of it."""
    core = [file for file in (PACKAGE / "core").glob("*.py") if file.stem not in LOOKED_UP]
    texts = (re.sub(r"\n    Example:\n(?:      .*\n|\n)+", "\n", file.read_text()) for file in core)
    assert sum(len(text.splitlines()) for text in texts) <= MAX_LINES_OF_CORE


def test_no_module_is_hidden_by_a_function_of_its_name():
    """Catches `dlcore.sweep` the module against `dlcore.sweep` the function."""
    import dlcore

    roots = {path.stem for path in PACKAGE.iterdir() if path.name != "__init__.py"}
    assert [name for name in roots & set(dlcore.__all__) if callable(getattr(dlcore, name))] == []
