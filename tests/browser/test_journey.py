"""One statement from Word to readers, as ``translations/README.md`` says, seen in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.hosting import short_folder
from support.journey import NAME, PAGE, TITLES, WORDS, Journey
from support.previewed import Live, PreviewProcess
from support.serving import ServerProcess

if TYPE_CHECKING:
    from support.browser.devtools import Chromium, Tab

BAR = "document.querySelector('.preview-bar').textContent"
# The width of each photo, once it is loaded.
PHOTOS = """Promise.all([...document.querySelectorAll("figure img")].map(async photo => {
  photo.loading = "eager";
  await photo.decode();
  return photo.naturalWidth;
}))"""


def test_a_statement_gets_from_word_to_readers(chromium: Chromium) -> None:
    """Each mistake is shown at its paragraph, and the message disappears once it is corrected.

    After the text is written, two commands bring it to readers.
    """
    with short_folder() as folder:
        editor = Journey(folder)
        editor.create()
        with PreviewProcess(editor.tree) as preview, chromium.tab() as tab:
            write_in_view(editor, Live(editor.tree, preview, tab))
        written = len(editor.typed)
        lines = editor.run("publish", "--key", "organisation.key", typed="y\n").splitlines()
        assert lines[-1].startswith("Next, with servers: "), lines
        with ServerProcess(folder, folder / "releases/1") as server, chromium.tab() as tab:
            editor.type("serve", "--release", "releases/1")
            read("http://{}:{}/".format(*server.clearnet), tab)
        assert len(editor.typed) == written + 2


def write_in_view(editor: Journey, live: Live) -> None:
    """Write the statement while its preview is open."""
    english, chinese = (f"{live.address}{slug}/{PAGE}" for slug in ("en", "zh-hans"))
    literal = "“_x_” would appear as typed: "
    html = ("Raw HTML is not allowed: ", "On 9 July")
    tracking = ("“https://example.org/page?id=1&utm_source=mail” reports who", "零宽")
    live.tab.visit(english)
    live.wait_for_messages((literal, "Line one"))
    live.wait_for(f"{BAR}.includes('is a placeholder')")

    editor.add_photo()
    editor.write()
    editor.replace("en", "*detained*", "<b>detained</b>")
    editor.replace("zh_Hans", "?id=1", "?id=1&utm_source=mail")
    live.wait_for_messages(html, (literal, "Line one"))
    live.wait_for(f"!{BAR}.includes('is a placeholder')")
    live.tab.visit(chinese)
    live.wait_for_messages(tracking, (literal, "第一行"), (f"“{NAME}” is not in", "范里"))

    editor.correct()
    live.wait_for_messages(tracking)
    editor.replace("zh_Hans", "&utm_source=mail", "")
    live.wait_for_messages()
    live.tab.visit(english)
    live.wait_for_messages(html)
    editor.replace("en", "<b>detained</b>", "*detained*")
    live.wait_for_messages()
    live.wait_for(f"{BAR} === 'Preview: No messages'")


def read(address: str, tab: Tab) -> None:
    """Read the statement as readers do, in each language."""
    traditional = "補上的話。看得見的結尾。"
    for slug, title, words in (
        ("en", TITLES["en"], WORDS["en"]),
        ("zh-hans", TITLES["zh_Hans"], WORDS["zh_Hans"]),
        ("zh-hant", "停止審判律師", traditional),
    ):
        tab.visit(f"{address}{slug}/index.html")
        link = f"document.querySelector('a[href=\"{PAGE}\"]').href"
        tab.visit(tab.evaluate(link))
        assert tab.evaluate("document.querySelector('h1').textContent") == title
        shown = tab.evaluate("document.body.innerText")
        assert words in shown
        assert NAME in shown
        (width,) = tab.evaluate(PHOTOS)
        assert width > 0
        assert tab.evaluate("document.querySelector('script, [class^=preview]')") is None
