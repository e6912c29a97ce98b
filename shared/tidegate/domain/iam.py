"""Callers that IAM vouches for: which role or user of the AWS account is whom of which tenant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from .caller import SCOPES, Caller, Scope, check_user
from .errors import Forbidden, InvalidInput
from .job import Json
from .queue import check_name

PREFIX = "/iam"
"""Before the path of every request that IAM vouches for."""
MAX_CALLERS = 20
"""They travel in a function's environment, which Lambda limits to 4 KB."""
_PRINCIPAL = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):(role|user)/(?:[\x21-\x7e]+/)?([\w+=,.@-]{1,64})")
_ASSUMED = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]{1,64})/[\w+=,.@-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class IamCaller:
    """A role or a user of the account, by its ARN, and whom it stands for."""

    principal: str
    tenant: str
    user: str
    scopes: frozenset[str]

    def __post_init__(self) -> None:
        if not _PRINCIPAL.fullmatch(self.principal):
            raise InvalidInput.field(
                "principal", "must be the ARN of a role or a user, such as arn:aws:iam::…:role/etl"
            )
        check_name("tenant", self.tenant)
        check_user("user", self.user)
        if not self.scopes or not self.scopes <= SCOPES:
            raise InvalidInput.field("scopes", f"must be some of {', '.join(Scope)}")

    def is_behind(self, arn: str) -> bool:
        """Whether `arn`, as API Gateway tells it of a request, is this role's or user's.

        Of a role it tells the session: account and name without the path. Names are unique within an account.
        """
        if arn == self.principal:
            return True
        wanted, session = _PRINCIPAL.fullmatch(self.principal), _ASSUMED.fullmatch(arn)
        if wanted is None or session is None:
            return False
        partition, account, kind, name = wanted.groups()
        return kind == "role" and (partition, account, name) == session.groups()


def iam_callers_from(settings: Json) -> tuple[IamCaller, ...]:
    """The callers that a JSON list names. Raises InvalidInput naming the field at fault."""
    if not isinstance(settings, list) or len(settings) > MAX_CALLERS:
        raise InvalidInput.field("iam_callers", f"must be a list of at most {MAX_CALLERS}")
    return tuple(_caller(index, each) for index, each in enumerate(settings))


def caller_behind(arn: object, known: Sequence[IamCaller]) -> Caller:
    """Whom the principal of a signed request stands for. Raises Forbidden when nobody said."""
    for each in known:
        if isinstance(arn, str) and each.is_behind(arn):
            return Caller(each.tenant, each.user, each.scopes, f"iam:{each.principal}")
    raise Forbidden("this role or user of the account is nobody here; see iam_callers in cdk.json")


def _caller(index: int, settings: Any) -> IamCaller:
    names = {each.name for each in fields(IamCaller)}
    if not isinstance(settings, dict) or set(settings) != names:
        raise InvalidInput.field(f"iam_callers.{index}", f"must be an object of {', '.join(sorted(names))}")
    texts = [value for name, value in settings.items() if name != "scopes"]
    if not isinstance(settings["scopes"], list) or not all(isinstance(each, str) for each in texts):
        raise InvalidInput.field(f"iam_callers.{index}", "must have texts, and a list of scopes")
    return IamCaller(**{**settings, "scopes": frozenset(map(str, settings["scopes"]))})
