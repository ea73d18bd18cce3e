# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of encryption with each way of sending checksums: back up, copy both ways, restore from the last copy."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import RestoreRequest, restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import location_on
from tests.proofs import verify_all
from tools.servers import SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture
def restored(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection that does not exist; it is deleted after the test."""
    name = f"restored-{secrets.token_hex(6)}"
    yield name
    qdrant.delete_collection(name)


@pytest.mark.parametrize("mode", ["when_supported", "when_required"])
@pytest.mark.parametrize(("encryption", "key"), [("AES256", None), ("aws:kms", "demo-key"), ("none", None)])
def test_what_comes_back_is_what_was_there(
    s3_server: SeaweedServer,
    qdrant: Qdrant,
    make_collection: Callable[..., str],
    restored: str,
    encryption: str,
    key: str | None,
    mode: str,
) -> None:
    # By another name the same server is another endpoint, to which a copy streams.
    by_name = s3_server.endpoint.replace("127.0.0.1", "localhost")
    places = {"made": s3_server.endpoint, "copied": s3_server.endpoint, "streamed": by_name}
    how = {"encryption": encryption, "kms_key_id": key, "checksum_mode": mode}
    made, copied, streamed = (
        Repository(location_on(s3_server, fresh_bucket(s3_server), name=name, endpoint_url=endpoint, **how))
        for name, endpoint in places.items()
    )
    name = make_collection(points=100)

    backup_id = back_up(qdrant, made, BackupRequest(name))["backup_id"]
    report = copy_backups(made, [copied, streamed], [name], Choice())
    restore([qdrant], [streamed], RestoreRequest(name, target=restored))

    assert [entry["methods"] for entry in report.copied] == [["server"], ["stream"]]
    assert collection_digest(qdrant, restored) == collection_digest(qdrant, name)
    for repository in (made, copied, streamed):
        assert verify_all(repository) == [backup_id]
        shown = {(info.encryption, info.kms_key_id) for info in map(repository.head, keys_of(repository))}
        assert shown == {(encryption, key)}, "of every object, manifest and sidecars too"


def fresh_bucket(server: SeaweedServer) -> str:
    return server.create_bucket(f"b-{secrets.token_hex(6)}")


def keys_of(repository: Repository) -> list[str]:
    return [item.key for item in repository.list()]
