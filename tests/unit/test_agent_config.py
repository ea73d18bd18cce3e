# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's files: the same options as the modules have, and a sentence for everything that cannot be right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import agent_config
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.agent_config import read_config
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import QDRANT_SPEC, qdrant_connection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    REPOSITORY_SUBSPEC,
    store_location,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PolicyOverride
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.prune_options import PRUNE_OPTIONS, prune_request
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection

REPOSITORY = {"bucket": "backups", "cluster": "production"}
SECRET = "a-very-secret-text"
TYPES = {"str": (str,), "path": (str,), "bool": (bool,), "float": (int, float), "dict": (dict,)}


def written(folder: Path, content: Any, credentials: Any = None) -> str:
    """Write both files; returns the path of the configuration."""
    path = folder / "config.json"
    if credentials is not None:
        keys = folder / "credentials.json"
        keys.touch(mode=0o600)
        keys.write_text(credentials if isinstance(credentials, str) else json.dumps(credentials), encoding="utf-8")
        content = {**content, "credentials_file": str(keys)}
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_the_options_are_those_of_the_modules() -> None:
    for ours, spec in ((agent_config.REPOSITORY, REPOSITORY_SUBSPEC), (agent_config.QDRANT, QDRANT_SPEC)):
        open_options = {name: option for name, option in spec.items() if not option.get("no_log")}
        assert {name: TYPES[option["type"]] for name, option in open_options.items()} == ours


def test_the_defaults_are_those_of_the_modules(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, {"repository": REPOSITORY}), environment={})
    assert config.repository == store_location(
        {name: option.get("default") for name, option in REPOSITORY_SUBSPEC.items()} | REPOSITORY
    )
    assert config.qdrant == qdrant_connection({name: option.get("default") for name, option in QDRANT_SPEC.items()})
    what = {"max_age": None, "type": "full", "full_every": None}
    assert (config.collections, config.backup, config.copy_newest) == (["all"], what, 1)
    assert (config.destinations, config.copy_collections, config.rpo) == ([], None, None)
    assert (config.nodes, config.require_bucket_check) == ({}, False)
    assert config.verify == VerifyRequest(None, Choice(newest=None), "content", 100.0, False)
    assert config.to_prune == [config.repository]
    assert config.prune == {name: option.get("default") for name, option in PRUNE_OPTIONS.items()}
    assert (config.prune_collections, config.verify_before_prune) == (None, True)


def test_the_pruner_has_keys_of_its_own(tmp_path: Path) -> None:
    content = {"repository": {**REPOSITORY, "profile": "writers"}, "destinations": [{**REPOSITORY, "name": "second"}]}
    writer = {"access_key": "writer", "secret_key": "w", "session_token": "t"}
    pruner = {"access_key": "pruner", "secret_key": "p"}
    keys = {"repositories": {"backups": writer, "second": writer}, "pruner": {"backups": pruner}}
    config = read_config(written(tmp_path, content, keys), environment={})
    assert config.repository == StoreLocation("backups", **REPOSITORY, **writer, profile="writers")
    assert config.to_prune[0] == StoreLocation("backups", **REPOSITORY, **pruner)
    assert config.to_prune[1:] == config.destinations


def test_rules_of_an_override_have_their_defaults(tmp_path: Path) -> None:
    prune = {"keep_within": "", "overrides": [{"regions": ["backups"], "keep_daily": 7}], "grace": "2h"}
    config = read_config(written(tmp_path, {"repository": REPOSITORY, "prune": prune}), environment={})
    policy = RetentionPolicy(keep_daily=7)
    request = prune_request(config.prune, None)
    assert (request.policy, request.limits.grace) == (None, 7200)
    assert request.overrides == [PolicyOverride(policy, None, ["backups"])]


def test_the_nodes_of_a_cluster_are_reached_alike(tmp_path: Path) -> None:
    content = {"repository": REPOSITORY, "qdrant": {"ca_path": "/ca.pem"}, "nodes": {"a": "https://a:6333", "b": ""}}
    config = read_config(written(tmp_path, content), {"QDRANT_API_KEY": "k"})
    assert config.nodes == {"a": QdrantConnection("https://a:6333", api_key="k", ca_path="/ca.pem")}


def test_empty_and_null_count_as_not_set(tmp_path: Path) -> None:
    content = {"repository": {**REPOSITORY, "region": "", "ca_path": None}, "backup": {"max_age": ""}}
    config = read_config(written(tmp_path, content), environment={})
    assert (config.repository.region, config.repository.ca_path, config.backup["max_age"]) == (None, None, None)


def test_master_keys_come_from_files_of_their_own(tmp_path: Path) -> None:
    sealing = {"key_file": "/etc/new.key", "old_keys": [{"key_file": "/etc/old.key"}, {"kms_key_id": "alias/old"}]}
    config = read_config(written(tmp_path, {"repository": {**REPOSITORY, "client_encryption": sealing}}), {})
    found = config.repository.client_encryption
    assert found is not None
    assert (found.key_file, [(old.key_file, old.kms_key_id) for old in found.old_keys]) == (
        "/etc/new.key",
        [("/etc/old.key", None), (None, "alias/old")],
    )


def test_a_customers_key_comes_from_a_file_and_opens_for_the_pruner_too(tmp_path: Path) -> None:
    keyed = {**REPOSITORY, "encryption": "SSE-C", "sse_customer_key_file": "/etc/customer.key"}
    pruner = {"pruner": {"backups": {"access_key": "pruner", "secret_key": "p"}}}
    config = read_config(written(tmp_path, {"repository": keyed}, pruner), environment={})
    for location in (config.repository, *config.to_prune):
        assert (location.encryption, location.sse_customer_key_file) == ("SSE-C", "/etc/customer.key")


def test_the_key_comes_from_the_file_or_the_environment(tmp_path: Path) -> None:
    environment = {"QDRANT_API_KEY": "from-environment"}
    path = written(tmp_path, {"repository": REPOSITORY})
    assert read_config(path, environment).qdrant.api_key == "from-environment"
    path = written(tmp_path, {"repository": REPOSITORY}, {"qdrant": {"api_key": "from-file"}})
    assert read_config(path, environment).qdrant.api_key == "from-file"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON document"),
        ("[]", "holds no JSON object"),
        ({}, "names no repository"),
        ({"repository": REPOSITORY, "bakup": {}}, "unknown settings: bakup"),
        ({"repository": {**REPOSITORY, "sse_customer_key": SECRET}}, "unknown settings: sse_customer_key"),
        ({"repository": {**REPOSITORY, "encryption": "SSE-C"}}, "encryption SSE-C, and no customer key"),
        ({"repository": {"bucket": "b"}}, "no usable cluster"),
        ({"repository": {**REPOSITORY, "bucket": "a/b"}}, "no usable bucket"),
        ({"repository": {**REPOSITORY, "validate_certs": "no"}}, "validate_certs of repository"),
        ({"repository": {**REPOSITORY, "encryption": "rot13"}}, "encryption of repository"),
        ({"repository": {**REPOSITORY, "kms_key_id": "k"}}, "encryption is not aws:kms"),
        ({"repository": {**REPOSITORY, "read_timeout": True}}, "wrong type"),
        ({"repository": REPOSITORY, "destinations": [REPOSITORY]}, "have one name"),
        ({"repository": REPOSITORY, "destinations": ["x"]}, "is no JSON object"),
        ({"repository": REPOSITORY, "backup": {"collections": ["all", "x"]}}, "names, or all alone"),
        ({"repository": REPOSITORY, "backup": {"collections": ["a/b"]}}, "cannot be the name of a collection"),
        ({"repository": REPOSITORY, "backup": {"max_age": "soon"}}, "no duration"),
        ({"repository": REPOSITORY, "backup": {"probes": -1}}, "probes must be 0 or more"),
        ({"repository": REPOSITORY, "backup": {"wait_for_transfers": -1}}, "as wait_for_transfers"),
        ({"repository": REPOSITORY, "verify": {"level": "restore"}}, "level of verify in "),
        ({"repository": REPOSITORY, "verify": {"newest": 1}}, "unknown settings: newest"),
        ({"repository": REPOSITORY, "prune": {"keep_last": "7"}}, "keep_last of prune in "),
        ({"repository": REPOSITORY, "prune": {"overrides": [{"keep_lots": 7}]}}, "overrides 1 of prune in "),
        ({"repository": REPOSITORY, "qdrant": {"url": "nowhere"}}, "no address"),
        ({"repository": REPOSITORY, "nodes": {"a": "nowhere"}}, "no address"),
        ({"repository": REPOSITORY, "nodes": {"a": 1}}, "a of nodes in "),
        ({"repository": REPOSITORY, "nodes": ["a"]}, "nodes of "),
        ({"repository": {**REPOSITORY, "secret_key": SECRET}}, "holds secret_key"),
        ({"repository": REPOSITORY, "qdrant": {"api_key": SECRET}}, "holds api_key"),
        ({"repository": REPOSITORY, "destinations": [{**REPOSITORY, "access_key": SECRET}]}, "holds access_key"),
        ({"repository": {**REPOSITORY, "client_encryption": {"key": SECRET}}}, "unknown settings: key"),
        ({"repository": {**REPOSITORY, "client_encryption": {"old_keys": [{"key": SECRET}]}}}, "unknown settings: key"),
        ({"repository": {**REPOSITORY, "client_encryption": {"key_env": "K"}}}, "unknown settings: key_env"),
        ({"repository": {**REPOSITORY, "client_encryption": {"kms_region": "r"}}}, "names no key"),
        ({"repository": {**REPOSITORY, "client_encryption": {"key_file": "f", "old_keys": "f"}}}, "old_keys of "),
    ],
)
def test_what_cannot_be_right_is_said(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_config(written(tmp_path, content), environment={})
    assert said in refused.value.detail
    assert SECRET not in refused.value.detail + refused.value.hint


@pytest.mark.parametrize(
    "credentials",
    [
        f'{{"qdrant": "{SECRET}"',
        {"repositories": {"backups": {"secret_key": SECRET}}},
        {"repositories": {"backups": {"secret": SECRET}}},
        {"pruner": {"backups": {"secret_key": SECRET}}},
        {"pruner": {"backups": SECRET}},
        {"repositories": {"backups": SECRET}},
        {"qdrant": SECRET},
        {"qdrant": {"api_key": [SECRET]}},
        {"qdrant": {"api_key": f"{SECRET} {SECRET}"}},
    ],
)
def test_errors_about_credentials_do_not_quote_them(tmp_path: Path, credentials: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_config(written(tmp_path, {"repository": REPOSITORY}, credentials), environment={})
    assert SECRET not in refused.value.detail + refused.value.hint
    assert SECRET not in repr(refused.value.__cause__)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent\.json cannot be read"):
        read_config(str(tmp_path / "absent.json"))
