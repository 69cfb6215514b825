"""Runs the check that CodeDeploy asks before callers reach new versions (TryNewVersions in template.yaml) against functions that run here.

Prints what the check would tell CodeDeploy. Argument: the address of their Invoke API.
"""

import json
import os
import pathlib
import re
import sys

os.environ.update(
    AWS_ENDPOINT_URL_LAMBDA=sys.argv[1],
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
)

import boto3  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402


class CodeDeploy:
    """Prints what it is told."""

    def put_lifecycle_event_hook_execution_status(self, **told):
        assert (told["deploymentId"], told["lifecycleEventHookExecutionId"]) == ("d-1", "e-1"), told
        print(told["status"])


def main():
    template = yaml_parse(pathlib.Path(__file__).resolve().parents[2].joinpath("template.yaml").read_text(encoding="utf-8"))
    properties = template["Resources"]["TryNewVersions"]["Properties"]
    calls, names = properties["Environment"]["Variables"]["CALLS"]["Fn::Sub"]
    for name, version in names.items():
        function = version["Ref"].removesuffix(".Version")
        binary = template["Resources"][function]["Metadata"]["BuildProperties"]["Binary"]
        calls = calls.replace(f"${{{name}}}", binary)
    assert not re.search(r"\$\{", calls), calls
    os.environ["CALLS"] = calls
    os.environ["PROXY_SECRET"] = ""
    real = boto3.client
    boto3.client = lambda service: CodeDeploy() if service == "codedeploy" else real(service)
    hook = {}
    exec(properties["Code"]["ZipFile"], hook)  # noqa: S102
    hook["handler"]({"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}, None)
    print(json.dumps({"calls": len(json.loads(calls))}))


main()
