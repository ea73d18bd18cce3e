# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left out of botocore's descriptions changes no client."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointResolutionError

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.s3_model import shared_loader

REGIONS = ("us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "xx-unknown-9")


def told(session: Any, service: str, region: str, fips: bool) -> list[object]:
    """Where a client of a session sends its requests to, and how it signs them."""
    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=fips)
    client = session.create_client(
        service, region_name=region, aws_access_key_id="key", aws_secret_access_key="secret", config=config
    )
    signer = client._request_signer
    found = [client.meta.endpoint_url, signer.region_name, signer.signing_name, signer.signature_version]
    if service == "s3":
        try:
            url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
        except EndpointResolutionError as error:
            url = str(error)
        found.append(url.partition("?")[0])
    return found


@pytest.mark.parametrize("service", ["s3", "kms", "sts", "sso", "sso-oidc"])
def test_clients_go_where_those_of_the_whole_descriptions_go(service: str) -> None:
    whole, lean = botocore.session.Session(), botocore.session.Session()
    lean.register_component("data_loader", shared_loader())
    for region in REGIONS:
        for fips in (False, True):
            assert told(lean, service, region, fips) == told(whole, service, region, fips)


def test_what_botocore_has_no_file_for_is_not_made_up() -> None:
    with pytest.raises(botocore.exceptions.DataNotFoundError):
        shared_loader().load_data("no-such-service/2020-01-01/service-2")


def test_nothing_is_kept_of_the_documentation() -> None:
    model = shared_loader().load_service_model("s3", "service-2")
    assert model["operations"]["PutObject"]["documentation"] == ""
