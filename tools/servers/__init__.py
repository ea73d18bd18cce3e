# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on free loopback ports, for the demo, the tests and the benchmarks."""

from __future__ import annotations

from tools.servers.fetch import qdrant_binary
from tools.servers.juicefs import JuiceFSGateway
from tools.servers.process import ServerError
from tools.servers.qdrant import QdrantServer
from tools.servers.seaweedfs import SeaweedServer

__all__ = ["JuiceFSGateway", "QdrantServer", "SeaweedServer", "ServerError", "qdrant_binary"]
