# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: start a Qdrant server and two S3 servers, run playbooks/demo.yml against them, report, stop everything.

Usage: python -m tools.demo [--output FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from tools.demo_report import report_of, summary_of
from tools.servers import QdrantServer, SeaweedServer, ServerError

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "build" / "collections"
PLAYBOOK = COLLECTIONS / "ansible_collections" / "vectorops" / "qdrant_dr" / "playbooks" / "demo.yml"
CLUSTER = "demo"
REGIONS = ("primary", "standby")
STOP_SECONDS = 10.0
INVENTORY = {
    "qdrant": {
        "hosts": {
            "node-1": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            }
        }
    }
}
# A file of our own, because Ansible would else read the user's.
ANSIBLE_CONFIG = """[defaults]
stdout_callback = ansible.builtin.default
callback_result_format = yaml
[connection]
pipelining = true
"""


ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """One of the signals arrived that ask for an end."""


def _stop(number: int, _frame: object) -> None:
    for ending in ENDINGS:  # a second Ctrl-C must not interrupt the cleaning up
        signal.signal(ending, signal.SIG_IGN)
    raise Stopped(signal.Signals(number).name)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[QdrantServer, dict[str, SeaweedServer]]]:
    """Run the node and, by region, the two S3 servers, all below ``folder``; they are stopped on leaving."""
    # By default Qdrant leaves one processor to searches, which is half of a small machine.
    budget = {"QDRANT__STORAGE__PERFORMANCE__OPTIMIZER_CPU_BUDGET": str(os.cpu_count() or 1)}
    node = QdrantServer(folder / "qdrant", api_key=secrets.token_urlsafe(24), extra_env=budget)
    regions = {name: SeaweedServer(folder / name, region_name=name) for name in REGIONS}
    with ExitStack() as stack:
        for server in (node, *regions.values()):
            stack.callback(server.stop)
        with ThreadPoolExecutor() as threads:
            for started in [threads.submit(server.start) for server in (node, *regions.values())]:
                started.result()
        yield node, regions


def repository(region: SeaweedServer) -> dict[str, str]:
    """The collection's `repository` option for a region, whose bucket is made here."""
    return {
        "name": region.region,
        "bucket": region.create_bucket(f"qdrant-backups-{region.region}"),
        "cluster": CLUSTER,
        "region": region.region,
        "endpoint_url": region.endpoint,
        "access_key": region.access_key,
        "secret_key": region.secret_key,
    }


def write_private(path: Path, content: Any) -> Path:
    """Write JSON that only this user can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return path


def environment(folder: Path) -> dict[str, str]:
    """The variables for Ansible: none that would change what the demo does, no proxy for loopback."""
    foreign = ("ANSIBLE_", "AWS_", "PYTHONPATH", "QDRANT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    own = {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOG_PATH": str(folder / "playbook.log"),
        "LC_ALL": "C.UTF-8",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PATH": path,
        "PYTHONWARNINGS": "ignore",
    }
    if sys.stdout.isatty():
        own["ANSIBLE_FORCE_COLOR"] = "true"
    return {**kept, **own}


def run_playbook(arguments: list[str], env: dict[str, str], output: IO[bytes] | None = None) -> int:
    """Run ansible-playbook and return its status; never leave it behind. Its output goes to ours, or to ``output``."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    # A session of its own: Ctrl-C then comes to this process alone, which ends Ansible and the servers in that order.
    process = subprocess.Popen(
        [program, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_step(log: Path) -> str:
    """Name the task that Ansible was at, by its log."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    found = [line.partition("[")[2].rpartition("]")[0] for line in lines if "| TASK [" in line]
    return found[-1] if found else "starting Ansible"


def settings_of(folder: Path, node: QdrantServer, regions: dict[str, SeaweedServer]) -> dict[str, Any]:
    """The variables of playbooks/demo.yml and its scripts; makes the buckets."""
    return {
        "demo_qdrant_url": node.url,
        "demo_qdrant_grpc_port": node.grpc_port,
        "demo_qdrant_api_key": node.api_key,
        "demo_storage_path": str(node.storage_path),
        "demo_snapshots_path": str(node.snapshots_path),
        "demo_settings_file": str(folder / "settings.json"),
        "demo_results_file": str(folder / "results.json"),
        **{f"demo_{name}": repository(region) for name, region in regions.items()},
    }


class Failed(Exception):
    """A step ended without what the next one needs; the message is one sentence."""


@dataclass
class Demo:
    """One run below a folder; ``step`` says what it is at."""

    folder: Path
    step: str = "start the servers"

    def play(self) -> dict[str, Any]:
        """Start the servers, run the playbook, and return its results; raises Failed when it does not end well."""
        began = time.monotonic()
        print("Starting Qdrant, and SeaweedFS for the regions primary and standby ...", flush=True)
        with servers(self.folder) as (node, regions):
            print(f"They run on loopback, after {time.monotonic() - began:.1f} s.", flush=True)
            self.step = "make the buckets"
            settings_file = write_private(self.folder / "settings.json", settings_of(self.folder, node, regions))
            (self.folder / "ansible.cfg").write_text(ANSIBLE_CONFIG, encoding="utf-8")
            inventory = write_private(self.folder / "inventory.json", INVENTORY)
            arguments = ["-i", str(inventory), "-e", f"@{settings_file}", str(PLAYBOOK)]
            try:
                status = run_playbook(arguments, environment(self.folder))
            finally:
                self.step = last_step(self.folder / "playbook.log")
            if status:
                raise Failed("Ansible's output above says why.")
            self.step = "stop the servers"
        self.step = "report"
        results: dict[str, Any] = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))
        return results


@contextlib.contextmanager
def alone_in(output: Path, name: str) -> Iterator[None]:
    """Keep other runs out of a folder, where they would delete what this one needs; SystemExit when one is there.

    ``name``: what the user has called.
    """
    output.mkdir(parents=True, exist_ok=True)
    # The lock is on the folder itself: that leaves no file behind, and it ends with the process, however that ends.
    lock = os.open(output, os.O_RDONLY)
    try:
        _take(lock, output, name)
        yield
    finally:
        os.close(lock)


def _take(lock: int, output: Path, name: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            f"{name} already runs in {output}: wait for its end, or give this run a folder of its own "
            f"({name} ARGS='--output FOLDER')."
        ) from None


class Story(Protocol):
    """What is told below a folder; ``step`` says what it is at."""

    folder: Path
    step: str


@contextlib.contextmanager
def telling(name: str, story: Story) -> Iterator[None]:
    """Begin a story in an empty folder; SystemExit with a sentence that names the step that failed.

    The folder is gone after a good end and after a signal; no key stays in any case.
    """
    shutil.rmtree(story.folder, ignore_errors=True)
    story.folder.mkdir()
    try:
        yield
    except Stopped as stopped:
        shutil.rmtree(story.folder)
        raise SystemExit(f"{name} was stopped by {stopped} at the step '{story.step}'.") from stopped
    except Exception as error:
        (story.folder / "traceback.log").write_text(traceback.format_exc(), encoding="utf-8")
        reason = str(error) if isinstance(error, Failed | ServerError) else f"{type(error).__name__}: {error}"
        raise SystemExit(f"{name} failed at the step '{story.step}' (logs: {story.folder}): {reason}") from error
    finally:
        (story.folder / "settings.json").unlink(missing_ok=True)
    shutil.rmtree(story.folder)


def run(output: Path) -> None:
    """Run the demo and leave report.json in ``output``; SystemExit with a sentence that names the step that failed."""
    report_file = output / "report.json"
    report_file.unlink(missing_ok=True)
    demo = Demo(output / "servers")
    began = time.monotonic()
    with telling("make demo", demo):
        report = report_of(demo.play(), seconds=time.monotonic() - began)
        summary = summary_of(report)
        report_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(summary)
    print(f"\nThe report: {report_file}")


def call(name: str, description: str, act: Callable[[Path], None]) -> None:
    """Act in the folder that the command line names, alone there; a signal that asks for an end raises Stopped."""
    parser = argparse.ArgumentParser(prog=f"python -m tools.{name}", description=description)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / name, help="folder for the report")
    output = parser.parse_args().output.absolute()
    with alone_in(output, f"make {name}"):
        for number in ENDINGS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
                signal.signal(number, _stop)
        act(output)


if __name__ == "__main__":
    call("demo", "Back up, lose and restore, on real servers.", run)
