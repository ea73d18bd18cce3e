# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a multipart upload that is not finished."""

from __future__ import annotations

from datetime import datetime

from ..errors import StoreError
from . import s3_errors
from .repository import Repository


def last_part_time(repository: Repository, key: str, upload_id: str) -> datetime | None:
    """When the last part came, by the store's clock; None without one, and for an upload that is over."""
    location = repository.location
    times: list[datetime] = []
    try:
        with s3_errors.translated(location, "list the parts of", key):
            pages = repository.client.get_paginator("list_parts")
            for page in pages.paginate(Bucket=location.bucket, Key=location.root + key, UploadId=upload_id):
                times += [part["LastModified"] for part in page.get("Parts", [])]
    except StoreError as error:
        if s3_errors.status(error.__cause__) != 404:
            raise
    return max(times, default=None)
