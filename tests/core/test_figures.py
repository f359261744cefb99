"""The canvas of all pictures: equal drawings give equal bytes, and no machine's settings or global state come in."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np

from mlcvbench.figures import bars, new_figure, plain_style, save, short_name


def drawn() -> bytes:
    with plain_style():
        figure = bars(np.array([0.25, 0.5]), ["a", "b"], "F1", most=1.0)
        file = io.BytesIO()
        save(figure, file)
    return file.getvalue()


def test_equal_drawings_give_equal_bytes_whatever_the_machine_is_set_to():
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        under_other_settings = drawn()

    assert under_other_settings == drawn()
    assert drawn().startswith(b"\x89PNG")
    assert b"matplotlib" not in drawn()


def test_bars_of_counts_are_labelled_by_whole_numbers():
    figure = bars(np.array([3, 12]), ["a", "b"], "samples")

    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["3", "12"]
    assert axes.get_xlim() == (0, 12 * 1.1)


def test_names_are_cut_and_never_typeset():
    assert short_name("a $x$ b") == r"a \$x\$ b"
    assert short_name("n" * 30) == "n" * 17 + "…"


def test_a_figure_is_known_to_no_window():
    import matplotlib.pyplot as plt

    new_figure(2.0, 1.0)

    assert plt.get_fignums() == []


def test_the_module_loads_no_drawing_program():
    code = "import sys, mlcvbench.figures; print([m for m in ('matplotlib', 'numpy') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
