"""boto3: which tables can be used, how one is made, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable, cannot_import
from wsgi_sessions.stores.given import check_client
from wsgi_sessions.stores.timeouts import Timeouts

__all__ = [
    "Refused",
    "RepeatableFault",
    "Table",
    "TableMissing",
    "check_place",
    "check_table",
    "code_of",
    "faults_translated",
    "own_table",
]

MAX_IDLE = 64
"""Connections that urllib3 keeps. With its ten it would open and close one for each request of a
thread beyond them, with a handshake of TLS each time."""

BUSY = {
    "ProvisionedThroughputExceededException": "the capacity of the table is used up",
    "RequestLimitExceeded": "the limit of the account is reached",
    "ThrottlingException": "too many requests",
    "TransactionConflictException": "a transaction of somebody else holds the record",
}
"""Refusals that a moment may change, none of which has done anything."""

REMEDIES = {
    "AccessDeniedException": "give the role GetItem, PutItem, UpdateItem, DeleteItem, Query and "
    "Scan on the table and its index; to make them it needs more, else pass create=False",
    "ExpiredTokenException": "renew the credentials",
    "InvalidSignatureException": "correct the secret key, or the clock of this machine",
    "UnrecognizedClientException": "correct the access key",
}

_is_name = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII).fullmatch
_is_region = re.compile(r"[A-Za-z0-9-]{1,63}", re.ASCII).fullmatch


class Table(Protocol):
    """What is used of a table of boto3. Its client is safe for threads, while its methods are not
    said to be."""

    @property
    def name(self) -> str: ...

    @property
    def meta(self) -> Any: ...


class Refused(StoreUnavailable):
    """The answer was no, and will be the same for a second attempt."""


class TableMissing(StoreUnavailable):
    """The table does not exist, or not yet."""


class RepeatableFault(StoreUnavailable):
    """A second attempt may succeed. *connection* says whether the fault is one of the connection,
    and not an answer."""

    def __init__(
        self, text: str, *, applied: bool | None, connection: bool, busy: bool = False
    ) -> None:
        super().__init__(text, applied=applied, busy=busy)
        self.connection = connection


def check_table(table: Table | str) -> None:
    """Raise unless it can be used. No I/O."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        needs = "DynamoDBStore needs boto3"
        raise cannot_import(error, needs, "wsgi-sessions[dynamodb]") from error
    if isinstance(table, str):
        if not _is_name(table):
            raise ConfigurationError(
                f"{table!r} is no name of a DynamoDB table: it has 3 to 255 of the characters "
                f"A-Z a-z 0-9 _ . -; for a URL there is wsgi_sessions.open_store"
            )
        return
    check_client(table, "get_item")
    meta = getattr(table, "meta", None)
    if getattr(meta, "service_name", "") != "dynamodb" or not hasattr(table, "name"):
        raise ConfigurationError(
            f"DynamoDBStore needs the name of a table, or a table of boto3 as "
            f'boto3.resource("dynamodb").Table("sessions"), not {type(table).__name__}'
        )


def check_place(region: str | None, endpoint_url: str | None) -> None:
    """Raise unless requests can be sent there, as far as it can be known. Reads boto3's
    configuration files."""
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError

    if endpoint_url is not None:
        parts = urlsplit(endpoint_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                "endpoint_url is no URL of a server: it has the form https://host:port"
            )
    try:
        found = Session(region_name=region).region_name
    except BotoCoreError as error:  # a profile that does not exist, a file that cannot be read
        raise ConfigurationError(f"boto3 cannot be configured: {error}") from None
    if found is None:
        raise ConfigurationError(
            "DynamoDBStore needs a region: region=, AWS_DEFAULT_REGION in the environment, or "
            "boto3's configuration; in a URL dynamodb://eu-west-1/table"
        )
    if not _is_region(found):
        raise ConfigurationError(f"{found!r} is no region of AWS, as eu-west-1 is")


def own_table(name: str, region: str | None, endpoint_url: str | None, timeouts: Timeouts) -> Table:
    """A table with a client that asks once: the store asks again where it is safe. Credentials are
    looked for here, perhaps on the network, as boto3 does."""
    from boto3.session import Session
    from botocore.config import Config

    limits = Config(
        connect_timeout=timeouts.connect,
        read_timeout=timeouts.answer,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=MAX_IDLE,
    )
    session = Session(region_name=region)
    table: Table = session.resource("dynamodb", endpoint_url=endpoint_url, config=limits).Table(
        name
    )
    return table


def code_of(error: Exception) -> str:
    """DynamoDB's name for *error*, a ``ClientError``."""
    return str(_response_of(error).get("Error", {}).get("Code", ""))


@contextmanager
def faults_translated() -> Iterator[None]:
    """What boto3 raises is :exc:`StoreUnavailable`. What only a bug of this store can cause is
    raised as it is."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        translated = _of_answer(error)
        if translated is None:
            raise
        raise translated from None  # its text may quote what was sent
    except ResponseParserError:
        raise _broken() from None
    except BotoCoreError as error:
        translated = _of_client(error)
        if translated is None:
            raise
        raise translated from error


def _of_answer(error: Exception) -> Exception | None:
    code, answer = code_of(error), _response_of(error)
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "ResourceNotFoundException":
        return TableMissing("the table in DynamoDB does not exist", applied=False)
    if code in BUSY:
        text = f"DynamoDB refused: {BUSY[code]} ({code})"
        return RepeatableFault(text, applied=False, connection=False, busy=True)
    if status >= 500:
        text = f"DynamoDB failed ({code}, status {status})"
        return RepeatableFault(text, applied=None, connection=False)
    if code in ("ValidationException", "SerializationException"):
        return _of_another_table(str(answer.get("Error", {}).get("Message", "")))
    remedy = f"; {REMEDIES[code]}" if code in REMEDIES else ""
    return Refused(f"DynamoDB refused ({code}, status {status}){remedy}", applied=False)


def _of_another_table(message: str) -> Exception | None:
    """The two mistakes about a table that DynamoDB reports as mistakes in what was sent."""
    if "key element" in message or "Missing the key" in message:
        return StoreUnavailable(
            "the table in DynamoDB has another key than this store's, which is the string id: "
            "use another table, or make one by DynamoDBStore.ddl",
            applied=False,
        )
    if "index" in message:
        return StoreUnavailable(
            "the table in DynamoDB has no index for owners, or it is still being built: "
            "wsgi-sessions check shows the request that makes it",
            applied=False,
        )
    return None


def _of_client(error: Exception) -> Exception | None:
    from botocore.exceptions import (
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
        ProxyConnectionError,
    )

    name = type(error).__name__
    if isinstance(error, ParamValidationError):
        return None
    if isinstance(error, (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)):
        return StoreUnavailable(f"DynamoDB cannot be reached ({name})", applied=False)
    if isinstance(error, HTTPClientError):
        text = f"DynamoDB did not answer ({name})"
        return RepeatableFault(text, applied=None, connection=True)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return StoreUnavailable(
            "boto3 finds no credentials for DynamoDB: give AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, a profile by AWS_PROFILE, or a role",
            applied=False,
        )
    return StoreUnavailable(f"DynamoDB was not asked ({name})", applied=False)


def _broken() -> RepeatableFault:
    return RepeatableFault("DynamoDB's answer was cut off", applied=None, connection=True)


def _response_of(error: Exception) -> dict[str, Any]:
    response: dict[str, Any] = getattr(error, "response", {})
    return response
