"""Names of configurations: short, in the order of the request, and never one name for two rows."""

from __future__ import annotations

from hypothesis import given as drawn
from hypothesis import strategies as st
from support.records import make_record

from mlcvbench.leaderboard.standing.labels import config_labels

FIT = {"optimizer": "adamw", "lr": 0.01, "schedule": "one_cycle", "l1": 0.0, "flip": 0.0, "milestones": [0.5, 0.75]}


def net(seed: int = 0, params: dict[str, object] | None = None, **fit: object):
    """Return a record of a run that was given these settings of the fit, in this order, and of the model."""
    params = params or {}
    names = [*(f"model.{name}" for name in params), *(f"fit.{name}" for name in fit)]
    config = {"given": names, "fit": FIT | fit, "precision": "float32"}
    return make_record("net", seed=seed, params={"width": 16} | params, config=config)


def names(*records):
    label = config_labels(records)
    return [label(record) for record in records]


def test_one_configuration_needs_no_name_but_what_was_given():
    assert names(net()) == [""]
    assert names(net(lr=0.1, optimizer="sgd")) == ["fit.lr=0.1, fit.optimizer=sgd"]


def test_a_setting_of_the_model_may_be_given_under_its_own_name():
    record = make_record("knn", params={"k": 5}, config={"given": ["knn.k", "fit.epochs"], "fit": {"epochs": 3}})

    assert names(record) == ["k=5, fit.epochs=3"]


def test_few_varied_settings_are_named_everywhere():
    assert names(net(), net(lr=0.1)) == ["fit.lr=0.01", "fit.lr=0.1"]


def test_many_varied_settings_are_named_only_where_they_were_given():
    found = names(
        net(),
        net(optimizer="sgd", lr=0.003),
        net(schedule="step", milestones=[0.3, 0.9]),
        net(l1=1e-4),
        net(params={"width": 8}, flip=0.5),
        net(flip=0.0),
    )

    assert found == [
        "",
        "fit.optimizer=sgd, fit.lr=0.003",
        "fit.schedule=step, fit.milestones=[0.3,0.9]",
        "fit.l1=0.0001",
        "width=8, fit.flip=0.5",
        "fit.flip=0",
    ]


def test_settings_that_nobody_gave_are_named_where_they_alone_tell_two_rows_apart():
    half = net(lr=0.1).model_copy(update={"config": {**net(lr=0.1).config, "precision": "float16"}})

    found = names(net(lr=0.1), half, net(optimizer="sgd"), net(l1=0.1))

    assert found == [
        "fit.lr=0.1, precision=float32",
        "fit.lr=0.1, precision=float16",
        "fit.optimizer=sgd",
        "fit.l1=0.1",
    ]


def test_the_order_of_settings_is_the_same_in_all_rows_of_a_model():
    found = names(net(optimizer="sgd", lr=0.1), net(lr=0.3), net())

    assert found == [
        "fit.optimizer=sgd, fit.lr=0.1",
        "fit.optimizer=adamw, fit.lr=0.3",
        "fit.optimizer=adamw, fit.lr=0.01",
    ]


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "optimizer": st.sampled_from(["sgd", "adam"]),
        "lr": st.sampled_from([0.01, 0.1]),
        "l1": st.sampled_from([0.0, 0.5]),
        "flip": st.sampled_from([0.0, 0.5]),
    },
)


@drawn(st.lists(st.tuples(SETTINGS, SETTINGS), min_size=1, max_size=12))
def test_different_configurations_have_different_names(requests):
    records = []
    for asked, defaults in requests:  # of another version, say
        record = net(**asked)
        config = {**record.config, "fit": {**record.config["fit"], **defaults, **asked}}
        records.append(record.model_copy(update={"config": config}))
    found = names(*records)

    for one, own in zip(records, found, strict=True):
        for other, theirs in zip(records, found, strict=True):
            if one.config["fit"] != other.config["fit"]:
                assert own != theirs


def test_runs_with_weights_from_two_files_are_told_apart_by_name_and_content():
    config = {"given": [], "fit": FIT}
    files = [f"{name}@{digit * 64}" for name, digit in (("best.pt", "0"), ("best.pt", "1"), ("last.pt", "1"))]

    found = names(net(), *(make_record("net", params={"width": 16}, config={**config, "weights": f}) for f in files))

    assert found[1:] == [f"weights file={file[:-52]}" for file in files]
