"""The picture of a fit: three panels on white, or as many as the history fills."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mlcvbench.running import history_plot

HISTORY = {
    "loss": [2.0, 1.0, 0.5],
    "train_accuracy": [0.1, 0.5, 0.9],
    "val_accuracy": [0.1, 0.4, 0.8],
    "lr": [0.1, 0.1, 0.01],
}


def test_loss_accuracy_and_rate_are_drawn_side_by_side_on_white(tmp_path):
    [plot] = history_plot.draw(tmp_path / "plots", HISTORY)

    image = np.asarray(Image.open(tmp_path / "plots" / plot.file).convert("RGB"))
    columns = np.flatnonzero((image != 255).any(axis=(0, 2)))
    assert (plot.file, plot.title) == ("history.png", "History of the fit")
    assert plot.alt == ("The fit over 3 epochs; it ends with loss 0.5, train_accuracy 0.9, val_accuracy 0.8, lr 0.01.")
    assert (image[:3] == 255).all()
    assert columns[0] < image.shape[1] / 3
    assert columns[-1] > image.shape[1] * 0.95


def test_equal_histories_give_equal_bytes(tmp_path):
    files = []
    for name in ("a", "b"):
        history_plot.draw(tmp_path / name, HISTORY)
        files.append((tmp_path / name / "history.png").read_bytes())

    assert files[0] == files[1]


def test_a_history_without_a_rate_has_one_panel_less(tmp_path):
    history_plot.draw(tmp_path / "three", HISTORY)
    history_plot.draw(tmp_path / "two", {"loss": [1.0], "train_accuracy": [0.5], "lr": []})

    widths = {}
    for name in ("three", "two"):
        with Image.open(tmp_path / name / "history.png") as image:
            widths[name] = image.width
    assert widths["two"] * 3 == widths["three"] * 2


def test_a_fit_without_a_history_draws_nothing(tmp_path):
    assert history_plot.draw(tmp_path / "plots", {"trees": [1.0]}) == ()
    assert not (tmp_path / "plots").exists()
