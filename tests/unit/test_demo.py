# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo` says where something outside of its playbook fails: one sentence that names the step.

The servers and the playbook are fakes here: real ones cannot be made to fail between two steps.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tools import demo

ENDPOINT = "http://127.0.0.1:9"
NODE = SimpleNamespace(url="", grpc_port=1, api_key="k", storage_path="", snapshots_path="")


class Region(SimpleNamespace):
    """An S3 server as the demo sees it."""

    region, endpoint, access_key, secret_key = "primary", ENDPOINT, "a", "s"

    def create_bucket(self, name: str) -> str:
        if self.broken:
            raise EndpointConnectionError(endpoint_url=ENDPOINT)
        return name


def run(output: Path, monkeypatch: pytest.MonkeyPatch, *, store_broken: bool = False, results: Any = None) -> str:
    """Run the demo up to its failure; returns what is said."""

    @contextlib.contextmanager
    def servers(folder: Path) -> Iterator[Any]:
        yield NODE, {name: Region(broken=store_broken) for name in demo.REGIONS}

    def playbook(arguments: list[str], env: dict[str, str]) -> int:
        (output / "servers" / "results.json").write_text(json.dumps(results))
        return 0

    monkeypatch.setattr(demo, "servers", servers)
    monkeypatch.setattr(demo, "run_playbook", playbook)
    with pytest.raises(SystemExit) as end:
        demo.run(output)
    said = end.value.code
    assert isinstance(said, str), "a sentence, which makes the status 1"
    assert not (output / "servers" / "settings.json").exists(), "no key stays"
    assert "Traceback" in (output / "servers" / "traceback.log").read_text(), "for who has to find the cause"
    return said


def test_a_store_that_makes_no_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(tmp_path, monkeypatch, store_broken=True)
    assert said == (
        f"make demo failed at the step 'make the buckets' (logs: {tmp_path}/servers): "
        f'EndpointConnectionError: Could not connect to the endpoint URL: "{ENDPOINT}"'
    )


@pytest.mark.parametrize("results", [{}, {"restores": []}, [], None], ids=str)
def test_results_that_no_report_can_be_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Any) -> None:
    said = run(tmp_path, monkeypatch, results=results)
    assert said.startswith(f"make demo failed at the step 'report' (logs: {tmp_path}/servers): ")
    assert "Error: " in said
    assert not (tmp_path / "report.json").exists()
