"""Checks that a model fulfils the contract, on toy data, each with a line saying what was wrong."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import (
    LoadedData,
    Operations,
    ParameterCounts,
    TorchModel,
)
from mlcvbench.contract.agreement import agreement, same_bytes
from mlcvbench.errors import CheckFailedError, MlcvbenchError, said_by
from mlcvbench.registry import Registry, get_registry
from mlcvbench.specs import Chosen, ModelSpec, load_target
from mlcvbench.specs.checks import check_kinds, check_spec, refuse_settings, undeclared_argument
from mlcvbench.specs.values import complete, missing
from mlcvbench.testing.gradients import check_gradients
from mlcvbench.testing.imports import heavy_imports
from mlcvbench.testing.results import CheckResult, run_check
from mlcvbench.testing.toy import odd_pixels
from mlcvbench.testing.under_test import Given, UnderTest, digest, disturb_global_randomness, one_thread

STATE_SUFFIXES = (".safetensors", ".json")


def assert_conforms(model: ModelSpec | str, kind: str, **given: Any) -> None:
    """Raise AssertionError that lists the failed checks of `check_model`, for use in a plugin's own tests."""
    failed = [result for result in check_model(model, kind, **given) if result.passed is False]
    assert not failed, "\n" + "\n".join(f"{result.name}: {result.detail}" for result in failed)


def check_model(
    model: ModelSpec | str,
    kind: str,
    *,
    params: Mapping[str, Any] | None = None,
    data: LoadedData | None = None,
    fit: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> list[CheckResult]:
    """Return the result of every check of one model for one task kind.

    `params`, `fit`: settings other than the defaults, or required ones. `data`: splits to use instead of the kit's toy
    data. For a task kind without toy data, the beginning of an installed data set is used.
    """
    known = registry or get_registry()
    spec = known.model(model, kind).spec if isinstance(model, str) else model
    kit = _Checks(spec, kind, Given(dict(params or {}), dict(fit or {}), data), known)
    results = [run_check("spec", kit.spec_is_sane), run_check("import cost", kit.import_is_cheap)]
    if results[0].passed is False:
        return results
    if kit.data is None:
        return [*results, CheckResult("behaviour", None, f"not checked: nothing provides data for task kind {kind!r}.")]
    for name, check in kit.behaviour():
        if results[-1].name == "predictions" and kit.contract_broken:
            return [*results, *_skipped(kit, after="predictions")]
        with one_thread():
            results.append(run_check(name, check))
        if name == "fit" and results[-1].passed is False:
            return [*results, *_skipped(kit, after="fit")]
    return results


def _skipped(kit: _Checks, after: str) -> list[CheckResult]:
    """Return the checks that depend on a failed one as skipped: one cause is one failure."""
    names = [name for name, _ in kit.behaviour()]
    alone = "costs" if after == "predictions" else ""
    later = [name for name in names[names.index(after) + 1 :] if name != alone]
    skipped = [CheckResult(name, None, f"not made, because {after} failed.") for name in later]
    return [*skipped, run_check(alone, kit.states_costs)] if alone else skipped


class _Checks(UnderTest):
    """The checks of one model; each returns None, or a sentence that says what is wrong."""

    def behaviour(self) -> Iterator[tuple[str, Callable[[], CheckResult | str | None]]]:
        """Yield the checks that need data, in order of dependence."""
        yield "fit", self.fits
        yield "predictions", self.predicts
        yield "meaning", self.means_what_it_says
        yield "empty batch", self.takes_an_empty_batch
        yield "odd pixels", self.takes_odd_pixels
        for name, toy in self.toys.items():
            if not _ragged(toy):
                yield name, lambda toy=toy: self.takes(toy)  # type: ignore[misc]
        if self.spec.ragged:
            yield "images of unequal size", self.takes_ragged
        yield "batch size", self.ignores_batch_size
        yield "determinism", self.is_deterministic
        yield "input untouched", self.leaves_input_alone
        yield "save and load", self.survives_save_and_load
        if isinstance(self.model, TorchModel):
            yield "gradients", lambda: check_gradients(self.model, self.batch())  # type: ignore[arg-type]
        yield "costs", self.states_costs

    # What the spec declares

    def spec_is_sane(self) -> str | None:
        check_spec(self.spec)
        provided = {kind for entry in self.registry.datasets() for kind in entry.spec.provides}
        check_kinds(self.spec, [entry.spec.name for entry in self.registry.tasks()], provided)
        if self.kind not in self.spec.kinds:
            return f"the spec does not list task kind {self.kind!r}."
        if lacking := [param.name for param in missing(self.spec.params, self.params)]:
            return f"the parameters {', '.join(lacking)} are required; pass params= to check the model."
        refused = undeclared_argument(self.spec.target, load_target(self.spec.target), self.spec.params)
        if refused:
            return refused
        settings = complete(self.spec.params, self.params), complete(self.spec.fit, self.fit_settings)
        refuse_settings(self.spec, Chosen(self.spec.name, self.kind, *settings))
        if self.data is not None:
            self.build(self.data.problem)
        return None

    def import_is_cheap(self) -> str | None:
        found = heavy_imports(self.spec.target.partition(":")[0].partition(".")[0])
        return f"importing the package to read its specs imports {', '.join(found)}." if found else None

    # What the model does

    def fits(self) -> str | None:
        assert self.data is not None
        train = self.data.splits.get("train")
        before = digest(train)
        disturb_global_randomness(1)
        self.model = self.fit(self.data)
        if digest(train) != before:
            return "fit changed the training data."
        return None

    def predicts(self) -> str | None:
        batch = self.batch()
        self.contract_broken = True
        checked = self.task.check(self.fitted.predict(batch), batch.ids, self.fitted.problem)
        self.contract_broken = False
        again = self.task.check(self.fitted.predict(batch), batch.ids, self.fitted.problem)
        return None if same_bytes(checked, again) else "the same batch twice gives different predictions."

    def means_what_it_says(self) -> str | None:
        doubts = self.task.misreadings(self.predict_all(self.fitted), {})
        return doubts[0].text if doubts else None

    def takes_an_empty_batch(self) -> str | None:
        batch, _ = self.test.read(slice(0, 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of a mean over nothing
            self.task.check(self.fitted.predict(batch), batch.ids, self.fitted.problem)
        return None

    def takes_odd_pixels(self) -> str | None:
        batch = self.batch()
        for name, odd in odd_pixels(batch).items():
            try:
                self.task.check(self.fitted.predict(odd), batch.ids, self.fitted.problem)
            except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
                return f"{name}: {said_by(error)}"
        return None

    def takes(self, data: LoadedData) -> str | None:
        """Pass when the model works on such a data set, or refuses it with an MlcvbenchError."""
        try:
            model = self.fit(data)
            batch, _ = data.splits["test"].read(slice(0, None))
            self.task.check(model.predict(batch), batch.ids, data.problem)
        except CheckFailedError:
            raise
        except MlcvbenchError as error:
            return None if str(error).strip() else "it is refused without a message."
        return None

    def takes_ragged(self) -> str | None:
        """Pass when it fits and predicts lists of images; without such toys, when it predicts images cut unequally."""
        for toy in filter(_ragged, self.toys.values()):
            model = self.fit(toy)
            batch, _ = toy.splits["test"].read(slice(0, None))
            self.task.check(model.predict(batch), batch.ids, toy.problem)
            return None
        batch = self.batch()
        inputs = {
            kind: [np.ascontiguousarray(column[i][: max(1, len(column[i]) - i)]) for i in range(len(batch))]
            for kind, column in batch.inputs.items()
        }
        self.task.check(self.fitted.predict(replace(batch, inputs=inputs)), batch.ids, self.fitted.problem)
        return None

    def ignores_batch_size(self) -> str | None:
        task, problem = self.task, self.fitted.problem
        whole = self.predict_all(self.fitted)
        parts = [task.check(self.fitted.predict(b), b.ids, problem) for b in self.test.inputs(1)]
        single = task.merge(parts)
        found = agreement(single, whole, task.steps)
        return None if found.passed else f"batches of 1 and of {len(self.test)} differ: {found}."

    def is_deterministic(self) -> str | None:
        assert self.data is not None
        disturb_global_randomness(2)
        again = self.fit(self.data)
        if same_bytes(self.predict_all(self.fitted), self.predict_all(again)):
            return None
        return "fitting twice with one seed gives different predictions; take all randomness from ctx.seed."

    def leaves_input_alone(self) -> str | None:
        batch = self.batch()
        before = deepcopy(batch)
        predictions = self.fitted.predict(batch)
        for kind, column in batch.inputs.items():
            if not same_bytes({kind: column}, {kind: before.inputs[kind]}):
                return f"predict changed the input {kind!r}."
        kept = deepcopy(predictions)
        self.fitted.predict(self.batch(reverse=True))
        return None if same_bytes(kept, predictions) else "a later predict changed predictions returned earlier."

    def survives_save_and_load(self) -> str | None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.fitted.save(folder)
            strange = [p.name for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in STATE_SUFFIXES]
            if strange:
                return f"save wrote {strange[0]!r}; only safetensors and JSON are allowed."
            wrote = any(folder.iterdir())
            copy = self.build(self.fitted.problem)
            try:
                copy.load(folder)
                if same_bytes(self.predict_all(self.fitted), self.predict_all(copy)):
                    return None
            except Exception:
                if wrote:
                    raise
        if not wrote:
            return "save wrote nothing; write what was fitted in save() and read it back in load()."
        return "a model loaded from what was saved predicts differently."

    def states_costs(self) -> str | None:
        counts: object = self.fitted.parameters()
        if not isinstance(counts, ParameterCounts):
            return f"parameters() must return ParameterCounts, got {type(counts).__name__}."
        stated: object = self.fitted.operations(self.fitted.preprocess(self.batch()))
        if stated is not None and not isinstance(stated, Operations):
            return f"operations() must return Operations or None, got {type(stated).__name__}."
        if isinstance(stated, Operations) and stated.macs is None and not stated.reason:
            return "operations() gives no macs and no reason why."
        return None


def _ragged(data: LoadedData) -> bool:
    return any(split.ragged for split in data.splits.values())
