# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that name a repository, shared by all modules that speak to one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import env_fallback

from .errors import InvalidInput
from .formats.layout import check_collection_name
from .stores.location import (
    ADDRESSING_STYLES,
    CHECKSUM_MODES,
    ENCRYPTIONS,
    ClientEncryption,
    StoreLocation,
)
from .stores.regions import opened
from .stores.repository import Repository

_KEY_SUBSPEC: dict[str, dict[str, Any]] = {
    "key_file": {"type": "path", "no_log": False},
    "key_env": {"type": "str", "no_log": False},
    "key": {"type": "str", "no_log": True},
    "kms_key_id": {"type": "str", "no_log": False},
    "kms_endpoint_url": {"type": "str"},
    "kms_region": {"type": "str"},
}

REPOSITORY_SUBSPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "bucket": {"type": "str", "required": True},
    "cluster": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "region": {"type": "str", "fallback": (env_fallback, ["AWS_REGION", "AWS_DEFAULT_REGION"])},
    "endpoint_url": {"type": "str", "fallback": (env_fallback, ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "profile": {"type": "str"},
    "addressing_style": {"type": "str", "choices": list(ADDRESSING_STYLES), "default": "auto"},
    "checksum_mode": {"type": "str", "choices": list(CHECKSUM_MODES), "default": "when_supported"},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "encryption": {"type": "str", "choices": list(ENCRYPTIONS), "default": "AES256"},
    "kms_key_id": {"type": "str", "no_log": False},
    "sse_customer_key": {"type": "str", "no_log": True},
    "sse_customer_key_file": {"type": "path", "no_log": False},
    "connect_timeout": {"type": "float", "default": 10.0},
    "read_timeout": {"type": "float", "default": 60.0},
    "bandwidth_limit": {"type": "str"},
    "client_encryption": {
        "type": "dict",
        "options": {
            **_KEY_SUBSPEC,
            "old_keys": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": _KEY_SUBSPEC,
            },
        },
    },
}
# What an option that names collections says to mean every one.
ALL = "all"
_TOGETHER = [("access_key", "secret_key")]
_EXCLUSIVE = [("access_key", "profile")]


def repository_option(**further: Any) -> dict[str, Any]:
    """The spec of an option that is one repository."""
    return {
        "type": "dict",
        "options": REPOSITORY_SUBSPEC,
        "required_together": _TOGETHER,
        "mutually_exclusive": _EXCLUSIVE,
        **further,
    }


def repositories_option(**further: Any) -> dict[str, Any]:
    """The spec of an option that is an ordered list of repositories."""
    return {**repository_option(**further), "type": "list", "elements": "dict"}


def store_location(params: dict[str, Any]) -> StoreLocation:
    """The location that one repository option describes. Raises InvalidInput naming what does not fit."""
    cluster, bucket = params["cluster"], params["bucket"]
    if not bucket or "/" in bucket:
        raise InvalidInput(f"{bucket!r} is no bucket name.", "Give the bare name; folders belong into prefix.")
    if not cluster or "/" in cluster:
        raise InvalidInput(f"{cluster!r} is no cluster name.", "Give one path segment, without a slash.")
    if params["kms_key_id"] and params["encryption"] != "aws:kms":
        raise InvalidInput(
            f"kms_key_id is given for {bucket!r}, but encryption is {params['encryption']}.",
            "Set encryption to aws:kms, or remove kms_key_id.",
        )
    if params["session_token"] and not params["access_key"]:
        raise InvalidInput("session_token is given without access_key and secret_key.", "Give all three.")
    for option in ("connect_timeout", "read_timeout"):
        if params[option] <= 0:
            raise InvalidInput(f"{option} is {params[option]}.", "Give a number of seconds greater than 0.")
    sealing = params["client_encryption"]
    keys = None if sealing is None else ClientEncryption.of(sealing)
    return StoreLocation(**{**params, "name": params["name"] or bucket, "client_encryption": keys})


def store_locations(params: list[dict[str, Any]]) -> list[StoreLocation]:
    """The locations of an ordered list of repositories; reports name them, so their names must differ."""
    locations = [store_location(each) for each in params]
    names = [location.name for location in locations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(
            f"Several repositories are named {', '.join(twice)}.",
            "Give each its own name (it is the bucket's by default).",
        )
    return locations


@contextmanager
def opened_regions(params: list[dict[str, Any]]) -> Iterator[list[Repository]]:
    """The repositories of an option named ``repositories``, closed at the end. Raises InvalidInput, also for none."""
    if not params:
        raise InvalidInput("repositories is empty.", "Name at least one.")
    with opened(store_locations(params)) as regions:
        yield regions


def collection_names(names: list[str]) -> list[str]:
    """The names without repetitions, checked; InvalidInput for one that no collection can have."""
    return [check_collection_name(name) for name in dict.fromkeys(names)]


def wanted_collections(names: list[str]) -> list[str] | None:
    """The collections that an option names, None for ``[all]``. Raises InvalidInput for nothing, or all and others."""
    if not names:
        raise InvalidInput("collections is empty.", "Name at least one collection, or all.")
    if ALL not in names:
        return collection_names(names)
    if len(names) > 1:
        raise InvalidInput("collections names all and others.", "Give all alone, or names.")
    return None
