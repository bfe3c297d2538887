"""Figures show themselves in a notebook, once, and need no pyplot."""

import subprocess

import examples
import jax.numpy as jnp
import numpy as np
import pytest
import scripts

import dlcore as dl

PLOTS = {path: function for path, function in examples.public_functions().items() if path.startswith("plots.")}
PNG = b"\x89PNG\r\n"


@pytest.mark.parametrize("path", sorted(PLOTS))
def test_every_figure_shows_itself(path):
    """Catches a plain `Figure`, of which a fresh notebook prints the address."""
    assert examples.call(PLOTS[path], examples.examples()[path]())._repr_png_().startswith(PNG)


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 1), (2, 3)])
def test_bfloat16_is_drawn(shape):
    """Catches pixels and coordinates in a dtype that matplotlib does not know."""
    inputs = jnp.asarray(np.arange(np.prod(shape)).reshape(shape), jnp.bfloat16)
    figure = dl.plots.samples(dl.data.Dataset((inputs, jnp.asarray([0.5, 1.5], jnp.bfloat16))))
    assert figure._repr_png_().startswith(PNG)
    if len(shape) == 4:
        assert np.ptp(figure.axes[1].images[0].get_array()) == pytest.approx(47 / 95)  # scaled to [0, 1]


def test_inline_plotting_shows_it_no_second_time():
    """Catches two pictures of one format, ours next to that of the formatter which inline plotting registers."""
    formatters = pytest.importorskip("IPython.core.formatters", reason="needs the extra [notebook]")
    from matplotlib.figure import Figure

    figure = PLOTS["plots.samples"](**examples.examples()["plots.samples"]())
    display = formatters.DisplayFormatter()
    shown, _ = display.format(figure)
    assert set(shown) == {"text/plain", "image/png"}
    assert shown["image/png"].startswith(PNG)
    display.formatters["image/png"].for_type(Figure, lambda figure: b"inline")  # as IPython.core.pylabtools does
    assert display.format(figure)[0]["image/png"] == b"inline"


def test_drawing_imports_no_pyplot():
    """Catches a script that draws and gets windows, or figures that are kept until they are closed."""
    script = """
        import sys
        import dlcore as dl
        assert "matplotlib" not in sys.modules, "importing dlcore takes 0.5 s longer"
        figure = dl.data.iris().plot()
        figure._repr_png_()
        assert "matplotlib.pyplot" not in sys.modules
    """
    done = subprocess.run(**scripts.script_of(script), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
