"""What the document cannot say, and who calls: `local/src/schemathesis.rs` prepares the jobs and the tokens that `TUTTI_CASE` names."""

import itertools
import json
import os
import re
import urllib.request
from datetime import datetime, timedelta, timezone

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st

CASE = json.loads(os.environ["TUTTI_CASE"])
FRESH = itertools.count()
TURN = itertools.count()

# Clocks lie in the next seven days; a schema knows no now.
HOUR = timedelta(hours=1)
TIMES = st.integers(min_value=1, max_value=160).map(lambda n: (datetime.now(timezone.utc) + n * HOUR).isoformat())
schemathesis.openapi.format("date-time", TIMES)

# Audio goes over the wire as it is.
for kind in ("audio/wav", "audio/flac", "audio/mpeg", "audio/ogg"):
    schemathesis.serializer.alias(kind, "application/octet-stream")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """What the operator configures stands in `GET /compose`: models and their longest tracks."""
    with urllib.request.urlopen(CASE["api"] + "/compose", timeout=30) as answer:
        models = json.load(answer)["models"]
    submission = raw_schema["components"]["schemas"]["Submission"]["properties"]
    submission["model"]["enum"] = [*models, None]
    submission["duration"]["maximum"] = min(model["maxSeconds"] for model in models.values())
    shown(raw_schema)
    close(raw_schema)


def shown(raw_schema):
    """Every example of an answer is one."""
    for name, schema in raw_schema["components"]["schemas"].items():
        whole = {"$ref": f"#/components/schemas/{name}", "components": raw_schema["components"]}
        for example in schema.get("examples", []):
            jsonschema_rs.validator_for(whole).validate(example)


def close(raw_schema):
    """The document lets answers grow; of this build they must hold nothing that it does not name."""
    schemas = raw_schema["components"]["schemas"]
    asked = set()
    for item in raw_schema["paths"].values():
        for operation in item.values():
            references(operation.get("requestBody"), schemas, asked)
    # What another schema is made of stays open: the whole is closed.
    parts = {
        part["$ref"].rsplit("/", 1)[1] for schema in schemas.values() for part in schema.get("allOf", []) if "$ref" in part
    }
    for name, schema in schemas.items():
        if name not in asked and name not in parts and ("properties" in schema or "allOf" in schema):
            schema["unevaluatedProperties"] = False


def references(value, schemas, found):
    if isinstance(value, list):
        for item in value:
            references(item, schemas, found)
    elif isinstance(value, dict):
        name = value.get("$ref", "").rsplit("/", 1)[-1] if isinstance(value.get("$ref", ""), str) else ""
        if name in schemas and name not in found:
            found.add(name)
            references(schemas[name], schemas, found)
        for item in value.values():
            references(item, schemas, found)


@schemathesis.auth(cache_by_key=lambda case, context: case.operation.label)
class Tokens:
    """Reports come from services, everything else from the caller of this run."""

    def get(self, case, context):
        is_report = case.operation.label in ("POST /jobs/report", "PUT /jobs/{id}/audio")
        return CASE["service"] if is_report else CASE["caller"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and KEY.fullmatch(key):
        # A key is for one request (draft-ietf-httpapi-idempotency-key-header §2.2): a second body under it is refused.
        headers["Idempotency-Key"] = f"{key[:200]}{next(FRESH)}"
    if case.operation.label == "POST /compose" and not headers.get("Prefer"):
        # Else half of the calls wait ten seconds for a model.
        headers["Prefer"] = "wait=1"
    case.headers = headers
    query = case.query or {}
    if isinstance(query.get("wait"), int) and 1 < query["wait"] < 2**32:
        query["wait"] = 1
    positive = case.meta is None or case.meta.generation.mode.is_positive
    if positive and isinstance(case.body, dict):
        start, finish = case.body.get("startBy"), case.body.get("finishBy")
        if isinstance(start, str) and isinstance(finish, str) and finish < start:
            case.body["startBy"], case.body["finishBy"] = finish, start
    if positive and case.operation.label == "POST /hooks/cog/{token}":
        case.path_parameters["token"] = CASE["reports"][next(TURN) % len(CASE["reports"])]["token"]
