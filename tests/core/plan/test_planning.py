import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.plugins import SMALL

from mlcvbench.errors import DataError, MlcvbenchError, OverrideError, RequestError
from mlcvbench.limits import usable_cores
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.devices import resolve_device
from mlcvbench.plan.planning import plan
from mlcvbench.plan.vocabulary import RUN_KEYS
from mlcvbench.plan.words import parse_pairs
from mlcvbench.registry import Registry

KEYS = ("model", "data", "out", "task", "model.k", "model.layers", "fit.epochs", *RUN_KEYS)


def configs(words: str, registry: Registry) -> list[RunConfig]:
    return plan(words.split(), registry).configs


def refusal(words: str, registry: Registry, kind: type[MlcvbenchError] = OverrideError) -> str:
    with pytest.raises(kind) as caught:
        plan(words.split(), registry)
    return str(caught.value)


def test_pairs_keep_their_order():
    assert parse_pairs(["task=a", "model.k=1,3"]) == [("task", "a"), ("model.k", "1,3")]


def test_only_the_first_equals_sign_splits():
    assert parse_pairs(["data.root=/a=b"]) == [("data.root", "/a=b")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits"], "'digits': wanted KEY=VALUE, such as model=knn. Did you mean 'task=digits'?"),
        (["model", "knn"], "'model': wanted KEY=VALUE, such as model=knn. Did you mean 'model=VALUE'?"),
        (["--seed"], "'--seed': wanted KEY=VALUE, such as model=knn. Did you mean 'seed=VALUE'?"),
        (["./a b"], "'./a b': wanted KEY=VALUE, such as model=knn."),
        (["=knn"], "'=knn': wanted KEY=VALUE, such as model=knn."),
        (["model="], "model: the value is empty; wanted KEY=VALUE, such as model=knn."),
        (["seed=1", "seed=2"], "key 'seed' is given twice; a sweep is written seed=A,B."),
    ],
)
def test_what_is_no_pair_is_refused(words: list[str], message: str):
    with pytest.raises(OverrideError) as caught:
        parse_pairs(words, bare="task")
    assert str(caught.value) == message


def test_without_a_model_the_starter_models_run(toys: Registry):
    assert [c.model for c in configs("task=classification", toys)] == ["floor", "knn"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [("knn", 7, None), ("cnn", 3, 2)]),
        ("model=knn,cnn", [("knn", 5, None), ("cnn", 3, 10)]),
        ("fit.epochs=4", [("knn", 7, None), ("cnn", 3, 4)]),
        ("cnn.fit.epochs=5 cnn.k=4", [("knn", 7, None), ("cnn", 4, 5)]),
        ("model.k=1,2", [("knn", 1, None), ("knn", 2, None), ("cnn", 1, 2), ("cnn", 2, 2)]),
    ],
)
def test_starter_models_have_their_settings_where_the_request_gives_none(
    words: str, found: list[tuple[str, int, int | None]], toys: Registry, tmp_path: Path
):
    path = tmp_path / "mine.yaml"
    text = SMALL.replace("name: small\n", "name: mine\n").replace("[floor, knn]", "[knn, cnn]")
    path.write_text(f"{text}starter: {{knn.k: 7, cnn.fit.epochs: 2}}\n")

    chosen = configs(f"task={path} {words}", toys)

    assert [(one.model, one.model_params["k"], one.fit.get("epochs")) for one in chosen] == found


def test_defaults_are_filled_in_from_the_specs(toys: Registry):
    [config] = configs("task=small model=cnn", toys)

    assert config.model_params == {"width": 1.0, "layers": [8, 16], "k": 3}
    assert config.fit == {"epochs": 10, "augment": True}
    assert (config.seed, config.device, config.time, config.given) == (0, "cpu", "quick", ())
    assert config.threads == usable_cores()


def test_every_run_key_reaches_its_field(toys: Registry, tmp_path: Path):
    words = (
        "task=small model=floor seed=3 data.seed=4 device=auto threads=2 precision=bfloat16 limit=10 shards=2 batch=8 "
        f"intervals=off time=off timeout=1.5 memory=512 weights={tmp_path} out=elsewhere"
    )
    request = plan(words.split(), toys)
    [config] = request.configs

    assert request.out == Path("elsewhere")
    # `auto` is what it means here from the plan on: runs on other devices are other runs.
    assert (config.seed, config.data_seed, config.device, config.threads) == (3, 4, resolve_device("auto"), 2)
    assert (config.precision, config.limit, config.shards, config.batch_size) == ("bfloat16", 10, 2, 8)
    assert (config.intervals, config.time, config.seconds, config.memory_mb) == (False, "off", 1.5, 512)
    assert config.weights == str(tmp_path)


def test_commas_sweep_and_seeds_turn_fastest(toys: Registry):
    found = [
        (c.model, c.model_params.get("k"), c.seed) for c in configs("task=small model=knn model.k=1,3 seed=0,1", toys)
    ]

    assert found == [("knn", 1, 0), ("knn", 1, 1), ("knn", 3, 0), ("knn", 3, 1)]


def test_brackets_protect_commas(toys: Registry):
    found = [c.model_params["layers"] for c in configs("task=small model=cnn model.layers=[64,64],[32]", toys)]

    assert found == [[64, 64], [32]]


def test_a_setting_applies_to_the_models_that_declare_it(toys: Registry):
    found = {c.model: c for c in configs("task=small model=floor,knn,cnn model.k=7 fit.epochs=2", toys)}

    assert (found["knn"].model_params["k"], found["cnn"].model_params["k"], found["cnn"].fit["epochs"]) == (7, 7, 2)
    assert found["floor"].model_params == {}


def test_given_names_the_settings_that_each_run_was_asked_for(toys: Registry):
    found = {c.model: c.given for c in configs("task=small model=floor,knn,cnn model.k=7 fit.epochs=2", toys)}

    assert found == {"floor": (), "knn": ("model.k",), "cnn": ("model.k", "fit.epochs")}


def test_a_models_name_sets_its_own_value(toys: Registry):
    found = {c.model: c for c in configs("task=small model=knn,cnn model.k=7 knn.k=1 cnn.fit.epochs=4", toys)}

    assert (found["knn"].model_params["k"], found["cnn"].model_params["k"], found["cnn"].fit["epochs"]) == (1, 7, 4)


def test_equal_runs_are_asked_for_once(toys: Registry):
    assert len(configs("task=small model=knn,knn,floor seed=0,0,1 ", toys)) == 4


def test_a_definitions_data_settings_are_defaults_that_the_request_overrides(toys: Registry, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nkind: classification\nprotocol: top1@1\nmodels: [floor]\n"
        "data: {name: folder, root: ., size: [8, 8]}\n"
    )

    [given] = configs(f"task={path}", toys)
    [changed] = configs(f"task={path} data.size=[4,4]", toys)

    assert given.data_params == {"root": str(tmp_path), "size": [8, 8]}
    assert changed.data_params == {"root": str(tmp_path), "size": [4, 4]}
    assert changed.given == ("data.size",)


def test_data_chooses_the_benchmark_of_that_name_when_the_task_is_a_kind(toys: Registry, tmp_path: Path):
    request = plan(f"task=classification model=floor data=folder data.root={tmp_path}".split(), toys)

    assert (request.definition.name, request.configs[0].definition.dataset) == ("folder", "folder")


def test_data_on_a_named_benchmark_makes_one_of_its_own_name(toys: Registry, tmp_path: Path):
    request = plan(f"task=small data=folder data.root={tmp_path}".split(), toys)

    assert (request.definition.name, request.definition.dataset) == ("small+folder", "folder")
    assert request.definition.models == ("floor", "knn")


def test_a_request_survives_json(toys: Registry):
    for config in configs("task=small model=cnn model.layers=[1,2] seed=0,1", toys):
        assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "words",
    [["load.threads=0"], ["load.threads=3"], ["data.recheck=on"], ["fit.memory=7"], ["fit.budget=2.5"], ["seed=0"]],
)
def test_what_is_asked_of_a_run_reaches_its_process(toys: Registry, words: list[str]):
    (config,) = plan(["task=small", "model=floor", *words], toys).configs

    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_name_with_dots_takes_its_own_settings(toys: Registry):
    [config] = configs("task=small model=hub:a.b", toys)

    assert config.model == "hub:a.b"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "model=knn",
            "no task is given; say task=NAME with a task: classification, a definition's name or a YAML file.",
        ),
        ("tsk=small model=knn", "unknown key 'tsk'. Did you mean 'task'?"),
        ("task=small model=knn,", "model=knn,: a name is empty; wanted names with commas between them."),
        ("task=small model=knn sed=1", "unknown key 'sed'. Did you mean 'seed' or 'data.seed'?"),
        (
            "task=small model=knn model.kk=1",
            "key 'model.kk' has no effect: model 'knn' declares no such setting. "
            "Did you mean 'model.k' or 'model.metric'?",
        ),
        (
            "task=small model=floor,knn fit.epochs=1",
            "key 'fit.epochs' has no effect: models 'floor', 'knn' declare no such setting.",
        ),
        (
            "task=small model=floor knn.k=1",
            "key 'knn.k' has no effect: model 'knn' is not among the chosen ones (floor).",
        ),
        (
            "task=small model=knn,cnn knn.width=1",
            "key 'knn.width' has no effect: model 'knn' declares no such setting. "
            "Did you mean 'knn.k' or 'knn.metric'?",
        ),
        (
            "task=small model=knn,cnn model.k=1 knn.k=1 cnn.k=1",
            "key 'model.k' has no effect: every model that has it is given its own value.",
        ),
        (
            "task=small model=knn data.root=/tmp",
            "key 'data.root' has no effect: data set 'small' declares no such setting. Did you mean 'data.seed'?",
        ),
        ("task=small model=knn seed=a", "seed=a: wanted a whole number from 0 to 4294967295."),
        ("task=small model=knn seed=0,-1", "seed=-1: wanted a whole number from 0 to 4294967295."),
        ("task=small model=knn seed=1,", "seed: the value is empty; wanted a whole number from 0 to 4294967295."),
        ("task=small model=knn model.k=0", "model.k=0: wanted a whole number of at least 1."),
        ("task=small model=knn model.metric=l3", "model.metric=l3: wanted one of l1 or l2."),
        ("task=small model=knn time=fast", "time=fast: wanted one of off, quick, standard or publish."),
        ("task=small model=knn time=off,quick", "time=off,quick: wanted one value; time does not sweep."),
        ("task=small,folder model=knn", "task=small,folder: wanted one value; task does not sweep."),
        ("task=small model=knn out=a,b", "out=a,b: wanted one value; out does not sweep."),
        ("task=small model=knn intervals=maybe", "intervals=maybe: wanted true or false."),
        ("task=small model=cnn model.layers=64", "model.layers=64: wanted a list of whole numbers like [64,64]."),
        ("task=small model=cnn model.layers=[64", "model.layers=[64: the brackets do not pair up."),
        ("task=folder model=knn", "data set 'folder' needs data.root=PATH (folder of files)."),
        ("task=small model=knn select=k", "select=k: wanted one of grid or random."),
    ],
)
def test_what_cannot_be_meant_is_refused(words: str, message: str, toys: Registry):
    assert refusal(words, toys) == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("task=smal", "unknown task 'smal'. Did you mean 'small'?"),
        ("task=small model=kn", "unknown classification model 'kn'. Did you mean 'knn'?"),
        ("task=small data=smll", "unknown classification data set 'smll'. Did you mean 'small'?"),
        ("task=small model=knn data=stereo", "model 'knn' needs image; data set 'stereo' provides left, right."),
        ("task=folder data.root=/", "definition 'folder' names no starter models; say model=NAME."),
        (
            "task=small model=knn seed=" + ",".join(map(str, range(10_001))),
            "the request asks for 10001 runs; the most is 10000.",
        ),
    ],
)
def test_names_that_are_unknown_or_do_not_go_together_are_refused(words: str, message: str, toys: Registry):
    assert refusal(words, toys, RequestError) == message


@pytest.mark.parametrize("words", ["task=folder model=knn data.root=/nowhere", "task=small model=knn weights=/nowhere"])
def test_a_path_that_does_not_exist_is_refused_before_anything_starts(words: str, toys: Registry):
    assert refusal(words, toys, DataError) == f"{words.rsplit(maxsplit=1)[-1]}: no such file or folder."


@settings(
    deadline=None, derandomize=True, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*KEYS, "knn.k", "model.", ".k", "fit.", "data.x", "cnn.fit.epochs"]) | st.text(max_size=8),
            st.sampled_from(["", "=", "=1", "=a", "=[1,2]", "=1,2", "=,", "=[", "=knn,cnn", "=0.5", "=on"])
            | st.text(max_size=8).map("={}".format),
        ),
        max_size=4,
    )
)
def test_any_words_are_a_plan_or_one_sentence(toys: Registry, words: list[tuple[str, str]]):
    try:
        request = plan(["task=small", *(key + value for key, value in words)], toys)
    except MlcvbenchError as error:
        assert str(error).endswith((".", "?"))  # noqa: PT017 - either outcome is right
        return

    assert request.configs


def test_planning_imports_neither_torch_nor_numpy_nor_pydantic():
    from mlcvbench.testing import heavy_imports

    assert heavy_imports("mlcvbench.plan.planning") == []
