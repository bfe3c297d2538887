"""Figures that a notebook shows; imported when something is drawn, since matplotlib takes 0.5 s."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A matplotlib figure that shows itself as the value of a notebook's cell.

    A plain `Figure` does so only once pyplot has been used. Of pyplot's figures each is kept until it is closed, and
    each is shown when its cell ends, next to the cell's value; these are free when nobody holds them, and shown once:
    where inline plotting is on, its own formatter for figures is asked in place of this one.
    """

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()
