"""The cloud home on an AWS emulator: synthesise, deploy, drive over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import httpx

from tidegate.runtime import App
from tidegate.service.tokens import new_token

ROOT = Path(__file__).parents[2]
EMULATOR = Path(os.environ.get("TIDEGATE_EMULATOR", ROOT / ".venv-emulator")) / "bin" / "ministack"
HANDLERS = ["tests/e2e/handlers.py", "tests/e2e/seed_handlers.py"]
SLOTS = 6
"""Of all pools of the stage together."""
REGION, ACCOUNT = "us-east-1", "000000000000"
_START_SECONDS = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], Any], seconds: float = 30.0, pause: float = 0.05) -> Any:
    """What `check` answers once it is true; fails when it never is.

    `seconds` are those of a machine with nothing else to do; one that has other work may take five times as long.
    """
    end = time.monotonic() + 5 * seconds
    while not (found := check()):
        assert time.monotonic() < end, f"not within {seconds} s: {check}"
        time.sleep(pause)
    return found


def token(app: App, **fields: Any) -> str:
    """A fresh token of the deployed home, an admin's unless said otherwise."""
    asked = {"tenant": "main", "user": "tester", "scopes": ["admin"], **fields}
    clear, record = new_token(app.ports.now(), **asked)
    app.ports.tokens.put(record)
    return clear


def clock_event() -> dict[str, Any]:
    """What EventBridge's rule sends the clock each minute, now."""
    event: dict[str, Any] = json.loads((ROOT / "events" / "clock.json").read_text())
    return {**event, "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}


_NOT_EMULATED = frozenset({"AWS::Logs::QueryDefinition"})
"""What the emulator refuses a template for, and nothing refers to: questions to the logs, saved for people."""


class Cloud:
    """A deployed stage. `stop` ends every process that was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.host_port = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self.outputs: Mapping[str, str] = {}

    def start(self) -> None:
        """Start the emulator and the host of the handlers, deploy the template."""
        emulator = {**self.environ, "GATEWAY_PORT": str(self.port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0"}
        emulator.pop("AWS_ENDPOINT_URL")
        self._spawn([str(EMULATOR)], emulator, "emulator")
        self.host = self._spawn(
            [sys.executable, str(Path(__file__).with_name("lambda_host.py")), str(self.host_port)], self.environ, "host"
        )
        eventually(self._is_up, _START_SECONDS)
        self._deploy(self._synthesised())

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    @property
    def url(self) -> str:
        """Where the HTTP API answers."""
        api_id = self.outputs["ApiUrl"].split("//")[1].split(".")[0].split("/")[0]
        return f"{self.endpoint}/_aws/execute-api/{api_id}/$default"

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke the deployed function of `functions/<function>`, as AWS would."""
        client = self.client("lambda")
        handler = f"tidegate_functions.{function}.handler.handler"
        (name,) = [
            f["FunctionName"] for f in client.list_functions(MaxItems=50)["Functions"] if f["Handler"] == handler
        ]
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read() or b"null")

    def fail(self, share: float) -> Mapping[str, int]:
        """Let this share of the functions' calls to AWS fail from now on; answers which have failed so far."""
        answer: Mapping[str, int] = httpx.post(f"http://127.0.0.1:{self.host_port}/faults", json=share).json()
        return answer

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)

    def _spawn(self, command: list[str], environ: Mapping[str, str], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=dict(environ), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(process)
        return process

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}/_ministack/health", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def _synthesised(self) -> dict[str, Any]:
        pool = {"slots": SLOTS - 2, "memory": 512, "timeout": 30, "handlers": HANDLERS}
        pulled = {"slots": 2, "handlers": []}
        stage = {"pools": {"default": pool, "gpu": pulled}, "keep_data": False, "log_retention_days": 7}
        context = {"stage": "e2e", "stages": {"e2e": stage}, "bundle": False}
        code = (
            "import json, sys; from pathlib import Path; from infra.synthesis import build; "
            "build(json.loads(sys.argv[1]), Path(sys.argv[2]), check=False).synth()"
        )
        out = self.folder / "cdk.out"
        subprocess.run([sys.executable, "-c", code, json.dumps(context), str(out)], cwd=ROOT, check=True)
        template: dict[str, Any] = json.loads((out / "Tidegate-e2e.template.json").read_text())
        for name, resource in list(template["Resources"].items()):
            if resource["Type"] in _NOT_EMULATED:
                del template["Resources"][name]
        return template

    def _deploy(self, template: dict[str, Any]) -> None:
        self._upload_assets()
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
                variables["AWS_ENDPOINT_URL"] = self.endpoint
                variables["MINISTACK_LAMBDA_PROXY_URL"] = f"http://127.0.0.1:{self.host_port}/"
        formation = self.client("cloudformation")
        self.client("s3").put_object(Bucket="templates", Key="template.json", Body=json.dumps(template))
        formation.create_stack(
            StackName="tidegate",
            TemplateURL=f"{self.endpoint}/templates/template.json",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )
        stack = eventually(lambda: self._finished(formation), 60)
        assert stack["StackStatus"] == "CREATE_COMPLETE", self._why(formation)
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def _finished(self, formation: Any) -> Any:
        (stack,) = formation.describe_stacks(StackName="tidegate")["Stacks"]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    def _why(self, formation: Any) -> str:
        events = formation.describe_stack_events(StackName="tidegate")["StackEvents"]
        return "\n".join(
            f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}"
            for e in events
            if "FAILED" in e["ResourceStatus"]
        )

    def _upload_assets(self) -> None:
        s3 = self.client("s3")
        s3.create_bucket(Bucket="templates")
        bucket = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
        s3.create_bucket(Bucket=bucket)
        out = self.folder / "cdk.out"
        manifest = json.loads((out / "Tidegate-e2e.assets.json").read_text())
        for asset in manifest["files"].values():
            path = out / asset["source"]["path"]
            if asset["source"]["packaging"] == "zip":
                path = Path(shutil.make_archive(str(self.folder / path.name), "zip", path))
            for destination in asset["destinations"].values():
                s3.put_object(Bucket=bucket, Key=destination["objectKey"], Body=path.read_bytes())
