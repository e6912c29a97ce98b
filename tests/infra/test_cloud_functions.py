"""The Lambdas of the template, their environment, and the API in front of them."""

from __future__ import annotations

import json

import pytest
from synthesised import ETL, OIDC, Synthesised

from tidegate.console import is_console
from tidegate.domain.iam import iam_callers_from
from tidegate.domain.identity import rules_from
from tidegate.settings import settings_from, worker_settings_from

CONSOLE = {"GET /", "GET /console", "GET /console/{file+}"}
COMMON = {
    "TIDEGATE_STAGE",
    "TIDEGATE_JOBS_TABLE",
    "TIDEGATE_REGISTRY_TABLE",
    "TIDEGATE_BUCKET",
    "TIDEGATE_POOLS",
    "TIDEGATE_EVENT_BUS",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
}
SUPERVISING = ("api", "clock", "changes", "dag")
FUNCTIONS = ("api", "authorizer", "worker-default", "worker-slow", "clock", "changes", "dead_letters", "dag")


def test_there_is_one_function_per_folder_and_one_worker_per_pool(template: Synthesised) -> None:
    assert set(template.functions()) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_runs_its_own_handler_on_arm_with_its_layers(template: Synthesised, name: str) -> None:
    function = template.functions()[name]
    folder = name.split("-")[0]
    assert function["Handler"] == f"tidegate_functions.{folder}.handler.handler"
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Layers"] == ["<Dependencies>", *(["<Schemas>"] if name == "api" else [])]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_gets_its_variables_and_no_other(template: Synthesised, name: str) -> None:
    own = {"TIDEGATE_POOL", "TIDEGATE_HANDLERS", "TIDEGATE_MEMORY"} if name.startswith("worker-") else set()
    own |= {"TIDEGATE_STATE_MACHINE"} if name in SUPERVISING else set()
    own |= {"TIDEGATE_SLOTS", "TIDEGATE_LAMBDA_POOLS", "TIDEGATE_CALLS_BACK"} if name == "api" else set()
    own |= {"TIDEGATE_MAPPINGS"} if name in {"api", "clock"} else set()
    assert set(template.environment(name)) == COMMON | own


def test_functions_write_json_and_lambda_itself_writes_what_is_amiss_alone(template: Synthesised) -> None:
    for function in template.functions().values():
        logging = {name: value for name, value in function["LoggingConfig"].items() if name != "LogGroup"}
        assert logging == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN"}


def test_traces_are_written_where_the_stage_wants_them(template: Synthesised, sealed: Synthesised) -> None:
    assert {function["TracingConfig"]["Mode"] for function in template.functions().values()} == {"Active"}
    assert not any("TracingConfig" in function for function in sealed.functions().values())


def test_a_stage_that_sleeps_lets_clock_and_api_switch_every_mapping_of_a_queue(
    template: Synthesised, sealed: Synthesised
) -> None:
    queues = {
        f"<{name}>"
        for name, mapping in template.of_type("AWS::Lambda::EventSourceMapping").items()
        if "StreamArn" not in mapping["EventSourceArn"]
    }
    for name in ("api", "clock"):
        assert set(settings_from(template.environment(name)).mappings) == queues
        assert settings_from(sealed.environment(name)).mappings == ()


def test_variables_name_the_resources_of_the_stack(template: Synthesised) -> None:
    environment = template.environment("api")
    assert environment["TIDEGATE_STAGE"] == "dev"
    assert environment["TIDEGATE_JOBS_TABLE"] == "<TablesJobs>"
    assert environment["TIDEGATE_REGISTRY_TABLE"] == "<TablesRegistry>"
    assert environment["TIDEGATE_BUCKET"] == "<Payloads>"
    assert environment["POWERTOOLS_SERVICE_NAME"] == "tidegate"
    assert environment["POWERTOOLS_METRICS_NAMESPACE"] == "Tidegate"
    assert set(json.loads(environment["TIDEGATE_POOLS"])) == {"default", "slow"}
    assert environment["TIDEGATE_SLOTS"] == "12"
    assert settings_from(environment).lambda_pools == {"default": 512, "slow": 2048}


def test_a_worker_knows_its_own_pool_and_handlers(template: Synthesised) -> None:
    environment = template.environment("worker-slow")
    assert environment["TIDEGATE_POOL"] == "slow"
    assert environment["TIDEGATE_HANDLERS"] == "sample_handlers"
    assert settings_from(environment).own_memory == template.functions()["worker-slow"]["MemorySize"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_environment_of_each_function_satisfies_its_settings(template: Synthesised, name: str) -> None:
    environment = template.environment(name)
    settings = settings_from(environment)
    assert (settings.stage, settings.data, set(settings.pools)) == ("dev", None, {"default", "slow"})
    if name.startswith("worker-"):
        worker = worker_settings_from(environment, settings.pools)
        assert (worker.pool, worker.handlers) == (name.removeprefix("worker-"), ("sample_handlers",))


def test_a_worker_has_the_memory_and_timeout_of_its_pool(template: Synthesised) -> None:
    worker = template.functions()["worker-slow"]
    assert (worker["MemorySize"], worker["Timeout"]) == (2048, 900)


def test_all_functions_but_the_workers_share_one_asset(template: Synthesised) -> None:
    code = {name: function["Code"]["S3Key"] for name, function in template.functions().items()}
    shared = {key for name, key in code.items() if not name.startswith("worker-")}
    assert len(shared) == 1
    assert not shared & {code["worker-default"], code["worker-slow"]}


def test_every_log_group_forgets_after_the_retention_of_the_stage(template: Synthesised) -> None:
    groups = template.of_type("AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + 1
    assert {group["RetentionInDays"] for group in groups.values()} == {14}


def test_every_function_writes_to_a_log_group_of_its_own(template: Synthesised) -> None:
    groups = [function["LoggingConfig"]["LogGroup"] for function in template.functions().values()]
    assert len(set(groups)) == len(FUNCTIONS)


def test_every_route_is_behind_the_authorizer_but_for_the_console_s_files(template: Synthesised) -> None:
    routes = {route["RouteKey"]: route for route in template.of_type("AWS::ApiGatewayV2::Route").values()}
    everything = routes.pop("$default")
    assert (everything["AuthorizationType"], everything["AuthorizerId"]) == ("CUSTOM", "<ApiHttpTokens>")
    assert set(routes) == CONSOLE
    assert {route["AuthorizationType"] for route in routes.values()} == {"NONE"}
    for key in routes:
        assert is_console(key.removeprefix("GET ").replace("{file+}", "jobs"))


def test_the_authorizer_answers_simply_and_is_asked_once_a_minute_per_token(template: Synthesised) -> None:
    (authorizer,) = template.of_type("AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"
    assert authorizer["EnableSimpleResponses"] is True
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["AuthorizerResultTtlInSeconds"] == 60


def test_only_an_authorizer_that_takes_other_tokens_carries_what_checks_them(
    template: Synthesised, sealed: Synthesised
) -> None:
    assert "TIDEGATE_OIDC" not in template.environment("authorizer")
    for name, function in sealed.functions().items():
        own = {"authorizer": ["<Identity>"], "api": ["<Schemas>"]}.get(name, [])
        assert function["Layers"] == ["<Dependencies>", *own]
        assert ("TIDEGATE_OIDC" in function["Environment"]["Variables"]) == (name == "authorizer")
    assert settings_from(sealed.environment("authorizer")).oidc == rules_from(OIDC)


def test_signed_requests_are_taken_under_their_own_path_where_the_stage_names_callers(
    template: Synthesised, sealed: Synthesised
) -> None:
    routes = {route["RouteKey"]: route for route in sealed.of_type("AWS::ApiGatewayV2::Route").values()}
    assert routes.keys() - CONSOLE == {"$default", "ANY /iam/{proxy+}"}
    assert routes["ANY /iam/{proxy+}"]["AuthorizationType"] == "AWS_IAM"
    assert routes["$default"]["AuthorizationType"] == "CUSTOM"
    assert settings_from(sealed.environment("api")).iam_callers == iam_callers_from([ETL])
    assert "TIDEGATE_IAM" not in template.environment("api")


def test_how_long_a_revoked_token_is_taken_is_the_stages_choice(sealed: Synthesised) -> None:
    (authorizer,) = sealed.of_type("AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["AuthorizerResultTtlInSeconds"] == 0


def test_the_api_is_throttled_and_ends_before_the_gateway_gives_up(template: Synthesised) -> None:
    (stage,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
    settings = stage["DefaultRouteSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (500, 1000)
    assert template.functions()["api"]["Timeout"] < 30


def test_access_logs_carry_no_payload_query_or_token(template: Synthesised) -> None:
    (stage,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
    fields = set(json.loads(stage["AccessLogSettings"]["Format"]).values())
    assert "$context.requestId" in fields
    assert all(field.startswith("$context.") for field in fields)
    assert not {"$context.authorizer.claims", "$context.authorizer.token"} & fields


def test_the_stack_announces_what_clients_need(template: Synthesised) -> None:
    outputs = {name: template.text(output["Value"]) for name, output in template.outputs.items()}
    assert set(outputs) == {"Stage", "ApiUrl", "JobsTable", "RegistryTable", "Bucket", "Pools", "EventBus"}
    assert outputs["ApiUrl"] == "<ApiHttp.ApiEndpoint>"


def test_the_template_needs_no_bootstrap(template: Synthesised) -> None:
    assert "AWS::SSM::Parameter::Value<String>" not in str(template.resources)
