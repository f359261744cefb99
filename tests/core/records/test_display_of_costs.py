"""What a person reads of a record's costs: numbers, what they leave out, or why there are none."""

from __future__ import annotations

from support.records import make_record

from mlcvbench.records.display import rows
from mlcvbench.records.schema import LayersInfo, OperationsInfo


def costs(operations: OperationsInfo, layers: LayersInfo | None = None) -> dict[str, str]:
    record = make_record("cnn", operations=operations, layers=layers)
    return {name: text for section, name, text in rows(record) if section == "cost"}


def test_what_is_not_counted_is_listed_with_its_share() -> None:
    shown = costs(
        OperationsInfo(
            macs=1000, flops=2000, method="traced", coverage=0.95, uncounted={"aten.add": 1, "aten.gelu": 12}
        )
    )

    assert shown["MACs / FLOPs"] == "1.00 k / 2.00 k"
    assert shown["not counted"] == "about 5 % of the work: aten.add 1 call, aten.gelu 12 calls"


def test_a_share_that_is_not_known_is_said_to_be_unknown() -> None:
    shown = costs(OperationsInfo(macs=1000, flops=2000, method="traced", uncounted={"aten.linalg_inv_ex": 2}))

    assert shown["not counted"] == "an unknown share of the work: aten.linalg_inv_ex 2 calls"


def test_a_count_that_could_not_be_had_has_its_reason() -> None:
    shown = costs(OperationsInfo(reason="it could not be measured: no kernel"))

    assert shown["MACs / FLOPs"] == "- (it could not be measured: no kernel)"
    assert "not counted" not in shown


def test_layers_that_could_not_be_had_have_their_reason_once() -> None:
    counted = OperationsInfo(macs=1000, flops=2000, method="traced")

    assert costs(counted, LayersInfo(reason="no hooks"))["layers"] == "- (no hooks)"
    assert "layers" not in costs(OperationsInfo(reason="no hooks"), LayersInfo(reason="no hooks"))
