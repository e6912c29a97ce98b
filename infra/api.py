"""The HTTP API: every route to one function, behind one authorizer; but for the console's files, which hold no data."""

from __future__ import annotations

import json
from collections.abc import Sequence

import jsii
from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpLambdaAuthorizer, HttpLambdaResponseType
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra import access, nag
from infra.functions import Common, FunctionSpec, log_group_for, python_function
from infra.stage import StageConfig
from infra.stores import Stores
from tidegate.domain.iam import PREFIX

# API Gateway gives up on an HTTP API integration after 30 s; the function ends first, so that its own error is seen.
API_TIMEOUT = 29
AUTHORIZER_TIMEOUT = 5
# Static files, for a browser that has no token yet.
CONSOLE = ("/", "/console", "/console/{file+}")
# What a request was and how it ended; never its body, query, headers or token. CloudWatch says when (@timestamp).
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "bytes": "$context.responseLength",
    "ip": "$context.identity.sourceIp",
    "tenant": "$context.authorizer.tenant",
    "authorizerError": "$context.authorizer.error",
    "integrationError": "$context.integrationErrorMessage",
}


class Api(Construct):
    """The HTTP API with its two functions.

    Attributes:
        function: answers every route; `schemas` is the layer that checks data against JSON Schemas.
        authorizer: turns a bearer token into tenant, user and scopes; `identity` are the layers that it needs for that.
        http: the API itself.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        common: Common,
        stores: Stores,
        schemas: lambda_.ILayerVersion,
        identity: Sequence[lambda_.ILayerVersion] = (),
    ) -> None:
        super().__init__(scope, name)
        self.function = python_function(Construct(self, "Routes"), common, _api_spec(stores, common.stage, schemas))
        nag.acknowledge_objects(self, stores.bucket)
        nag.acknowledge_secrets(self, stores.tables.registry)
        integration = HttpLambdaIntegration("Integration", self.function)
        spec = _authorizer_spec(stores, common.stage, identity)
        self.authorizer = python_function(Construct(self, "Authorizer"), common, spec)
        self.http = apigatewayv2.HttpApi(
            self,
            "Http",
            api_name=f"tidegate-{common.stage.name}",
            create_default_stage=False,
            default_integration=integration,
            default_authorizer=HttpLambdaAuthorizer(
                "Tokens",
                self.authorizer,
                response_types=[HttpLambdaResponseType.SIMPLE],
                identity_source=["$request.header.Authorization"],
                results_cache_ttl=Duration.seconds(common.stage.authorizer_cache_seconds),
            ),
        )
        for path in CONSOLE:
            (route,) = self.http.add_routes(
                path=path,
                methods=[apigatewayv2.HttpMethod.GET],
                integration=integration,
                authorizer=apigatewayv2.HttpNoneAuthorizer(),
            )
            nag.acknowledge(route, "AwsSolutions-APIG4", nag.CONSOLE)
        if common.stage.iam_callers:
            self._take_signed_requests()
        # The prefix keeps API Gateway's own resource policy on log groups short.
        self.access_logs = log_group_for(
            self, "AccessLogs", f"/aws/vendedlogs/tidegate-{common.stage.name}-api", common.stage, common.key
        )
        apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=self.http,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigatewayv2.ThrottleSettings(
                rate_limit=common.stage.api_rate, burst_limit=common.stage.api_burst
            ),
            access_log_settings=_AccessLogs(self.access_logs),
        )

    def _take_signed_requests(self) -> None:
        """Every route once more under `/iam`, for callers of the account with `execute-api:Invoke` on it."""
        self.http.add_routes(
            path=f"{PREFIX}/{{proxy+}}",
            methods=[apigatewayv2.HttpMethod.ANY],
            integration=HttpLambdaIntegration("Signed", self.function),
            authorizer=HttpIamAuthorizer(),
        )

    @property
    def url(self) -> str:
        """Where the API answers, without a slash at the end."""
        return self.http.api_endpoint


def _api_spec(stores: Stores, stage: StageConfig, schemas: lambda_.ILayerVersion) -> FunctionSpec:
    jobs, registry = stores.tables.jobs, stores.tables.registry
    return FunctionSpec(
        name="api",
        purpose="answers the HTTP API",
        memory=1024,
        timeout=API_TIMEOUT,
        layers=[schemas],
        environment={
            "TIDEGATE_SLOTS": str(sum(pool.config.slots for pool in stores.pools)),
            **stores.supervision(),
            **({"TIDEGATE_CALLS_BACK": "1"} if stores.waiting_machines else {}),
            "TIDEGATE_LAMBDA_POOLS": ",".join(
                f"{pool.config.name}={pool.config.memory}" for pool in stores.pools if pool.config.handlers
            ),
            **({"TIDEGATE_IAM": json.dumps(stage.iam_callers, separators=(",", ":"))} if stage.iam_callers else {}),
        },
        access=[
            # The check: a job takes a unique key only while the job that had it is out of the way.
            access.items(
                jobs, *access.READ, access.PUT, access.UPDATE, access.DELETE, access.CHECK, access.INSERT_MANY
            ),
            access.board(jobs),
            *access.registry(
                registry, *access.READ, access.PUT, access.UPDATE, access.DELETE, access.WRITE_MANY, appends=True
            ),
            *access.objects(stores.bucket),
            access.secrets(registry),
            access.send(stores.ticket_queues()),
            access.measure([*stores.ticket_queues(), *stores.dead_queues()]),
            *access.announce(stores.bus),
            access.supervise(stores.state_machine),
            *access.answer(stores.state_machine, stores.waiting_machines),
        ],
    )


def _authorizer_spec(stores: Stores, stage: StageConfig, identity: Sequence[lambda_.ILayerVersion]) -> FunctionSpec:
    return FunctionSpec(
        name="authorizer",
        purpose="turns bearer tokens into tenant, user and scopes",
        memory=512,
        timeout=AUTHORIZER_TIMEOUT,
        environment={} if stage.oidc is None else {"TIDEGATE_OIDC": json.dumps(stage.oidc, separators=(",", ":"))},
        access=access.registry(stores.tables.registry, access.GET, access.UPDATE),
        layers=identity,
    )


@jsii.implements(apigatewayv2.IAccessLogSettings)
class _AccessLogs:
    def __init__(self, group: logs.ILogGroup) -> None:
        self._group = group

    @property
    def destination(self) -> apigatewayv2.IAccessLogDestination:
        return apigatewayv2.LogGroupLogDestination(self._group)

    @property
    def format(self) -> apigateway.AccessLogFormat:
        return apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG, separators=(",", ":")))
