"""A static mirror of a release, and its headers as configuration for other servers."""

from cccr_web.mirror.folder import write_mirror
from cccr_web.mirror.header_rules import FORMATS, header_rules

__all__ = ["FORMATS", "header_rules", "write_mirror"]
