"""Tell people when something is wrong with the site, and when it is right again.

``doctor`` and ``watch`` write reports; ``Messenger`` compares them with what it said before,
keeps the messages on the disk and delivers each once. Nothing here checks the site itself.
"""

from cccr_web.notify.messenger import Messenger
from cccr_web.notify.recipients import DeliveryError, Recipients, Sender, described

__all__ = ["DeliveryError", "Messenger", "Recipients", "Sender", "described"]
