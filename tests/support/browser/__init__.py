"""Chromium and Firefox ESR, driven without a library."""
