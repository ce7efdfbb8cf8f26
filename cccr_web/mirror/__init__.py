"""A static mirror of a release, and its headers as configuration for other servers."""

from cccr_web.mirror.download import fetch_mirror
from cccr_web.mirror.folder import write_mirror
from cccr_web.mirror.header_rules import FORMATS, header_rules
from cccr_web.mirror.host import StaticHost

__all__ = [
    "FORMATS",
    "StaticHost",
    "fetch_mirror",
    "header_rules",
    "write_mirror",
]
