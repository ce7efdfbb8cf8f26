"""Where words and templates lie (``config.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cccr_web import config
from cccr_web.errors import CccrError


def test_beside_or_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree inside the package, as in a wheel, goes before one beside it, as in a checkout."""
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(config, "PACKAGE", package)
    with pytest.raises(CccrError) as caught:
        config.find_tree("words")
    assert str(caught.value) == (
        f"The folder words/ is neither in {package} nor in {tmp_path}. "
        "The installation is incomplete: install cccr-web again."
    )
    (tmp_path / "words").mkdir()
    assert config.find_tree("words") == tmp_path / "words"
    (package / "words").mkdir()
    assert config.find_tree("words") == package / "words"
