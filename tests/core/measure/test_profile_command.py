import csv
import io
import json

import pytest
from click.testing import CliRunner
from support.paths import FIXTURES

from mlcvbench.cli.profile import profile
from mlcvbench.errors import MlcvbenchError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.models import build_model
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.planning import plan

TABLES = FIXTURES / "layer_tables"


def output(*args: str) -> str:
    result = CliRunner().invoke(profile, list(args), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize(
    ("model", "table"),
    [("torchvision:vgg16", "vgg16"), ("vgg16", "vgg16"), ("alexnet", "alexnet"), ("googlenet", "googlenet")],
)
def test_the_csv_is_the_lecture_table_line_by_line(model: str, table: str) -> None:
    with (TABLES / f"{table}.csv").open(newline="") as file:
        wanted = [row[:14] for row in csv.reader(file)]

    got = list(csv.reader(io.StringIO(output(f"model={model}", "convention=table", "--csv"))))

    assert got == wanted


@pytest.mark.parametrize("model", ["torchvision:resnet18", "torchvision:inception_v3", "googlenet"])
@pytest.mark.parametrize("convention", ["standard", "table", "notes"])
def test_every_convention_fits_eighty_columns(model: str, convention: str) -> None:
    text = output(f"model={model}", f"convention={convention}", "model.size=96", "batch=8")

    assert max(map(len, text.splitlines())) <= 80


def test_the_cells_of_the_widest_row_stay_apart() -> None:
    total = next(line for line in output("model=alexnet", "convention=notes").splitlines() if line.startswith("total"))

    assert total.split() == ["total", "781736", "62386.56", "290766.6", "763.4", "714.0"]


def test_the_table_shows_receptive_field_and_jump() -> None:
    lines = output("model=alexnet", "batch=1").splitlines()

    assert lines[0].split()[:5] == ["layer", "k/s/p", "output", "field", "jump"]
    assert "0.10 Conv2d          3/1/1   256x13x13   163   16 43.3k   885k  299M  173k 3.54M" in lines
    assert [line.split()[:6] for line in lines if line.startswith("0.12 ")] == [
        ["0.12", "MaxPool2d", "3/2/0", "256x6x6", "195", "32"]
    ]


def test_a_block_has_a_line_for_its_branches_and_one_row_as_csv() -> None:
    lines = output("model=googlenet", "convention=table").splitlines()
    rows = list(csv.reader(io.StringIO(output("model=googlenet", "convention=table", "--csv"))))

    assert lines[7].split() == ["incep1", "1", "28", "256", "200704", "164", "32954.0", "196.0", "1.9"]
    assert lines[8] == "   64|96>128|16>32|32   k 1|1>3|1>5|3>1   p 0|0>1|0>2|1>0"
    assert rows[7][:4] == ["incep1", "64|96>128|16>32|32", "1|1>3|1>5|3>1", "1"]


def test_csv_and_json_have_the_fields_too() -> None:
    header, _, first, *_ = csv.reader(io.StringIO(output("model=alexnet", "--csv")))
    rows = json.loads(output("model=alexnet", "--json", "convention=table"))["rows"]

    assert header[-2:] == ["receptive_field", "jump"]
    assert first[-2:] == ["11", "4"]
    assert {row["layer"]: row["receptive_field"] for row in rows}["conv5"] == "163"


def test_json_holds_exact_integers() -> None:
    document = json.loads(output("model=timm:resnet18", "--json", "batch=1"))

    total = document["rows"][-1]
    assert (total["params"], total["macs"]) == (11_689_512, 1_814_073_344)
    assert total["flops"] == 2 * total["macs"]


@pytest.mark.parametrize("convention", ["standard", "table", "notes"])
def test_json_is_of_one_image_and_says_what_is_of_the_batch(convention: str) -> None:
    one = json.loads(output("model=alexnet", "--json", "batch=1", f"convention={convention}"))["rows"]
    many = json.loads(output("model=alexnet", "--json", "batch=32", f"convention={convention}"))["rows"]

    for single, row in zip(one, many, strict=True):
        names = [name for name in row if not name.startswith("batch_")]
        assert {name: row[name] for name in names} == {name: single[name] for name in names}
        assert row["batch_flops"] == 32 * row["flops"]
        assert row["batch_activation_bytes"] == 32 * row["activation_bytes"]
    if convention == "standard":
        assert all(row["flops"] == 2 * row["macs"] for row in many)


def test_attention_is_counted_and_the_rest_listed() -> None:
    lines = output("model=torchvision:vit_b_16", "batch=1").splitlines()
    document = json.loads(output("model=torchvision:vit_b_16", "--json"))

    assert "86,567,656 parameters, 17,563,828,224 MACs per image." in lines
    at = next(place for place, line in enumerate(lines) if line.startswith("Not counted: about 0.11 % of the work: "))
    assert " ".join(lines[at : at + 2]).endswith(
        "aten.add 25 calls, aten.div 1 call, aten.gelu 12 calls, aten.native_layer_norm 25 calls, aten.sub 1 call."
    )
    assert document["operations"]["macs"] == document["rows"][-1]["macs"] == 17_563_828_224
    assert document["operations"]["uncounted"]["aten.gelu"] == 12
    assert document["operations"]["coverage"] == pytest.approx(0.9989, abs=1e-4)


def test_networks_whose_tokens_are_parameters_are_profiled() -> None:
    assert total_of("model=timm:pit_ti_224")["macs"] == 699_059_456
    assert total_of("model=timm:cait_xxs24_224")["macs"] == 2_523_475_200


def test_a_product_that_nobody_can_count_leaves_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlcvbench.measure import tracing

    known = tracing.formulas()
    monkeypatch.setattr(tracing, "formulas", lambda: {**known, "aten.addmm": lambda args, out: None})

    lines = output("model=alexnet", "batch=1").splitlines()
    document = json.loads(output("model=alexnet", "--json"))

    reason = "the multiply-adds of aten.addmm (3 calls) are unknown; return them from the model's operations()"
    assert next(line for line in lines if line.startswith("total")).split()[3:4] == ["-"]
    assert "62,378,344 parameters, - MACs per image." in lines
    assert f"MACs: {reason}." in " ".join(lines)
    assert (document["operations"]["macs"], document["operations"]["reason"]) == (None, reason)
    assert document["rows"][-1]["macs"] is None


def test_a_registered_method_is_profiled_by_its_name() -> None:
    text = output("model=small_cnn", "input=1x28x28", "classes=10")

    assert "small_cnn, input 1x28x28:" in text


def test_settings_of_a_method_change_its_table() -> None:
    lines = output("model=alexnet", "model.variant=2012", "batch=1").splitlines()
    total = json.loads(output("model=resnet50", "model.stride=1x1", "model.width=0.25", "--json"))
    usual = json.loads(output("model=resnet50", "model.width=0.25", "--json"))

    assert "alexnet model.variant=2012, input 3x224x224:" in lines
    assert "60,965,224 parameters, 724,406,816 MACs per image." in lines
    assert total["settings"] == {"stride": "1x1", "width": "0.25"}
    assert total["rows"][-1]["params"] == usual["rows"][-1]["params"]
    assert total["rows"][-1]["macs"] < usual["rows"][-1]["macs"]


def total_of(*args: str) -> dict[str, int]:
    total: dict[str, int] = json.loads(output("--json", "batch=1", *args))["rows"][-1]
    return total


@pytest.mark.parametrize(
    ("model", "run", "trained"),
    [("torchvision:googlenet", 6_624_904, 13_004_888), ("googlenet", 6_998_552, 13_378_280)],
)
def test_auxiliary_classifiers_are_counted_when_they_are_asked_for(model: str, run: int, trained: int) -> None:
    usual = total_of(f"model={model}", "model.size=64")
    auxiliary = total_of(f"model={model}", "model.size=64", "model.auxiliary=true")

    assert (usual["params"], auxiliary["params"]) == (run, trained)
    assert auxiliary["macs"] == usual["macs"]  # an answer does not pass through them


def test_a_network_of_a_library_is_the_one_that_a_run_builds() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    (config,) = plan(["task=digits", "model=timm:test_resnet", "model.size=32"]).configs
    data = load_data(resolve(config))
    model = build_model(resolve(config), data.problem)
    parameters = model.parameters().trainable  # builds the network
    batch, _ = data.splits["test"].read([0])
    with FlopCounterMode(display=False) as counter:
        model.predict(batch)

    total = total_of("model=timm:test_resnet", "model.size=32", "input=1x8x8", "classes=10")

    assert total["params"] == parameters
    assert total["flops"] == counter.get_total_flops()


def test_a_resize_in_front_of_the_network_is_a_row() -> None:
    lines = output("model=timm:test_resnet", "model.size=32", "input=1x8x8").splitlines()

    assert [line.split()[:3] for line in lines[1:3]] == [["input", "1x8x8", "1"], ["0", "Resize", "1x32x32"]]


def test_a_bare_name_that_no_method_has_is_torchvisions() -> None:
    name = "squeezenet1_1"

    assert total_of(f"model={name}", "model.size=64") == total_of(f"model=torchvision:{name}", "model.size=64")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("model=alexnet", "model.varient=2012"),
            "unknown key 'model.varient'. Did you mean 'model.variant', 'model.size' or 'model.width'?",
        ),
        (("model=alexnet", "model.variant=2013"), "model.variant=2013: wanted one of notes, 2012 or owt."),
        (("model=torchvision:alexnet", "model.size=7"), "model.size=7: wanted a whole number of at least 8."),
        (
            ("model=timm:resnet18", "model.auxiliary=true"),
            "unknown key 'model.auxiliary'. Did you mean 'model.size' or 'model.freeze'?",
        ),
        (
            ("model=torchvision:resnet18", "model.auxiliary=true"),
            "torchvision:resnet18 has no auxiliary classifiers; model.auxiliary is for googlenet and inception_v3.",
        ),
        (
            ("model=torchvision:",),
            "model=torchvision:: wanted a network's name after the colon, as `mlcvbench info torchvision:` shows.",
        ),
        ((), "no model given: say model=NAME, such as model=torchvision:vgg16."),
        (("model=vgg61",), "unknown model 'vgg61'. Did you mean 'vgg19', 'vgg16' or 'vgg13'?"),
        (
            ("model=torchvision:vgg61",),
            "unknown torchvision:NAME model 'vgg61'. Did you mean 'vgg19', 'vgg16' or 'vgg13'?",
        ),
        (("model=knn",), "model 'knn' is not a torch network, so it has no layers to profile."),
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
        (("model=vgg16", "convention=mine"), "convention=mine: wanted one of standard, table or notes."),
    ],
)
def test_a_wrong_request_is_one_sentence(args: tuple[str, ...], message: str) -> None:
    with pytest.raises(MlcvbenchError) as caught:
        CliRunner().invoke(profile, list(args), catch_exceptions=False)

    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_an_input_the_network_cannot_take_is_one_sentence_with_its_reason() -> None:
    with pytest.raises(MlcvbenchError) as caught:
        CliRunner().invoke(profile, ["model=torchvision:resnet18", "input=2x64x64"], catch_exceptions=False)

    said = str(caught.value)
    assert said.startswith("model 'torchvision:resnet18' cannot run on input 2x64x64: The expanded size of the tensor")
    assert "\n" not in said
