"""`Definitions` and `WebhookSecrets`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from support.aws import REGISTRY, Cloud
from support.clock import START_MS, Clock
from tidegate.adapters.aws.parameters import Parameters
from tidegate.adapters.caching_definitions import CachedDefinitions
from tidegate.domain.definition import Definition
from tidegate.domain.errors import Unavailable
from tidegate.domain.webhook import WebhookSecret
from tidegate.ports import Ports

PLAIN = Definition(tenant="acme", name="extract", version=1)
FULL = replace(
    PLAIN,
    schema={"type": "object", "properties": {"": {"minimum": 1.5}}},
    job={"queue": "mail", "priority": 8, "data": {"a": [1, None, "grüße"]}, "tags": ["a"], "retry_limit": 0},
    description="für alle",
    created_at=START_MS,
    created_by="ann",
)


class TestDefinitions:
    @pytest.mark.parametrize("definition", [PLAIN, FULL], ids=["plain", "full"])
    def test_a_definition_is_read_as_it_was_stored(self, ports: Ports, definition: Definition) -> None:
        assert ports.definitions.add(definition)
        assert ports.definitions.get("acme", "extract") == definition
        assert ports.definitions.get("acme", "extract", 1) == definition

    def test_an_absent_definition_or_version_is_none(self, ports: Ports) -> None:
        ports.definitions.add(PLAIN)
        assert ports.definitions.get("acme", "other") is None
        assert ports.definitions.get("zeta", "extract") is None
        assert ports.definitions.get("acme", "extract", 2) is None

    def test_versions_follow_one_another_and_all_stay(self, ports: Ports) -> None:
        versions = [replace(FULL, version=number, description=str(number)) for number in (1, 2, 3)]
        assert [ports.definitions.add(each) for each in versions] == [True, True, True]
        assert ports.definitions.get("acme", "extract") == versions[2]
        assert [ports.definitions.get("acme", "extract", number) for number in (1, 2, 3)] == versions

    @pytest.mark.parametrize("version", [2, 3])
    def test_a_version_without_the_one_before_is_refused(self, ports: Ports, version: int) -> None:
        if version == 3:
            ports.definitions.add(PLAIN)
        assert not ports.definitions.add(replace(FULL, version=version))
        assert ports.definitions.get("acme", "extract", version) is None

    def test_a_version_that_exists_is_refused(self, ports: Ports) -> None:
        ports.definitions.add(PLAIN)
        ports.definitions.add(replace(PLAIN, version=2))
        assert not ports.definitions.add(FULL)
        assert not ports.definitions.add(replace(FULL, version=2))
        assert ports.definitions.get("acme", "extract", 1) == PLAIN

    def test_of_two_who_store_the_same_version_one_does(self, ports: Ports) -> None:
        def store(number: int) -> bool:
            try:
                return ports.definitions.add(replace(PLAIN, description=str(number)))
            finally:
                ports.close()

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(store, range(8))) == 1

    def test_the_latest_versions_of_a_tenant_are_listed_by_name(self, ports: Ports) -> None:
        for definition in (FULL, replace(FULL, version=2), replace(PLAIN, name="a"), replace(PLAIN, tenant="zeta")):
            assert ports.definitions.add(definition)
        assert list(ports.definitions.list("acme")) == [replace(PLAIN, name="a"), replace(FULL, version=2)]
        assert list(ports.definitions.list("nobody")) == []

    def test_remembered_definitions_are_late_by_the_time_given_at_most(self, ports: Ports, clock: Clock) -> None:
        remembering = CachedDefinitions(ports.definitions, clock.now, 5)
        assert remembering.get("acme", "extract") is None
        ports.definitions.add(PLAIN)
        assert remembering.get("acme", "extract") == PLAIN
        ports.definitions.add(replace(PLAIN, version=2))
        assert remembering.get("acme", "extract") == PLAIN
        clock.advance(5)
        assert remembering.get("acme", "extract") == replace(PLAIN, version=2)
        assert remembering.get("acme", "extract", 1) == PLAIN
        assert remembering.add(replace(PLAIN, version=3))
        assert remembering.get("acme", "extract") == replace(PLAIN, version=3)


SECRET = WebhookSecret(tenant="acme", queue="mail", current="whsec_AAAA", rotated_at=START_MS)
NEXT = replace(SECRET, current="whsec_BBBB", previous="whsec_AAAA", rotated_at=START_MS + 1)


class TestWebhookSecrets:
    def test_a_secret_is_read_as_it_was_stored(self, ports: Ports) -> None:
        assert ports.webhook_secrets.put_if_unchanged(SECRET, None)
        assert ports.webhook_secrets.get("acme", "mail") == SECRET
        assert ports.webhook_secrets.get("acme", "post") is None
        assert ports.webhook_secrets.get("zeta", "mail") is None

    def test_a_secret_is_replaced_by_who_has_seen_it(self, ports: Ports) -> None:
        ports.webhook_secrets.put_if_unchanged(SECRET, None)
        assert ports.webhook_secrets.put_if_unchanged(NEXT, SECRET)
        assert ports.webhook_secrets.get("acme", "mail") == NEXT
        assert not ports.webhook_secrets.put_if_unchanged(replace(SECRET, current="whsec_CCCC"), SECRET)
        assert not ports.webhook_secrets.put_if_unchanged(SECRET, None)
        assert ports.webhook_secrets.get("acme", "mail") == NEXT

    def test_a_secret_that_is_not_there_cannot_be_replaced(self, ports: Ports) -> None:
        assert not ports.webhook_secrets.put_if_unchanged(NEXT, SECRET)
        assert ports.webhook_secrets.get("acme", "mail") is None

    def test_in_the_cloud_the_parameter_store_alone_has_it(self, aws_ports: Ports, aws: Cloud) -> None:
        """One encrypted parameter a queue, whatever was tried; the table names it and no more."""
        aws_ports.webhook_secrets.put_if_unchanged(SECRET, None)
        assert not aws_ports.webhook_secrets.put_if_unchanged(NEXT, None)
        assert aws_ports.webhook_secrets.put_if_unchanged(NEXT, SECRET)
        (item,) = aws.clients.dynamodb.scan(TableName=REGISTRY)["Items"]
        (kept,) = aws.clients.ssm.describe_parameters()["Parameters"]
        assert (item["parameter"], kept["Type"]) == ({"S": kept["Name"]}, "SecureString")
        assert "whsec" not in str(item)

    def test_of_two_that_saw_the_same_one_replaces_it(self, aws_ports: Ports, aws: Cloud) -> None:
        """The other's secret is forgotten again."""
        aws_ports.webhook_secrets.put_if_unchanged(SECRET, None)
        other = aws.open(aws.queue_urls()).webhook_secrets
        seen = other.get("acme", "mail")
        keep = Parameters.keep

        def overtaken(self: Parameters, text: str) -> str:
            with pytest.MonkeyPatch.context() as first:
                first.setattr(Parameters, "keep", keep)
                assert aws_ports.webhook_secrets.put_if_unchanged(NEXT, SECRET)
            return keep(self, text)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Parameters, "keep", overtaken)
            assert not other.put_if_unchanged(replace(SECRET, current="whsec_CCCC"), seen)
        assert len(aws.clients.ssm.describe_parameters()["Parameters"]) == 1
        with pytest.raises(Unavailable, match="being replaced"):
            Parameters(aws.clients, "/tidegate").read("/tidegate/gone")
