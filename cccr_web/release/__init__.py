"""A release: a folder of exactly the bytes that readers get, listed and checked."""

from cccr_web.release.csp import format_policy, page_policy
from cccr_web.release.manifest import ManifestError
from cccr_web.release.metadata import Metadata, MetadataError
from cccr_web.release.store import File, Release, load, make_release, write

__all__ = [
    "File",
    "ManifestError",
    "Metadata",
    "MetadataError",
    "Release",
    "format_policy",
    "load",
    "make_release",
    "page_policy",
    "write",
]
