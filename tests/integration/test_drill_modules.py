# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules drill_report and drill_info: a report is stored once, whole, everywhere, and nothing removes it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import StoreError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record, layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import drill_report
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.versions import lock_of
from tests import made_drills
from tests.made_backups import as_option, flip_byte, make_backup
from tests.proofs import holdings

pytestmark = pytest.mark.s3

Json = dict[str, Any]
Run = Callable[..., Json]
FOLDER = f"products/drills/{made_drills.drill_id()}"
NAMES = ["record.json", "report.html", "report.md"]


def options(*regions: Repository, **further: Any) -> Json:
    return {"repositories": [as_option(region.location) for region in regions], **further}


def stored(region: Repository, folder: str = FOLDER) -> list[str]:
    return [item.key.removeprefix(f"{folder}/") for item in region.list(f"{folder}/")]


def unreachable(repository: Repository) -> Json:
    return {
        **as_option(repository.location),
        "name": "gone",
        "endpoint_url": "http://127.0.0.1:1",
        "connect_timeout": 1,
    }


def test_a_report_is_stored_in_every_region_and_as_files(
    repository: Repository, standby: Repository, run_module: Run, tmp_path: Path
) -> None:
    params = options(repository, standby, record=made_drills.passed(), directory=str(tmp_path / "reports"))
    planned = run_module("drill_report", params, check=True)
    assert stored(repository) == []
    assert list(tmp_path.iterdir()) == []
    done = run_module("drill_report", params)
    assert (planned["changed"], planned["sha256"]) == (True, done["sha256"])
    assert (done["changed"], done["verdict"], done["open_findings"]) == (True, "PASS", [])
    for region in (repository, standby):
        assert stored(region) == sorted([*NAMES, *(f"{name}.sha256" for name in NAMES)])
        assert drill_record.parse(region.get(f"{FOLDER}/record.json")) == done["record"]
        assert region.head(f"{FOLDER}/report.html").encryption == "AES256"
    assert [each["url"] for each in done["regions"]] == [
        region.url(f"{FOLDER}/record.json") for region in (repository, standby)
    ]
    local = tmp_path / "reports" / FOLDER
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", *(f"{name}.sha256" for name in NAMES)], cwd=local, check=False
    )
    assert checked.returncode == 0
    assert sorted(done["files"]) == sorted(str(path) for path in local.iterdir())
    assert (local / "report.html").read_bytes() == repository.get(f"{FOLDER}/report.html")
    again = run_module("drill_report", params)
    assert (again["changed"], again["sha256"]) == (False, done["sha256"])
    assert [each["stored"] for each in again["regions"]] == [False, False]


def test_another_record_of_the_same_drill_overwrites_nothing(repository: Repository, run_module: Run) -> None:
    run_module("drill_report", options(repository, record=made_drills.passed()))
    before = holdings(repository)
    failed = run_module("drill_report", options(repository, record=made_drills.failed()))
    assert (failed["failure"]["code"], failed["changed"]) == ("object_exists", False)
    assert holdings(repository) == before


def test_what_one_region_could_not_take_a_second_run_stores(
    repository: Repository, standby: Repository, run_module: Run
) -> None:
    params = options(repository, record=made_drills.passed())
    params["repositories"].append(unreachable(repository))
    failed = run_module("drill_report", params)
    assert (failed["failure"]["code"], failed["changed"]) == ("store_unreachable", True)
    assert [each["region"] for each in failed["regions"]] == ["primary"]
    done = run_module("drill_report", options(repository, standby, record=made_drills.passed()))
    assert [each["stored"] for each in done["regions"]] == [False, True]


def test_without_any_region_the_files_are_written_all_the_same(
    repository: Repository, run_module: Run, tmp_path: Path
) -> None:
    record = made_drills.passed()
    params = {"record": record, "directory": str(tmp_path), "repositories": [unreachable(repository)]}
    failed = run_module("drill_report", params)
    assert failed["failure"]["code"] == "store_unreachable"
    assert json.loads((tmp_path / FOLDER / "record.json").read_text()) == record
    alone = run_module("drill_report", {"record": record, "directory": str(tmp_path / "alone")})
    assert (alone["changed"], alone["regions"]) == (True, [])


def test_a_run_that_breaks_off_leaves_no_drill_and_the_next_one_completes_it(
    repository: Repository, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = drill_report.render(made_drills.passed())

    def broken(*_args: Any, **_how: Any) -> None:
        raise StoreError("broken off")

    with monkeypatch.context() as patched:
        patched.setattr(Repository, "put", _failing_at("record.json", Repository.put, broken))
        assert drill_report.store_report([repository], files)[1][0].detail == "broken off"
    assert "report.html" in stored(repository)
    assert run_module("drill_info", options(repository))["drills"] == []
    run_module("drill_report", options(repository, record=made_drills.passed()))
    assert [each["drill_id"] for each in run_module("drill_info", options(repository))["drills"]] == [
        made_drills.drill_id()
    ]


def _failing_at(name: str, real: Callable[..., Any], broken: Callable[..., None]) -> Callable[..., Any]:
    def put(region: Repository, key: str, *args: Any, **how: Any) -> Any:
        return broken() if key.endswith(f"/{name}") else real(region, key, *args, **how)

    return put


def test_open_findings_are_carried_until_they_are_closed(
    repository: Repository, standby: Repository, run_module: Run
) -> None:
    def report(days: int, **further: Any) -> Json:
        return run_module("drill_report", options(repository, standby, record=made_drills.passed(days), **further))

    first = made_drills.passed(
        0, findings=[made_drills.finding("lag", "a region lags", 0)], verdict="PASS WITH FINDINGS"
    )
    run_module("drill_report", options(repository, record=first))
    carried = report(30)
    assert carried["verdict"] == "PASS WITH FINDINGS"
    assert [(each["id"], each["opened"]) for each in carried["open_findings"]] == [("lag", made_drills.drill_id(0))]
    assert [each["drill_id"] for each in carried["record"]["previous"]] == [made_drills.drill_id(0)]
    found = made_drills.passed(
        60,
        findings=[{**made_drills.finding("lag", "a region still lags", 60), "owner": None, "due": "2027-01-31"}],
        verdict="PASS WITH FINDINGS",
    )
    again = run_module("drill_report", options(repository, standby, record=found))["open_findings"]
    assert [(each["text"], each["owner"], each["due"], each["opened"]) for each in again] == [
        ("a region still lags", "search platform team", "2027-01-31", made_drills.drill_id(0))
    ]
    unknown = report(90, close=["no-such"])
    assert (unknown["failure"]["code"], "no-such" in unknown["msg"]) == ("invalid_input", True)
    closed = report(90, close=["lag"])
    assert (closed["verdict"], closed["open_findings"]) == ("PASS", [])
    assert closed["record"]["findings"][0]["closed"] == made_drills.drill_id(90)
    assert report(120)["record"]["findings"] == []


def test_a_report_looks_back_on_eleven_drills(repository: Repository, run_module: Run) -> None:
    for days in range(13):
        drill_report.store_report([repository], drill_report.render(made_drills.passed(days)))
    drill_report.store_report([repository], drill_report.render(made_drills.passed(13, collection="other")))
    previous = run_module("drill_report", options(repository, record=made_drills.passed(13)))["record"]["previous"]
    assert [each["drill_id"] for each in previous] == [made_drills.drill_id(days) for days in range(2, 13)]


def test_drills_are_listed_from_all_regions_and_say_what_is_due(
    repository: Repository, standby: Repository, run_module: Run
) -> None:
    now = datetime.now(timezone.utc)
    today = (now - made_drills.DECLARED).days
    make_backup(repository, "products")
    make_backup(repository, "docs")
    make_backup(standby, "articles")
    for region, record in (
        (repository, made_drills.passed(today)),
        (standby, made_drills.passed(today)),
        (standby, made_drills.failed(today - 40, collection="docs")),
        (repository, made_drills.passed(today - 80)),
    ):
        drill_report.store_report([region], drill_report.render(record))
    listed = run_module("drill_info", options(repository, standby))
    assert [(each["collection"], each["regions"]) for each in listed["drills"]] == [
        ("products", ["primary", "standby"]),
        ("docs", ["standby"]),
        ("products", ["primary"]),
    ]
    assert listed["due"] == ["articles", "docs"]
    day = (made_drills.DECLARED + timedelta(days=today)).date().isoformat()
    assert listed["coverage"]["drilled_within"] == {"articles": None, "docs": None, "products": day}
    one = run_module("drill_info", options(repository, standby, collection="products", limit=1, record=True))
    assert [each["record"]["drill_id"] for each in one["drills"]] == [made_drills.drill_id(today)]
    assert run_module("drill_info", options(repository, protected=["new"], days=90))["due"] == ["new"]
    half = options(repository)
    half["repositories"].append(unreachable(repository))
    assert [each["region"] for each in run_module("drill_info", half)["unreachable_regions"]] == ["gone"]
    for wrong in ({"limit": 0}, {"days": 0}, {"collection": "a/b"}):
        assert run_module("drill_info", options(repository, **wrong))["failure"]["code"] == "invalid_input"


def test_a_failover_is_listed_and_is_no_drill(repository: Repository, run_module: Run) -> None:
    today = (datetime.now(timezone.utc) - made_drills.DECLARED).days
    make_backup(repository, "products")
    make_backup(repository, "docs")
    drill = made_drills.passed(today - 3, findings=[made_drills.finding("lag", "a region lags")])
    drill_report.store_report([repository], drill_report.render({**drill, "verdict": "PASS WITH FINDINGS"}))
    for record in (made_drills.failover(today - 2), made_drills.failover(today - 1, collection="docs")):
        done = run_module("drill_report", options(repository, record=record))
    done = run_module("drill_report", options(repository, record=made_drills.failover(today)))
    assert [each["id"] for each in done["open_findings"]] == ["lag"], "carried over by the one before"
    assert [each["drill_id"] for each in done["record"]["previous"]] == [drill["drill_id"]]
    listed = run_module("drill_info", options(repository, limit=1))
    assert [(each["collection"], each["kind"]) for each in listed["drills"]] == [
        ("products", "failover"),
        ("docs", "failover"),
        ("products", "failover"),
        ("products", "drill"),
    ]
    assert listed["due"] == ["docs"]
    turn = run_module("drill_info", options(repository, limit=1, every_days=30))["turn"]
    assert turn == ["docs", "products"], "it was never drilled"
    index = run_module("drill_report", options(repository, state="index"))
    assert (index["drills"], index["due"]) == (1, ["docs"])


def test_an_altered_record_is_no_drill(repository: Repository, standby: Repository, run_module: Run) -> None:
    for region in (repository, standby):
        drill_report.store_report([region], drill_report.render(made_drills.passed()))
    data = repository.get(f"{FOLDER}/record.json")
    repository.put(f"{FOLDER}/record.json", data.replace(b'"rto_seconds":41.22', b'"rto_seconds":11.22'))
    alone = run_module("drill_info", options(repository))
    assert (alone["drills"], alone["damaged"][0]["drill_id"]) == ([], made_drills.drill_id())
    assert "was altered" in alone["damaged"][0]["reason"]
    both = run_module("drill_info", options(repository, standby))
    assert [(each["rto_seconds"], each["regions"]) for each in both["drills"]] == [(41.22, ["standby"])]
    flip_byte(standby, f"{FOLDER}/record.json", 5)
    assert run_module("drill_info", options(standby))["drills"] == []


def test_the_index_lists_the_drills_of_all_collections(repository: Repository, run_module: Run, tmp_path: Path) -> None:
    make_backup(repository, "never")
    for record in (made_drills.passed(), made_drills.failed(collection="docs"), made_drills.hostile()):
        drill_report.store_report([repository], drill_report.render(record))
    params = options(repository, state="index", directory=str(tmp_path))
    assert run_module("drill_report", params, check=True)["changed"] is True
    assert not (tmp_path / "drills.html").exists()
    done = run_module("drill_report", params)
    assert (done["changed"], done["drills"], done["due"]) == (True, 3, ["never"])
    page = (tmp_path / "drills.html").read_bytes()
    assert repository.get("drills.html") == page
    assert f'href="./{FOLDER}/report.html"'.encode() in page
    assert run_module("drill_report", params)["changed"] is False
    listed = run_module("backup_info", options(repository))
    assert [each["collection"] for each in listed["backups"]] == ["never"]


def test_the_index_of_a_folder_lists_the_drills_in_it(run_module: Run, tmp_path: Path) -> None:
    params = {"state": "index", "directory": str(tmp_path), "days": 36500}
    nothing = run_module("drill_report", params)
    assert (nothing["changed"], nothing["drills"], nothing["files"]) == (False, 0, [])
    newest = made_drills.passed(0, collection="docs")
    newest["coverage"] = {"protected": ["docs", "never"], "drilled_within": {"docs": None, "never": None}, "days": 30}
    for record in (made_drills.failed(-9), made_drills.failover(-1), newest):
        run_module("drill_report", {"record": record, "directory": str(tmp_path)})
    altered = tmp_path / "docs" / "drills" / made_drills.drill_id(-3)
    altered.mkdir()
    for name in ("record.json", "record.json.sha256"):
        (altered / name).write_text("{}")
    assert run_module("drill_report", params, check=True)["changed"] is True
    assert not (tmp_path / "drills.html").exists()
    done = run_module("drill_report", params)
    assert (done["changed"], done["drills"], done["due"]) == (True, 2, ["never"])
    assert [(each["drill_id"], each["region"]) for each in done["damaged"]] == [(altered.name, str(tmp_path))]
    page = (tmp_path / "drills.html").read_text()
    links = re.findall(r'href="\./([^"]+)"', page)
    assert len(links) == 3
    assert all((tmp_path / link).is_file() for link in links)
    assert f"Recovery drills of {newest['cluster']}" in page
    assert run_module("drill_report", params)["changed"] is False


def test_a_region_that_is_gone_keeps_no_other_from_the_index(repository: Repository, run_module: Run) -> None:
    drill_report.store_report([repository], drill_report.render(made_drills.passed()))
    params = options(repository, state="index")
    params["repositories"].insert(0, unreachable(repository))
    failed = run_module("drill_report", params)
    assert (failed["failure"]["code"], failed["changed"], failed["drills"]) == ("store_unreachable", True, 1)
    assert [each["region"] for each in failed["regions"]] == ["primary"]
    assert f'href="./{FOLDER}/report.html"'.encode() in repository.get("drills.html")


def test_a_bucket_with_object_lock_locks_a_report(locked: Repository, run_module: Run) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    locked.client.put_object_lock_configuration(
        Bucket=locked.location.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    run_module("drill_report", options(locked, record=made_drills.passed()))
    for name in stored(locked):
        lock = lock_of(locked, f"{FOLDER}/{name}", datetime.now(timezone.utc))
        assert lock is not None
        assert lock.until is not None, name
    assert run_module("drill_report", options(locked, record=made_drills.passed()))["changed"] is False


def test_a_prune_removes_no_drill(repository: Repository, run_module: Run) -> None:
    for day in (1, 2):
        make_backup(repository, "products", backup_id=f"2026110{day}T020000Z-00000{day}")
    # A folder with a drill's id, and one that was broken off, look like those of backups.
    run_module("drill_report", options(repository, record=made_drills.passed()))
    repository.put(f"products/drills/{made_drills.drill_id(-99)}/report.html", b"broken off")
    before = [item.key for item in repository.list("products/drills/")]
    done = run_module(
        "backup_prune", options(repository, keep_last=1, require_verified=False, grace="0s", max_delete_percent=100)
    )
    assert done["removed"] == 1
    assert [item.key for item in repository.list("products/drills/")] == before


def test_a_signature_can_be_verified_as_documented(repository: Repository, run_module: Run, tmp_path: Path) -> None:
    key, public = tmp_path / "drill.pem", tmp_path / "drill.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True)
    params = options(repository, record=made_drills.passed(), directory=str(tmp_path), signature_key=str(key))
    done = run_module("drill_report", params)
    assert "record.json.sig" in done["sha256"]
    assert "record.json.sig" in stored(repository)
    folder = tmp_path / FOLDER
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", "-in", "record.json"]
    command += ["-sigfile", "record.json.sig"]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    (folder / "record.json").write_bytes((folder / "record.json").read_bytes().replace(b"PASS", b"pass"))
    assert subprocess.run(command, cwd=folder, check=False).returncode != 0
    key.write_text("no key")
    refused = run_module("drill_report", params)
    assert (refused["failure"]["code"], "openssl genpkey" in refused["failure"]["hint"]) == ("invalid_input", True)
    gone = run_module("drill_report", {**params, "signature_key": str(tmp_path / "none.pem")})
    assert gone["failure"]["code"] == "file_error"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record": {"kind": "other"}}, "not the record of a drill"),
        ({"record": {**made_drills.passed(), "commands": None}}, "commands is not a list"),
        ({"repositories": []}, "nowhere to write to"),
        ({"state": "index", "days": 0}, "days is 0."),
    ],
)
def test_options_that_cannot_be_right(repository: Repository, run_module: Run, changes: Json, words: str) -> None:
    refused = run_module("drill_report", {**options(repository, record=made_drills.passed()), **changes})
    assert refused["failure"]["code"] == "invalid_input"
    assert words in refused["msg"]
    assert list(repository.list(layout.drills_prefix("products"))) == []
