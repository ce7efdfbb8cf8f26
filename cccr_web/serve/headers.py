"""The headers that every file of a release goes out with, whoever hands it out.

A static mirror must send them, and ``watch`` compares them with what it gets. They
are asked of the app itself, so that there is one source of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cccr_web.release import Release
from cccr_web.serve.app import create_app
from cccr_web.serve.hosts import Hosts
from cccr_web.serve.policy import Policy

_INDEX: Final = "index.html"
_HOST: Final = "localhost"

# Not of the policy: they follow from the bytes and the moment.
_NOT_OURS: Final = frozenset({"content-length", "date", "etag"})


def file_headers(release: Release, policy: Policy) -> dict[str, dict[str, str]]:
    """Return the address (``/en/index.html``, ``/en/``, and ``/``) → header → value.

    Only ``Content-Length``, ``Date`` and ``ETag`` are left out. Raises ``CccrError``
    for a kind of file that has no media type here.
    """
    app = create_app(release, policy, Hosts(frozenset({_HOST})))
    with app.test_client() as client:
        return {
            address: {
                name: value
                for name, value in client.head(
                    address, base_url=f"{policy.url_scheme}://{_HOST}"
                ).headers
                if name.lower() not in _NOT_OURS
            }
            for address in ("/", *file_addresses(release))
        }


def front_headers(headers: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the headers of ``/`` on a host that shows the release's ``index.html`` there.

    ``headers`` are those of ``file_headers``. ``Onion-Location`` leads to ``/`` as well.
    """
    wanted = {**headers[f"/{_INDEX}"]}
    if "Onion-Location" in wanted:
        wanted["Onion-Location"] = wanted["Onion-Location"].removesuffix(_INDEX)
    return wanted


def file_addresses(release: Release) -> dict[str, str]:
    """Return address → path of every file, and of every folder that has a page of its own."""
    found = {f"/{path}": path for path in release.files}
    folders = {
        f"/{path.removesuffix(_INDEX)}": path
        for path in release.files
        if path.endswith(f"/{_INDEX}")
    }
    return {**found, **folders}
