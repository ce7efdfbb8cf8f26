"""What the tests share: real components, fixtures and readers of what we serve."""

from pathlib import Path

# The top of the tree under test.
TOP = Path(__file__).resolve().parent.parent.parent
