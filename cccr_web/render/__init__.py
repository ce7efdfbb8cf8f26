"""Render every page once: texts and templates → a release."""

from cccr_web.render.builder import build_release, check_trees, read_policy_facts
from cccr_web.render.photos import damaged_photos
from cccr_web.render.suggestions import name_suggestions

__all__ = [
    "build_release",
    "check_trees",
    "damaged_photos",
    "name_suggestions",
    "read_policy_facts",
]
