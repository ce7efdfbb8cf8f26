"""Settings from the environment, and the search for templates and translations (``config.py``)."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.serving import ONION

from cccr_web import config
from cccr_web.config import Config, default_state, source_date
from cccr_web.errors import CccrError
from cccr_web.listen import SystemdSocket, Tcp, Unix


def test_other_variables_are_ignored() -> None:
    """Variables without the prefix CCCR_ are ignored."""
    assert Config.from_environment({"HOME": "/", "XCCCR_A": "1", "cccr_b": "2"}) == Config()


def test_each_setting_becomes_a_typed_value() -> None:
    """Each setting becomes a typed value."""
    assert Config.from_environment(
        {
            "CCCR_RELEASE": "/srv/release",
            "CCCR_CLEARNET": "127.0.0.1:8080",
            "CCCR_ONION_SOCKET": "unix:/run/onion.sock",
            "CCCR_DOMAINS": " a.example\nb.example ",
            "CCCR_ONIONS": ONION,
            "CCCR_HSTS_PRELOAD": "yes",
            "CCCR_MAX_MEGABYTES": "1000",
        }
    ) == Config(
        release=Path("/srv/release"),
        clearnet=Tcp("127.0.0.1", 8080),
        onion_socket=Unix(Path("/run/onion.sock")),
        domains=("a.example", "b.example"),
        onions=(ONION,),
        hsts_preload=True,
        max_megabytes=1000,
    )


def test_both_listeners_can_be_systemd_sockets() -> None:
    """Both listeners can be sockets that systemd passes."""
    found = Config.from_environment(
        {"CCCR_CLEARNET": "systemd:clearnet", "CCCR_ONION_SOCKET": "systemd:onion"}
    )
    assert (found.clearnet, found.onion_socket) == (
        SystemdSocket("clearnet"),
        SystemdSocket("onion"),
    )


def test_settings_have_the_names_of_the_fields() -> None:
    """The settings have exactly the names of the configuration's fields."""
    with pytest.raises(CccrError, match=r"^CCCR_: no such setting; ") as caught:
        Config.from_environment({"CCCR_": ""})
    known = str(caught.value).partition("the settings are ")[2].rstrip(".").split(", ")
    assert known == [f"CCCR_{field.name.upper()}" for field in fields(Config)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CCCR_CLEARNET", ""),
        ("CCCR_CLEARNET", "8080"),
        ("CCCR_CLEARNET", "unix:run/web.sock"),
        ("CCCR_ONION_SOCKET", "127.0.0.1:80"),
        ("CCCR_ONION_SOCKET", "systemd:"),
        ("CCCR_DOMAINS", "https://a.example"),
        ("CCCR_DOMAINS", "A.example"),
        ("CCCR_DOMAINS", "localhost"),
        ("CCCR_ONIONS", ONION.upper()),
        ("CCCR_ONIONS", f"www.{ONION}"),
        ("CCCR_DOMAIN", "a.example"),
        ("CCCR_HSTS_PRELOAD", "no"),
        ("CCCR_MAX_MEGABYTES", ""),
        ("CCCR_MAX_MEGABYTES", "0"),
        ("CCCR_MAX_MEGABYTES", "1_0"),
    ],
)
def test_an_invalid_setting_is_reported_by_name(name: str, value: str) -> None:
    """An invalid value or an unknown setting is reported with the setting's name."""
    with pytest.raises(CccrError, match=f"^{name}: "):
        Config.from_environment({name: value})


def test_a_tree_in_the_package_wins_over_one_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree in the package (a wheel) is found before one next to it (a checkout)."""
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


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"SOURCE_DATE_EPOCH": ""}, None),
        ({"SOURCE_DATE_EPOCH": "0"}, datetime(1970, 1, 1, tzinfo=UTC)),
        ({"SOURCE_DATE_EPOCH": "1700000000"}, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ({"SOURCE_DATE_EPOCH": "9" * 11}, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
    ],
)
def test_source_date_epoch_is_seconds_since_1970(
    environ: dict[str, str], expected: datetime | None
) -> None:
    """It is a time in UTC, or ``None`` if it is unset or empty."""
    assert source_date(environ) == expected


@pytest.mark.parametrize("epoch", ["now", "-1", "1.5", "1_0", " 1", "１", "9" * 12, "9" * 5000])
def test_a_malformed_source_date_epoch_is_rejected(epoch: str) -> None:
    """Anything but seconds since 1970 is rejected, not guessed."""
    with pytest.raises(CccrError) as caught:
        source_date({"SOURCE_DATE_EPOCH": epoch})
    assert str(caught.value) == (
        f"SOURCE_DATE_EPOCH is “{epoch}”. It must be seconds since 1970, or unset."
    )


def test_a_user_without_a_folder_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: HOME is unset, and the user is in no list."""
    monkeypatch.delenv("HOME", raising=False)

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(CccrError, match=r"HOME is not set, .* Set HOME or XDG_STATE_HOME\."):
        default_state({})
    assert default_state({"XDG_STATE_HOME": "/a"}) == Path("/a/cccr-web")
