"""Links to other sites (``content/urls.py``)."""

from __future__ import annotations

import pytest

from cccr_web.content.urls import faults, faults_of_shown, without_tracking

PRIVATE = "leads into the reader's own computer or network: link to a public address."
PORT = "has an impossible port: write a number from 1 to 65535, or none."
USER = (
    "has user information before the host, which hides the destination: "
    "remove everything up to the @."
)


def messages(url: str) -> list[str]:
    """Return what is wrong with a URL, without the URL."""
    return [message.removeprefix(f"“{url}” ") for message in faults(url)]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org/?page=2&keywords=utm_source",
        "https://example.org:8443/",
        "https://example.org:/",
        "https://8.8.8.8/",
        "https://[2001:4860:4860::8888]:443/",
        "https://zh.wikipedia.org/wiki/刘晓波",
        "https://zh.wikipedia.org/wiki/《零八宪章》",
        "https://zh.wikipedia.org/wiki/%E3%80%82",
        "https://en.wikipedia.org/wiki/Charter_(2008)",
        "https://en.wikipedia.org/wiki/Inc%2E",
        "https://例子.测试.org/",
        "https://bücher.example.org/",
        "https://xn--mnesty-3fg.org/",
        "https://example.org/правда",
        "https://example.org/?s=20",
        "https://example.org/a@b",
        "https://zh.wikipedia.org/wiki/阿不都·热西提",
        "https://en.wikipedia.org/wiki/Sino–British",
        "https://bo.wikipedia.org/wiki/བོད་ལྗོངས",
        "https://example.org/?source=1&cmp=2&ref=3&at_time=4&seid=5",
        "https://example.org/?share_id=1&tag=2&ref_=3&ei=4&ved=5&wm=6&from=7&pp=8",
        "https://notgoogle.com/?ei=1",
        "https://amazon.example.org/?tag=1",
        "https://example.org/guide#spm",
        "https://example.org/?page",
    ],
)
def test_a_public_address_is_accepted(url: str) -> None:
    """Legal ports, public addresses, Chinese paths and balanced brackets are accepted."""
    assert messages(url) == []


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://a.org/?utm_source=x&b=1&UTM_Campaign=y", {"utm_source", "UTM_Campaign"}),
        ("https://a.org/?fbclid=1", {"fbclid"}),
        ("https://a.org/?a=1&gclid=1#mc_eid=2", {"gclid", "mc_eid"}),
        ("https://a.org/?a=1;igshid=2", {"igshid"}),
        ("https://a.org/?%75tm_source=x", {"utm_source"}),
        ("https://a.org/r?to=https%3A%2F%2Fb.org%2F%3Futm_id%3D1", {"utm_id"}),
        (
            "https://www.bilibili.com/video/BV1?vd_source=x&spm_id_from=y",
            {"vd_source", "spm_id_from"},
        ),
        ("https://mp.weixin.qq.com/s?__biz=a&chksm=b&scene=1", {"chksm", "scene"}),
        ("https://x.com/a/status/1?s=20&t=b", {"s", "t"}),
        ("https://youtu.be/x?si=y", {"si"}),
        ("https://m.youtube.com/watch?v=x&pp=y", {"pp"}),
        ("https://youtu.be./x?si=y", {"si"}),
        ("https://www.google.co.uk./search?ei=y", {"ei"}),
        ("https://www.reddit.com/r/x?share_id=y", {"share_id"}),
        ("https://www.amazon.co.uk/dp/x?tag=y&ref_=z", {"tag", "ref_"}),
        ("https://amazon.com/dp/x?linkCode=y", {"linkCode"}),
        (
            "https://www.bbc.com/zhongwen/simp/a?at_medium=RSS&at_campaign=b&xtor=c",
            {"at_medium", "at_campaign", "xtor"},
        ),
        ("https://www.theguardian.com/a?CMP=Share_iOSApp_Other", {"CMP"}),
        ("https://www.reuters.com/a?taid=b&ga_source=c", {"taid", "ga_source"}),
        ("https://medium.com/p/1?source=friends_link", {"source"}),
        ("https://www.facebook.com/a?sfnsn=mo&__xts__[0]=b", {"sfnsn", "__xts__[0]"}),
        ("https://www.tiktok.com/@a/video/1?_d=b&share_iid=c", {"_d", "share_iid"}),
        ("https://www.reddit.com/r/a?rdt=1&ref_source=share", {"rdt", "ref_source"}),
        ("https://a.org/?__hstc=1&__hssc=2&Echobox=3", {"__hstc", "__hssc", "Echobox"}),
        ("https://www.google.com/search?q=a&ei=x&ved=y", {"ei", "ved"}),
        ("https://www.google.com.hk/search?q=a&ved=y", {"ved"}),
        ("https://m.weibo.cn/x?wm=1&from=2", {"wm", "from"}),
        (
            "https://www.xiaohongshu.com/x?xsec_token=b&share_id=c",
            {"xsec_token", "share_id"},
        ),
        ("https://www.douyin.com/video/1?u_code=x", {"u_code"}),
        ("https://a.org/?fbclid", {"fbclid"}),
        ("https://a.org/?a=1&fbclid#b", {"fbclid"}),
        ("https://a.org/?fbclid&a=1", {"fbclid"}),
    ],
)
def test_a_tracking_parameter_is_named(url: str, names: set[str]) -> None:
    """Parameters that report who passed a link on are found in any letter case and encoding."""
    kind = "parameters" if len(names) > 1 else "parameter"
    listed = ", ".join(sorted(names))
    assert messages(url) == [f"reports who passed it on: remove the tracking {kind} {listed}."]


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://example.org@8.8.8.8/",
    ],
)
def test_user_information_is_rejected(url: str) -> None:
    """The text before an @ looks like the host and is not."""
    assert messages(url) == [USER]


@pytest.mark.parametrize("port", ["0", "65536", "99999", "http", "-1", "4 43"])
def test_an_impossible_port_is_rejected(port: str) -> None:
    """A port is a number from 1 to 65535."""
    assert messages(f"https://example.org:{port}/") == [PORT]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "127.0.0.1."),
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.1.1", "224.0.0.1"),
        *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[2002:7f00:1::]"),
        *("[fec0::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]", "[::127.0.0.1]", "[ff0e::1]"),
        *("[4000::1]", "[::ffff:0:10.0.0.1]"),
        *("localhost", "LOCALHOST", "a.localhost", "router", "nas.local", "wiki.lan"),
        *("a.internal", "a.home.arpa", "a.test", "localhost.localdomain"),
    ],
)
def test_a_loopback_or_private_address_is_rejected(host: str) -> None:
    """A link into the reader's own network is found in every form that browsers accept."""
    assert messages(f"https://{host}/x") == [PRIVATE]


@pytest.mark.parametrize(
    ("url", "mark", "escape"),
    [
        ("https://example.org/。", "。", "%E3%80%82"),
        ("https://example.org/，见下文", "，", "%EF%BC%8C"),
        ("https://example.org。", "。", "%E3%80%82"),
        ("https://example.org/a”", "”", "%E2%80%9D"),
        ("https://example.org/a）", "）", "%EF%BC%89"),
        ("https://example.org/a》见", "》", "%E3%80%8B"),
        ("https://example.org/（见下）", "（", "%EF%BC%88"),
        ("https://example.org/【注】", "【", "%E3%80%90"),
        ("https://example.org/a——见下文", "—", "%E2%80%94"),
        ("https://example.org/a⋯⋯", "⋯", "%E2%8B%AF"),
        ("https://example.org/a｡", "｡", "%EF%BD%A1"),
        ("https://example.org/a﹐", "﹐", "%EF%B9%90"),
        ("https://example.org/a︒", "︒", "%EF%B8%92"),
        ("https://example.org/a．", "．", "%EF%BC%8E"),
        ("https://example.org/a\u3000", "\u3000", "%E3%80%80"),
        ("https://example.org/a.", ".", "%2E"),
        ("https://example.org/a,", ",", "%2C"),
        ("https://example.org/a)", ")", "%29"),
        ("https://example.org/?", "?", "%3F"),
    ],
)
def test_punctuation_that_a_url_swallowed_is_reported_once(
    url: str, mark: str, escape: str
) -> None:
    """The mark is named with its escape, and the rest of the URL is judged without it."""
    assert list(faults(url)) == [
        (
            f"“{url}” contains the punctuation mark “{mark}”: put it after the link, or write it "
            f"as {escape} if it belongs to the URL."
        )
    ]


def test_every_fault_of_a_url_is_reported() -> None:
    """Faults with different remedies are reported together."""
    assert messages("https://user@127.0.0.1:0/?fbclid=1") == [
        USER,
        PORT,
        PRIVATE,
        "reports who passed it on: remove the tracking parameter fbclid.",
    ]


@pytest.mark.parametrize("host", ["no_host.example", "ex%61mple.org", "1.2.3.4.5", "256.1.1.1"])
def test_a_name_that_is_no_host_is_rejected(host: str) -> None:
    """A host that no resolver accepts is not a host."""
    assert messages(f"https://{host}/") == [f"is not a valid URL: “{host}” is not a host name."]


@pytest.mark.parametrize(
    ("host", "lookalike", "written"),
    [
        ("\u0430mnesty.org", "\u0430", "xn--mnesty-2nf.org"),  # Cyrillic
        ("www.g\u03bfv.uk", "\u03bf", "www.xn--gv-jbc.uk"),  # Greek
        ("hr\u0131c.org", "\u0131", "xn--hrc-kua.org"),  # without its dot
        ("hrw.org\u2215cn.example.org", "\u2215", "hrw.xn--orgcn-4d6b.example.org"),  # a slash
    ],
)
def test_a_letter_that_looks_like_another_is_rejected_in_a_host(
    host: str, lookalike: str, written: str
) -> None:
    """The host is not the one that the reader sees; its ASCII form is accepted."""
    (message,) = messages(f"https://{host}/")
    assert message == (
        f"has “{lookalike}” in its host, which looks like another character: type the right one, "
        f"or write the host as {written} if it is meant."
    )
    assert messages(f"https://{written}/") == []


def test_what_is_no_url_after_its_punctuation_is_reported() -> None:
    """Without the bracket that it swallowed, it has an address that does not end."""
    swallowed, other = messages("https://[::1]]")
    assert swallowed.startswith("contains the punctuation mark “]”")
    assert other == "“https://[::1” is not a valid URL: Invalid IPv6 URL."


@pytest.mark.parametrize("start", ["http://[x", "https://[x]/", "https://\u2100.org/"])
def test_text_that_only_begins_like_a_url_is_text(start: str) -> None:
    """No host can be read from it, and its tracking parameters are found all the same."""
    words = f"Type {start} in the address bar."
    assert list(faults_of_shown(words)) == []
    assert without_tracking(words) == (words, [])
    assert without_tracking(f"{start}?utm_source=a") == (start, ["utm_source"])
