"""The organisation's statements and facts are on the pages, complete and in order.

Names, demands and dates are written here from the organisation's own texts, not
read from the tree under test.
"""

from __future__ import annotations

import pytest
from support.organisation import CHINESE_NAMES, ENGLISH_NAMES, TRADITIONAL_NAMES
from support.pages import Element

from cccr_web.release import Release

RALLY = "statements/2013-05-07-tiananmen-rally.html"
APPEAL = "statements/2011-liu-xiaobo-and-chen-guangcheng.html"

# Copied from the organisation's texts, with their spelling and punctuation.
ORIGINALS = {
    APPEAL: {
        "en": (
            "We call on the Chinese government to release Liu Xiaobo, the 2010 Nobel Laureate for "
            'peace prize who was sentenced to 11 years in prison in 2009 for writing "Charter 08", '
            "an article calling for rule of law, freedom of speech and constitutional reform; and "
            "freedom for Chen Guangcheng, a blind human rights lawyer who served 4 years and 3 "
            "months in prison for providing legal assistance to victims of forced abortion and "
            "sterilization and has been placed under house arrest since his release from prison in "
            "2011."
        )
    },
    RALLY: {
        "en": (
            'On May 7, 2013, "Chinese Coalition for Citizens Rights" (CCCR),a Chinese human '
            "rights organization, held a rally at the United Nations Square in commemoration of "
            "the 24th anniversary of Tiananmen Square democracy movement. In 1989, students in "
            "Beijing took to the streets demanding an end to corruption, asking for freedom of "
            "speech, democracy and human rights. However, this movement was crushed by the "
            "government with violence. During the crackdown of the Tiananmen Square movement on "
            "June 4, 1989, hundreds of student died of gunshots. They sacrificed their young lives "
            "for freedom and democracy in China. Since then, every year on June 4, people all over "
            "the world held candlelight vigils and rallies in commemoration of the Tiananmen "
            "Square Massacre and mourn students killed. Chinese Coalition for Citizens Rights "
            "holds that the Tiananmen Square Democracy Movement should be redressed, and all those "
            "students and civilians killed during the violent crackdown on June 4, 1989 should be "
            "honored and their families compensated. Chinese Coalition for Citizens Rights calls "
            "for the Chinese government to return freedom of speech to all the people in China, "
            "and immediately initiate democratic reform, free Liu Xiaobo and all the other "
            "political prisoners."
        ),
        "zh-Hans": (
            "在1989年6月4日的镇压行动中, 几百名学生死亡。他们为了中国的民主和自由献出了年轻的生命。"
        ),
    },
}

# The first demand, as the record above a statement has it.
DEMANDS = {
    "en": {RALLY: "Redress and compensation for 1989", APPEAL: "Release Liu Xiaobo"},
    "zh-hans": {RALLY: "为天安门民主运动平反，敬重死难者，赔偿家属", APPEAL: "释放刘晓波"},
    "zh-hant": {RALLY: "為天安門民主運動平反，敬重死難者，賠償家屬", APPEAL: "釋放劉曉波"},
}

WORDS: dict[str, list[str]] = {
    "en/who-we-are.html": [
        "human-rights organisation, founded in May 2008",
        "freedom of speech",
        "freedom of the press",
        "internet freedom in China",
        "June 2008",
        "constant attack",
        "In 2010 attackers broke into it",
        "malicious code",
        "even if it looks normal",
        "report of the rally of 7 May 2013 the organisation calls itself",
        "gongminziyoulianmeng.blogspot.com",
        "Coalition for Citizens Rights",
        "Chinese Coalition for Citizens Rights",
        "公民自由联盟",
    ],
    "zh-hans/who-we-are.html": [
        "公民自由联盟是一个人权组织",
        "言论自由",
        "新闻自由",
        "网络自由",
        "成立于2008年5月",
        "2008年6月",
        "2010年，攻击者侵入该网站，放置了恶意代码",
        "gongminziyoulianmeng.blogspot.com",
    ],
    f"en/{APPEAL}": [
        "Between 2011 and April 2012",
        "We call on the Chinese government",
        "to release Liu Xiaobo",
        "to give Chen Guangcheng his freedom",
        "Nobel Peace Prize of 2010",
        "11 years in prison",
        "Charter 08",
        "rule of law, freedom of speech and constitutional reform",
        "blind human-rights lawyer",
        "4 years and 3 months",
        "forced abortion and forced sterilisation",
        "house arrest",
        "died on 13 July 2017",
        "September 2010",
        "19 May 2012",
    ],
    f"zh-hans/{APPEAL}": [
        "2011年至2012年4月之间",
        "释放刘晓波",
        "还陈光诚自由",
        "11年徒刑",
        "《零八宪章》",
        "法治、言论自由和宪政改革",
        "盲人人权律师",
        "4年3个月",
        "强制堕胎和强制绝育",
        "2017年7月13日",
        "2010年9月",
        "2012年5月19日",
    ],
    f"en/{RALLY}": [
        "7 May 2013",
        "United Nations Square",
        "24th anniversary",
        "an end to corruption",
        "freedom of speech, democracy and human rights",
        "crushed the movement with violence",
        "4 June 1989 hundreds of students died of gunshots",
        "on 4 June, people all over the world have held candlelight vigils and rallies",
        "纪念六四24周年",
        "should be redressed",
        "students and civilians who were killed",
        "should be honoured",
        "their families should be compensated",
        "return freedom of speech to all the people in China",
        "begin democratic reform immediately",
        "free Liu Xiaobo and all other political prisoners",
        "Members of the CCCR who attended the rally include:",
    ],
    f"zh-hans/{RALLY}": [
        "2013年5月7日",
        "联合国广场",
        "24周年",
        "结束腐败",
        "言论自由、民主和人权",
        "政府用暴力镇压了这场运动",
        "1989年6月4日的镇压行动中，几百名学生死亡。",
        "他们为了中国的民主和自由献出了年轻的生命",
        "烛光晚会和集会",
        "平反",
        "学生和平民都应当受到敬重",
        "他们的家属应当得到赔偿",
        "把言论自由还给全体中国人民",
        "立即开始民主改革",
        "释放刘晓波和所有其他政治犯",
        "参加集会的公民自由联盟成员包括：",
    ],
}


@pytest.mark.parametrize(("path", "words"), WORDS.items())
def test_facts_and_demands_are_on_the_page(
    single_pages: dict[str, Element], path: str, words: list[str]
) -> None:
    """What the organisation says, demands and dates is on the page in its language."""
    text = single_pages[path].one("main").text
    assert [word for word in words if word not in text] == []


def names(page: Element) -> list[str]:
    """Return the items of the list of names, which is the one set in columns."""
    return [item.text for item in page.one("ul", class_="columns").all("li")]


def test_english_names_are_complete_and_in_order(single_pages: dict[str, Element]) -> None:
    """All 19 participants are in the organisation's order, and nobody else."""
    assert len(ENGLISH_NAMES) == 19
    assert names(single_pages[f"en/{RALLY}"]) == ENGLISH_NAMES


def test_chinese_names_are_in_the_organisations_characters(
    single_pages: dict[str, Element],
) -> None:
    """18 names are as the organisation wrote them; Cui Yuhua's characters are not invented."""
    assert len(CHINESE_NAMES) == 18
    for slug, known in (("zh-hans", CHINESE_NAMES), ("zh-hant", TRADITIONAL_NAMES)):
        expected = [*known[:3], "Cui Yuhua", *known[3:]]
        assert names(single_pages[f"{slug}/{RALLY}"]) == expected


def test_participants_are_named_in_their_list_only(single_pages: dict[str, Element]) -> None:
    """Participants of the rally are named in its list, and in the note on Cui Yuhua."""
    for path, page in single_pages.items():
        words = page.text
        for name in {*ENGLISH_NAMES, *CHINESE_NAMES, *TRADITIONAL_NAMES} - {"Cui Yuhua"}:
            count = words.count(name)
            assert count == (1 if name in named_on(path) else 0), f"{name} on {path}"


def named_on(path: str) -> list[str]:
    """Return the names that a page must contain."""
    # Some names are the same in both scripts.
    names = {"en": ENGLISH_NAMES, "zh-hans": CHINESE_NAMES, "zh-hant": TRADITIONAL_NAMES}
    return {f"{slug}/{RALLY}": found for slug, found in names.items()}.get(path, [])


@pytest.mark.parametrize("slug", ["en", "zh-hans", "zh-hant"])
def test_the_appeal_has_a_section_for_each_man(single_pages: dict[str, Element], slug: str) -> None:
    """Each section has a note on what happened to him since."""
    main = single_pages[f"{slug}/{APPEAL}"].one("article")
    ids = [part.attributes["id"] for part in main.all("h2")]
    assert ids == ["liu-xiaobo", "chen-guangcheng", "original"]
    assert len(main.all("aside")) == 3


@pytest.mark.parametrize(
    ("slug", "dates"),
    [
        ("en", ["7 May 2013 · United Nations Square", "Between 2011 and April 2012"]),
        ("zh-hans", ["2013年5月7日 · 联合国广场", "2011年至2012年4月之间"]),
        ("zh-hant", ["2013年5月7日 · 聯合國廣場", "2011年至2012年4月之間"]),
    ],
)
def test_statements_are_listed_newest_first(
    single_pages: dict[str, Element], slug: str, dates: list[str]
) -> None:
    """Home page and archive list the statements, dated as far as known."""
    for path in (f"{slug}/index.html", f"{slug}/statements/index.html"):
        lists = single_pages[path].all("ul", class_="statements")
        items = [item for one in lists for item in one.all("p", class_="when")]
        lead = single_pages[path].all("article", class_="lead")
        items = [one.one("p", class_="when") for one in lead] + items
        assert [item.text for item in items] == dates


@pytest.mark.parametrize(
    ("slug", "years"),
    [
        ("en", ["2013", "2011–2012"]),
        ("zh-hans", ["2013年", "2011–2012年"]),
        ("zh-hant", ["2013年", "2011–2012年"]),
    ],
)
def test_the_archive_is_grouped_by_year(
    single_pages: dict[str, Element], slug: str, years: list[str]
) -> None:
    """The archive has a heading for each year, followed by its statements."""
    main = single_pages[f"{slug}/statements/index.html"].one("main")
    assert [heading.text for heading in main.all("h2")] == years
    lists = main.all("ul", class_="statements")
    assert [len(one.all("p", class_="title")) for one in lists] == [1, 1]


@pytest.mark.parametrize("slug", ["en", "zh-hans", "zh-hant"])
def test_lists_say_what_is_demanded_and_what_has_happened_since(
    single_pages: dict[str, Element], slug: str
) -> None:
    """Home page and archive give each statement's demands, its people, and what is open."""
    died, free = {
        "en": ("Died on 13 July 2017", "Free since May 2012"),
        "zh-hans": ("2017年7月13日", "2012年4月逃离软禁，同年5月19日"),
        "zh-hant": ("2017年7月13日", "2012年4月逃離軟禁，同年5月19日"),
    }[slug]
    for path in (f"{slug}/index.html", f"{slug}/statements/index.html"):
        main = single_pages[path].one("main")
        demands = [len(one.all("li")) for one in main.all("ul", class_="demands")]
        assert demands == [3, 2]
        (rally, still_open, appeal, other) = main.all("p", class_="since")
        assert died in rally.text
        assert died in appeal.text
        assert free in other.text
        assert "2026" in still_open.text
        for line, name in (
            (rally, "liu-xiaobo"),
            (appeal, "liu-xiaobo"),
            (other, "chen-guangcheng"),
        ):
            assert line.one("a").attributes["href"].endswith(f"{APPEAL.split('/')[1]}#{name}")


@pytest.mark.parametrize("slug", ["en", "zh-hans", "zh-hant"])
def test_people_have_a_card_at_home_and_in_the_appeal(
    single_pages: dict[str, Element], slug: str
) -> None:
    """A card has the name in both scripts, the sentence and what has happened since."""
    home = single_pages[f"{slug}/index.html"].one("ul", class_="people").all("li", class_="card")
    appeal = single_pages[f"{slug}/{APPEAL}"].all("div", class_="card", role="group")
    for card, other in zip(home, appeal, strict=True):
        texts = [paragraph.text for paragraph in card.all("p")]
        assert texts[:-1] == [paragraph.text for paragraph in other.all("p")]
        assert other.attributes["aria-label"]
        # In Chinese the heading above the card is the name.
        assert len(other.all("div", class_="name")) == (slug == "en")
    names = [(card.one("div", class_="name").text, card.all("p")[0].text) for card in home]
    assert [len(name) for name, _ in names] == [3, 3]
    assert names[0][1].startswith("Liu Xiaobo")
    assert "1955–2017" in names[0][1]
    assert names[1][1].startswith("Chen Guangcheng")
    assert "11" in home[0].text
    assert "2017" in home[0].text


@pytest.mark.parametrize("slug", ["en", "zh-hans", "zh-hant"])
def test_a_statement_has_its_outcome_and_neighbours(
    single_pages: dict[str, Element], slug: str
) -> None:
    """Above the text: demands, what to do, what happened since, issuer; below: neighbours."""
    pairs = [(RALLY, APPEAL, "next"), (APPEAL, RALLY, "prev")]
    for path, neighbour, rel in pairs:
        page = single_pages[f"{slug}/{path}"]
        record = page.one("article").one("dl", class_="record")
        assert record.all("li")[0].text == DEMANDS[slug][path]
        assert "2017" in record.text
        assert len(record.all("dt")) == (5 if path == RALLY else 4)
        assert page.one("h2", id="pass-on").text == record.one("a", href="#pass-on").text
        (link,) = [*page.all("a", rel="prev"), *page.all("a", rel="next")]
        assert (link.attributes["href"], link.attributes["rel"]) == (neighbour.split("/")[1], rel)


def test_a_statement_can_be_passed_on(release: Release, single_pages: dict[str, Element]) -> None:
    """A statement and each printed page give the page's own address, and the QR code."""
    (onion,) = release.metadata.onions
    own = [f"{release.metadata.clearnet}/en/{RALLY}", f"http://{onion}/en/{RALLY}"]
    page = single_pages[f"en/{RALLY}"]
    part = page.one("div", class_="pass-on")
    assert [code.text for code in part.all("code")] == own
    assert any(link.attributes["href"] == "../../onion.png" for link in part.all("a"))
    assert [code.text for code in page.one("footer").all("code")][:2] == own


@pytest.mark.parametrize("path", [RALLY, APPEAL])
@pytest.mark.parametrize("slug", ["en", "zh-hans", "zh-hant"])
def test_a_statement_ends_with_its_original_wording(
    single_pages: dict[str, Element], slug: str, path: str
) -> None:
    """The organisation's own sentences are on every page of the statement, unchanged."""
    quotations = {
        part.attributes["lang"]: part.text
        for part in single_pages[f"{slug}/{path}"].all("blockquote")
    }
    assert {lang: ORIGINALS[path][lang] for lang in quotations} == quotations
    assert "en" in quotations
