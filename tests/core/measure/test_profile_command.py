import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlcvbench.cli.profile import profile
from mlcvbench.errors import MlcvbenchError

TABLES = Path(__file__).parents[2] / "fixtures/layer_tables"


def output(*args: str) -> str:
    result = CliRunner().invoke(profile, list(args), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_vgg16_as_csv_is_the_lecture_table_line_by_line() -> None:
    with (TABLES / "vgg16.csv").open(newline="") as file:
        wanted = [row[:14] for row in csv.reader(file)]

    got = list(csv.reader(io.StringIO(output("model=torchvision:vgg16", "convention=table", "--csv"))))

    assert got == wanted


def test_every_convention_fits_eighty_columns() -> None:
    for convention in ("standard", "table", "notes"):
        text = output("model=torchvision:resnet18", f"convention={convention}", "input=3x64x64", "batch=8")
        assert max(map(len, text.splitlines())) <= 80


def test_json_holds_exact_integers() -> None:
    document = json.loads(output("model=timm:resnet18", "--json", "batch=1"))

    total = document["rows"][-1]
    assert (total["params"], total["macs"]) == (11_689_512, 1_814_073_344)
    assert total["flops"] == 2 * total["macs"]


def test_a_registered_method_is_profiled_by_its_name() -> None:
    text = output("model=small_cnn", "input=1x28x28", "classes=10")

    assert "small_cnn, input 1x28x28:" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "no model given: say model=NAME, such as model=torchvision:vgg16."),
        (("model=vgg61",), "unknown model 'vgg61'. Did you mean 'vgg19', 'vgg16' or 'vgg13'?"),
        (("model=torchvision:vgg61",), "unknown torchvision model 'vgg61'. Did you mean 'vgg19', 'vgg16' or 'vgg13'?"),
        (("model=knn",), "model 'knn' is no torch network, so it has no layers to profile."),
        (("model=vgg16", "inputs=3x4x4"), "unknown key 'inputs'. Did you mean 'input'?"),
        (
            ("model=vgg16", "input=224"),
            "input=224: wanted CxHxW with sides from 1 to 8192, such as 3x224x224.",
        ),
        (
            ("model=vgg16", "input=3x0x4"),
            "input=3x0x4: wanted CxHxW with sides from 1 to 8192, such as 3x224x224.",
        ),
        (("model=vgg16", "batch=0"), "batch=0: wanted a whole number from 1 to 999999."),
        (("model=vgg16", "batch=1e3"), "batch=1e3: wanted a whole number from 1 to 999999."),
        (("model=vgg16", "convention=mine"), "convention=mine: wanted standard, table or notes."),
    ],
)
def test_a_wrong_request_is_one_sentence(args: tuple[str, ...], message: str) -> None:
    with pytest.raises(MlcvbenchError) as caught:
        CliRunner().invoke(profile, list(args), catch_exceptions=False)

    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_an_input_the_network_cannot_take_is_one_sentence_with_its_reason() -> None:
    with pytest.raises(MlcvbenchError) as caught:
        CliRunner().invoke(profile, ["model=torchvision:resnet18", "input=1x64x64"], catch_exceptions=False)

    said = str(caught.value)
    assert said.startswith("model 'torchvision:resnet18' cannot run on input 1x64x64: Given groups=1, weight of size")
    assert "\n" not in said
