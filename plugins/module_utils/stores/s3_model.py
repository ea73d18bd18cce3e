# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What botocore has to know of AWS to make a client, in a third of the memory that it would give to it.

Most of it is documentation, and where services have their endpoints that nobody here speaks to.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import lru_cache
from typing import Any

_FORMS = ((".json", open), (".json.gz", gzip.open))
# The clients of this collection, and those by which the chain of credentials gets keys.
_SERVICES = ("s3", "kms", "sts", "oidc", "portal.sso")


@lru_cache(maxsize=1)
def shared_loader() -> Any:
    """A loader for sessions of botocore that reads each description once a process: most of the work of a client."""
    from botocore.loaders import Loader

    return Loader(file_loader=_Descriptions())


class _Descriptions:
    """Reads botocore's JSON files, named without their endings; an own one in place of its ``JSONFileLoader``."""

    def exists(self, file_path: str) -> bool:
        """Whether there is such a file."""
        return any(os.path.isfile(file_path + ending) for ending, _open in _FORMS)

    def load_file(self, file_path: str) -> Any:
        """What is in the file, None where there is none."""
        for ending, open_ in _FORMS:
            if os.path.isfile(file_path + ending):
                with open_(file_path + ending, "rb") as file:
                    content = json.loads(file.read(), object_hook=_without_documentation)
                return _of_our_services(content) if os.path.basename(file_path) == "endpoints" else content
        return None


def _without_documentation(item: dict[str, Any]) -> dict[str, Any]:
    # Empty, and not gone: botocore asks for some of it.
    if isinstance(item.get("documentation"), str):
        item["documentation"] = ""
    return item


def _of_our_services(endpoints: dict[str, Any]) -> dict[str, Any]:
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in _SERVICES if name in services}
    return endpoints
