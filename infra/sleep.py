"""A stage that sleeps: whoever makes jobs ready wakes what polls the queues, and the clock lets it rest."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_lambda as lambda_

from infra import access


def let_sleep(functions: Sequence[lambda_.Function], mappings: Sequence[lambda_.EventSourceMapping]) -> None:
    """Tell the functions which event source mappings they may wake and let rest, and allow it."""
    for function in functions:
        function.add_environment("TIDEGATE_MAPPINGS", ",".join(mapping.event_source_mapping_id for mapping in mappings))
        for statement in access.switch(mappings):
            function.add_to_role_policy(statement)
