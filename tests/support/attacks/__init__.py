"""Tamperings with a release, as a table by what they change."""
