"""DynamoDB for the tests: moto, a stand-in in Python, behind a front that fails as it is told.

What it is not: it has no capacity that is used up, makes a table at once, removes nothing by its
time to live, its index of owners is never behind, and it asks for no right. One request is done at
a time, since moto does not keep conditional writes apart by itself.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.servers.process import (
    ServerProcess,
    accepts_connections,
    free_port,
    skip_without_servers,
)

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
FAULTS = "/tests/faults"


class DynamoDBServer(ServerProcess):
    """A server of our own, on a free port. What it holds does not survive a restart."""

    def __init__(self, directory: Path) -> None:
        skip_without_servers()
        self.port = free_port()
        super().__init__(
            [sys.executable, "-m", "tests.servers.dynamodb", str(self.port)],
            log=directory / "log",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, table: str, port: int | None = None) -> str:
        """For ``open_store``; with another *port*, that of a proxy."""
        return f"dynamodb://{REGION}/{table}?endpoint_url=http://127.0.0.1:{port or self.port}"

    def restart(self) -> None:
        self.start(lambda: accepts_connections(self.port), seconds=60)

    def client(self) -> Any:
        """A client of the test's own, of the low level."""
        return boto3.client("dynamodb", region_name=REGION, endpoint_url=self.endpoint)

    def resource(self, port: int | None = None) -> Any:
        """A service resource, as applications hand it to Flask-Session."""
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return boto3.resource("dynamodb", region_name=REGION, endpoint_url=endpoint)

    def fail(
        self,
        code: str,
        status: int,
        *,
        message: str = "",
        times: int = 1,
        done: bool = False,
        only_writes: bool = False,
    ) -> None:
        """Answer the next requests, or those of them that write an item, with that error, after
        they were done or without."""
        self._tell(
            {
                "code": code,
                "status": status,
                "message": message,
                "times": times,
                "done": done,
                "only": ["PutItem", "UpdateItem", "DeleteItem"] if only_writes else [],
            }
        )

    def requests(self) -> list[str]:
        """The operations that were asked for since the last call."""
        operations: list[str] = self._tell({})
        return operations

    def _tell(self, faults: dict[str, object]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", FAULTS, json.dumps(faults))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@pytest.fixture(scope="session")
def dynamodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoDBServer]:
    """One server for all tests, which takes any credentials; the environment has some."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = DynamoDBServer(tmp_path_factory.mktemp("dynamodb"))
        server.restart()
        yield server
        server.stop()


# -- the program

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Front:
    """Passes requests on to *application* one at a time, notes their operations, and fails."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._fault: dict[str, Any] = {"times": 0}
        self._operations: list[str] = []

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        with self._lock:
            if environ["PATH_INFO"] == FAULTS:
                return self._told(environ, start_response)
            operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
            self._operations.append(operation)
            fault = self._fault
            if not fault["times"] or (fault["only"] and operation not in fault["only"]):
                return list(self._application(environ, start_response))
            fault["times"] -= 1
            if fault["done"]:
                list(self._application(environ, lambda status, headers, exc_info=None: None))
        kind = [("Content-Type", "application/x-amz-json-1.0")]
        start_response(f"{fault['status']} Fault", kind)
        return [json.dumps({"__type": fault["code"], "message": fault["message"]}).encode()]

    def _told(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        told = json.loads(environ["wsgi.input"].read())
        self._fault = told or self._fault
        operations, self._operations = self._operations, []
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(operations).encode()]


def count_bytes_as_dynamodb_does() -> None:
    """moto takes the size of binary data for that of their base64, a third more, and counts a value
    that is replaced with the one that replaces it."""
    from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict

    size, put = DynamoType.size, LimitedSizeDict.__setitem__

    def true_size(self: DynamoType) -> int:
        if not self.is_binary():
            return size(self)
        data = self.value
        return len(data if isinstance(data, bytes) else base64.b64decode(data))

    def replace(self: LimitedSizeDict, key: str, value: Any) -> None:
        old = {key: self.pop(key)} if key in self else {}
        try:
            put(self, key, value)
        except Exception:
            self.update(old)
            raise

    DynamoType.size = true_size  # type: ignore[method-assign]
    LimitedSizeDict.__setitem__ = replace  # type: ignore[method-assign]


def main(port: int) -> None:
    import waitress
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    count_bytes_as_dynamodb_does()
    application = Front(DomainDispatcherApplication(create_backend_app))
    waitress.serve(application, listen=f"127.0.0.1:{port}", threads=32, _quiet=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
