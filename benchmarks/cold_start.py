"""What a cold start costs: importing each function, beside boto3 with two clients; and the size of what is deployed."""

from __future__ import annotations

import atexit
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from functools import cache
from pathlib import Path

from .report import Table, share

ROOT = Path(__file__).resolve().parents[1]
_BARE = "pass"
_CLIENTS = "import boto3; boto3.client('dynamodb'); boto3.client('sqs')"
_USE = "from tidegate import runtime; p = runtime.current().ports; {touch}"
_TOUCH = "from tidegate.adapters.aws import clients; c = p.jobs._table._clients; c.dynamodb; c.sqs"
_TABLE_ONLY = "c = p.tokens._table._clients; c.dynamodb"
_URLS = ",".join(f'"{band}":"https://sqs.us-east-1.amazonaws.com/1/{band}"' for band in ("critical", "high", "normal"))
_POOLS = f'{{"default":{{{_URLS},"low":"https://sqs.us-east-1.amazonaws.com/1/low","dead":"d"}}}}'
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "tidegate",
    "TIDEGATE_STAGE": "bench",
    "TIDEGATE_JOBS_TABLE": "jobs",
    "TIDEGATE_REGISTRY_TABLE": "registry",
    "TIDEGATE_BUCKET": "bucket",
    "TIDEGATE_POOLS": _POOLS,
    "TIDEGATE_HANDLERS": "benchmarks/cloud/handlers.py",
}
_OIDC = '{"issuer": "https://id.example.org", "audience": "tidegate", "tenant": "main"}'
_ASSETS = (
    "the program (shared code)",
    "the layer of dependencies",
    "the layer of JSON Schemas (the API's function alone)",
)
_LIMITS = {"worker": 1.4, "api": 1.6}
_FUNCTIONS = {
    "api": f"from tidegate_functions.api.resolver import resolver; resolver('/jobs'); {_USE.format(touch=_TOUCH)}",
    "api, every route": "from tidegate_functions.api.resolver import build; build(); " + _USE.format(touch=_TOUCH),
    "worker": "from tidegate_functions.worker import handler as h; from tidegate import runtime; "
    f"h._runner(runtime.current()); {_USE.format(touch=_TOUCH)}",
    "authorizer": f"import tidegate_functions.authorizer.handler; {_USE.format(touch=_TABLE_ONLY)}",
    "authorizer, and what checks an OIDC issuer's tokens": "import os; os.environ['TIDEGATE_OIDC'] = "
    f"{_OIDC!r}; import tidegate_functions.authorizer.handler; {_USE.format(touch=_TABLE_ONLY)}; "
    "import jwt; jwt.PyJWS()",
    "clock": f"import tidegate_functions.clock.handler; {_USE.format(touch=_TOUCH)}",
    "changes": f"import tidegate_functions.changes.handler; {_USE.format(touch=_TABLE_ONLY)}",
    "dead_letters": f"import tidegate_functions.dead_letters.handler; {_USE.format(touch=_TOUCH)}",
}


def imports(rounds: int) -> Table:
    """Processor time of each, least of several rounds in turn, over a bare interpreter's."""
    codes = {"a bare interpreter": _BARE, "boto3 with clients of DynamoDB and SQS": _CLIENTS}
    codes |= {f"function {name}": code for name, code in _FUNCTIONS.items()}
    used: defaultdict[str, list[float]] = defaultdict(list)
    for code in codes.values():
        _milliseconds(code)  # writes the bytecode
    for _ in range(rounds):
        for name, code in codes.items():
            used[name].append(_milliseconds(code))
    bare, base = (min(used[name]) for name in list(codes)[:2])
    table = Table(
        f"Cold start: processor time of imports and clients, least of {rounds} rounds in turn",
        ("", "CPU ms over bare", "÷ boto3", "target"),
    )
    for name in list(codes)[1:]:
        limit = _LIMITS.get(name.removeprefix("function "))
        ratio = (min(used[name]) - bare) / (base - bare)
        target = "–" if limit is None else f"≤ {limit}: {'pass' if ratio <= limit else 'MISS'}"
        table.add(name, min(used[name]) - bare, share(min(used[name]) - bare, base - bare), target)
    return table


def sizes() -> Table:
    """Bytes of the assets that a function is made of, zipped."""
    table = Table("Cold start: what is deployed, zipped", ("", "MB", "with bytecode", "target"))
    try:
        from infra.packaging import Packaging
        from infra.wheels import PYTHON, PackagingError, wheels
    except ImportError as error:
        table.notes.append(f"Left out: the infrastructure's packages are not installed ({error}).")
        return table
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "shared"
        cache = ROOT / ".cache"
        Packaging(root=ROOT, cache=cache).copy_shared(shared)
        try:
            layers = [wheels(ROOT / "infra" / f"{name}-requirements.txt", cache) for name in ("layer", "schema")]
        except PackagingError as error:
            table.notes.append(f"Left out: {str(error).splitlines()[0]}")
            return table
        megabytes = [_zipped(each, Path(folder) / "asset.zip") / 1e6 for each in (shared, *layers)]
        compiled = [
            _zipped(_compiled(each, Path(folder)), Path(folder) / "asset.zip") / 1e6 for each in (shared, *layers)
        ]
    for name, *size in zip(_ASSETS, megabytes, compiled, strict=True):
        table.add(name, *(f"{each:.2f}" for each in size), "–")
    plain, whole = sum(megabytes[:2]), sum(compiled[:2])
    verdict = f"≤ 8: {_verdict(whole <= 8)}; ≤ 5: {_verdict(whole <= 5)}"
    table.add("a function but the API's", f"{plain:.2f}", f"{whole:.2f}", verdict)
    table.notes.append(
        f"Bytecode is shipped where the Python that builds is Lambda's, {PYTHON}; it was made by "
        f"{sys.version_info.major}.{sys.version_info.minor} here."
    )
    return table


def _compiled(asset: Path, folder: Path) -> Path:
    """A copy of an asset, with bytecode."""
    from infra import bytecode

    target = folder / "compiled" / asset.name
    shutil.copytree(asset, target)
    bytecode.compile_all(target, "/opt")
    return target


def _verdict(reached: bool) -> str:
    return "pass" if reached else "MISS"


@cache
def _bytecode() -> str:
    """Where bytecode is kept while this runs; empty at first."""
    folder = tempfile.mkdtemp(prefix="tidegate-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _milliseconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environ = {**os.environ, **_ENVIRONMENT}
    environ |= {"PYTHONPYCACHEPREFIX": _bytecode()}  # of all alike, whatever was compiled before, and by whom
    for name in ("TIDEGATE_DATA", "PYTHONDONTWRITEBYTECODE"):
        environ.pop(name, None)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def _zipped(folder: Path, target: Path) -> int:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return target.stat().st_size
