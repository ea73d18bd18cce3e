# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks that come with the collection, in real drills; kubectl and terraform are fakes that note their calls."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.drill_playbook import DrillPlaybook, drill_variables
from tests.playbook_process import ROOT
from tests.stub_command import StubCommands
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

HOOKS = ROOT / "extensions" / "hooks"
KUBECTL = {
    "qdrant_hook_production": "prod",
    "qdrant_hook_standby": "standby",
    "qdrant_hook_frontend": "web",
    "qdrant_hook_standby_nodes": 2,
    "qdrant_hook_external_name": "standby.example.org",
}
PATCH = {"spec": {"type": "ExternalName", "externalName": "standby.example.org"}}


def hooks_of(kind: str) -> dict[str, Any]:
    return {f"qdrant_drill_{path.stem}": str(path) for path in (HOOKS / kind).iterdir()}


@pytest.fixture
def scene(
    tmp_path: Path,
    production: Qdrant,
    keyed_qdrant: QdrantServer,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Callable[..., str],
) -> DrillPlaybook:
    """One collection of production with a backup; the target is the node without a key."""
    name = make_collection(points=50, on=production)
    back_up(production, repository, BackupRequest(name))
    variables = drill_variables(tmp_path, keyed_qdrant, qdrant, repository.location)
    variables["qdrant_drill_collections"] = [name]
    return DrillPlaybook(tmp_path, production, variables)


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubCommands:
    """Fakes, since there is neither a cluster nor a cloud to ask."""
    made = StubCommands(tmp_path / "bin", "kubectl", "terraform")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


def test_a_standby_in_kubernetes_is_started_published_and_stopped(scene: DrillPlaybook, stubs: StubCommands) -> None:
    stubs.tell({"jsonpath": "3"})
    address = {"qdrant_hook_standby_url": scene.variables.pop("qdrant_drill_url")}
    status, output, records = scene.drills(**hooks_of("kubernetes"), **KUBECTL, **address)
    assert status == 0, output
    assert [record["verdict"] for record in records] == ["PASS"]
    prod, standby, name = "--context=prod", "--context=standby", "statefulset/qdrant"
    pods = "--selector=app.kubernetes.io/name=qdrant"
    assert [call[1:] for call in stubs.calls()] == [
        [prod, "get", name, "--output=jsonpath={.spec.replicas}"],
        [standby, "auth", "can-i", "patch", "statefulsets/scale"],
        [prod, "scale", name, "--replicas=0"],
        [prod, "wait", "--for=delete", "pod", pods, "--timeout=300s"],
        [standby, "scale", name, "--replicas=2"],
        [standby, "rollout", "status", name, "--timeout=600s"],
        [
            "--context=web",
            "patch",
            "service/qdrant",
            "--type=merge",
            f"--patch={json.dumps(PATCH)}",
            "--dry-run=server",
        ],
        [standby, "scale", name, "--replicas=0"],
        [prod, "scale", name, "--replicas=3"],
    ]


def test_a_standby_that_does_not_start_is_on_record_and_production_comes_back(
    scene: DrillPlaybook, stubs: StubCommands
) -> None:
    stubs.tell({"jsonpath": "3"}, failing=("--replicas=2",))
    status, _output, records = scene.drills(**hooks_of("kubernetes"), **KUBECTL)
    assert status != 0
    assert [(record["verdict"], record["failed_stage"]) for record in records] == [("FAIL", "prepare")]
    assert records[0]["failure"]["detail"].startswith("Start the standby: non-zero return code")
    assert "Error: --replicas=2 is forbidden" in records[0]["failure"]["detail"]
    calls = [" ".join(call) for call in stubs.calls()]
    assert not [call for call in calls if "rollout" in call or "patch service" in call]
    assert calls[-2:] == [
        "kubectl --context=standby scale statefulset/qdrant --replicas=0",
        "kubectl --context=prod scale statefulset/qdrant --replicas=3",
    ]


def test_a_target_that_terraform_makes_is_drilled_and_destroyed(scene: DrillPlaybook, stubs: StubCommands) -> None:
    outputs = {"url": {"value": scene.variables.pop("qdrant_drill_url")}, "api_key": {"value": "", "sensitive": True}}
    stubs.tell({"output -json": json.dumps(outputs)})
    given = {**hooks_of("terraform"), "qdrant_hook_terraform": "/srv/drill"}
    status, output, records = scene.drills(**given)
    assert status == 0, output
    assert [record["verdict"] for record in records] == ["PASS"]
    own, quiet = ["terraform", "-chdir=/srv/drill"], ["-auto-approve", "-input=false", "-no-color"]
    made = [
        [*own, "init", "-input=false", "-no-color"],
        [*own, "validate", "-no-color"],
        [*own, "apply", *quiet],
    ]
    destroyed = [*own, "destroy", *quiet]
    assert stubs.calls() == [*made, [*own, "output", "-json"], destroyed]
    stubs.tell(failing=("apply",))
    status, output, records = scene.drills(**given)
    assert status != 0
    assert [record["failed_stage"] for record in records] == ["prepare"], output
    assert "Make the target: non-zero return code. Error: apply is forbidden" in records[0]["failure"]["detail"]
    assert stubs.calls() == [*made, destroyed], "what was made by half goes, too"
