"""Files of weights from elsewhere: what holds or wraps their tensors is taken off, and none of them runs code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mlcvbench.errors import RecordError
from mlcvbench.files.weights import read_weights

STATE = {"a.weight": torch.ones(2), "b.weight": torch.zeros(3)}
TO_SAVE = r"; save the tensors alone, as torch\.save\(model\.state_dict\(\), FILE\)\.$"


@pytest.mark.parametrize("holder", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_tensors_are_found_under_what_training_scripts_put_around_them(
    holder: str | None, wrapper: str, tmp_path: Path
) -> None:
    state = {wrapper + name: tensor for name, tensor in STATE.items()}
    torch.save(state if holder is None else {"epoch": 3, holder: state, "best": 0.5}, tmp_path / "a.pth")

    assert read_weights(tmp_path / "a.pth").keys() == STATE.keys()


def test_a_prefix_of_some_names_alone_is_a_part_of_the_network(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pth")

    assert read_weights(tmp_path / "a.pth").keys() == {"module.a", "b"}


def test_a_network_with_a_part_called_model_is_a_dict_of_tensors(tmp_path: Path) -> None:
    torch.save({"model": torch.ones(1)}, tmp_path / "a.pth")

    assert read_weights(tmp_path / "a.pth").keys() == {"model"}


def test_a_pickled_network_is_not_loaded_and_its_author_told_what_to_save(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth")

    with pytest.raises(RecordError, match=r"^a\.pth: not a checkpoint of tensors alone \(\w+\)" + TO_SAVE):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("stored", [[torch.ones(2)], {"lr": 0.1}, torch.ones(2)])
def test_what_is_no_dict_of_tensors_is_refused(stored: object, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "a.pth")

    with pytest.raises(RecordError, match=r"^a\.pth: wanted a dict of tensors, got \w+" + TO_SAVE):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["", "a.pth", "a.safetensors"])
def test_a_folder_or_a_file_that_is_not_there_is_no_file_of_weights(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"^wanted a file of weights, got (the folder|no file) '"):
        read_weights(tmp_path / name)


def test_a_file_of_safetensors_that_was_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    save_file(STATE, str(tmp_path / "a.safetensors"))
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[:-4])

    with pytest.raises(RecordError, match=r"^a\.safetensors: not a whole file of safetensors \("):
        read_weights(tmp_path / "a.safetensors")
