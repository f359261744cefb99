"""The board in Chromium, as a reader meets it: desktop, phone, dark, print, keyboard, without script."""

from __future__ import annotations

import time

import pytest
from support.records import make_record, write_runs

from mlcvbench.leaderboard.build import build_boards

VISIBLE = "[...document.querySelectorAll('#board tbody tr:not([hidden])')]"
NAMES = (
    VISIBLE
    + """.map((row) => {
    const config = row.cells[1].querySelector('.config');
    return row.cells[1].querySelector('a').textContent + ' ' + (config ? config.textContent : '');
})"""
)
TIMED_SORT = """(() => {
    const start = performance.now();
    document.querySelector('[data-key=top1]').click();
    document.body.offsetHeight;
    return performance.now() - start;
})()"""


def names(page) -> list[str]:
    return page.evaluate(NAMES)


def first_run(page) -> str:
    return page.locator("#board tbody a").first.evaluate("link => link.href")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "digits", "run"])
def test_every_page_is_accessible(watched, site, axe, name, width, scheme):
    page = watched.open(f"{site}/{'digits' if name == 'run' else name}.html", width, color_scheme=scheme)
    if name == "run":
        page = watched.open(first_run(page), width, color_scheme=scheme)

    assert axe(page) == []


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
@pytest.mark.parametrize("name", ["index", "digits", "run"])
def test_no_page_scrolls_sideways(watched, site, name, width):
    page = watched.open(f"{site}/{'digits' if name == 'run' else name}.html", width)
    if name == "run":
        page = watched.open(first_run(page), width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_all_rows_are_there_without_script(watched, site):
    page = watched.open(f"{site}/digits.html", java_script_enabled=False)

    assert page.locator("#board tbody tr").count() == 19
    assert page.locator("#board tbody tr").last.is_visible()
    assert page.locator("noscript img, .chart img").first.is_visible()
    assert not page.locator("#controls").is_visible()


def test_the_rows_of_the_most_common_hardware_are_shown_first(watched, site):
    page = watched.open(f"{site}/digits.html")

    assert page.locator("#shown").text_content() == "16 of 19 rows on Test CPU 9000, 1 thread"
    assert len(names(page)) == 16


CONTROLS = {
    "q": ("search", "small", "q=small"),
    "family": ("select", "neighbours", "family=neighbours"),
    "hardware": ("select", "all", "hardware=all"),
    "p50": ("number", "1", "p50=1"),
    "params": ("number", "0.01", "params=0.01"),
    "columns": ("select", "all", "columns=all"),
    "rows": ("select", "best", "rows=best"),
    "front": ("tick", "1", "front=1"),
    "verified": ("tick", "1", "verified=1"),
    "x": ("select", "macs", "x=macs"),
    "y": ("select", "linear", "y=linear"),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_the_address_keeps_every_control(watched, site, name):
    kind, value, wanted = CONTROLS[name]
    page = watched.open(f"{site}/digits.html")
    control = page.locator(f"[name='{name}']")
    {"select": control.select_option, "tick": lambda _: control.check()}.get(kind, control.fill)(value)
    page.wait_for_function("wanted => location.hash === '#' + wanted", arg=wanted)

    again = watched.open(page.url)

    assert names(again) == names(page)
    assert again.locator("#board").get_attribute("data-columns") == page.locator("#board").get_attribute("data-columns")
    other = again.locator(f"[name='{name}']")
    assert other.is_checked() if kind == "tick" else other.input_value() == value
    assert again.locator("#scatter svg").get_attribute("aria-label") == page.locator("#scatter svg").get_attribute(
        "aria-label"
    )


def test_the_address_keeps_the_sort_and_combines(watched, site):
    page = watched.open(f"{site}/digits.html#sort=-p50&hardware=all&q=knn")

    times = page.evaluate(f"{VISIBLE}.map(row => row.cells[3].dataset.v).filter(v => v).map(Number)")
    assert times == sorted(times, reverse=True)
    assert len(times) == 4
    assert page.locator("th[aria-sort]").evaluate_all("ths => ths.map(th => [th.textContent.trim(), th.ariaSort])") == [
        ["p50 ms", "descending"]
    ]


def test_an_address_of_nonsense_shows_the_default(watched, site):
    page = watched.open(f"{site}/digits.html#sort=%3Cimg&x=nothing&columns=7&hardware=none&__proto__=1&p50=abc")

    assert len(names(page)) == 16


def test_the_back_button_and_a_changed_address_are_followed(watched, site):
    page = watched.open(f"{site}/digits.html")
    page.evaluate("location.hash = 'q=resnet'")
    page.wait_for_function(f"() => {VISIBLE}.length < 10")

    assert len(names(page)) > 0
    assert all("resnet18" in name for name in names(page))


@pytest.mark.parametrize(("key", "press"), [("top1", "Enter"), ("p50", "Space")])
def test_a_header_sorts_by_keyboard_the_good_way_first(watched, site, key, press):
    page = watched.open(f"{site}/digits.html")
    button = page.locator(f"button[data-key='{key}']")
    cell = 2 if key == "top1" else 3

    def values():
        return page.evaluate(f"{VISIBLE}.map(row => row.cells[{cell}].dataset.v ?? null)")

    button.focus()
    page.keyboard.press(press)
    good = values()
    page.keyboard.press(press)
    bad = values()

    known = [float(value) for value in good if value is not None]
    assert len(known) > 5
    assert known == sorted(known, reverse=key == "top1")
    assert [float(value) for value in bad if value is not None] == known[::-1]
    if key == "p50":
        assert good[-1] is None
        assert bad[-1] is None


def test_tie_bands_are_shown_only_in_the_order_of_ranks(watched, site):
    page = watched.open(f"{site}/digits.html")
    banded = page.locator("#board").get_attribute("class")
    page.locator("button[data-key='p50']").click()

    assert banded == "banded"
    assert page.locator("#board").get_attribute("class") == ""


def test_a_filter_that_nothing_passes_says_so_and_can_be_cleared(watched, site):
    page = watched.open(f"{site}/digits.html#q=nothing-like-this")
    empty = page.locator("#nothing").is_visible()

    page.locator("#clear").click()

    assert empty
    assert not page.locator("#nothing").is_visible()
    assert len(names(page)) == 16


def test_the_pareto_filter_keeps_the_rows_the_scatter_marks(watched, site):
    page = watched.open(f"{site}/digits.html#front=1")
    rows = sorted(page.evaluate(f"{VISIBLE}.map(row => [3, 2].map(i => Number(row.cells[i].dataset.v)))"))

    scores = [score for _, score in rows]
    assert len(rows) > 3
    assert scores == sorted(scores)


def test_times_of_two_machines_share_no_front_line(watched, site):
    page = watched.open(f"{site}/digits.html#hardware=all")
    mixed = page.locator("#scatter svg [aria-label='line'] path, #scatter svg path[stroke-width='1.5']").count()

    page.locator("[name=hardware]").select_option(index=1)
    page.wait_for_function("() => document.querySelector('#shown').textContent.startsWith('16')")

    assert mixed == 0


def test_names_of_strangers_do_nothing(watched, site):
    page = watched.open(f"{site}/digits.html#hardware=all&columns=all")
    title = page.title()
    page.locator("#scatter svg").hover()
    links = [link.get_attribute("href") for link in page.locator(".unranked a").all()]
    assert len(links) > 0
    for name in links:
        other = watched.open(f"{site}/{name}")
        assert "owned" not in other.title()
    page.wait_for_timeout(100)

    assert page.title() == title == "Digits, 8 x 8 - mlcvbench"
    assert page.locator("img[src='x']").count() == 0


def test_an_injected_script_is_refused(browser, site):
    page = browser.new_page()
    page.goto(f"{site}/digits.html")
    said = []
    page.on("console", lambda message: said.append(message.text))

    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'document.title=1'; document.body.append(s)"
    )
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=y onerror=\"document.title=2\">')")
    page.wait_for_timeout(200)

    assert page.title() == "Digits, 8 x 8 - mlcvbench"
    assert any("Content Security Policy" in text for text in said)
    page.close()


def test_the_phone_shows_rows_before_the_plot(watched, site):
    page = watched.open(f"{site}/digits.html", 390, 844)

    assert page.locator("#board").bounding_box()["y"] < 600
    assert page.locator("#board").bounding_box()["y"] < page.locator(".chart").bounding_box()["y"]
    assert not page.locator("[name=q]").is_visible()


def test_the_name_column_stays_while_a_phone_scrolls_the_table(watched, site):
    page = watched.open(f"{site}/digits.html", 390, 844)
    page.evaluate("document.querySelector('.ranking .scroll').scrollLeft = 120")

    name = page.locator("#board tbody th").first.bounding_box()

    assert -1 <= name["x"] - page.locator(".ranking .scroll").bounding_box()["x"] <= 2


def test_20_rows_print_on_one_or_two_pages(watched, site):
    page = watched.open(f"{site}/digits.html")

    pages = page.pdf(format="A4").count(b"/Type /Page\n")

    assert pages in (1, 2)


def test_a_run_page_leads_back_and_shows_its_pictures(watched, site):
    page = watched.open(f"{site}/digits.html")
    page.locator("#board tbody a").first.click()

    assert page.locator("figure img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    page.locator("nav a", has_text="Digits").click()
    assert page.title() == "Digits, 8 x 8 - mlcvbench"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_layers_of_a_run_unfold(watched, site, axe, width):
    page = watched.open(first_run(watched.open(f"{site}/digits.html", 1280)), width)
    table = page.locator(".fold table")
    folded = table.is_visible()

    page.locator(".fold summary").focus()
    page.keyboard.press("Enter")

    assert not folded
    assert table.is_visible()
    assert page.locator(".fold tbody th").last.text_content() == "<b>classifier</b> Linear"
    assert page.locator(".fold tfoot td.num").all_text_contents() == ["61,800", "1,234,567"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert axe(page) == []


@pytest.mark.slow
def test_a_thousand_rows_stay_quick(watched, tmp_path):
    runs = write_runs(tmp_path / "runs", [make_record(f"m{i}", 0.5 + i / 2500) for i in range(1000)], replicates=0)
    build_boards(runs, tmp_path / "out")
    file = tmp_path / "out" / "site" / "digits.html"
    start = time.perf_counter()
    page = watched.open(file.as_uri())
    ready = time.perf_counter() - start

    sort = page.evaluate(TIMED_SORT)

    assert file.stat().st_size < 1_060_000
    print(f"ready {ready:.2f} s, sort {sort:.0f} ms, page {file.stat().st_size / 1e3:.0f} kB")
