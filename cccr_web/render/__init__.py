"""Render every page once: texts and templates → a release."""

from cccr_web.render.builder import SiteFiles, build_release, check_trees
from cccr_web.render.photos import damaged_photos
from cccr_web.render.suggestions import name_suggestions
from cccr_web.render.traditional import with_derived

__all__ = [
    "SiteFiles",
    "build_release",
    "check_trees",
    "damaged_photos",
    "name_suggestions",
    "with_derived",
]
