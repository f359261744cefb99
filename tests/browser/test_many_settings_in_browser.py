"""A board with many settings of one model: names, groups, the text filter and names beside points."""

from __future__ import annotations

import pytest

AREAS = """[...document.querySelectorAll("#scatter svg g[stroke-width='4'] text")].map((text) => {
    const area = text.getBoundingClientRect();
    return [area.left, area.top, area.right, area.bottom, text.textContent];
})"""
ROWS = """[...document.querySelectorAll("#board tbody tr:not([hidden])")].map((row) => row.matches(".group")
    ? row.textContent : [row.cells[1].querySelector("a"), row.cells[1].querySelector(".config")]
        .map((part) => part ? part.textContent : "").join(" ").trim())"""


def rows(page) -> list[str]:
    return page.evaluate(ROWS)


def choose(page, name: str, value: str) -> None:
    page.locator(f"[name='{name}']").select_option(value)
    page.wait_for_function("wanted => location.hash.includes(wanted)", arg=f"{name}={value}")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("axis", ["p50", "macs", "fit_s"])
def test_names_beside_points_do_not_overlap_and_stay_inside(watched, settings_site, width, axis):
    page = watched.open(f"{settings_site}/digits.html#x={axis}", width)
    svg = page.locator("#scatter svg").bounding_box()

    areas = page.evaluate(AREAS)

    assert 1 <= len(areas) <= (8 if width > 500 else 4)
    for index, (left, top, right, bottom, text) in enumerate(areas):
        assert len(text) <= 30
        assert "fit." not in text
        assert left >= svg["x"]
        assert right <= svg["x"] + svg["width"]
        for a, b, c, d, other in areas[:index]:
            assert left >= c or a >= right or top >= d - 2 or b >= bottom - 2, (text, other)


def test_a_cost_of_nothing_has_its_place_on_a_logarithmic_axis(watched, settings_site):
    page = watched.open(f"{settings_site}/digits.html#x=macs")

    ticks = page.locator("#scatter svg text", has_text="0").all_text_contents()
    names = [area[-1] for area in page.evaluate(AREAS)]

    assert "0" in ticks
    assert "majority" in names


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_the_point_of_a_row_is_ringed_and_named(watched, settings_site, how):
    page = watched.open(f"{settings_site}/digits.html#q=schedule%3Dconstant")
    link = page.locator("#board tbody tr:not([hidden]) a")
    page.mouse.move(0, 0)
    before = page.locator(".pointed circle[cx]").count()

    link.hover() if how == "hover" else link.focus()

    ring = page.locator(".pointed circle").bounding_box()
    dot = page.locator("#scatter svg g[fill='var(--accent)'] path").bounding_box()
    assert before == 0
    assert page.locator(".pointed text").text_content() == "schedule=constant"
    assert abs(ring["x"] + ring["width"] / 2 - dot["x"] - dot["width"] / 2) < 1
    assert abs(ring["y"] + ring["height"] / 2 - dot["y"] - dot["height"] / 2) < 1
    link.blur()
    page.mouse.move(0, 0)
    assert not page.locator(".pointed").is_visible()


def test_rows_are_grouped_by_model_in_the_order_of_their_best(watched, settings_site):
    page = watched.open(f"{settings_site}/digits.html")
    plain = rows(page)
    choose(page, "rows", "model")

    grouped = rows(page)

    heads = [row for row in grouped if row.endswith((" rows", " row"))]
    assert heads == ["small_cnn, 3 rows", "linear_softmax, 16 rows", "majority, 1 row"]
    assert sorted(row for row in grouped if row not in heads) == sorted(plain)
    assert [row.split()[0] for row in grouped if row not in heads] == ["small_cnn"] * 3 + ["linear_softmax"] * 16 + [
        "majority"
    ]
    page.locator("[name='rows']").select_option("")
    page.wait_for_function("() => location.hash === ''")
    assert rows(page) == plain


def test_groups_follow_sort_and_filter(watched, settings_site):
    page = watched.open(f"{settings_site}/digits.html#rows=model&sort=p50&q=lr")

    found = rows(page)

    assert found[0] == "linear_softmax, 9 rows"
    assert "small_cnn, 1 row" in found
    assert not any("majority" in row for row in found)
    times = page.evaluate(
        "[...document.querySelectorAll('tr[data-hardware]:not([hidden])')].map(r => Number(r.cells[3].dataset.v))"
    )
    assert times[:9] == sorted(times[:9])


def test_the_best_of_each_model_alone(watched, settings_site):
    page = watched.open(f"{settings_site}/digits.html")
    best = {}
    for row in rows(page):
        best.setdefault(row.split()[0], row)
    choose(page, "rows", "best")

    assert rows(page) == list(best.values())
    assert page.locator("#shown").text_content() == "3 of 20 rows"


@pytest.mark.parametrize(
    ("words", "count"),
    [("lr=0.1", 4), ("lr=0.1 -adam", 3), ("fit.lr=0.1, sgd", 1), ("-linear_softmax", 4), ("step", 2)],
)
def test_words_choose_and_leave_out(watched, settings_site, words, count):
    page = watched.open(f"{settings_site}/digits.html")
    page.locator("[name=q]").fill(words)
    page.wait_for_function("() => location.hash.includes('q=')")

    assert len(rows(page)) == count


def test_names_sort_with_their_numbers(watched, settings_site):
    page = watched.open(f"{settings_site}/digits.html#sort=model&q=optimizer")

    assert rows(page) == [
        f"linear_softmax fit.optimizer={rule}, fit.lr={lr}"
        for rule in ("adam", "momentum", "sgd")
        for lr in ("0.003", "0.01", "0.1")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_groups_are_accessible_and_do_not_scroll_the_page_sideways(watched, settings_site, axe, scheme):
    for width in (390, 1280):
        page = watched.open(f"{settings_site}/digits.html#rows=model", width, color_scheme=scheme)

        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_setting_stays_on_one_line_of_a_phone(watched, settings_site):
    page = watched.open(f"{settings_site}/digits.html", 390)

    heights = page.locator("#board .set").evaluate_all("parts => parts.map(part => part.getClientRects().length)")

    assert set(heights) == {1}
    assert not page.locator("#board .place").first.is_visible()
