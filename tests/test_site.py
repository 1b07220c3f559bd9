"""The site, built as `make site` builds it: whole, no dead link, readable on a phone, without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import browser
import make_site

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:PendingDeprecationWarning"),
              pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")]  # fmt: skip
CHROMIUM, WHY_NOT = browser.find_chromium()
PHONE = {"width": 390, "height": 844}
LOCAL = ("file:", "data:", "blob:")
WIDER = """() => {
  const scrolls = e => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
  const within = e => { for (let p = e.parentElement; p; p = p.parentElement) if (scrolls(p)) return true; };
  return [...document.querySelectorAll("article *")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !within(e))
    .map(e => e.outerHTML.slice(0, 90));
}"""
"""Elements of a page that stick out of the window, and do not lie in something that scrolls."""


class Page(HTMLParser):
    """Targets and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("id", "name"):
                self.ids.add(value)
            elif name == "href" and tag == "a":
                self.links.append(value)
            elif name == "src" or (name == "href" and tag == "link" and ("rel", "canonical") not in attrs):
                self.loaded.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages; a warning of Sphinx ends the test."""
    return make_site.build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_what_there_is_to_read_has_a_page(site: Path) -> None:
    names = [path.relative_to(make_site.ROOT).with_suffix(".html") for path in make_site.sources()]
    names += [Path("notebooks", f"{path.stem}.html") for path in make_site.notebook_paths()]
    names += [Path("api", f"{chapter}.html") for chapter in make_site.chapters()]
    names += [Path("index.html"), Path("paper-trace.html"), Path("notebooks", "index.html")]
    assert not [name for name in names if not (site / name).is_file()]


def test_no_link_inside_the_site_is_dead(site: Path, pages: dict[Path, Page]) -> None:
    """Links, pictures, scripts, style sheets, and the anchors of links."""
    dead, count = [], 0
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = unquote(link).partition("#")
            there = (path.parent / target.partition("?")[0]).resolve() if target else path
            count += 1
            if not there.is_file() or (anchor and there.suffix == ".html" and anchor not in pages[there].ids):
                dead.append((path.relative_to(site).as_posix(), link))
    assert not dead and count > 1000


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert not {link for page in pages.values() for link in page.loaded if re.match(r"(?:https?:)?//", link)}


def test_diagrams_are_pictures(site: Path) -> None:
    """None is left as text in a language that no script here draws."""
    undrawn = re.compile(r"(?:highlight|language)-mermaid|class=\"mermaid|flowchart (?:TD|LR)")
    assert undrawn.search('<div class="highlight-mermaid notranslate">')
    texts = {path.name: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert not [name for name, text in texts.items() if undrawn.search(text)]
    assert "layout.svg" in texts["CONTRIBUTING.html"]


def test_code_of_the_trace_is_linked_to_the_reference(site: Path) -> None:
    text = (site / "paper-trace.html").read_text(encoding="utf-8")
    items = re.findall(r"<li><p>Code: (.*?)</p></li>", text, re.DOTALL)
    assert len(items) > 15
    for item in items:
        linked = re.findall(r'href="(api/[^"]+)"', item)
        assert len(linked) == item.count('<code class="xref'), item


def test_widgets_have_a_still_or_a_note(site: Path) -> None:
    """And figures are the committed ones: as many pictures as the notebook has outputs with one."""
    text = (site / "notebooks" / "00_quickstart.html").read_text(encoding="utf-8")
    assert "is a widget: it needs a running notebook" in text and "studio.jpg" in text
    notebook = make_site.nbformat.read(make_site.ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4)
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    wanted = sum(kind.startswith("image/") for out in outputs for kind in out.get("data", {}))
    assert len(re.findall(r"<img[^>]*_images/[0-9a-f]{40,}", text)) == wanted > 3


def test_a_dead_link_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_site, "lay_out", lambda source: lay_out_one_page(source))
    with pytest.raises(SystemExit):
        make_site.build(tmp_path)


def lay_out_one_page(source: Path) -> None:
    source.mkdir(parents=True)
    (source / "index.md").write_text("# A page\n\n[away](nowhere.md)\n")


@pytest.mark.skipif(not CHROMIUM, reason=f"pages are not looked at: {WHY_NOT}")
def test_pages_fit_a_phone_and_set_formulas_without_a_network(site: Path, pages: dict[Path, Page]) -> None:
    """No page scrolls sideways, no formula is wrong, nothing is asked of the network."""
    from playwright.sync_api import sync_playwright

    names = [path.relative_to(site).as_posix() for path in pages]
    shown = [name for name in names if not name.startswith(("tests/", "api/"))] + ["api/deocc.models.html"]
    formulas = 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(browser.FLAGS))
        page = chromium.new_page(viewport=PHONE)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in shown:
            page.goto((site / name).as_uri())
            if page.locator(".math").count():
                page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
                page.evaluate("MathJax.startup.promise.then(() => true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
            assert page.evaluate(WIDER) == [], name
            assert page.locator("mjx-merror").count() == 0, name
            assert page.locator("article p:has-text('$$'), article p:has-text('| --- |')").count() == 0, name
            formulas += page.locator("mjx-container").count()
        chromium.close()
    assert formulas > 50
    assert not [url for url in asked if not url.startswith(LOCAL)]
