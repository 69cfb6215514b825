"""Builds the functions and deploys them as one CloudFormation stack. local/deploy installs what this needs."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
import botocore.exceptions
from samtranslator.yaml_helper import yaml_parse

import cost
import stamp

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILT = TOP / ".aws-sam" / "build" / "template.yaml"
SAM = str(pathlib.Path(sys.executable).with_name("sam"))

# How long an API that was just made may take until it answers, in seconds.
READY_WITHIN = 300

# A NoEcho parameter is shown like this by CloudFormation: its value stays with the stack.
HIDDEN = "****"


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="local/deploy", description=__doc__.splitlines()[0])
    parser.add_argument("--plan", action="store_true", help="show what would change and what it costs a month, and change nothing")
    parser.add_argument("--stack", default="tutti", help="name of the stack (default: tutti)")
    parser.add_argument(
        "parameters",
        nargs="*",
        metavar="NAME=VALUE",
        help="parameters of template.yaml; NAME=@FILE takes the value from a file. The others stay as the stack has them",
    )
    return parser.parse_args()


def overrides(texts, known):
    """Name → value of what was given; a name that the template does not have is refused."""
    given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            sys.exit(f"{text}: expected NAME=VALUE, and NAME one of {', '.join(sorted(known))}")
        if value.startswith("@"):
            try:
                value = pathlib.Path(value[1:]).read_text(encoding="utf-8").strip()
            except OSError as error:
                sys.exit(f"{name}: {error}")
        given[name] = value
    return given


def deployed(stack):
    """Parameters and outputs of the stack, or None where it was never deployed."""
    try:
        found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        sys.exit(f"CloudFormation refuses to tell of stack {stack}: {error}")
    except botocore.exceptions.BotoCoreError as error:
        sys.exit(f"AWS cannot be asked: {error}. Configure region and credentials first (aws configure).")
    # A first deployment that failed has nothing that could be kept.
    if found["StackStatus"] in ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"):
        return None
    parameters = {of["ParameterKey"]: of["ParameterValue"] for of in found.get("Parameters", [])}
    outputs = {of["OutputKey"]: of["OutputValue"] for of in found.get("Outputs", [])}
    return parameters, outputs


def ask_for_missing(template, given, current):
    """The parameters without a default must come from somewhere; a terminal is asked for them."""
    for name, of in template["Parameters"].items():
        if "Default" in of or name in given or name in current:
            continue
        if not sys.stdin.isatty():
            sys.exit(f"{name} is missing: {of['Description']}. Give {name}=VALUE.")
        print(f"{name} ({of['Description']}): ", end="", file=sys.stderr, flush=True)
        given[name] = sys.stdin.readline().strip()


def run(*command):
    """Runs a program to its end; gives up when it fails."""
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "PATH": f"{pathlib.Path(SAM).parent}{os.pathsep}{os.environ['PATH']}"}
    if subprocess.run(command, cwd=TOP, env=environment, check=False).returncode:
        sys.exit(f"{' '.join(command[:2])} failed; its words above say why.")


def build(architecture):
    if architecture == "arm64" and shutil.which("rustup"):
        run("rustup", "target", "add", "aarch64-unknown-linux-gnu")
    run(SAM, "build", "--parameter-overrides", f"Architecture={architecture}")


def release():
    """The commit and the time, so that no two deployments have the same."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=TOP, capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{commit or 'unknown'}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"


def deploy(stack, given, plan):
    # Not among the arguments, where every user of the machine can read them.
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "parameters.yaml"
        file.touch(mode=0o600)
        file.write_text(json.dumps(given), encoding="utf-8")
        parameters = ["--parameter-overrides", f"file://{file}"] if given else []
        mode = ["--no-execute-changeset"] if plan else ["--no-confirm-changeset"]
        where = ["--template-file", str(BUILT), "--config-file", str(TOP / "samconfig.toml"), "--stack-name", stack]
        run(SAM, "deploy", *where, *mode, *parameters)


def show_cost(template, before, after):
    rows = list(cost.Stack(template, after).fixed())
    say()
    say("A month, whatever is made (list prices of us-east-1; what a track costs: docs/operations.md):")
    for line in cost.table(rows):
        say(f"  {line}")
    if before is not None:
        now = cost.total(cost.Stack(template, before).fixed())
        say(f"  Today's parameters come to {now:.2f} with this template.")


def wait_until_ready(url):
    """Until the new stack says that its parts are there."""
    end, last = time.monotonic() + READY_WITHIN, "no answer"
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=30) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            last = f"{error.code} {error.read(2000).decode(errors='replace')}"
        except OSError as error:
            last = str(error)
        time.sleep(5)
    sys.exit(f"{url}/health/ready has not said 200 within {READY_WITHIN} s: {last}. See docs/operations.md, Runbook.")


def main():
    asked = arguments()
    template = yaml_parse((TOP / "template.yaml").read_text(encoding="utf-8"))
    given = overrides(asked.parameters, template["Parameters"])
    found = deployed(asked.stack)
    current = found[0] if found else {}
    ask_for_missing(template, given, current)
    known = {name: value for name, value in current.items() if value != HIDDEN and name in template["Parameters"]}
    after = known | given
    build(after.get("Architecture", template["Parameters"]["Architecture"]["Default"]))
    name = release()
    BUILT.write_text(stamp.stamped(BUILT.read_text(encoding="utf-8"), name), encoding="utf-8")
    deploy(asked.stack, given, asked.plan)
    if asked.plan:
        show_cost(template, known if found else None, after)
        return
    _, outputs = deployed(asked.stack) or ({}, {})
    say()
    for output, value in sorted(outputs.items()):
        print(f"{output:<16} {value}")
    wait_until_ready(outputs["ApiUrl"])
    say(f"Release {name} is ready.")


main()
