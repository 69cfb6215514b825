"""local/deploy and plain `sam deploy`, each under a terminal and against an emulated CloudFormation, up to the change set.

Nothing may be asked when the two addresses are given, and nothing but these two when they are not.
"""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

TOP = pathlib.Path(__file__).resolve().parents[2]
VENV = pathlib.Path(sys.executable).parent

BUCKET = "artifacts"
ADDRESSES = ["MuscgenUrl=https://muscgen.example.com", "Jen1Url=https://jen1.example.com"]
QUESTION = re.compile(r"\[[yY]/[nN]\]|\(Y/n\)|Parameter \w+(?: \[|:)|\b[A-Z]\w+ \([^()\n]*\): ")

# One build of all functions takes minutes; what SAM does with a program is the same for any program.
CARGO = """#!{python}
import json, pathlib, sys
folder = pathlib.Path.cwd()
if sys.argv[1] == "metadata":
    print(json.dumps({{"packages": [], "workspace_members": [], "target_directory": str(folder / "target"), "workspace_root": str(folder)}}))
elif "--bin" in sys.argv:
    program = folder / "target/lambda" / sys.argv[sys.argv.index("--bin") + 1] / "bootstrap"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\\n")
    program.chmod(0o755)
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def emulator(port):
    log = subprocess.DEVNULL
    process = subprocess.Popen([VENV / "moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1)
            return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    sys.exit("the emulator does not answer")


def under_a_terminal(command, folder, environment, answers=(), seconds=240):
    """(exit code, all that was shown) of a program that reads from a terminal, where these lines are typed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, "".join(f"{line}\n" for line in answers).encode())
    shown, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.5)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
    else:
        process.kill()
    os.close(ours)
    return process.wait(), shown.decode(errors="replace").replace("\r", "")


def questions(shown):
    return [found.group(0) for found in QUESTION.finditer(shown)]


def main():
    scratch = pathlib.Path(tempfile.mkdtemp())
    port = free_port()
    server = emulator(port)
    faults = []

    def check(what, held, shown):
        print(f"{what}: {'ok' if held else 'NOT SO'}")
        if not held:
            faults.append(f"{what}\n{shown[-3000:]}")

    try:
        for path in ["template.yaml", "Cargo.toml"]:
            shutil.copy(TOP / path, scratch)
        # The emulator cannot hold the stack in which SAM would make a bucket for what it uploads.
        settings = (TOP / "samconfig.toml").read_text().replace("resolve_s3 = true", f's3_bucket = "{BUCKET}"')
        (scratch / "samconfig.toml").write_text(settings)
        client("s3", port).create_bucket(Bucket=BUCKET)
        shutil.copytree(TOP / "local/deployment", scratch / "local/deployment")
        programs = scratch / "programs"
        programs.mkdir()
        (programs / "cargo").write_text(CARGO.format(python=sys.executable))
        (programs / "cargo").chmod(0o755)
        for missing in ["rustup", "git"]:
            (programs / missing).write_text("#!/bin/sh\nexit 0\n")
            (programs / missing).chmod(0o755)
        environment = {
            "PATH": f"{programs}{os.pathsep}{VENV}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(scratch),
            "TERM": "dumb",
            "COLUMNS": "200",
            "SAM_CLI_TELEMETRY": "0",
            # The emulator takes a template from an address of that name alone.
            "AWS_ENDPOINT_URL": f"http://localhost:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        deploy = [sys.executable, "local/deployment/deploy.py", "--plan"]
        code, shown = under_a_terminal([*deploy, *ADDRESSES], scratch, environment)
        check("local/deploy with the two addresses asks nothing", code == 0 and not questions(shown), shown)
        check("it shows the change set and the cost", "Changeset created successfully" in shown and "**fixed**" in shown, shown)
        built = (scratch / ".aws-sam/build/template.yaml").read_text()
        check("the built template names the release", re.search(r"RELEASE: '\S+-\d{8}T\d{6}Z'", built), built)

        code, shown = under_a_terminal(deploy, scratch, environment, ["https://muscgen.example.com", "https://jen1.example.com"])
        asked = [question.split()[0] for question in questions(shown)]
        check("without them it asks for these two", code == 0 and asked == ["MuscgenUrl", "Jen1Url"], shown)

        models = 'Models={"one": {"planner": "jen1", "generator": "muscgen", "maxSeconds": 30}}'
        code, shown = under_a_terminal([*deploy, *ADDRESSES, models], scratch, environment)
        check("a parameter with quotes arrives whole", code == 0 and '"maxSeconds": 30' in sent(port), shown)

        code, shown = under_a_terminal([*deploy, "Slot=8", *ADDRESSES], scratch, environment)
        check("a parameter that is not there is refused", code != 0 and "Slot=8" in shown, shown)

        plain = [VENV / "sam", "deploy", "--no-execute-changeset", "--parameter-overrides", *ADDRESSES]
        code, shown = under_a_terminal(plain, scratch, environment)
        created = "Changeset created successfully" in shown
        check("sam deploy with the two addresses asks nothing", code == 0 and created and not questions(shown), shown)
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(scratch)
    if faults:
        sys.exit("\n\n".join(faults))


def client(service, port):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def sent(port):
    """The parameters of all change sets that the emulator was sent."""
    cloud = client("cloudformation", port)
    found = cloud.list_change_sets(StackName="tutti")["Summaries"]
    sets = [cloud.describe_change_set(StackName="tutti", ChangeSetName=of["ChangeSetName"]) for of in found]
    return json.dumps([of.get("Parameters") for of in sets]).replace('\\"', '"')


main()
