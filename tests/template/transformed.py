"""What CloudFormation would get of template.yaml: SAM's own transform of it, held to what no linter says.

- No resource waits for itself, by Ref, GetAtt, Sub or DependsOn, whatever the conditions.
- Whoever invokes a function (routes, sockets, queues, the schedule) invokes its alias, never the newest version.
- SAM adds no rights but those to write logs and traces and to be in a network, and no action is a pattern.
"""

import copy
import logging
import os
import re
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

# It tells of features that it might have.
logging.disable()

ALIAS = "Aliaslive"

# Of AWS: logs, traces, network interfaces; for CodeDeploy, what moves an alias.
MANAGED = {
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXrayWriteOnlyAccess",
    "AWSCodeDeployRoleForLambda",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return yaml_parse(file.read())


def transformed(template):
    """The template without macros, with every parameter at its default."""
    template = copy.deepcopy(template)
    # SAM takes only what was uploaded already.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    parameters = {name: str(of.get("Default", "given")) for name, of in template["Parameters"].items()}

    class Policies:
        """The managed policies that SAM names by itself need no look-up."""

        def load(self):
            return {}

    return transform(template, parameters, Policies())


def references(value):
    """The names in Ref, GetAtt and Sub, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, of in value.items():
            if key == "Ref" and isinstance(of, str):
                yield of
            elif key == "Fn::GetAtt":
                yield of[0] if isinstance(of, list) else of.split(".")[0]
            elif key == "Fn::Sub":
                text = of if isinstance(of, str) else of[0]
                yield from re.findall(r"\$\{(\w+)", text)
                if not isinstance(of, str):
                    yield from references(of[1])
            else:
                yield from references(of)


def waiting(resources):
    """Who is left when whatever waits for nobody is taken away again and again: the members of cycles, and who waits for them."""
    needs = {}
    for name, resource in resources.items():
        after = resource.get("DependsOn", [])
        after = {after} if isinstance(after, str) else set(after)
        needs[name] = {other for other in {*references(resource), *after} if other in resources} - {name}
    while free := [name for name, of in needs.items() if not of]:
        for name in free:
            del needs[name]
        for of in needs.values():
            of.difference_update(free)
    return needs


def invocations(resources):
    """(who, what of it) for each place that says which function is invoked."""
    for name, resource in resources.items():
        properties = resource["Properties"] if "Properties" in resource else {}
        kind = resource["Type"]
        if kind == "AWS::ApiGatewayV2::Api" and "Body" in properties:
            for path, methods in properties["Body"]["paths"].items():
                for method, route in methods.items():
                    yield f"{method} {path}", route["x-amazon-apigateway-integration"]["uri"]
        elif kind == "AWS::ApiGatewayV2::Integration":
            yield name, properties["IntegrationUri"]
        elif kind == "AWS::Lambda::EventSourceMapping":
            yield name, properties["FunctionName"]
        elif kind == "AWS::Scheduler::Schedule":
            yield name, properties["Target"]["Arn"]
        elif kind == "AWS::Lambda::Permission":
            yield name, properties["FunctionName"]


def rights(resources):
    """(role, what is wrong) for each right that nobody asked for."""
    for name, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        properties = resource["Properties"]
        for arn in properties.get("ManagedPolicyArns", []):
            if arn.rsplit("/")[-1] not in MANAGED:
                yield name, arn
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    if "*" in action:
                        yield name, action


def main(path):
    template = read(path)
    resources = transformed(template)["Resources"]
    faults = [f"{name} waits for {', '.join(sorted(of))}: a cycle" for name, of in waiting(resources).items()]
    invoked = list(invocations(resources))
    for who, what in invoked:
        if not any(name.endswith(ALIAS) for name in references(what)):
            faults.append(f"{who} does not invoke an alias: {what}")

    faults += [f"{role} may do {what}" for role, what in rights(resources)]

    # The check would find one: a function behind the API that names the API.
    spoilt = copy.deepcopy(template)
    variables = spoilt["Resources"]["JobsFunction"]["Properties"]["Environment"]["Variables"]
    variables["PUBLIC_URL"] = {"Fn::Sub": "https://${HttpApi}.example.com"}
    if "JobsFunction" not in waiting(transformed(spoilt)["Resources"]):
        faults.append("a cycle that was made on purpose was not found")

    if faults or not invoked:
        sys.exit("\n".join(faults or ["nothing invokes a function"]))
    print(f"{path}: {len(resources)} resources, no cycle; {len(invoked)} invocations, each of an alias")


main(sys.argv[1])
