"""A headless Chromium for the pages: from file://, content security policy on, network requests and console watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.records import failed_record, make_record, write_run

from mlcvbench.leaderboard.build import build_boards
from mlcvbench.records.schema import LayersInfo, OperationsInfo

HERE = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    """Chromium; without one these tests are skipped, but fail where CI is set."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        reason = "needs playwright and Chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Watched:
    """Opens pages and keeps every request that left the disk, console message and error."""

    browser: object
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    contexts: list[object] = field(default_factory=list)

    def open(self, url: str, width: int = 1280, height: int = 900, **options):
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda r: None if r.url.startswith("file:") else self.requests.append(r.url))
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.goto(url)
        if options.get("java_script_enabled", True) and page.locator("script[src]").count():
            page.wait_for_selector("html[data-ready='1']")
        return page


@pytest.fixture(scope="session")
def axe():
    """A function that returns what axe-core finds wrong with a page."""
    script = (HERE / "vendor" / "axe-4.14.1.min.js").read_text(encoding="utf-8")

    def violations(page) -> list[str]:
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
        return [f"{v['id']}: {n['target']}" for v in found["violations"] for n in v["nodes"]]

    return violations


@pytest.fixture
def watched(browser) -> Iterator[Watched]:
    """Pages in which nothing may go wrong: no request but file://, no console message."""
    found = Watched(browser)
    yield found
    for context in found.contexts:
        context.close()
    assert found.requests == []
    assert found.messages == []


LAYERS = LayersInfo(
    name=("input", "features.0", "features.1", "<b>classifier</b>"),
    type=("Input", "Conv2d", "BatchNorm2d", "Linear"),
    kernel=("", "3", "", "1"),
    stride=("", "2", "", "1"),
    output=("1x28x28", "16x14x14", "16x14x14", "10"),
    params=(0, 160, 32, 61_608),
    macs=(0, 28_224, 0, 1_206_343),
)


def records():
    """Return records of a lively board: bands, two machines, seeds, missing values, failures."""
    names = ("knn", "small_cnn", "linear_softmax", "resnet18", "vit_tiny", "random_forest")
    made = [
        make_record(
            names[i % 6],
            round(0.80 + 0.011 * i + 0.0005 * seed, 4),
            seed=seed,
            p50=None if i == 7 else round(1e-4 * 1.6**i, 7),
            params={"k": i, "width": 1.0},
            hardware="Other CPU" if i % 5 == 4 else "Test CPU 9000",
            trust="recomputed" if i % 3 == 0 else "reported",
            layers=LAYERS,
        )
        for i in range(18)
        for seed in range(3 if i == 1 else 1)
    ]
    hostile = "</script><img src=x onerror=\"document.title='owned'\">"
    return [
        *made,
        failed_record(),
        failed_record("evil", message=hostile),
        make_record("knn", 0.7, params={"k": hostile}),
    ]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a built site with one board, `digits.html`."""
    root = tmp_path_factory.mktemp("board")
    for record in records():
        write_run(root / "runs", record, noise=0.004, shared=0.5, pictures=record.status == "ok")
    build_boards(root / "runs", root / "out")
    return (root / "out" / "site").as_uri()


def settings_records():
    """Return records of one model with many settings beside two others, as boards of training practices have them."""
    rules = [{"optimizer": rule, "lr": lr} for rule in ("sgd", "momentum", "adam") for lr in (0.003, 0.01, 0.1)]
    schedules = [{"schedule": name} for name in ("constant", "step", "warmup+cosine", "one_cycle")]
    schedules += [{"schedule": "step", "milestones": [0.3, 0.6, 0.9], "gamma": 0.3}]
    asked = [("linear_softmax", fit) for fit in (*rules, *schedules, {"l1": 1e-4}, {"l2": 1e-4})]
    asked += [("small_cnn", fit) for fit in ({}, {"flip": 0.5}, {"l1": 1e-4, "lr": 0.1})] + [("majority", {})]
    base = {"linear_softmax": (0.86, 2.5e-5), "small_cnn": (0.97, 4.4e-4), "majority": (0.1, 7e-6)}
    made = []
    for place, (model, fit) in enumerate(asked):
        defaults = {"optimizer": "adamw", "lr": 0.01, "schedule": "cosine", "l1": 0.0, "l2": 0.0, "flip": 0.0}
        config = {"model": model, "fit": {**defaults, **fit}, "given": [f"fit.{name}" for name in fit]}
        value, p50 = base[model]
        made.append(
            make_record(
                model,
                round(value + 0.004 * (place * 7 % 11), 4),
                p50=p50 * (1 + 0.01 * (place * 5 % 13)),
                params={"place": place},
                config=config,
                operations=OperationsInfo(macs=0 if model == "majority" else 7840 + place, flops=0, method="traced"),
            )
        )
    return made


@pytest.fixture(scope="session")
def settings_site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a site whose board `digits.html` has many settings of one model."""
    root = tmp_path_factory.mktemp("settings")
    for record in settings_records():
        write_run(root / "runs", record, noise=0.008, shared=0.7)
    build_boards(root / "runs", root / "out")
    return (root / "out" / "site").as_uri()
