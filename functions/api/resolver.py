"""The routes, put together."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import ResponseBuilder, Route
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from tidegate.domain.errors import NotFound, TidegateError
from tidegate.execution import tracing

from . import errors, wire

_ROUTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("jobs", ("jobs",)),
    ("bulk", ("jobs/",)),
    ("records", ("jobs/",)),
    ("why", ("jobs/",)),
    ("dags", ("dags",)),
    ("events", ("events",)),
    ("queues", ("queues",)),
    ("definitions", ("definitions",)),
    ("webhooks", ("queues/", "jobs/")),
    ("schedules", ("schedules",)),
    ("stats", ("stats",)),
    ("costs", ("costs",)),
    ("metrics", ("metrics",)),
    ("pipeline", ("pipeline",)),
    ("maintenance", ("maintenance",)),
    ("tokens", ("tokens",)),
    ("tenants", ("tenant",)),
    ("audit", ("audit",)),
    ("workers", ("workers",)),
    ("attempts", ("jobs/",)),
    ("aliases", ("api",)),
    ("health", ("health", "openapi.json")),
    ("identity", ("whoami",)),
)
"""The modules with routes, and the words with which their paths begin; with a slash where more must follow. A cold
start imports those of its request alone: all of them, with their models, take up to 60 ms longer."""
_ALL = tuple(module for module, _ in _ROUTERS)


class Resolver(APIGatewayHttpResolver):
    """A resolver for one thread.

    Powertools keeps the request under way in an attribute of a class that all resolvers share, which is sound
    in a Lambda. The embedded home answers on several threads: here each resolver has its own request.
    """

    def _to_proxy_event(self, event: dict[str, Any]) -> APIGatewayProxyEventV2:
        self.current_event = APIGatewayProxyEventV2(event, self._json_body_deserializer)
        return self.current_event

    def _call_route(self, route: Route, route_arguments: dict[str, str]) -> ResponseBuilder[Any]:
        place = route.path.replace("<", "{").replace(">", "}")
        span = tracing.current()
        span.call(f"{route.method} {place}")
        span.tell({"http.route": place})
        return super()._call_route(route, route_arguments)

    def descriptions(self) -> dict[str, str]:
        """What each operation does, in the words of its route's docstring."""
        routes = [*self._static_routes, *self._dynamic_routes]
        return {route.operation_id: inspect.getdoc(route.func) or "" for route in routes}

    def unknown_route(self, _: NotFoundError) -> Response[Any]:
        """The answer to a path or method that no route serves."""
        method, path = self.current_event.http_method, self.current_event.path
        routes = [*self._static_routes, *self._dynamic_routes]
        allowed = sorted({route.method for route in routes if route.rule.match(path)})
        if allowed:
            message = f"{path} cannot be asked with {method}"
            return errors.response(errors.MethodNotAllowed(message, allowed=allowed))
        return errors.response(NotFound(f"there is no route {method} {path}"))


_WORDS = 100
"""More than paths begin with, but for those that nothing serves."""
_building = threading.Lock()


def build(modules: Iterable[str] = _ALL) -> Resolver:
    """A resolver with the routes of these modules and the table of errors."""
    app = Resolver(enable_validation=True, json_body_deserializer=wire.load)
    with _building:
        for module in modules:
            router = import_module(f"{__package__}.{module}").router
            app.include_router(router)
            router.api_resolver = None  # or the next resolver would be given this one's request under way
    app.not_found(app.unknown_route)
    app.exception_handler(TidegateError)(errors.response)
    app.exception_handler(RequestValidationError)(errors.invalid)
    app.exception_handler(Exception)(errors.unexpected)
    return app


_local = threading.local()


@lru_cache(_WORDS)
def _modules_of(word: str, *, below: bool) -> tuple[str, ...]:
    wanted = {word, f"{word}/"} if below else {word}
    return tuple(module for module, words in _ROUTERS if not wanted.isdisjoint(words))


def resolver(path: str) -> Resolver:
    """This thread's resolver of all routes that a path may mean."""
    word, _, more = path.removeprefix("/").partition("/")
    modules = _modules_of(word, below=bool(more))
    built: dict[tuple[str, ...], Resolver] = _local.__dict__.setdefault("resolvers", {})
    if modules not in built:
        built[modules] = build(modules)
    return built[modules]
