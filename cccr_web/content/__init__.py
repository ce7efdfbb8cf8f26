"""The organisation's texts: Markdown and front matter → typed values."""

from cccr_web.content.check import check
from cccr_web.content.model import Addresses, Content, Site, Text
from cccr_web.content.photos import Photo
from cccr_web.content.problem import ContentError, Problem
from cccr_web.content.reader import read_content
from cccr_web.content.site import read_site

__all__ = [
    "Addresses",
    "Content",
    "ContentError",
    "Photo",
    "Problem",
    "Site",
    "Text",
    "check",
    "read_content",
    "read_site",
]
