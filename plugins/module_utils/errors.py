# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one tree of errors that everything below the modules raises.

``code`` is stable and meant for playbooks to branch on; ``detail`` says what is wrong,
``hint`` what to do next. Only ``modules/`` turns an error into ``fail_json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class DrError(Exception):
    """Base of all errors of this collection."""

    code = "error"

    def __init__(self, detail: str, hint: str = "", **result: object) -> None:
        """``result`` holds further values that the module returns beside ``failure``."""
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.result = result

    def failure(self) -> dict[str, str]:
        """The structured form that modules return as ``failure``."""
        return {"code": self.code, "detail": self.detail, "hint": self.hint}


class InvalidInput(DrError):
    """An argument that cannot be right, found before anything was touched."""

    code = "invalid_input"


class SlaNotMet(DrError):
    """By the arithmetic of the plan, a collection cannot meet its service level."""

    code = "sla_not_met"


class MissingDependency(DrError):
    """A Python package that this operation needs is not installed on the host."""

    code = "missing_dependency"


class FileError(DrError):
    """A file on this host could not be read or written."""

    code = "file_error"


class QdrantError(DrError):
    """Qdrant answered with an error that has no class of its own."""

    code = "qdrant_error"


class QdrantUnreachable(QdrantError):
    """No connection, a timeout, a TLS failure or a redirect."""

    code = "qdrant_unreachable"


class QdrantUnauthorized(QdrantError):
    """Qdrant answered 401 or 403."""

    code = "qdrant_unauthorized"


class QdrantNotFound(QdrantError):
    """Qdrant answered 404: the collection, shard or snapshot does not exist."""

    code = "qdrant_not_found"


class QdrantDiskFull(QdrantError):
    """Qdrant reported that its disk has no room."""

    code = "qdrant_disk_full"


class StrictModeRefused(QdrantError):
    """The collection's strict mode does not allow this request, or not so many of them."""

    code = "strict_mode"


class StoreError(DrError):
    """The S3 store answered with an error that has no class of its own."""

    code = "store_error"


class StoreUnreachable(StoreError):
    """No connection, a timeout or an unfinished answer after all retries."""

    code = "store_unreachable"


class StoreDenied(StoreError):
    """Wrong credentials, or credentials without the right for this request."""

    code = "store_denied"


class BucketNotFound(StoreError):
    """The bucket does not exist."""

    code = "bucket_not_found"


class ObjectNotFound(StoreError):
    """The object does not exist."""

    code = "object_not_found"


class ObjectExists(StoreError):
    """A conditional write found that the object is there already."""

    code = "object_exists"


class EncryptionRefused(StoreError):
    """The store accepted an object and did not encrypt it as asked."""

    code = "encryption_not_applied"


class KeyServiceError(StoreError):
    """AWS KMS did not do what a master key there is needed for."""

    code = "key_service_error"


class WrongKey(DrError):
    """A backup is encrypted, and no key that was given opens it."""

    code = "wrong_key"


class BucketUnfit(DrError):
    """A store does not do what it must; ``detail`` lists the required checks that did not pass, and what was found."""

    code = "bucket_unfit"


class IntegrityError(DrError):
    """Bytes that differ from their recorded digest, or do not have the shape they must have."""

    code = "integrity"


class ChecksumRefused(StoreError, IntegrityError):
    """The store computed another checksum over the bytes it received than the one sent with them."""

    code = "store_checksum_mismatch"


class DamagedSnapshot(IntegrityError):
    """A snapshot that is incomplete, was changed after its creation, or has an unknown structure."""

    code = "damaged_snapshot"


class DamagedBackup(IntegrityError):
    """A part or object of a backup that no source has in a good copy."""

    code = "damaged_backup"


class DamagedManifest(IntegrityError):
    """A manifest that is cut short, altered, of an unknown schema, or of another collection."""

    code = "damaged_manifest"


class WalGap(IntegrityError):
    """Write-ahead log entries are missing between two indexes."""

    code = "wal_gap"


class UnknownWalOperation(DrError):
    """The write-ahead log holds an operation that this version does not know."""

    code = "unknown_wal_operation"


class IncompleteBackup(DrError):
    """The shares that nodes have stored do not make one backup; ``result`` has the ``missing`` shards."""

    code = "incomplete_backup"


class BackupNotFound(DrError):
    """No committed backup fits the request."""

    code = "backup_not_found"


class MomentNotRestorable(DrError):
    """No backup and archived log together have the moment; ``result`` has the nearest ones before and after it."""

    code = "moment_not_restorable"


class InexactReplay(DrError):
    """The log has operations whose replay this Qdrant does not promise to be exact; ``result`` counts them."""

    code = "inexact_replay"


class PruneRefused(DrError):
    """A limit on what may be pruned in one run forbids what the policy asks for."""

    code = "prune_refused"


class TargetExists(DrError):
    """The restore target has that name already."""

    code = "target_exists"


class TargetUnfit(DrError):
    """Preflight found that the target cannot take this backup; ``detail`` lists all reasons."""

    code = "preflight_failed"


class NotIsolated(DrError):
    """The target of a drill is production, or may be."""

    code = "not_isolated"


class NotFenced(DrError):
    """The old cluster of a failover or a failback may still serve clients."""

    code = "not_fenced"


class DrillFailed(DrError):
    """The verdict of a drill is FAIL; ``result`` has the ``record``."""

    code = "drill_failed"


class Busy(DrError):
    """Another run holds what this one needs."""

    code = "busy"


class OperationTimeout(DrError):
    """A condition was not reached within the time allowed for it."""

    code = "timeout"


class CheckFailed(DrError):
    """A collection is not in the state it must be in; ``detail`` lists the findings."""

    code = "check_failed"


class PartlyFailed(DrError):
    """Some collections failed; the others are done. ``result`` lists both."""

    code = "partly_failed"


def combined(errors: Sequence[DrError], what: str, hint: str, result: Mapping[str, object]) -> DrError:
    """The error to raise for these, with what was done all the same as its ``result``.

    A single one is itself; several are a PartlyFailed, which tells the reasons. ``what`` has failed: ``copies``.
    """
    if len(errors) == 1:
        errors[0].result.update(result)
        return errors[0]
    reasons = " ".join(dict.fromkeys(error.detail for error in errors))
    return PartlyFailed(f"{len(errors)} {what} failed. {reasons}", hint, **result)
