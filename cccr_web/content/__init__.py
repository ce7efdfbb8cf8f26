"""What the organisation wrote: Markdown and front matter → typed texts."""

from cccr_web.content.check import check
from cccr_web.content.model import Addresses, Content, Site, Text
from cccr_web.content.photos import Photo
from cccr_web.content.problem import ContentError, Problem
from cccr_web.content.reader import read_content

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
]
