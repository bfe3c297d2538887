"""The notebooks in docs/notebooks: valid, without outputs, and executed from top to bottom as a user would."""

import os
import pathlib
import re

import pytest

nbformat = pytest.importorskip("nbformat")

pytestmark = pytest.mark.job

REPOSITORY = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
BUILT = {"atlas.md", "benchmarks.md"}  # pages that the build makes of other files, if they are not there yet


def ids(path):
    return path.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_is_kept_as_it_is_written(path):
    """Catches outputs that are committed, ids that change with each save, no first text, links that lead nowhere."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    cells = notebook.cells
    assert [cell.id for cell in cells] == [f"{path.stem}-{i:02d}" for i in range(len(cells))]
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert "dl.setup()" in code[0].source
    first, last = cells[0].source, cells[-1].source
    assert first.startswith("# ")
    assert "seconds on two cores" in first
    assert "pip install -e ." in first
    assert "## What to try next" in last
    for cell in cells:
        for link in LINK.findall(cell.source) if cell.cell_type == "markdown" else ():
            assert (path.parent / link).is_file() or pathlib.Path(link).name in BUILT, link


def test_there_are_as_many_as_the_site_says():
    """Catches a notebook that is lost, and tests that pass because they find none."""
    assert len(NOTEBOOKS) == 6


@pytest.mark.heavy  # each starts a kernel, and compiles
@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    """Catches code that fails or warns, a cell that draws and shows nothing, a bar that leaves rubbish, files left."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    assert not list(tmp_path.iterdir())
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        assert [each.text for each in outputs if each.get("name") == "stderr"] == [], cell.id
        shown = [each.data for each in outputs if each.output_type in ("display_data", "execute_result")]
        images = [data for data in shown if "image/png" in data]
        drawn = cell.cell_type == "code" and ("plt.show()" in cell.source or ".plot(num_rows" in cell.source)
        assert len(images) == drawn, cell.id
        bars = [data for data in shown if not data.get("text/plain")]
        assert all(data == {"text/plain": "", "text/html": ""} for data in bars), cell.id
        assert len(bars) == cell.source.count("dl.sweep(") * (cell.cell_type == "code"), cell.id
        assert not any("Output()" in data.get("text/plain", "") for data in shown), cell.id
