"""The organisation's texts and facts as typed values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath

from markdown_it.token import Token

from cccr_web.content.body import Body, NameCard
from cccr_web.content.front_matter import FrontMatter
from cccr_web.content.photos import Photo
from cccr_web.languages import Language

_HOME = PurePosixPath("index")
# The page that lists the statements, in their folder.
ARCHIVE = PurePosixPath("statements/index")
# The pages that the code and the templates link to by name.
NEEDED_PAGES = (
    *(_HOME, ARCHIVE),
    *map(PurePosixPath, ("copies", "reach-us", "verify", "who-we-are")),
)
_VERIFY = PurePosixPath("verify")
# What that page says if several signers sign; it has no page of its own.
VERIFY_POLICY = PurePosixPath("verify-policy")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The site's addresses: ``clearnet`` such as ``https://example.org``, or ``None``.

    ``onions`` are names of 62 characters (``….onion``); the QR code is of the first.
    """

    clearnet: str | None = None
    onions: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """Every address with its scheme, without a final slash."""
        onions = (f"http://{onion}" for onion in self.onions)
        return (*onions, *filter(None, [self.clearnet]))


@dataclass(frozen=True, slots=True)
class SigningFacts:
    """Who signs releases: ``signers`` are names, kinds (minisign or ssh) and keys, by name.

    ``threshold`` of them must sign; ``number`` counts the changes of all this. ``line`` is where
    ``site.toml`` names them.
    """

    signers: tuple[tuple[str, str, str], ...]
    threshold: int = 1
    number: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class Site:
    """The facts that are the same in every language (``translations/site.toml``).

    ``valid_days`` is how long a release is valid; ``signing`` says who signs it, or is
    ``None`` while nobody does. ``former_site`` is
    defanged and can be shown; ``blog`` is an https URL. ``feed_authority`` is the permanent
    start of the ids of feed entries (RFC 4151). ``exit`` is the harmless page behind
    "Quick exit", or ``None``. ``contact`` is a mail address or an https URL, or ``None``.
    """

    sequence: int
    valid_days: int
    signing: SigningFacts | None
    addresses: Addresses
    blog: str
    former_site: str
    feed_authority: str
    exit: str | None
    contact: str | None = None

    @property
    def former_host(self) -> str:
        """The former site's host name without ``www.``, to search texts for it."""
        address = self.former_site.replace("[.]", ".").removeprefix("hxxp://")
        return address.split("/")[0].removeprefix("www.")


@dataclass(frozen=True, slots=True)
class Text:
    """One Markdown file: a page, or a statement if ``head.date`` is set.

    ``path`` is its path below its language, without an extension: ``who-we-are``,
    ``statements/2013-05-07-tiananmen-rally``. ``url`` is the page's URL in a release:
    ``en/who-we-are.html``; ``404.html`` in all languages.
    """

    language: Language
    path: PurePosixPath
    file: Path
    head: FrontMatter
    body: Body
    url: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = self.path.name if self.is_error_page else f"{self.language.slug}/{self.path}"
        object.__setattr__(self, "url", f"{own}.html")  # as dataclass does if frozen

    @property
    def is_statement(self) -> bool:
        """Whether this is a dated statement."""
        return self.head.date is not None

    @property
    def is_error_page(self) -> bool:
        """Whether servers show this page at other URLs than its own; the languages share it."""
        return self.path.parts[0] == "errors"


@dataclass(frozen=True, slots=True)
class Content:
    """Every text of the site by language and path, and the facts for all languages.

    ``names`` are those of ``translations/names.toml``: in Simplified Chinese → in
    Traditional. ``photos`` are the records of ``translations/photos.toml`` by file name.
    """

    site: Site
    texts: Mapping[Language, Mapping[PurePosixPath, Text]]
    names: Mapping[str, str]
    photos: Mapping[str, Photo]

    @property
    def all_texts(self) -> list[Text]:
        """Every text in every language."""
        return [text for texts in self.texts.values() for text in texts.values()]

    def for_signers(self, *, policy: bool) -> Content:
        """Return the content with the page on verification for one key, or for a ``policy``."""
        texts = {}
        for language, own in self.texts.items():
            texts[language] = {path: own[path] for path in own if path != VERIFY_POLICY}
            if policy:
                body = own[VERIFY_POLICY].body
                texts[language][_VERIFY] = replace(own[_VERIFY], body=body)
        return replace(self, texts=texts)

    def statements(self, language: Language) -> list[Text]:
        """Return the statements, newest first."""
        return sorted(
            (text for text in self.texts[language].values() if text.is_statement),
            key=lambda text: text.path.parts,
            reverse=True,
        )

    def home(self, language: Language) -> Text:
        """Return the home page."""
        return self.texts[language][_HOME]

    def archive(self, language: Language) -> Text:
        """Return the page that lists the statements."""
        return self.texts[language][ARCHIVE]

    def navigation(self, language: Language) -> list[Text]:
        """Return the pages of the menu, in order."""
        pages = [text for text in self.texts[language].values() if text.head.navigation is not None]
        return sorted(pages, key=lambda text: (text.head.navigation, text.path))

    def translations(self, text: Text) -> list[Text]:
        """Return the same page in every language, including its own."""
        return [self.translation(text, language) for language in self.texts]

    def translation(self, text: Text, language: Language) -> Text:
        """Return the same page in ``language``.

        A page that lists statements has no file, so its translation has only the right URL.
        """
        return self.texts[language].get(text.path) or replace(text, language=language)

    @property
    def newest(self) -> date:
        """The day of the latest change to any text."""
        return max(text.head.updated for text in self.all_texts)


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a name card in ``text``, below the heading named ``id``.

    ``name`` is the heading's text and ``since`` the card's last paragraph, as tokens of
    inline text; ``card`` holds the tokens within the card.
    """

    text: Text
    id: str
    name: Token
    since: Token
    card: tuple[Token, ...]


def people_on_cards(texts: Iterable[Text]) -> dict[str, Person]:
    """Return every person by the name of their heading; the first text with a card counts."""
    found: dict[str, Person] = {}
    for text in texts:
        for person in _people_in(text):
            found.setdefault(person.id, person)
    return found


def _people_in(text: Text) -> Iterator[Person]:
    if not any(isinstance(item, NameCard) for item in text.body.items):
        return
    tokens = text.body.tokens
    name, id_, start = None, "", 0
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            name, id_ = tokens[index + 1], str(token.attrGet("id") or "")
        elif token.type == "card_open":
            start = index + 1
        elif token.type == "card_close" and name is not None and id_:
            card = tokens[start:index]
            inline = [one for one in card if one.type == "inline" and one.children]
            if len(inline) > 1:
                yield Person(text, id_, name, inline[-1], card)
