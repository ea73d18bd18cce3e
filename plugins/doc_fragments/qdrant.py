# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that talks to a Qdrant node."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the Qdrant node, with its HTTP port.
      - Without it E(QDRANT_URL) is used.
      - Redirects are refused, so that the key never goes to another host.
    type: str
    default: http://127.0.0.1:6333
  api_key:
    description:
      - Key of the node.
      - Creating and deleting snapshots needs write access to the collection, restoring needs it to everything.
      - Without it E(QDRANT_API_KEY) is used.
    type: str
  validate_certs:
    description: Whether the node's TLS certificate must be valid and made for its name.
    type: bool
    default: true
  ca_path:
    description: File or directory on the host with the certificate authorities to trust instead of the system's.
    type: path
  client_cert:
    description: PEM file on the host with the certificate that this client shows.
    type: path
  client_key:
    description: PEM file on the host with the private key of O(client_cert), when that file does not hold it.
    type: path
  timeout:
    description: Seconds to wait for the answer to a normal request.
    type: float
    default: 30.0
  operation_timeout:
    description: Seconds to wait for the creation or the upload of a snapshot.
    type: float
    default: 3600.0
"""
