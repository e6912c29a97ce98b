"""One stage of Tidegate: which parts there are and how they hang together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Stack, Tags
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import (
    Alarms,
    api_watches,
    changes_watches,
    clock_watches,
    function_watches,
    pool_watches,
    supervisor_watches,
)
from infra.api import Api
from infra.bucket import payload_bucket
from infra.changes import Changes
from infra.clock import Clock
from infra.dashboard import Dashboard
from infra.dead_letters import DeadLetters
from infra.encryption import customer_key
from infra.event_bus import event_bus
from infra.functions import SERVICE, Common, dependencies
from infra.packaging import Packaging
from infra.pool import Pool
from infra.pull_policy import PullPolicy
from infra.queries import Queries
from infra.sleep import let_sleep
from infra.stage import StageConfig
from infra.stores import Stores
from infra.supervisor import Supervisor
from infra.tables import Tables
from infra.topic import alarm_topic
from infra.worker import Worker
from tidegate.execution.emf import NAMESPACE


class TidegateStack(Stack):
    """Everything that one stage needs, in one stack."""

    def __init__(self, scope: Construct, *, stage: StageConfig, packaging: Packaging) -> None:
        super().__init__(
            scope,
            f"Tidegate-{stage.name}",
            description=f"Tidegate, a serverless job scheduler: stage {stage.name}",
            # Without the rule the template deploys where `cdk bootstrap` never ran, such as an emulator.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
            termination_protection=stage.keep_data,
        )
        Tags.of(self).add("application", SERVICE)
        Tags.of(self).add("stage", stage.name)
        key = customer_key(self, stage)
        stores = Stores(
            tables=Tables(self, "Tables", stage=stage, key=key),
            bucket=payload_bucket(self, "Payloads", stage=stage, key=key),
            pools=[Pool(self, stage=stage, config=config, key=key) for config in stage.pools],
            bus=event_bus(self, "Events", stage=stage, key=key),
            stage=stage.name,
            waiting_machines=stage.waiting_machines,
        )
        common = self._common(stage, packaging, stores, key)
        workers = {
            f"worker-{pool.config.name}": Worker(
                self, common=common, pool=pool, stores=stores, code=packaging.worker_code(pool.config)
            )
            for pool in stores.pools
            if pool.config.handlers
        }
        for pool in stores.pools:
            PullPolicy(self, stage=stage, pool=pool, stores=stores, key=key)
        api = Api(
            self,
            "Api",
            common=common,
            stores=stores,
            schemas=dependencies(self, "Schemas", packaging.layer("schema"), "Checks data against JSON Schemas"),
            identity=self._identity(stage, packaging),
        )
        clock = Clock(self, "Clock", common=common, stores=stores)
        changes = Changes(self, "Changes", common=common, stores=stores)
        dead_letters = DeadLetters(self, "DeadLetters", common=common, stores=stores)
        supervisor = Supervisor(self, "Supervisor", common=common, stores=stores)
        if stage.sleep:
            mappings = [mapping for worker in workers.values() for mapping in worker.mappings]
            let_sleep([api.function, clock.function], [*mappings, *dead_letters.mappings])
        functions: Mapping[str, lambda_.Function] = {
            "api": api.function,
            "authorizer": api.authorizer,
            **{name: worker.function for name, worker in workers.items()},
            "clock": clock.function,
            "changes": changes.function,
            "dead_letters": dead_letters.function,
            "dag": supervisor.function,
        }
        self._observe(stage, common, stores, functions, api, clock, changes, supervisor)
        self._announce(stage, stores, api)

    def _common(self, stage: StageConfig, packaging: Packaging, stores: Stores, key: kms.IKey | None) -> Common:
        description = "What every function of Tidegate needs beside the Lambda runtime"
        layer = dependencies(self, "Dependencies", packaging.layer(), description)
        environment = {
            "TIDEGATE_STAGE": stage.name,
            "POWERTOOLS_SERVICE_NAME": SERVICE,
            "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
            **stores.environment(),
        }
        return Common(stage, key, layer, packaging.shared_code(), environment)

    def _identity(self, stage: StageConfig, packaging: Packaging) -> list[lambda_.ILayerVersion]:
        """What checks the signatures of another issuer's tokens, where there is one: 5 MB that others do not need."""
        if stage.oidc is None:
            return []
        code = packaging.layer("identity")
        return [dependencies(self, "Identity", code, "Checks the signatures of tokens of an OIDC issuer")]

    def _observe(
        self,
        stage: StageConfig,
        common: Common,
        stores: Stores,
        functions: Mapping[str, lambda_.Function],
        api: Api,
        clock: Clock,
        changes: Changes,
        supervisor: Supervisor,
    ) -> None:
        alarms = [
            *(watch for pool in stores.pools for watch in pool_watches(pool)),
            *(watch for name, function in functions.items() for watch in function_watches(name, function)),
            *clock_watches(stage, clock.function, clock.dead),
            *changes_watches(changes.function, changes.dead),
            *api_watches(api),
            *supervisor_watches(supervisor),
        ]
        topic = alarm_topic(self, "AlarmTopic", stage=stage, key=common.key)
        Alarms(self, "Alarms", stage=stage, topic=topic, watches=alarms)
        dead = {pool.config.name: pool.dead for pool in stores.pools}
        dead |= {"clock": clock.dead, "changes": changes.dead, "dag": supervisor.dead}
        groups = [function.log_group for function in functions.values()]
        Queries(self, "Queries", stage=stage, functions=groups, access=api.access_logs)
        if stage.dashboard:
            Dashboard(self, "Board", stage=stage, pools=stores.pools, functions=functions, dead=dead, api=api)

    def _announce(self, stage: StageConfig, stores: Stores, api: Api) -> None:
        outputs: dict[str, Any] = {
            "Stage": stage.name,
            "ApiUrl": api.url,
            "JobsTable": stores.tables.jobs.table_name,
            "RegistryTable": stores.tables.registry.table_name,
            "Bucket": stores.bucket.bucket_name,
            "Pools": stores.pools_json(),
            **({"EventBus": stores.bus.event_bus_name} if stores.bus else {}),
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
