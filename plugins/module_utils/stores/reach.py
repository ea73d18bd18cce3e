# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a store can be reached at all, found out in one connect timeout.

A request to a region that is gone is tried again and again, each time for a connect timeout. Where there are several
regions, one try tells whether to ask it.
"""

from __future__ import annotations

import contextlib

from ..errors import StoreError, StoreUnreachable
from . import s3_errors
from .location import StoreLocation
from .request_count import RequestCount
from .s3_client import build_client


def require_connection(location: StoreLocation, requests: RequestCount | None = None) -> None:
    """Raise StoreUnreachable if there is no connection within ``location.connect_timeout`` seconds.

    Whatever the store answers is an answer. ``requests``: what to count the request in.
    """
    with contextlib.closing(build_client(location, max_attempts=1)) as client:
        if requests is not None:
            requests.watch(client)
        try:
            with s3_errors.translated(location, "reach"):
                client.head_bucket(Bucket=location.bucket)
        except StoreUnreachable as error:
            if not s3_errors.status(error.__cause__):
                raise
        except StoreError:
            pass
