"""Names at the ends of lines keep the lines' order and do not lie on each other."""

from itertools import pairwise

import pandas as pd
import pytest

from capratio.report.figures.canvas import log_axis, panels, paper
from capratio.report.figures.end_labels import label_ends, label_height_in
from capratio.report.palette import LOOKS, Look

LOOK: Look = LOOKS["dense", "path"]


def named(ends: dict[str, float]) -> dict[str, tuple[float, float]]:
    """The lower and upper edge of each name, in pixels, of a panel of lines that end there."""
    rows = pd.DataFrame([(name, x, y) for name, y in ends.items() for x in (1.0, 10.0)], columns=["series", "x", "y"])
    with paper():
        figure, (ax,) = panels(1, height_in=label_height_in(len(ends)))
        ax.plot(rows["x"], rows["y"])
        log_axis(ax, "x", "x", "", [1.0, 10.0])
        log_axis(ax, "y", "y", "", list(ends.values()))
        label_ends(ax, rows, "x", "y", dict.fromkeys(ends, LOOK))
        figure.draw_without_rendering()
        boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    return {name: (box.y0, box.y1) for name, box in boxes.items()}


@pytest.mark.parametrize("count", [2, 18, 30])
def test_names_of_lines_that_end_at_one_place_do_not_overlap(count: int) -> None:
    edges = sorted(named({f"line {at}": 1.0 + 1e-6 * at for at in range(count)} | {"far": 100.0}).values())

    assert count + 1 == len(edges)
    assert all(below[1] <= above[0] + 1.0 for below, above in pairwise(edges))


def test_names_stand_in_the_order_of_the_ends() -> None:
    edges = named({"low": 1.0, "high": 3.0, "middle": 1.01})

    assert ["low", "middle", "high"] == sorted(edges, key=lambda name: edges[name])
