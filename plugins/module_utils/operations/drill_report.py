# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the report of a drill: record, page and Markdown, into repositories and a local folder.

The record comes last, and only where there is none yet: with it the drill is there. Nothing of a drill is ever changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import DrError, FileError, InvalidInput, ObjectExists, ObjectNotFound, StoreError, combined
from ..formats import drill_index, drill_markdown, drill_page, drill_record, layout
from ..formats.drill_kind import kind_of
from ..formats.sealed import require_cryptography
from ..stores.agent_files import read_file, write_file
from ..stores.repository import Repository
from .drills import (
    FoundDrills,
    coverage_of,
    drills_in,
    find_drills,
    last_drills,
    last_protected,
    previous_of,
    protected_collections,
    summary_of,
)
from .object_copy import put_proved

Json = dict[str, Any]

_TYPES = {".html": "text/html; charset=utf-8", ".md": "text/markdown; charset=utf-8", ".json": "application/json"}


@dataclass(frozen=True)
class ReportOptions:
    """``closed``: ids of findings that this drill closes. ``directory``: a local folder for the files.
    ``signature_key``: path of a private key of Ed25519 (PEM)."""

    closed: Sequence[str] = ()
    directory: Path | None = None
    signature_key: Path | None = None


@dataclass(frozen=True)
class ReportFiles:
    """The files of a report by their names, in the order in which they are stored: the record is the last one."""

    record: Json
    contents: dict[str, bytes]

    def digests(self) -> dict[str, str]:
        """SHA-256 in hex of each file."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.contents.items()}


def report_drill(regions: Sequence[Repository], record: Json, options: ReportOptions, check: bool = False) -> Json:
    """Complete a record by what the earlier drills left, and write its report; returns what the module documents.

    Where no region can be read, the files are written into the local folder all the same, without the earlier drills.
    Raises InvalidInput, FileError, MissingDependency, ObjectExists, StoreError or PartlyFailed.
    """
    key = None if options.signature_key is None else read_file(options.signature_key)
    drill_record.check(record)
    try:
        whole = complete(record, regions, options.closed)
    except StoreError:
        if options.directory is not None:
            write_report(options.directory, render(record, key), check)
        raise
    files = render(whole, key)
    written = [] if options.directory is None else write_report(options.directory, files, check)
    result: Json = {"drill_id": whole["drill_id"], "collection": whole["collection"], "verdict": whole["verdict"]}
    result |= {"open_findings": drill_record.open_findings(whole), "record": whole, "sha256": files.digests()}
    result["files"] = [path for path, _changed in written]
    stored, errors = store_report(regions, files, check)
    result["regions"] = stored
    result["changed"] = any(changed for _path, changed in written) or any(each["stored"] for each in stored)
    if errors:
        raise combined(errors, "repositories", "Run again with the same record.", result)
    return result


def report_index(
    regions: Sequence[Repository], directory: Path | None, days: int, now: datetime, check: bool = False
) -> Json:
    """Write the page that lists all drills of the cluster; returns what the module documents.

    Without ``regions`` it lists those whose reports are in ``directory``, and is not written where that has none.
    ``days``: within which each protected collection should be drilled. A repository that fails keeps no other one from
    getting the page. Raises as ``report_drill`` does.
    """
    found = find_drills(regions) if regions else drills_in(directory) if directory else FoundDrills()
    records = found.newest_first()
    protected = protected_collections(regions) if regions else last_protected(records)
    coverage, due = coverage_of(last_drills(records, protected), protected, days, now)
    cluster = regions[0].location.cluster if regions else records[0]["cluster"] if records else ""
    data = drill_index.render(cluster, [summary_of(record) for record in records], coverage, due).encode("utf-8")
    path = directory / layout.DRILLS_PAGE if directory and (regions or records) else None
    changed = path is not None and put_file(path, data, check)
    stored, errors = put_index(regions, data, check)
    result = {
        "changed": changed or any(each["stored"] for each in stored),
        "drills": sum(1 for record in records if kind_of(record).is_drill),
        "due": due,
        "files": [] if path is None else [str(path)],
        "regions": stored,
        "sha256": {layout.DRILLS_PAGE: hashlib.sha256(data).hexdigest()},
        "damaged": found.damaged,
    }
    if errors:
        raise combined(errors, "repositories", "Run again.", result)
    return result


def complete(record: Json, regions: Sequence[Repository], closed: Sequence[str] = ()) -> Json:
    """The record with what the drills before it have left: their figures, and the findings that are still open.

    A finding that an earlier drill opened keeps its begin, and its owner and date where this drill names none.
    ``closed`` names findings that are closed by this drill. With an open finding, a PASS becomes a PASS WITH FINDINGS.
    Raises InvalidInput for a finding that is not there.
    """
    earlier: list[Json] = []
    if regions:
        before = find_drills(regions, record["collection"], record["drill_id"], drill_record.REMEMBERED - 1)
        earlier = before.newest_first()
    findings = _carried(drill_record.open_findings(earlier[0]) if earlier else [], record["findings"])
    unknown = sorted(set(closed) - {finding["id"] for finding in findings})
    if unknown:
        raise InvalidInput(
            f"There is no open finding {', '.join(unknown)} to close.", "drill_info lists the open ones."
        )
    done = [{**finding, "closed": record["drill_id"]} if finding["id"] in closed else finding for finding in findings]
    whole = {**record, "findings": done, "previous": previous_of(earlier)}
    if whole["verdict"] == drill_record.PASS and drill_record.open_findings(whole):
        whole["verdict"] = drill_record.WITH_FINDINGS
    return drill_record.check(whole)


def _carried(earlier: list[Json], now: list[Json]) -> list[Json]:
    known = {finding["id"]: finding for finding in earlier}
    merged = []
    for finding in now:
        old = known.pop(finding["id"], None)
        if old is not None:
            kept = {name: finding[name] or old[name] for name in ("owner", "due")}
            finding = {**finding, **kept, "opened": old["opened"]}
        merged.append(finding)
    return [*known.values(), *merged]


def render(record: Json, signature_key: bytes | None = None) -> ReportFiles:
    """All files of the report, the signature among them with a key (PEM). Raises MissingDependency, InvalidInput."""
    data = drill_record.dump(record)
    contents = {
        layout.DRILL_PAGE: drill_page.render(record).encode("utf-8"),
        layout.DRILL_TEXT: drill_markdown.render(record).encode("utf-8"),
    }
    if signature_key is not None:
        contents[layout.DRILL_SIGNATURE] = sign(data, signature_key)
    return ReportFiles(record, {**contents, layout.DRILL_RECORD: data})


def sign(data: bytes, key: bytes) -> bytes:
    """The Ed25519 signature of ``data``; ``key`` is a private key in PEM. Raises InvalidInput for another one."""
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"The signature key cannot be read: {error}.", _MAKE_KEY) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise InvalidInput("The signature key is not one of Ed25519.", _MAKE_KEY)
    return loaded.sign(data)


_MAKE_KEY = "Make one with: openssl genpkey -algorithm ed25519 -out drill.pem"


def store_report(
    regions: Sequence[Repository], files: ReportFiles, check: bool = False
) -> tuple[list[Json], list[DrError]]:
    """Store the report in every region; ``check`` only looks.

    Returns ``{region, url, stored}`` of each that holds it, and the errors of the others: ObjectExists where another
    record of this drill is there, or a StoreError.
    """
    key = _key(files.record, layout.DRILL_RECORD)

    def store(region: Repository) -> bool:
        missing = not _is_there(region, files, key)
        if missing and not check:
            _store(region, files)
        return missing

    return _in_each(regions, key, store)


def _in_each(
    regions: Sequence[Repository], key: str, store: Callable[[Repository], bool]
) -> tuple[list[Json], list[DrError]]:
    """Have ``store`` put an object into every region; it returns whether it was missing there."""
    done, errors = [], []
    for region in regions:
        try:
            done.append({"region": region.name, "url": region.url(key), "stored": store(region)})
        except DrError as error:
            errors.append(error)
    return done, errors


def _is_there(region: Repository, files: ReportFiles, key: str) -> bool:
    try:
        there = region.get(key)
    except ObjectNotFound:
        return False
    if there != files.contents[layout.DRILL_RECORD]:
        raise ObjectExists(f"{region.url(key)} is there already, with another content.", "Nothing was overwritten.")
    return True


def _store(region: Repository, files: ReportFiles) -> None:
    digests = files.digests()
    for name, data in files.contents.items():
        key = _key(files.record, name)
        put_proved(region, layout.sidecar_key(key), layout.sidecar(key, digests[name]), "text/plain")
        if name == layout.DRILL_RECORD:
            region.verify_encryption(region.put(key, data, if_none_match=True, content_type=_type_of(name)))
        else:
            region.verify_encryption(put_proved(region, key, data, _type_of(name)))


def _type_of(name: str) -> str:
    return _TYPES.get(Path(name).suffix, "application/octet-stream")


def _key(record: Json, name: str) -> str:
    return layout.drill_key(record["collection"], record["drill_id"], name)


def write_report(folder: Path, files: ReportFiles, check: bool = False) -> list[tuple[str, bool]]:
    """Write the files and their sidecars below a local folder, as in a repository. Raises FileError.

    Returns each path, and whether its file changed.
    """
    written = []
    for name, data in files.contents.items():
        key = _key(files.record, name)
        sidecar = layout.sidecar(key, hashlib.sha256(data).hexdigest())
        for path, content in ((folder / key, data), (folder / layout.sidecar_key(key), sidecar)):
            written.append((str(path), put_file(path, content, check)))
    return written


def put_file(path: Path, content: bytes, check: bool = False) -> bool:
    """Write a file where it has another content; returns whether. Raises FileError."""
    try:
        if path.exists() and path.read_bytes() == content:
            return False
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.", "Name another directory.") from error
    if not check:
        write_file(path, content)
    return True


def put_index(regions: Sequence[Repository], page: bytes, check: bool = False) -> tuple[list[Json], list[DrError]]:
    """Store the page that lists the drills, where it has another content; returns as ``store_report`` does."""

    def store(region: Repository) -> bool:
        other = _is_other(region, layout.DRILLS_PAGE, page)
        if other and not check:
            region.verify_encryption(put_proved(region, layout.DRILLS_PAGE, page, _TYPES[".html"]))
        return other

    return _in_each(regions, layout.DRILLS_PAGE, store)


def _is_other(region: Repository, key: str, content: bytes) -> bool:
    try:
        return region.get(key) != content
    except ObjectNotFound:
        return True
