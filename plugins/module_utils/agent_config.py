# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the host agent: its configuration, and its credentials, which only its user may read.

Both are JSON. Keys stand in the credentials file alone, or in the environment (``QDRANT_API_KEY``, and whatever boto3
reads): a configuration that holds one is refused, and so is a credentials file that others can read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from .backup_options import type_of
from .errors import InvalidInput
from .formats.layout import check_collection_name
from .formats.sla import SlaPolicy
from .formats.times import parse_duration
from .formats.verification import CONTENT, LEVELS
from .operations.copy import Choice
from .operations.repository_lock import LIFE_SECONDS
from .operations.verify import VerifyRequest
from .operations.wal_settings import ArchiveSettings
from .prune_options import PRUNE_OPTIONS
from .stores.key_files import refuse_exposed
from .stores.location import ADDRESSING_STYLES, CHECKSUM_MODES, ENCRYPTIONS, ClientEncryption, StoreLocation
from .stores.qdrant_http import QdrantConnection

Json = dict[str, Any]

ALL = "all"
# In place of a file: what is on the standard input.
STDIN = "-"
_SECRETS = {"api_key", "access_key", "secret_key", "session_token"}
Kinds = tuple[type, ...]
_TEXT: Kinds = (str,)
_FLAG: Kinds = (bool,)
_COUNT: Kinds = (int,)
_NUMBER: Kinds = (int, float)
_SECONDS: Kinds = (int, float, str)
_LIST: Kinds = (list,)
_DICT: Kinds = (dict,)
_SPECIAL = {
    "validate_certs": _FLAG,
    "timeout": _NUMBER,
    "operation_timeout": _NUMBER,
    "connect_timeout": _NUMBER,
    "read_timeout": _NUMBER,
    "client_encryption": _DICT,
}
_CHOICES = {"encryption": ENCRYPTIONS, "checksum_mode": CHECKSUM_MODES, "addressing_style": ADDRESSING_STYLES}
_CHOICES |= {"level": LEVELS}
# An option's type in an argument spec; a text may be a duration.
_KINDS = {"int": _COUNT, "float": _NUMBER, "str": _SECONDS, "bool": _FLAG, "list": _LIST}

TOP = {"qdrant": _DICT, "repository": _DICT, "destinations": _LIST, "backup": _DICT, "copy": _DICT, "status": _DICT}
TOP |= {"nodes": _DICT, "credentials_file": _TEXT, "lock_seconds": _NUMBER, "verify": _DICT, "prune": _DICT}
TOP |= {"wal_archive": _DICT, "sla": (str, list, dict)}
QDRANT = {each.name: _SPECIAL.get(each.name, _TEXT) for each in fields(QdrantConnection) if each.name not in _SECRETS}
REPOSITORY = {each.name: _SPECIAL.get(each.name, _TEXT) for each in fields(StoreLocation) if each.name not in _SECRETS}
# Keys of encryption themselves stand in files of their own here.
del REPOSITORY["sse_customer_key"]
MASTER_KEY = dict.fromkeys(("key_file", "kms_key_id", "kms_endpoint_url", "kms_region"), _TEXT)
BACKUP = {"collections": _LIST, "max_age": _SECONDS, "storage_path": _TEXT, "snapshots_path": _TEXT}
BACKUP |= {"type": _TEXT, "full_every": _SECONDS}
BACKUP |= {"keep_on_node": _FLAG, "probes": _COUNT, "wait_for_transfers": _NUMBER, "require_bucket_check": _FLAG}
COPY = {"collections": _LIST, "newest": _COUNT}
STATUS = {"rpo": _SECONDS, "warning": _SECONDS, "metrics_path": _TEXT}
VERIFY = {"collections": _LIST, "level": _TEXT, "sample_percent": _NUMBER, "repair": _FLAG}
SECTIONS = {"backup": BACKUP, "copy": COPY, "status": STATUS, "verify": VERIFY}
WAL_ARCHIVE = {"collections": _LIST, "storage_path": _TEXT, "state_path": _TEXT, "spool_path": _TEXT}
WAL_ARCHIVE |= {"poll_interval": _NUMBER, "seal_interval": _NUMBER, "seal_bytes": _COUNT, "heartbeat": _NUMBER}
WAL_ARCHIVE |= {"outage_minutes": _NUMBER}
WAL_ARCHIVE |= {"spool_max_bytes": _COUNT, "reserve_bytes": _COUNT, "metrics_path": _TEXT}
PRUNE = {"collections": _LIST, "verify_newest": _FLAG}
TRANSFER_SECONDS = 300.0
CREDENTIALS = {"qdrant": _DICT, "repositories": _DICT, "pruner": _DICT}
REPOSITORY_KEYS = dict.fromkeys(("access_key", "secret_key", "session_token"), _TEXT)


@dataclass(frozen=True)
class AgentConfig:
    """What the agent of one host has to do. Ages are seconds; ``collections`` is ``[all]`` or names.

    ``qdrant``: the node on this host; ``nodes``: all of its cluster by name, empty where it stands for itself;
    ``wait_for_transfers``: seconds that these nodes may take until no shard is being transferred;
    ``require_bucket_check``: as the module ``backup`` has it. ``to_prune``: the repository and the destinations, with
    the pruner's credentials; ``prune``: all ``PRUNE_OPTIONS``. Collections to copy, verify and prune: None for all.
    ``wal_archive``: None where the logs are not archived. ``sla``: None where no service levels are given.
    ``metrics_path``: a file for Prometheus' textfile collector, None for none.
    """

    qdrant: QdrantConnection
    nodes: dict[str, QdrantConnection]
    repository: StoreLocation
    destinations: list[StoreLocation]
    to_prune: list[StoreLocation]
    collections: list[str]
    backup: Json
    wait_for_transfers: float
    require_bucket_check: bool
    copy_newest: int | None
    copy_collections: list[str] | None
    verify: VerifyRequest
    prune: Json
    prune_collections: list[str] | None
    verify_before_prune: bool
    rpo: float | None
    warning: float | None
    lock_seconds: float
    wal_archive: ArchiveSettings | None
    sla: SlaPolicy | None
    metrics_path: str | None

    @property
    def regions(self) -> list[StoreLocation]:
        """The repository, and its copies after it."""
        return [self.repository, *self.destinations]

    def is_archived(self, collection: str) -> bool:
        """Whether the log of a collection is to be archived by this host."""
        chosen = self.wal_archive.collections if self.wal_archive is not None else ()
        return chosen is None or collection in chosen


def read_config(path: str, environment: Mapping[str, str] | None = None, archive: str | None = None) -> AgentConfig:
    """The configuration at ``path`` with its credentials; ``environment`` is by default that of this process.

    ``archive``: the file of the section wal_archive, by default the one beside the configuration. ``path`` or
    ``archive`` may be ``STDIN``.
    Raises InvalidInput for a file that cannot be read, that others can read though it holds keys, or that says what
    cannot be right; no message holds a key.
    """
    given = _checked(_read(path, private=False), TOP, path)
    for section in ("qdrant", "repository"):
        _refuse_keys(given.get(section, {}), f"{section} in {path}")
    if "repository" not in given:
        raise InvalidInput(f"{path} names no repository.", "Give its bucket and cluster.")
    keys = _credentials(given.get("credentials_file"))
    return AgentConfig(
        **_tasks(given, path),
        **_places(given, keys, os.environ if environment is None else environment, path),
        lock_seconds=float(given.get("lock_seconds", LIFE_SECONDS)),
        wal_archive=_wal_archive(*_wal_archive_section(given, path, archive)),
        sla=SlaPolicy.parse(given["sla"], f"sla in {path}") if "sla" in given else None,
    )


def _places(given: Json, keys: Json, environment: Mapping[str, str], path: str) -> Json:
    """The nodes and the repositories of the configuration, with the credentials ``keys``."""
    locations = _locations([given["repository"], *given.get("destinations", [])], keys["repositories"], path)
    qdrant = _connection(given.get("qdrant", {}), keys, environment, f"qdrant in {path}")
    nodes = given.get("nodes", {})
    urls = _checked(nodes, dict.fromkeys(nodes, _TEXT), f"nodes in {path}")
    return {
        "qdrant": qdrant,
        "nodes": {name: replace(qdrant, url=url) for name, url in urls.items()},
        "repository": locations[0],
        "destinations": locations[1:],
        "to_prune": [_as_pruner(location, keys["pruner"]) for location in locations],
    }


def _tasks(given: Json, path: str) -> Json:
    """What the sections say of backups, copies, verifications, prunes and the status."""
    sections = {name: _checked(given.get(name, {}), shape, f"{name} in {path}") for name, shape in SECTIONS.items()}
    backup, copy, status = (sections[name] for name in ("backup", "copy", "status"))
    prune = _with_defaults(given.get("prune", {}), PRUNE, PRUNE_OPTIONS, f"prune in {path}")
    if min(backup.get("probes", 0), backup.get("wait_for_transfers", 0)) < 0 or copy.get("newest", 1) < 1:
        raise InvalidInput(f"In {path}, probes must be 0 or more, as wait_for_transfers, and newest 1 or more.")
    return {
        "collections": _names(backup.pop("collections", [ALL]), f"backup in {path}"),
        "wait_for_transfers": float(backup.pop("wait_for_transfers", TRANSFER_SECONDS)),
        "require_bucket_check": backup.pop("require_bucket_check", False),
        "backup": backup | {"max_age": _age(backup, "max_age")} | type_of(backup),
        "copy_newest": copy.get("newest", 1),
        "copy_collections": _wanted(copy, f"copy in {path}"),
        "verify": _verify_request(sections["verify"], f"verify in {path}"),
        "prune_collections": _wanted(prune, f"prune in {path}"),
        "verify_before_prune": prune.pop("verify_newest", True),
        "prune": prune,
        "rpo": _age(status, "rpo"),
        "warning": _age(status, "warning"),
        "metrics_path": status.get("metrics_path"),
    }


def _read(path: str, private: bool) -> Json:
    try:
        with sys.stdin.buffer if path == STDIN else open(path, "rb") as file:
            if private:
                refuse_exposed(file, f"credentials file {path}", path)
            content = json.loads(file.read())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", "Name the file, or run as its user.") from error
    except ValueError:
        # The parser's own error holds the document.
        raise InvalidInput(f"{path} is no JSON document.", "Let the role qdrant_agent write it.") from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} holds no JSON object.", "Let the role qdrant_agent write it.")
    return content


def _checked(given: Any, shape: Mapping[str, Kinds], where: str) -> Json:
    """A section without what is null or empty text. Raises InvalidInput for names and types that are not known."""
    if not isinstance(given, dict):
        raise InvalidInput(f"{where} is no JSON object.")
    unknown = sorted(set(given) - set(shape))
    if unknown:
        raise InvalidInput(f"{where} has unknown settings: {', '.join(unknown)}.", f"Known are {', '.join(shape)}.")
    section = {name: value for name, value in given.items() if value is not None and value != ""}
    for name, value in section.items():
        if not isinstance(value, shape[name]) or (isinstance(value, bool) and shape[name] is not _FLAG):
            kinds = " or ".join(kind.__name__ for kind in shape[name])
            raise InvalidInput(f"{name} of {where} is of the wrong type.", f"Give one of type {kinds}.")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise InvalidInput(f"{name} of {where} is {value!r}.", f"Give one of {', '.join(_CHOICES[name])}.")
    return section


def _with_defaults(given: Any, own: Mapping[str, Kinds], options: Mapping[str, Any], where: str) -> Json:
    """A section of settings of its ``own`` and of the options of a module, which get that one's defaults."""
    section = _checked(given, {**own, **{name: _KINDS[each["type"]] for name, each in options.items()}}, where)
    for name, each in options.items():
        section.setdefault(name, each.get("default"))
        if "options" in each:
            entries = enumerate(section[name], start=1)
            section[name] = [
                _with_defaults(entry, {}, each["options"], f"{name} {number} of {where}") for number, entry in entries
            ]
    return section


def _refuse_keys(section: Any, where: str) -> None:
    found = sorted(_SECRETS & set(section)) if isinstance(section, dict) else []
    if found:
        raise InvalidInput(f"{where} holds {', '.join(found)}.", "Keys belong into the credentials file, mode 0600.")


def _credentials(path: str | None) -> Json:
    keys = {} if path is None else _checked(_read(path, private=True), CREDENTIALS, path)
    found: Json = {"qdrant": _checked(keys.get("qdrant", {}), {"api_key": _TEXT}, f"qdrant in {path}")}
    for section in ("repositories", "pruner"):
        stores = {name: _checked(each, REPOSITORY_KEYS, str(path)) for name, each in keys.get(section, {}).items()}
        found[section] = {name: _whole(each, name) for name, each in stores.items()}
    return found


def _whole(stored: Json, name: str) -> Json:
    if stored and not {"access_key", "secret_key"} <= set(stored):
        raise InvalidInput(f"The credentials of the repository {name!r} are not whole.", "Give both keys, or none.")
    return stored


def _as_pruner(location: StoreLocation, pruner: Json) -> StoreLocation:
    """The location with the pruner's credentials; without any, with those that it has."""
    own = pruner.get(location.name)
    if not own:
        return location
    return replace(location, **{**dict.fromkeys((*REPOSITORY_KEYS, "profile")), **own})


def _connection(given: Any, keys: Json, environment: Mapping[str, str], where: str) -> QdrantConnection:
    section = _checked(given, QDRANT, where)
    api_key = keys["qdrant"].get("api_key") or environment.get("QDRANT_API_KEY") or None
    return QdrantConnection(**{"url": "http://127.0.0.1:6333", **section, "api_key": api_key})


def _location(given: Any, keys: Json, where: str) -> StoreLocation:
    _refuse_keys(given, where)
    section = _checked(given, REPOSITORY, where)
    for name in ("bucket", "cluster"):
        if not section.get(name) or "/" in section[name]:
            raise InvalidInput(f"{where} has no usable {name}.", "Give one bare name, without a slash.")
    if section.get("kms_key_id") and section.get("encryption") != "aws:kms":
        raise InvalidInput(f"{where} has kms_key_id, but encryption is not aws:kms.", "Set both, or neither.")
    named = str(section.get("name", section["bucket"]))
    if "client_encryption" in section:
        section["client_encryption"] = _client_encryption(section["client_encryption"], f"client_encryption of {where}")
    return StoreLocation(**{**section, "name": named, **keys.get(named, {})})


def _client_encryption(given: Json, where: str) -> ClientEncryption:
    section = _checked(given, MASTER_KEY | {"old_keys": _LIST}, where)
    old_keys = [_checked(each, MASTER_KEY, f"old_keys of {where}") for each in section.get("old_keys", [])]
    return ClientEncryption.of(section | {"old_keys": old_keys})


def _locations(given: list[Any], keys: Json, path: str) -> list[StoreLocation]:
    """The repository and the destinations; credentials are found by their names, which therefore differ."""
    words = ["repository", *(f"destination {number}" for number in range(1, len(given)))]
    locations = [_location(each, keys, f"{word} in {path}") for each, word in zip(given, words, strict=True)]
    if len({location.name for location in locations}) < len(locations):
        raise InvalidInput(
            f"Two repositories in {path} have one name.", "Give each its own (it is the bucket's by default)."
        )
    return locations


def _names(names: list[Any], where: str) -> list[str]:
    if not names or not all(isinstance(name, str) for name in names) or (ALL in names and len(names) > 1):
        raise InvalidInput(f"collections of {where} must be names, or all alone.")
    return [check_collection_name(name) for name in dict.fromkeys(names)]


def _verify_request(section: Json, where: str) -> VerifyRequest:
    return VerifyRequest(
        _wanted(section, where),
        Choice(newest=None),
        section.get("level", CONTENT),
        section.get("sample_percent", 100.0),
        section.get("repair", False),
    )


def archive_beside(path: str) -> str:
    """The file of the section wal_archive, which a role of its own writes, beside this configuration."""
    return os.path.join(os.path.dirname(path), "wal-archive.json")


def _wal_archive_section(given: Json, path: str, archive: str | None) -> tuple[Any, str]:
    """The section, and where it stands."""
    if archive == STDIN:
        return _read(archive, private=False), archive
    beside = archive or archive_beside(path)
    if "wal_archive" not in given and os.path.exists(beside):
        return _read(beside, private=False), beside
    return given.get("wal_archive"), f"wal_archive in {path}"


def _wal_archive(given: Any, where: str) -> ArchiveSettings | None:
    if given is None:
        return None
    section = _checked(given, WAL_ARCHIVE, where)
    missing = [name for name in ("storage_path", "state_path", "spool_path") if name not in section]
    if missing:
        raise InvalidInput(f"{where} has no {' and no '.join(missing)}.", "Let the role qdrant_wal_archive write it.")
    names = _wanted(section, where)
    return ArchiveSettings(collections=None if names is None else tuple(names), **section)


def _wanted(section: Json, where: str) -> list[str] | None:
    """The collections that a section names, None for all; takes them out of it."""
    names = _names(section.pop("collections", [ALL]), where)
    return None if names == [ALL] else names


def _age(section: Json, name: str) -> float | None:
    return parse_duration(section[name], name) if name in section else None
