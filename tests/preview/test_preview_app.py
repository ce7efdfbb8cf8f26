"""What preview answers, and to whom."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.texts import DATED, add, copy_texts, put, remove, replace_once
from werkzeug.test import Client, TestResponse

from cccr_web.config import find_tree
from cccr_web.preview import EditionReader, PreviewApp, Watcher
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.serve import EncodedBodies, ServedSite, clearnet_hosts, create_app, listener_policy

TEMPLATES = find_tree("templates")
RALLY = "statements/2013-05-07-tiananmen-rally"
OURS = "http://127.0.0.1:8000"


class Previewed:
    """Texts in a folder, and a client of their preview."""

    def __init__(self, tree: Path, previous: Mapping[str, bytes] | None = None) -> None:
        self.tree = tree
        work = Path(tempfile.mkdtemp(dir=tree.parent))
        self.watcher = Watcher(EditionReader(tree, TEMPLATES, work))
        self._client = Client(PreviewApp(self.watcher, previous))

    def get(self, path: str, method: str = "GET", base: str = OURS, **headers: str) -> TestResponse:
        """Make one request; ``sec_fetch_site`` is the header Sec-Fetch-Site."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.open(path, method=method, base_url=base, headers=named)

    def page(self, path: str) -> str:
        """Return a page that is there."""
        response = self.get(path)
        assert response.status_code == 200
        return response.text


@pytest.fixture
def previewed(tmp_path: Path) -> Previewed:
    """A preview of a copy of the texts."""
    return Previewed(copy_texts(tmp_path))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Previewed:
    """A preview of a copy of the texts that no test changes."""
    return Previewed(copy_texts(tmp_path_factory.mktemp("unchanged")))


def bodies(release: Release) -> dict[str, bytes]:
    """Return the files of a release."""
    return {path: file.body for path, file in release.files.items()}


def test_everything_but_its_own_pages_answers_as_the_release(unchanged: Previewed) -> None:
    """Files, folders, redirects and errors are those of ``serve``, except for the pages' additions.

    Nothing is cached, and the policy of each allows the script.
    """
    release = build_release(unchanged.tree, TEMPLATES)
    policy = listener_policy("clearnet", release.metadata)
    hosts, encoded = clearnet_hosts((), loopback=True), EncodedBodies(release)
    served = Client(create_app(ServedSite(release, policy, hosts, encoded)))
    others = ["/", "/en", "/en/", "/EN/", "/zh-tw/who-we-are.html", "/nothing", "/en//", "/zh/"]
    differ = {"cache-control", "content-security-policy", "content-length", "etag"}
    # A page has become long enough for ranges.
    differ.add("accept-ranges")
    for path in [*others, *(f"/{path}" for path in release.files)]:
        ours, theirs = unchanged.get(path), served.get(path, base_url=OURS)
        assert ours.status == theirs.status, path
        assert ours.headers["Cache-Control"] == "no-store"
        same = [
            {name.lower(): value for name, value in one.headers if name.lower() not in differ}
            for one in (ours, theirs)
        ]
        assert same[0] == same[1], path
        if not (theirs.mimetype == "text/html" and theirs.data):
            assert ours.data == theirs.data, path


@pytest.mark.parametrize("path", ["/", "/en/index.html", "/-/", "/-/events", "/nothing"])
@pytest.mark.parametrize(
    ("base", "headers"),
    [
        ("http://attacker.example:8000", {}),
        ("http://127.0.0.1.attacker.example", {}),
        ("http://cccr.example", {}),
        (OURS, {"Origin": "http://attacker.example"}),
        (OURS, {"Origin": "null"}),
        (OURS, {"Origin": "http://127.0.0.1:9999"}),
        (OURS, {"Origin": "https://127.0.0.1:8000"}),
        (OURS, {"Sec_Fetch_Site": "cross-site"}),
        (OURS, {"Sec_Fetch_Site": "same-site"}),
    ],
)
def test_other_sites_get_403(
    path: str, base: str, headers: dict[str, str], unchanged: Previewed
) -> None:
    """Neither a name that leads here nor a page of another site gets anything."""
    response = unchanged.get(path, base=base, **headers)
    assert response.status_code == 403
    assert b"<" not in response.data


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": OURS}, {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-origin"}]
)
@pytest.mark.parametrize("base", [OURS, "http://localhost:8000"])
def test_its_own_pages_and_typed_addresses_get_an_answer(
    headers: dict[str, str], base: str, unchanged: Previewed
) -> None:
    """Its own pages have its own Origin."""
    own = {name: base if name == "Origin" else value for name, value in headers.items()}
    assert unchanged.get("/en/", base=base, **own).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/en/index.html", "/-/", "/-/compare/index/", "/-/events"])
def test_nothing_is_writable(method: str, path: str, unchanged: Previewed) -> None:
    """No other method than GET and HEAD is answered."""
    assert unchanged.get(path, method).status_code == 405


def test_all_messages_are_listed_with_links(previewed: Previewed) -> None:
    """Each links to its paragraph, and to the comparison of its text."""
    add(f"en/{DATED}", "A <b>bold</b> word.")(previewed.tree)
    previewed.watcher.read()
    page = previewed.page("/-/")
    (first,) = previewed.watcher.edition.problems
    assert f'<a href="/en/{RALLY}.html#line-{first.line}">line {first.line}</a>: Raw HTML' in page
    assert f'<a href="/-/compare/{RALLY}/">compare</a>' in page
    assert f'id="line-{first.line}"' in previewed.page(f"/en/{RALLY}.html")


def test_a_text_that_cannot_be_shown_has_a_page_of_its_messages(previewed: Previewed) -> None:
    """So a writer sees at its address what is wrong, in each language made from it."""
    put("zh_Hans/statements/2014-01-02-new.md", b"+++\ntitle = \xe2\x80\x9cx\xe2\x80\x9d\n+++\n")(
        previewed.tree
    )
    previewed.watcher.read()
    for slug in ("zh-hans", "zh-hant"):
        page = previewed.page(f"/{slug}/statements/2014-01-02-new.html")
        assert "curly" in page
        assert "2014-01-02-new.md:2" in page
    assert "curly" in previewed.page("/-/compare/statements/2014-01-02-new/")
    assert previewed.get("/en/statements/2014-01-02-new.html").status_code == 404


def test_a_comparison_has_every_paragraph_in_each_language(unchanged: Previewed) -> None:
    """Nothing is lost, and no paragraph is repeated."""
    page = unchanged.page(f"/-/compare/{RALLY}/")
    assert page.count('<div class="row">') > 15
    assert 'class="gap"' not in page
    for words in ("They demanded an end to corruption", "1989年", "天安門民主運動"):
        assert words in page
    assert page.count("They demanded an end to corruption") == 1


def test_a_comparison_shows_a_gap_where_a_paragraph_is_missing(tmp_path: Path) -> None:
    """The paragraphs after it still have their translations next to them."""
    tree = copy_texts(tmp_path)
    file = tree / "zh_Hans" / DATED
    paragraphs = file.read_text(encoding="utf-8").split("\n\n")
    at = next(n for n, words in enumerate(paragraphs) if words.startswith("## "))
    del paragraphs[at + 2]
    file.write_text("\n\n".join(paragraphs), encoding="utf-8")
    page = Previewed(tree).page(f"/-/compare/{RALLY}/")
    (row,) = (row for row in page.split('<div class="row">') if 'class="gap"' in row)
    assert row.count('class="gap"') == 2
    assert "During the crackdown" in row


def test_a_comparison_of_a_text_in_one_language_is_all_gaps(tmp_path: Path) -> None:
    """A text without a translation can be compared, too."""
    tree = copy_texts(tmp_path)
    remove(f"zh_Hans/{DATED}")(tree)
    page = Previewed(tree).page(f"/-/compare/{RALLY}/")
    assert page.count('class="gap"') == 2 * page.count('<div class="row">')


def test_links_in_a_comparison_lead_to_the_pages(unchanged: Previewed) -> None:
    """They are relative on a page, and would lead nowhere from another address."""
    page = unchanged.page("/-/compare/verify/").partition('<div class="row">')[2]
    links = {part.partition('"')[0] for part in page.split(' href="')[1:]}
    assert len(links) > 5
    for link in links:
        assert link.startswith(("/", "https://"))
        if link.startswith("/"):
            assert unchanged.get(link.partition("#")[0]).status_code == 200, link


def test_changes_are_those_since_the_previous_release(tmp_path: Path) -> None:
    """Texts, links and names that differ are listed by page, and nothing else."""
    tree = copy_texts(tmp_path)
    before = bodies(build_release(tree, TEMPLATES))
    previewed = Previewed(tree, before)
    assert "Nothing has changed." in previewed.page("/-/changes/")
    words = "They demanded an end to corruption"
    replace_once(f"en/{DATED}", words, "[They](../pages/verify.md) shouted")(tree)
    add("zh_Hans/pages/verify.md", "刘晓波。")(tree)
    add("en/pages/verify.md", "One more.")(tree)
    previewed.watcher.read()
    page = previewed.page("/-/changes/")
    assert "text: <del>In 1989 students" in page
    assert words in page
    assert "link: <ins>../verify.html</ins>" in page
    assert "names more often: <ins>刘晓波</ins>" in page
    assert "/en/index.html" not in page


def test_without_a_previous_release_the_page_says_how_to_name_it(unchanged: Previewed) -> None:
    """The option is named."""
    assert "--previous" in unchanged.page("/-/changes/")


def test_a_new_page_a_lost_page_and_a_photo_are_changes(tmp_path: Path) -> None:
    """What the previous release did not have, and what only it had."""
    tree = copy_texts(tmp_path)
    before = bodies(build_release(tree, TEMPLATES))
    before["en/lost.html"] = b"<p>Lost"
    before["photos/lost-480.jpg"] = b""
    del before[f"en/{RALLY}.html"]
    page = Previewed(tree, before).page("/-/changes/")
    assert f">en/{RALLY}.html</a></h2><p>A new page." in page
    assert "en/lost.html</h2><p>This page is missing" in page
    assert "The photo is removed." in page


def test_texts_that_cannot_be_read_still_get_answers(tmp_path: Path) -> None:
    """Without any page there are the messages, and 404 elsewhere."""
    tree = copy_texts(tmp_path)
    put("site.toml", b"sequence = ")(tree)
    previewed = Previewed(tree)
    assert "site.toml" in previewed.page("/-/")
    assert previewed.get("/en/").status_code == 404
    assert previewed.get("/").status_code == 302


def test_pages_that_are_not_ours_are_404(unchanged: Previewed) -> None:
    """Below ``/-/`` there is nothing else."""
    for path in ("/-/nothing", "/-/compare/", "/-/compare/nothing/", "/-/compare/../../etc/"):
        assert unchanged.get(path).status_code == 404, path


def test_every_page_says_when_it_is_outdated(previewed: Previewed) -> None:
    """The connection of a page gets an event once another edition is there."""
    edition = previewed.watcher.edition
    assert f'data-edition="{edition.id}"' in previewed.page("/en/")
    add("en/pages/verify.md", "One more.")(previewed.tree)
    previewed.watcher.read()
    response = previewed.get(f"/-/events?{edition.id}")
    assert response.mimetype == "text/event-stream"
    assert b"data: changed\n\n" in response.data
