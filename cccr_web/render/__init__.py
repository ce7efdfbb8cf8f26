"""Render every page once: texts and templates → a release."""

from cccr_web.render.press import check_trees, press

__all__ = ["check_trees", "press"]
