# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics as Prometheus' textfile collector reads them.

Source: Prometheus, "Exposition formats", text-based format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PREFIX = "qdrant_dr_"
GAUGE, COUNTER = "gauge", "counter"


def family(name: str, kind: str, text: str, samples: Iterable[tuple[Mapping[str, object], float]]) -> list[str]:
    """The lines of one metric, whose name gets ``PREFIX``: what it is, and a sample for each set of labels."""
    whole = PREFIX + name
    head = [f"# HELP {whole} {text}", f"# TYPE {whole} {kind}"]
    return head + [f"{whole}{_labels(labels)} {value:.15g}" for labels, value in samples]


def _labels(labels: Mapping[str, object]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
