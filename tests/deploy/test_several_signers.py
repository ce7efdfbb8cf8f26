"""Moving an installed server from the single key to a policy of several signers, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.deploy.admin import DOMAIN, AdminMachine
from support.deploy.clients import ClearnetClient, Load
from support.deploy.inspection import serves_release, wait_for_published
from support.deploy.machine import Machine, Network
from support.policies import TWO_OF_THREE, signatures, unsigned_release
from support.signed import organisation_key, put_release

from cccr_web.release import MANIFEST, PolicySigner, SigningPolicy, add_signature

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import AcmeAuthority

PAGE = "/en/index.html"
# The next policy: the organisation's key alone.
ONE = SigningPolicy(2, 1, (PolicySigner("organisation", organisation_key().public),))


def signed_by(admin: AdminMachine, number: int, *names: str) -> Path:
    """Return the folder of a release under the policy, with the signatures of these signers."""
    folder = admin.folder / f"release-{number}-{'-'.join(names)}"
    release = unsigned_release(sequence=number, clearnet=f"https://{DOMAIN}", onions=())
    put_release(add_signature(release, signatures(release.files[MANIFEST].body, *names)), folder)
    return folder


def pin(admin: AdminMachine, policy: SigningPolicy, release: Path) -> None:
    """Let the settings name a policy in place of the key."""
    (admin.folder / "policy.txt").write_bytes(policy.to_file())
    admin.write_settings(PUBLIC_KEY="", SIGNING_POLICY="../policy.txt", RELEASE=str(release))


def test_a_server_moves_to_a_policy_and_back_with_one_release_each(
    admin: AdminMachine, server: Machine, debian: Path, network: Network, authority: AcmeAuthority
) -> None:
    """No move drops a request; too few signatures, and the key from before the policy, fail."""
    server.power_off()
    admin.key = organisation_key()
    admin.write_settings()
    with Machine(debian, network) as other:
        admin.authorize(other)
        authority.install_root_on(other)
        admin.deploy("--offline", admin.bundle)
        clearnet = ClearnetClient(authority.root())
        etc, state = (other.root / name for name in ("etc/cccr-web", "var/lib/private"))

        pin(admin, TWO_OF_THREE, signed_by(admin, 2, "editor"))
        missing = admin.deploy("--offline", admin.bundle, status=1).stderr
        assert "has 1 of 2 signatures; lawyer, second can sign." in missing
        assert serves_release(other, 1)

        pin(admin, TWO_OF_THREE, signed_by(admin, 2, "editor", "second"))
        with Load(lambda: clearnet.get(PAGE + "?x").status == 200, 1) as load:
            admin.deploy("--offline", admin.bundle)
        assert load.failures == []
        assert serves_release(other, 2)
        assert b"release 2" in clearnet.get(PAGE).body
        assert not (etc / "public.key").exists()
        assert (etc / "policy.txt").read_bytes() == TWO_OF_THREE.to_file()
        for name in ("clearnet", "onion"):
            recorded = (state / f"cccr-web-{name}/policy").read_text()
            assert recorded == f"1 {TWO_OF_THREE.fingerprint}\n"
        again = admin.deploy("--offline", admin.bundle).stderr
        assert again.endswith("Nothing needed to be changed.\n"), again

        missing = admin.deploy("release", signed_by(admin, 3, "lawyer"), status=1).stderr
        assert "has 1 of 2 signatures; editor, second can sign." in missing
        admin.deploy("release", signed_by(admin, 3, "editor", "lawyer"))
        assert serves_release(other, 3)
        wait_for_published(other)
        status = admin.deploy("status").stdout
        assert "release 2              signed by editor, second\n" in status
        assert "release 3              signed by editor, lawyer\n" in status
        assert "Signed by editor, lawyer; 2 of 3 must sign." in status
        assert "WRONG" not in status

        admin.write_settings(RELEASE=str(admin.release(4)))
        refused = admin.deploy("--offline", admin.bundle, status=1).stderr
        assert "The site is unchanged." in refused, refused
        assert serves_release(other, 3)
        assert (etc / "policy.txt").exists()
        assert "A single key is older than policy 1" in other.run(
            "journalctl", "--no-pager", "--unit=cccr-web-*"
        )

        pin(admin, ONE, admin.release(4))
        with Load(lambda: clearnet.get(PAGE + "?x").status == 200, 1) as load:
            admin.deploy("--offline", admin.bundle)
        assert load.failures == []
        assert serves_release(other, 4)
        assert b"release 4" in clearnet.get(PAGE).body
        assert (etc / "policy.txt").read_bytes() == ONE.to_file()
        again = admin.deploy("--offline", admin.bundle).stderr
        assert again.endswith("Nothing needed to be changed.\n"), again


def test_a_fresh_server_is_installed_from_a_policy(
    admin: AdminMachine, server: Machine, debian: Path, network: Network, authority: AcmeAuthority
) -> None:
    """It serves a release that two of three signed, and its backup holds the policy."""
    server.power_off()
    pin(admin, TWO_OF_THREE, signed_by(admin, 2, "lawyer", "second"))
    with Machine(debian, network) as other:
        admin.authorize(other)
        authority.install_root_on(other)
        admin.deploy("--offline", admin.bundle)
        assert serves_release(other, 2)
        assert not (other.root / "etc/cccr-web/public.key").exists()
        passphrase = ("--passphrase-file", admin.folder / "passphrase")
        admin.deploy("backup", admin.folder / "policy.backup", *passphrase)
        admin.deploy("uninstall", "--purge")
        admin.write_settings(PUBLIC_KEY="", RELEASE="", TORRC="")
        admin.deploy(
            "restore", admin.folder / "policy.backup", *passphrase, "--offline", admin.bundle
        )
        assert serves_release(other, 2)
        state = other.root / "var/lib/private/cccr-web-onion/policy"
        assert state.read_text() == f"1 {TWO_OF_THREE.fingerprint}\n"
