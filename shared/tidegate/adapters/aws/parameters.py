"""Secrets in the Parameter Store of Systems Manager, encrypted, each under a name that is used once."""

from __future__ import annotations

import secrets

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import Unavailable

from .clients import Clients, code_of, request

_NAME_BYTES = 16
_REMEMBERED = 1_000


class Parameters:
    """Texts of up to 4 KB below one path, as `SecureString`s with the account's own key for Systems Manager."""

    def __init__(self, clients: Clients, path: str) -> None:
        self._clients, self._path = clients, path
        self._read: dict[str, str] = {}

    def keep(self, text: str) -> str:
        """Store a secret; answers the name to read it by."""
        name = f"{self._path}/{secrets.token_hex(_NAME_BYTES)}"
        request(self._clients.ssm.put_parameter, Name=name, Value=text, Type="SecureString")
        return name

    def read(self, name: str) -> str:
        """The secret of that name. Raises Unavailable when it is gone: another has taken its place.

        What stands under a name never changes, so each process asks for it once: GetParameter is throttled at 40 a
        second for the whole account.
        """
        if name not in self._read:
            try:
                answer = request(self._clients.ssm.get_parameter, Name=name, WithDecryption=True)
            except ClientError as error:
                if code_of(error) != "ParameterNotFound":
                    raise
                raise Unavailable("the secret is being replaced") from error
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[name] = str(answer["Parameter"]["Value"])
        return self._read[name]

    def forget(self, name: str) -> None:
        """Delete the secret of that name, if it is there."""
        self._read.pop(name, None)
        request(self._clients.ssm.delete_parameters, Names=[name])
