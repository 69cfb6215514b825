"""What CloudFormation would get of template.yaml: SAM's own transform of it, held to what no linter says.

- No resource waits for itself, by Ref, GetAtt, Sub or DependsOn, whatever the conditions.
- Whoever invokes a function (routes, sockets, queues, the schedule) invokes its alias, never the newest version.
- SAM adds no rights but those to write logs and traces and to be in a network, and no action is a pattern.
- No policy has an action that is not there, or a resource that its action does not take.
- A parameter's new value reaches callers: what local/deploy does to the template makes a new version of each function.
- What docs/operations.md says a stack costs is what local/deploy works out.
"""

import copy
import json
import logging
import os
import pathlib
import re
import sys
import warnings

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
import parliament  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "local/deployment"))

import cost  # noqa: E402
import stamp  # noqa: E402

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


def transformed(template, given=None):
    """The template without macros, with every parameter that is not given at its default."""
    template = copy.deepcopy(template)
    # SAM takes only what was uploaded already.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    parameters = {name: str(of.get("Default", "given")) for name, of in template["Parameters"].items()}
    parameters |= given or {}

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


# What stands where a reference stood, by the type of what is referred to.
ARNS = {
    "AWS::S3::Bucket": "arn:aws:s3:::bucket",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:queue",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:group:*",
    "AWS::Lambda::Version": "arn:aws:lambda:us-east-1:123456789012:function:name",
    "AWS::Lambda::Alias": "arn:aws:lambda:us-east-1:123456789012:function:name",
}
PSEUDO = {"Partition": "aws", "Region": "us-east-1", "AccountId": "123456789012"}


def arn(value, resources):
    """The text that CloudFormation would make of a resource in a policy."""
    if isinstance(value, str):
        return value
    if "Fn::Sub" in value:
        text = re.sub(r"\$\{AWS::(\w+)\}", lambda found: PSEUDO.get(found[1], "name"), value["Fn::Sub"])
        return re.sub(r"\$\{(\w+)\.Arn\}", lambda found: ARNS[resources[found[1]]["Type"]], text).replace("${", "").replace("}", "")
    name = next(references(value))
    return ARNS[resources[name]["Type"]]


def faults_of_policies(resources):
    """What parliament finds in each inline policy."""
    for name, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            document = copy.deepcopy(policy["PolicyDocument"])
            for statement in document["Statement"]:
                of = statement["Resource"]
                statement["Resource"] = [arn(one, resources) for one in (of if isinstance(of, list) else [of])]
            text = json.dumps(document | {"Version": "2012-10-17"})
            for finding in parliament.analyze_policy_string(text).findings:
                yield f"{name}: {finding}"


def versions(resources):
    """The logical ids of the published versions: CloudFormation publishes one when its id is new."""
    return {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Version"}


def reached(template):
    """Parameter → functions whose properties depend on it, also by a condition."""
    conditions = template["Conditions"]

    def parameters(value):
        for name in references(value):
            if name in template["Parameters"]:
                yield name
        for name in conditions_of(value):
            yield from parameters(conditions[name])

    def conditions_of(value):
        if isinstance(value, list):
            for item in value:
                yield from conditions_of(item)
        elif isinstance(value, dict):
            for key, of in value.items():
                if key == "Fn::If":
                    yield of[0]
                yield from conditions_of(of)

    found = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            for parameter in parameters([template["Globals"]["Function"], resource["Properties"]]):
                found.setdefault(parameter, set()).add(name)
    return found


def unreached(path):
    """Each parameter that a deployment with another value does not bring to a function that gets it."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    template = yaml_parse(text)
    before = versions(transformed(yaml_parse(stamp.stamped(text, "one")))["Resources"])
    after = yaml_parse(stamp.stamped(text, "two"))
    for parameter, functions in sorted(reached(template).items()):
        of = template["Parameters"][parameter]
        other = next((value for value in of.get("AllowedValues", []) if value != of.get("Default")), "another")
        published = versions(transformed(after, {parameter: str(other)})["Resources"]) - before
        for function in sorted(functions):
            if not any(name.startswith(f"{function}Version") for name in published):
                yield f"{parameter} does not reach {function}"


def main(path):
    template = read(path)
    resources = transformed(template)["Resources"]
    faults = [f"{name} waits for {', '.join(sorted(of))}: a cycle" for name, of in waiting(resources).items()]
    invoked = list(invocations(resources))
    for who, what in invoked:
        if not any(name.endswith(ALIAS) for name in references(what)):
            faults.append(f"{who} does not invoke an alias: {what}")

    faults += [f"{role} may do {what}" for role, what in rights(resources)]

    faults += faults_of_policies(resources)

    # The check would find one: a function behind the API that names the API.
    spoilt = copy.deepcopy(template)
    variables = spoilt["Resources"]["JobsFunction"]["Properties"]["Environment"]["Variables"]
    variables["PUBLIC_URL"] = {"Fn::Sub": "https://${HttpApi}.example.com"}
    if "JobsFunction" not in waiting(transformed(spoilt)["Resources"]):
        faults.append("a cycle that was made on purpose was not found")

    asked = reached(template)
    if len(asked) < 40:
        faults.append(f"only {len(asked)} parameters reach a function")
    faults += unreached(path)

    operations = (TOP / "docs/operations.md").read_text(encoding="utf-8")
    missing = [line for line in cost.table(list(cost.Stack(template, {}).fixed())) if line not in operations]
    faults += [f"docs/operations.md lacks: {line}" for line in missing]

    if faults or not invoked:
        sys.exit("\n".join(faults or ["nothing invokes a function"]))
    print(f"{path}: {len(resources)} resources, no cycle; {len(invoked)} invocations, each of an alias; {len(asked)} parameters reach functions")


main(sys.argv[1])
