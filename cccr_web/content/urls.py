"""What the URL of another site must not have.

It can report who passed it on, hide its destination, lead into the reader's own network, or
have swallowed the punctuation after it. ``links`` judges where the links of a text lead.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from markdown_it.common import normalize_url

# Parameters that identify a click, a sharer or a campaign, and that no page needs. Sources:
# the documentation of each service, and the lists of Firefox, Brave and ClearURLs.
_TRACKING_PREFIXES: Final = (
    *("__hs", "_hs", "at_bbc", "at_campaign", "at_custom", "at_format", "at_link", "at_medium"),
    *("at_ptr", "fb_action_", "ga_", "hmb_", "hsa_", "mtm_", "oly_", "otm_", "piwik_", "sharer_"),
    *("spm_", "utm_", "vero_", "wt_mc", "wt_zmc"),
)
_TRACKING: Final = frozenset(
    {
        *("__cft__[0]", "__s", "__tn__", "__twitter_impression", "__xts__[0]", "action_object_map"),
        *("action_ref_map", "action_type_map", "echobox", "fb_ref", "fb_source", "gs_l"),
        *("itm_campaign", "itm_medium", "itm_source", "mc_tc", "os_ehash", "tracking_source"),
        *("wtrid", "xtor"),
        *("_branch_match_id", "_ga", "_gl", "_kx", "_openstat"),
        *("bbid", "bd_vid", "chksm", "cmpid", "cvid", "dclid", "ef_id", "exportkey", "fbclid"),
        *("gad_campaignid", "gad_source", "gbraid", "gclid", "gclsrc", "hmci", "hmcu", "hmkw"),
        *("hmpl", "hmsr", "hsctatracking", "igsh", "igshid", "isappinstalled", "li_fat_id"),
        *("mc_cid", "mc_eid", "mibextid", "mkt_tok", "ml_subscriber", "ml_subscriber_hash"),
        *("msclkid", "ncid", "ocid", "pass_ticket", "pk_campaign", "pk_cid", "pk_content"),
        *("pk_keyword", "pk_kwd", "pk_medium", "pk_source", "rb_clickid", "rdt_cid", "ref_src"),
        *("ref_url", "s_cid", "s_kwcid", "sca_esv", "scid", "share_from", "share_medium"),
        *("share_plat", "share_session_id", "share_source", "share_tag", "share_times"),
        *("share_token", "smid", "spm", "srsltid", "sudaref", "trk", "trkcampaign", "ttclid"),
        *("twclid", "ut_sk", "vd_source", "wbraid", "wickedid", "xhsshare", "yclid", "ymclid"),
        "ysclid",
    }
)
_XIAOHONGSHU: Final = frozenset(
    ("apptime", "appuid", "author_share", "share_id", "shareredid", "xsec_source", "xsec_token")
)
# Short names that mean this only on some hosts. “*” is com, or a country's domain.
_TRACKING_ON: Final = {
    "amazon.*": {"ascsubtag", "linkcode", "linkid", "ref_", "tag"},
    "bilibili.com": {
        *("buvid", "from", "from_source", "plat_id", "refer_from", "seid", "timestamp", "ts"),
        *("unique_k", "up_id"),
    },
    "douyin.com": {"did", "iid", "share_sign", "u_code"},
    "facebook.com": {"eav", "paipv", "ref", "sfnsn", "wtsid"},
    "google.*": {"aqs", "ei", "gs_lcp", "gs_lcrp", "iflsig", "sei", "sxsrf", "ved", "vet"},
    "linkedin.com": {"lipi", "refid", "trackingid"},
    "medium.com": {"source"},
    "mp.weixin.qq.com": {"ascene", "clicktime", "enterid", "key", "scene", "srcid", "uin"},
    "reddit.com": {"correlation_id", "rdt", "ref_campaign", "ref_source", "share_id"},
    "reuters.com": {"taid"},
    "spotify.com": {"si"},
    "theguardian.com": {"cmp"},
    "tiktok.com": {
        *("_d", "_r", "_t", "is_from_webapp", "preview_pb", "sender_device", "share_app_name"),
        *("share_iid", "u_code", "user_id", "web_id"),
    },
    "twitter.com": {"s", "t"},
    "weibo.cn": {"featurecode", "from", "sourcetype", "weibo_id", "wm"},
    "weibo.com": {"featurecode", "from", "sourcetype", "weibo_id", "wm"},
    "x.com": {"s", "t"},
    "xhslink.com": _XIAOHONGSHU,
    "xiaohongshu.com": _XIAOHONGSHU,
    "youtu.be": {"feature", "pp", "si"},
    "youtube.com": {"feature", "pp", "si"},
}
_ANY_COUNTRY: Final = re.compile(r"(?<=\.)(?:com|[a-z]{2}|com?\.[a-z]{2})$")
# Without a value, what follows # is the name of a heading.
_PARAMETER: Final = re.compile(r"[?&;#]([^=&;#?/]+)=|[?&]([^=&;#?/]+)(?=[&;#]|$)")

# A sentence's punctuation, which ends a URL only by mistake: Chinese in any place (with the
# blocks of full-width, half-width, small and vertical forms), ASCII at the end. A pair of
# brackets for titles, or of ASCII brackets, can belong to a URL.
_CHINESE_MARK: Final = re.compile(
    r"[\u2014\u2015\u2018-\u201f\u2026\u22ef\u2500\u2e3a\u2e3b\u3000-\u3003\u3010-\u301f"
    r"\ufe10-\ufe1f\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff64]"
)
_ASCII_MARK: Final = re.compile(r"[.,;:!?'\"*]$")
_BRACKETS: Final = ("()", "[]", "《》", "〈〉", "「」", "『』")

# Names that a router, a computer or no server at all answers (RFC 6761, RFC 6762, RFC 8375,
# and ICANN's list of names that it will never assign).
_PRIVATE_DOMAINS: Final = frozenset(
    {
        *("corp", "home", "home.arpa", "internal", "intranet", "invalid", "lan", "local"),
        *("localdomain", "localhost", "mail", "private", "test"),
    }
)
# All of IPv6 that IANA assigns to servers. The rest holds loopback, local and multicast
# addresses, and the prefixes for IPv4 addresses, private ones among them (RFC 4291, RFC 6052).
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# A browser reads such a host as an IPv4 address (WHATWG, URL, "host parsing").
_LAST_LABEL_IS_NUMBER: Final = re.compile(r"(^|\.)([0-9]+|0[xX][0-9a-fA-F]*)\.?$")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
# Letters of scripts in which whole words look like Latin ones (phonetic, Greek, Coptic, Cyrillic,
# Armenian, Cherokee and Lisu), and what looks like a slash (Unicode, UTS 39, section 4).
_LOOKALIKE: Final = re.compile(
    r"[\u0131\u0250-\u02af\u0370-\u058f\u13a0-\u13ff\u1c80-\u1c8f\u1d00-\u1dbf\u1f00-\u1fff"
    r"\u2044\u2215\u2571\u29f8\u2c80-\u2cff\u2de0-\u2dff\u3033\u30ce\ua4d0-\ua4ff\ua640-\ua69f"
    r"\uab30-\uab6f\uab70-\uabbf]"
)

# A URL in running text, without the punctuation after it.
_SHOWN: Final = re.compile(
    r"https?://[^\s<>，。、；：！？（）《》「」『』“”‘’]+(?<![.,;:!?)\]'\"])"
)


_PATH: Final = re.compile(r"[A-Za-z0-9._/-]+(?:#[a-z0-9-]+)?")


def normalize(url: str) -> str:
    """Return a URL as a page writes it: its host and path in ASCII."""
    # A path from file to file, as most links are, is as it should be.
    return url if _PATH.fullmatch(url) else normalize_url.normalizeLink(url)


def is_at(url: str, domain: str) -> bool:
    """Whether the host of ``url`` is ``domain``, or below it."""
    return _is_below((urlsplit(url).hostname or "").rstrip("."), domain)


def faults(url: str) -> Iterator[str]:
    """Yield what is wrong with an https ``url`` as the writer typed it, and what to do."""
    mark = _swallowed(url)
    if mark is not None:
        yield (
            f"“{url}” contains the punctuation mark “{mark}”: put it after the link, or write it "
            f"as {_escape(mark)} if it belongs to the URL."
        )
        # Judge the rest as if the mark and what follows it were not there.
        url = url.rstrip(mark) if mark.isascii() else url.split(mark, maxsplit=1)[0]
    try:
        normal = normalize(url)
        parts, typed_host = urlsplit(normal), urlsplit(url).hostname or ""
    except ValueError as error:
        yield f"“{url}” is not a valid URL: {error}."
        return
    if parts.username is not None or parts.password is not None:
        yield (
            f"“{url}” has user information before the host, which hides the destination: "
            "remove everything up to the @."
        )
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        yield f"“{url}” has an impossible port: write a number from 1 to 65535, or none."
    host = parts.hostname or ""
    yield from _wrong_host(url, host)
    if lookalike := _LOOKALIKE.search(typed_host):
        yield (
            f"“{url}” has “{lookalike[0]}” in its host, which looks like another character: type "
            f"the right one, or write the host as {host} if it is meant."
        )
    yield from _tracking(normal, url)


def faults_of_shown(words: str) -> Iterator[str]:
    """Yield what is wrong with the URLs in running text, which readers may copy."""
    for url in _SHOWN.findall(words):
        yield from _tracking(url, url)


def without_tracking(text: str) -> tuple[str, list[str]]:
    """Remove the tracking parameters from all https and http URLs in ``text``; return their names.

    One within the destination of a redirector stays, because only the redirector can read it.
    """
    removed: list[str] = []

    def clean(match: re.Match[str]) -> str:
        url, names = match[0], _tracking_parameters(match[0])
        for name in sorted(names):
            shorter = re.sub(rf"(?<=[?&;#]){re.escape(name)}(?:=[^&;#]*)?(?:[&;]|(?=#|$))", "", url)
            removed.extend([name] if shorter != url else [])
            url = shorter
        return re.sub(r"[?&;#]+(?=#|$)", "", url) if names else url

    return _SHOWN.sub(clean, text), removed


def _tracking(url: str, typed: str) -> Iterator[str]:
    """Yield what to remove from ``url``; the message shows it as it was ``typed``."""
    names = sorted(_tracking_parameters(url))
    if names:
        kind = "parameter" if len(names) == 1 else "parameters"
        yield f"“{typed}” reports who passed it on: remove the tracking {kind} {', '.join(names)}."


def _tracking_parameters(url: str) -> set[str]:
    """Return the names of the tracking parameters in ``url``, also in one that it contains."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        host = ""  # a bracket in it, or a character that no host has
    hosts = (host, _ANY_COUNTRY.sub("*", host))
    local = {
        name
        for site, names in _TRACKING_ON.items()
        if any(_is_below(one, site) for one in hosts)
        for name in names
    }
    # Twice, because a redirector's URL contains the destination in an encoded form.
    names = {name for text in (url, unquote(url), unquote(unquote(url))) for name in _names(text)}
    return {
        name
        for name in names
        if name.lower() in _TRACKING | local or name.lower().startswith(_TRACKING_PREFIXES)
    }


def _names(url: str) -> list[str]:
    return [with_value or alone for with_value, alone in _PARAMETER.findall(url)]


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _swallowed(url: str) -> str | None:
    """Return the punctuation mark that was meant to follow ``url``, if there is one."""
    mark = _CHINESE_MARK.search(url) or _ASCII_MARK.search(url)
    if mark is not None:
        return mark[0]
    for opening, closing in _BRACKETS:
        for char in (opening, closing):
            if url.count(opening) != url.count(closing) and (
                url.endswith(char) or (not char.isascii() and char in url)
            ):
                return char
    return None


def _escape(mark: str) -> str:
    return "".join(f"%{byte:02X}" for byte in mark.encode())


def _wrong_host(url: str, host: str) -> Iterator[str]:
    """Yield a message if the host is not the public name or address of a server."""
    private = f"“{url}” leads into the reader's own computer or network: link to a public address."
    if ":" in host or _LAST_LABEL_IS_NUMBER.search(host):
        address = _address(host.rstrip("."))
        if address is None:
            yield f"“{url}” is not a valid URL: “{host}” is not a host name."
        elif not address.is_global or address.is_multicast or _is_special(address):
            yield private
    elif _HOST_NAME.fullmatch(host) is None:
        yield f"“{url}” is not a valid URL: “{host}” is not a host name."
    elif "." not in host.rstrip(".") or any(
        _is_below(host.rstrip("."), domain) for domain in _PRIVATE_DOMAINS
    ):
        yield private


def _is_special(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.version == 6 and address not in _GLOBAL_UNICAST


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address in any of the forms that browsers accept."""
    try:
        if ":" not in host:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        address = ipaddress.IPv6Address(host)
    except (OSError, ValueError):
        return None
    # An IPv4 address can hide in an IPv6 one.
    return address.ipv4_mapped or address.sixtofour or address
