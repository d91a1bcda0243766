# Copyright (c) mmseg_ctt contributors.
"""The page as a browser shows it."""

import pytest
from browser import Browser, find_chromium

WIDTHS = (1280, 400)  # pixels: a laptop, a telephone
BROKEN = '[...document.images].filter(one => !one.complete || !one.naturalWidth).length'
EMPTY = (
    '[...document.querySelectorAll(".plotly-graph-div")]'
    '.filter(one => !one.querySelector(".main-svg")).length'
)
# what reaches beyond the window and does not scroll by itself
OUTSIDE = """[...document.querySelectorAll("h1, h2, h3, h4, p, section, img, .plotly-graph-div")]
    .filter(one => !one.closest(".scroll, .row.single")
                   && one.getBoundingClientRect().right > innerWidth + 1)
    .map(one => one.outerHTML.slice(0, 80))"""
# the toy runs have too few images for an interval
INTERVALS = """window.first = document.querySelector("table").closest(".scroll");
    for (const cell of first.querySelectorAll("td:nth-child(4)")) cell.textContent = "+11.35";
    for (const cell of first.querySelectorAll("td:last-child"))
        cell.textContent = "-10.08 to +18.63";"""


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip(
            'what a browser shows can be seen in one only, and there is no Chromium; '
            'tools/run_tests.sh installs it as root, else: apt-get install chromium. '
            'What the page holds is in test_report_page.py without one'
        )
    browser = Browser(tmp_path_factory.mktemp('profile'))
    yield browser
    browser.close()


def test_page(both_page, browser):
    for width in WIDTHS:
        browser.open(both_page, width)
        assert browser.problems() == []
        assert browser.value('document.images.length') == 1 + 3 * 3 * 4
        assert browser.value(BROKEN) == 0 and browser.value(EMPTY) == 0
        assert browser.value('document.querySelectorAll(".plotly-graph-div").length') > 15
        assert browser.value('innerWidth') == width
        assert browser.value('document.documentElement.scrollWidth') <= width
        assert browser.value(OUTSIDE) == []


def test_tables_on_a_telephone(both_page, browser):
    """The answer's table is whole; one that is not shows that it goes on."""
    browser.open(both_page, 400)
    browser.value(INTERVALS)
    assert browser.value('first.scrollWidth <= first.clientWidth')
    heights = browser.value('[...first.querySelectorAll("tr")].map(row => row.offsetHeight)')
    assert max(heights[1:]) < 32, 'one line each'
    browser.value('first.firstChild.style.minWidth = "900px"; first.scrollLeft = 300')
    assert browser.value('first.scrollLeft') == 300
    assert browser.value('getComputedStyle(first).backgroundImage').count('gradient') == 4
    left = 'first.querySelector("td").getBoundingClientRect().left'
    assert browser.value(f'{left} == first.getBoundingClientRect().left'), 'the run stays in sight'


def test_the_checks_can_fail(tmp_path, browser):
    out = tmp_path / 'bad.html'
    out.write_text("""<p style="width: 3000px">wide</p><img src="data:image/png;base64,AAAA">
        <script src="http://127.0.0.1:9/a.js"></script><script>console.error("spoken")</script>
        <script>missing()</script>""")
    browser.open(out, 400)
    problems = ' '.join(browser.problems())
    for words in ('asks for http://127.0.0.1:9/a.js', 'spoken', 'missing is not defined'):
        assert words in problems, problems
    assert browser.value(BROKEN) == 1 and len(browser.value(OUTSIDE)) == 1
    assert browser.value('document.documentElement.scrollWidth') > 400
