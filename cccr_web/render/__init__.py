"""Render every page once: texts and templates → a release."""

from cccr_web.render.builder import SiteFiles, build_release, check_trees, read_policy_facts
from cccr_web.render.cache import Cache
from cccr_web.render.notice_files import FOLDER as NOTICE_FOLDER
from cccr_web.render.notice_files import NoticeFiles
from cccr_web.render.photos import ResizedPhoto, damaged_photos, pixels_only
from cccr_web.render.suggestions import name_suggestions
from cccr_web.render.traditional import simplify, with_derived

__all__ = [
    "NOTICE_FOLDER",
    "Cache",
    "NoticeFiles",
    "ResizedPhoto",
    "SiteFiles",
    "build_release",
    "check_trees",
    "damaged_photos",
    "name_suggestions",
    "pixels_only",
    "read_policy_facts",
    "simplify",
    "with_derived",
]
