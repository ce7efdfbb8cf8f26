"""When a release was made, and until when it is good: never by the clock, but by what is in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from cccr_web.content import Content
from cccr_web.errors import CccrError
from cccr_web.render.notice_files import NoticeFiles


def expiry(issued: datetime, days: int) -> datetime:
    """Return the end of a release of that moment. Raises ``CccrError``."""
    try:
        return issued + timedelta(days=days)
    except OverflowError as error:
        raise CccrError(
            f"SOURCE_DATE_EPOCH is in the year {issued.year}.", "It must be seconds since 1970."
        ) from error


def release_time(content: Content, notices: NoticeFiles, environ: Mapping[str, str]) -> datetime:
    """Return ``SOURCE_DATE_EPOCH``, or the day of the newest text or notice.

    Raises ``CccrError``.
    """
    epoch = environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return datetime.combine(max(content.newest, notices.newest), time(), UTC)
    # int() would also take “1_0”, “ 1” and the digits of other scripts.
    if re.fullmatch(r"[0-9]{1,11}", epoch) is None:
        raise CccrError(
            f"SOURCE_DATE_EPOCH is “{epoch}”.", "It must be seconds since 1970, or unset."
        )
    return datetime.fromtimestamp(int(epoch), UTC)
