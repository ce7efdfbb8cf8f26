"""Every failure that a person can mend has a name here.

One root, one class a failure. A message says what was wrong, where, and the
way out; only the command line prints it.
"""

from __future__ import annotations


class CccrError(Exception):
    """The root: a problem, where it lies, and the way out of it.

    ``str()`` of it is one or two plain sentences, fit for a terminal.
    """

    def __init__(self, problem: str, way_out: str = "") -> None:
        self.problem = problem
        self.way_out = way_out
        super().__init__(f"{problem} {way_out}".rstrip())


class TreeMissingError(CccrError):
    """The templates or the translations are not where the package looks for them."""


class ConfigError(CccrError):
    """The environment holds settings that cannot be used; all are told together."""


# Content: what the organisation's writers can mend.


class ContentError(CccrError):
    """The tree of texts has problems; each is told with its file and line."""


# Release: the folder of exactly the bytes that readers get.


class ReleaseError(CccrError):
    """A release folder is not what its manifest says."""


class BuildError(CccrError):
    """A release could not be written."""


class ServeError(CccrError):
    """The server cannot listen where it was told to."""


# Signing: the organisation's key, and what is done with it.


class SigningError(CccrError):
    """The root of all that can go wrong with the organisation's signing key."""


class SigningKeyMissingError(SigningError):
    """There is no key file at the place given, or it cannot be read."""


class SigningKeyExistsError(SigningError):
    """A file is there already, and no key is ever overwritten."""


class SigningKeyUnwritableError(SigningError):
    """The new key, or what it signed, cannot be written where it should go."""


class SigningKeyDamagedError(SigningError):
    """The file does not hold one whole minisign key of the kind that is needed."""


class PassphraseError(SigningError):
    """The passphrase is empty, wrong, or cannot be read."""


class ForeignKeyError(SigningError):
    """The key is not the one that the release names as the organisation's."""


class OpenPgpError(SigningError):
    """The gpg program is missing, or did not sign."""


class HandoverError(SigningError):
    """A hand-over from one key to the next cannot be made or trusted."""


class NoticeError(SigningError):
    """A canary, a list of mirrors or another notice cannot be made or trusted."""


# Watching: what a site looks like from another machine.


class WatchError(CccrError):
    """The watcher was given something that it cannot use."""


class ProxyError(CccrError):
    """The SOCKS proxy is not there, or does not bring us where we want."""


# Onion service: one class for each way in which publishing can fail.


class OnionError(CccrError):
    """The root of all that can go wrong between us and tor."""


class KeyMissingError(OnionError):
    """There is no onion key file at the place given."""


class KeyExistsError(OnionError):
    """A key file is there already, and one is never overwritten."""


class KeyUnreadableError(OnionError):
    """The key file is there but cannot be read: permissions, or not a plain file."""


class KeyUnwritableError(OnionError):
    """The new key cannot be written where it should go."""


class KeyTooOpenError(OnionError):
    """Others than the owner can read the key file."""


class KeyDamagedError(OnionError):
    """The key file does not hold one whole Ed25519-V3 key with its address."""


class TorMissingError(OnionError):
    """The tor program is not installed, or not where it was looked for."""


class TorFolderError(OnionError):
    """The data folder for a tor of our own cannot be made or used."""


class TorBusyError(OnionError):
    """Another process already runs a tor in this data folder."""


class TorStartError(OnionError):
    """Our tor ended, or did not open its control socket, right after it was started."""


class TorrcRefusedError(OnionError):
    """The extra torrc lines cannot be read, or tor refuses them."""


class PortTakenError(OnionError):
    """Our tor was told to listen on a port that another program holds."""


class SocketPathError(OnionError):
    """A path that cannot be a unix socket's, or that tor cannot be told."""


class TargetMissingError(OnionError):
    """No web server has made the unix socket that the onion should lead to."""


class LimitsError(OnionError):
    """Numbers for the onion service that contradict each other, or that tor would misread."""


class ControlAddressError(OnionError):
    """What was given as tor's control address is neither a path nor a port."""


class ControlMissingError(OnionError):
    """No tor listens for control where it was looked for."""


class ControlDeniedError(OnionError):
    """The control socket is there, but we may not open it."""


class ControlForeignError(OnionError):
    """What listens there does not speak tor's control protocol."""


class CookieUnreadableError(OnionError):
    """Tor asks for its cookie, and we cannot read that file."""


class CookieWrongError(OnionError):
    """Tor's cookie file does not hold the cookie of the tor that runs."""


class PasswordNeededError(OnionError):
    """Tor accepts nothing but a password, which we do not use."""


class ControlLostError(OnionError):
    """Tor closed the control connection, or did not answer in time."""


class TorRefusedError(OnionError):
    """Tor refused a command that it should know."""


class AddressTakenError(OnionError):
    """This tor already runs the address for somebody else."""


class NetworkStalledError(OnionError):
    """Tor runs, but does not get anywhere in the Tor network."""


class DescriptorMissingError(OnionError):
    """No directory that was asked has the onion's descriptor."""


class PublicationTimeoutError(OnionError):
    """No directory took the onion's descriptor within the time limit."""
