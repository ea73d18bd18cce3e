# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the boto3 client of a store."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import MissingDependency
from .customer_key import send_with
from .s3_errors import translated
from .s3_model import shared_loader

if TYPE_CHECKING:
    from .location import StoreLocation

MAX_CONNECTIONS = 16
_AWS = re.compile(r"\.amazonaws\.com(\.cn)?$")


def build_client(location: StoreLocation, max_attempts: int) -> Any:
    """A thread-safe S3 client for ``location`` that tries each request ``max_attempts`` times.

    Raises:
        MissingDependency: boto3 is not installed, or too old to know checksum modes.
        StoreError: the profile, region or endpoint cannot be used.
        InvalidInput: the customer's key cannot be used, or not with this endpoint.
    """
    config_class = _config_class()
    try:
        config = config_class(**_config(location, max_attempts))
    except TypeError as error:
        raise MissingDependency(f"boto3 is too old: {error}.", "Install boto3 >= 1.36.") from error
    with translated(location, "open"):
        client = _client(
            "s3",
            location,
            region_name=location.region,
            endpoint_url=location.endpoint_url,
            verify=_verify(location),
            config=config,
        )
    if location.customer_key is not None:
        send_with(client, location.customer_key)
    _send_bodies_as_they_are(client)
    client.meta.events.register("before-call.s3.DeleteObjects", _add_content_md5)
    if not _AWS.search(urlsplit(client.meta.endpoint_url).hostname or ""):
        client.meta.events.register_last("before-parameter-build.s3", _follow_no_redirect)
    return client


def build_kms_client(location: StoreLocation, endpoint_url: str | None, region: str | None, max_attempts: int) -> Any:
    """A client of AWS KMS with the credentials of ``location``; ``region`` is by default the location's.

    Raises: as ``build_client``.
    """
    config = _config_class()(
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        connect_timeout=location.connect_timeout,
        read_timeout=location.read_timeout,
    )
    with translated(location, "open the key service of"):
        return _client(
            "kms",
            location,
            endpoint_url=endpoint_url,
            region_name=region or location.region,
            # The authority of an own store is not that of AWS.
            verify=_verify(location) if endpoint_url else True,
            config=config,
        )


def _config_class() -> Any:
    try:
        from botocore.config import Config
    except ImportError as error:
        raise MissingDependency(
            f"The Python package boto3 is missing: {error}.",
            "Install boto3 >= 1.36 for the Python that runs this module.",
        ) from error
    return Config


def _client(service: str, location: StoreLocation, **how: Any) -> Any:
    """A client by botocore, the core of boto3: importing what boto3 puts around it takes a third of a second."""
    core = _core_session()
    if location.profile is not None:
        core.set_config_variable("profile", location.profile)
    return core.create_client(
        service,
        aws_access_key_id=location.access_key,
        aws_secret_access_key=location.secret_key,
        aws_session_token=location.session_token,
        **how,
    )


def _core_session() -> Any:
    """A session that reads boto3's description of S3 once a process, which is most of the work of making a client."""
    import botocore.session

    core = botocore.session.Session()
    core.register_component("data_loader", shared_loader())
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
    return core


def _parse_time(value: Any) -> datetime:
    """The times of a listing, one a key, for which botocore's parser of any form takes half of the whole time."""
    from botocore.utils import parse_timestamp

    if isinstance(value, str) and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value[:-1]).replace(tzinfo=timezone.utc)
    moment: datetime = parse_timestamp(value)
    return moment


def _config(location: StoreLocation, max_attempts: int) -> dict[str, Any]:
    return {
        "retries": {"mode": "standard", "total_max_attempts": max_attempts},
        "max_pool_connections": MAX_CONNECTIONS,
        "connect_timeout": location.connect_timeout,
        "read_timeout": location.read_timeout,
        "tcp_keepalive": True,
        "signature_version": "s3v4",
        "request_checksum_calculation": location.checksum_mode,
        # What is read is proved by the manifest's SHA-256; a store's checksum of another kind would cost a
        # second pass, and some stores answer a range with the checksum of the whole object.
        "response_checksum_validation": "when_required",
        # A body is hashed once, by the caller: its SHA-256 travels in a header that the signature covers.
        "s3": {"addressing_style": location.addressing_style, "payload_signing_enabled": False},
    }


def _send_bodies_as_they_are(client: Any) -> None:
    """boto3 turns bytes into a file: that one is sent in pieces of 16 KiB, after waiting for a "100 Continue"."""
    from botocore import handlers

    wrap = getattr(handlers, "convert_body_to_file_like_object", None)
    if wrap is not None:
        client.meta.events.unregister("before-parameter-build.s3.UploadPart", wrap)
        client.meta.events.unregister("before-parameter-build.s3.PutObject", wrap)


def _follow_no_redirect(context: dict[str, Any], **_more: Any) -> None:
    """Of a redirect boto3 knows that the bucket is in another region of AWS, and asks the same store again: one that
    redirects everything is then asked without end. What it says of this request is that it was redirected already."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _verify(location: StoreLocation) -> bool | str:
    if not location.validate_certs:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    return location.ca_path or True


def _add_content_md5(params: dict[str, Any], **_context: Any) -> None:
    """Older stores refuse a multi-object delete without Content-MD5; newer ones take it as well."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode("ascii")
