# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that all users of a repository share: that of its store."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from . import s3_errors
from .repository import Repository


def store_time(repository: Repository) -> datetime | None:
    """The store's time in UTC, cut to whole seconds; None where its answers carry no date. Asks the store once.

    Source: the Date field of an answer (RFC 9110, 6.6.1).
    """
    location = repository.location
    with s3_errors.translated(location, "list"):
        answer = repository.client.list_objects_v2(Bucket=location.bucket, Prefix=location.root, MaxKeys=1)
    try:
        moment = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment.astimezone(timezone.utc)
