# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that name a repository of backups."""

from __future__ import annotations

import textwrap

_REPOSITORY = r"""
type: dict
suboptions:
  name:
    description:
      - The name that reports and messages use for this repository.
      - By default that is the name of the bucket.
    type: str
  bucket:
    description: The bucket, which must exist.
    type: str
    required: true
  cluster:
    description:
      - The name under which the backups of this Qdrant cluster are kept.
      - All objects stand below C(prefix/cluster/) in the bucket.
    type: str
    required: true
  prefix:
    description: A folder in the bucket, for a bucket that holds other things too.
    type: str
    default: ''
  region:
    description:
      - The region of the bucket.
      - If it is not set, the environment variables E(AWS_REGION) and E(AWS_DEFAULT_REGION) are looked at.
    type: str
  endpoint_url:
    description:
      - The URL of an S3-compatible server. Without it, AWS is used.
      - If it is not set, the environment variables E(AWS_ENDPOINT_URL_S3) and E(AWS_ENDPOINT_URL) are looked at.
    type: str
  access_key:
    description:
      - The access key.
      - Without keys and without O(%(option)s.profile), boto3 looks for credentials where it always does - in the
        environment variables E(AWS_ACCESS_KEY_ID) and E(AWS_SECRET_ACCESS_KEY), in its configuration files, and in
        the role of the instance or the container.
    type: str
  secret_key:
    description: The secret key that belongs to O(%(option)s.access_key).
    type: str
  session_token:
    description: The session token of temporary credentials.
    type: str
  profile:
    description: A profile of the AWS configuration files on the host that runs the module.
    type: str
  addressing_style:
    description:
      - Whether the bucket stands in the path or in the host name of a URL.
      - Most S3-compatible servers want V(path), which V(auto) chooses for all but AWS itself.
    type: str
    choices: [auto, path, virtual]
    default: auto
  checksum_mode:
    description:
      - With V(when_supported), each part is sent with its SHA-256, and the server refuses what differs from it.
      - V(when_required) is for servers that do not know that checksum. They get an MD5 instead.
    type: str
    choices: [when_supported, when_required]
    default: when_supported
  validate_certs:
    description: Whether to check the server's TLS certificate.
    type: bool
    default: true
  ca_path:
    description: A file with the certificate authorities to trust, in PEM format.
    type: path
  encryption:
    description:
      - The server-side encryption that is asked for with each object, and read back from it.
      - With V(SSE-C), the store encrypts with a key that it is sent with each request and does not keep. The key is
        needed for all that is done with the repository. Whoever loses it has no backups. It is sent over HTTPS only,
        or to this host. AWS refuses it in a bucket that blocks V(SSE-C), as new ones do.
      - With V(none), nothing is asked for; the bucket may still encrypt by its own default.
    type: str
    choices: [AES256, 'aws:kms', SSE-C, none]
    default: AES256
  kms_key_id:
    description:
      - The key for O(%(option)s.encryption=aws:kms), as id, ARN or alias.
      - Without it, the store uses its default key.
    type: str
  sse_customer_key_file:
    description:
      - A file with the key for O(%(option)s.encryption=SSE-C), which only its user and root may read.
      - It holds 32 bytes in base64 or hex, or as they are.
    type: path
  sse_customer_key:
    description:
      - The key for O(%(option)s.encryption=SSE-C) itself, in base64 or hex.
    type: str
  connect_timeout:
    description:
      - Seconds to wait for a connection.
      - Where there are several repositories, one that cannot be reached costs about this once.
    type: float
    default: 10.0
  read_timeout:
    description: Seconds to wait for each answer.
    type: float
    default: 60.0
  bandwidth_limit:
    description:
      - The most bytes per second that this host sends to or reads from the store, such as V(50M) for 50 MiB/s.
      - Copies that the store makes by itself are not limited.
    type: str
  client_encryption:
    description:
      - Encrypts the shard archives and the recall probes of new backups by AES-256-GCM before they are sent, and opens
        backups and archived logs that were made so. Needs the Python package cryptography.
      - Exactly one of the options that name a key is needed.
      - Copies, verifications and prunes need no key. If M(vectorops.qdrant_dr.backup_verify) has one, it also finds
        what that does not open.
      - Object metadata, counts, the collection's configuration, names of payload indexes and aliases stay readable.
      - B(Whoever loses the key loses the backups.) Keep a copy of it apart from them.
    type: dict
    suboptions:
%(key)s      old_keys:
        description:
          - Keys that only open what was encrypted with them, such as that of the time before a rotation.
          - M(vectorops.qdrant_dr.backup_rewrap) makes them superfluous.
        type: list
        elements: dict
        suboptions:
%(old_key)s"""

_KEY = r"""
key_file:
  description:
    - A file on the host that runs the module, which nobody else may read.
    - It holds 32 bytes, as they are, as 64 hex digits, or in base64. C(openssl rand -hex 32) makes such a key.
  type: path
key_env:
  description: The name of an environment variable of the module's process that holds the key in hex or base64.
  type: str
key:
  description: The key in hex or base64, such as a lookup gives it.
  type: str
kms_key_id:
  description: A key of AWS KMS, as id, ARN or alias. The credentials are those of the repository.
  type: str
kms_endpoint_url:
  description: The URL of a server that speaks the protocol of AWS KMS.
  type: str
kms_region:
  description: The region of the KMS key. By default that of the repository.
  type: str
"""


def _option(name: str, description: str, path: str | None = None, required: bool = True) -> str:
    """One option; ``path`` is how its suboptions are referred to."""
    key, old_key = (textwrap.indent(_KEY.lstrip(), " " * width) for width in (6, 10))
    values = {"option": path or name, "key": key, "old_key": old_key}
    text = f"{name}:\n  description:\n{description}" + ("\n  required: true" if required else "")
    return textwrap.indent(text + textwrap.indent(_REPOSITORY % values, "  "), "  ")


def _list_option(name: str, description: str, required: bool = True) -> str:
    return _option(name, description, path=f"{name}[]", required=required).replace(
        "    type: dict\n", "    type: list\n    elements: dict\n", 1
    )


_REQUIREMENTS = """
requirements:
  - boto3 >= 1.36
"""


class ModuleDocFragment:
    """Fragments: DOCUMENTATION (option O(repository)), SOURCES and REGIONS (ordered lists), COPY (source, targets),
    INFO (one repository or a list), DRILLS (an optional list)."""


# Set from outside, because ansible-test takes every assignment inside of that class for literal YAML.
ModuleDocFragment.DOCUMENTATION = (
    "options:\n" + _option("repository", "    - Where the backups are, and how to get there.") + _REQUIREMENTS
)
ModuleDocFragment.SOURCES = (
    "options:\n"
    + _list_option(
        "sources",
        "    - Repositories that hold the backup, in the order of preference.\n"
        "    - Each part is taken from the first one whose bytes match the manifest.",
    )
    + _REQUIREMENTS
)
ModuleDocFragment.RECOVERY = (
    "options:\n"
    + _list_option(
        "sources",
        "    - Repositories that hold the backups, in the order of preference. Needed with O(state=recovered).\n"
        "    - A failback backs up into the first one.",
        required=False,
    )
    + _REQUIREMENTS
)
ModuleDocFragment.COPY = (
    "options:\n"
    + _option("source", "    - The repository to copy from.")
    + _list_option("destinations", "    - The repositories to copy to, each with credentials of its own.")
    + _REQUIREMENTS
)
ModuleDocFragment.REGIONS = (
    "options:\n"
    + _list_option(
        "repositories", "    - The repositories of all regions that hold the backups, in the order of preference."
    )
    + _REQUIREMENTS
)
ModuleDocFragment.INFO = (
    "options:\n"
    + _option("repository", "    - The repository to look at. Give this or O(repositories).", required=False)
    + _list_option("repositories", "    - The repositories of all regions, in the order of preference.", required=False)
    + _REQUIREMENTS
)
ModuleDocFragment.DRILLS = (
    "options:\n"
    + _list_option("repositories", "    - The repositories of all regions that hold the drills.", required=False)
    + _REQUIREMENTS
)
