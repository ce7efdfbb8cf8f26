"""The organisation's texts: Markdown and front matter → typed values."""

from cccr_web.content.check import check
from cccr_web.content.model import Addresses, Content, SigningFacts, Text
from cccr_web.content.photos import Photo
from cccr_web.content.site import read_site
from cccr_web.content.source_tree import Problem, SourceTree, content_error

__all__ = [
    "Addresses",
    "Content",
    "Photo",
    "Problem",
    "SigningFacts",
    "SourceTree",
    "Text",
    "check",
    "content_error",
    "read_site",
]
