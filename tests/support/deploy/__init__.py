"""A booted Debian, its networks, and the admin's machine."""
