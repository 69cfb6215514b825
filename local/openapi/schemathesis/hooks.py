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
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
WEB = re.compile(r"https?://[a-z0-9.]+(?=$|/)/?")
RENEWALS = ("POST /auth/refresh", "POST /auth/logout")
LISTS = ("GET /jobs", "GET /admin/jobs", "GET /admin/dead")
# Operation and cursor → the query that it came with.
CURSORS = {}
# Refresh tokens that were given out and not used yet.
SESSIONS = []


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every change leaves a valid request valid, and an invalid one as it is."""
    label, turn = case.operation.label, next(TURN)
    headers, query = case.headers or {}, case.query or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and KEY.fullmatch(key):
        # A key is for one request (draft-ietf-httpapi-idempotency-key-header §2.2): a second body under it is refused.
        headers["Idempotency-Key"] = f"{key[:200]}{turn}"
    if label == "POST /compose":
        # Else every call waits ten seconds for a model.
        headers["Prefer"] = "wait=1" if turn % 8 == 0 else "respond-async"
    if isinstance(query.get("wait"), int) and 1 < query["wait"] < 2**32:
        query["wait"] = turn % 2
    if label in LISTS and isinstance(query.get("cursor"), str):
        # A cursor is what a page brought, and goes with the query of that page.
        case.query = CURSORS.get((label, query["cursor"])) or {name: query[name] for name in query if name != "cursor"}
    if isinstance(case.body, dict):
        clocks(case.body)
        for hook in (case.body, case.body.get("webhook")):
            nowhere(hook)
        if turn % 2:
            sign_in(label, case.body)
    if turn % 2:
        held(case, label, headers, CASE["reports"][turn // 2 % len(CASE["reports"])], turn % 4 == 1)
    case.headers = headers


def held(case, label, headers, report, by_model):
    """A job that a model holds, in place of one that nobody has; and its token in place of a service's."""
    is_id = lambda value: isinstance(value, str) and ID.fullmatch(value)  # noqa: E731
    if label == "POST /jobs/report" and isinstance(case.body, dict) and is_id(case.body.get("jobId")):
        case.body["jobId"] = report["job"]
    elif label == "PUT /jobs/{id}/audio" and is_id(case.path_parameters.get("id")):
        case.path_parameters["id"] = report["job"]
    elif label == "POST /hooks/cog/{token}" and isinstance(case.path_parameters.get("token"), str):
        case.path_parameters["token"] = report["token"]
        return
    else:
        return
    # A token that a check has spoilt stays as it is.
    if by_model and headers.get("Authorization") == f"Bearer {CASE['service']}":
        headers["Authorization"] = f"Bearer {report['token']}"


def sign_in(label, body):
    """Somebody who exists, in place of one whom nobody knows; and a token that was given out."""
    is_word = lambda name, most: isinstance(body.get(name), str) and 1 <= len(body[name]) <= most  # noqa: E731
    if label == "POST /auth/login" and len(body) == 2 and is_word("emailOrUsername", 256) and is_word("password", 1024):
        body.update(CASE["person"])
    elif label in RENEWALS and len(body) == 1 and is_word("refreshToken", 8192) and SESSIONS:
        body["refreshToken"] = SESSIONS.pop()


def nowhere(hook):
    """A made-up address may be somebody's: no name below .invalid leads anywhere (RFC 2606)."""
    if isinstance(hook, dict) and isinstance(hook.get("url"), str) and WEB.match(hook["url"]) and len(hook["url"]) < 1024:
        hook["url"] = WEB.sub("https://hook.invalid/", hook["url"])


def clocks(body):
    """Values may come from answers of long ago."""
    now = datetime.now(timezone.utc)
    given = {name: at for name in ("startBy", "finishBy") if (at := time(body.get(name)))}
    for name, at in given.items():
        if not now + HOUR / 2 < at < now + 160 * HOUR:
            given[name] = now + HOUR
            body[name] = given[name].isoformat()
    if len(given) == 2 and given["finishBy"] < given["startBy"]:
        body["startBy"], body["finishBy"] = body["finishBy"], body["startBy"]


def time(value):
    """The moment, or none where the text is no RFC 3339: that is refused, and stays."""
    if not isinstance(value, str) or not TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.label in ("POST /auth/login", "POST /auth/refresh") and response.status_code == 200:
        SESSIONS.append(response.json()["refreshToken"])
    if case.operation.label in LISTS and response.status_code == 200:
        cursor = response.json()["nextCursor"]
        if cursor:
            CURSORS[case.operation.label, cursor] = {**(case.query or {}), "cursor": cursor}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """cargo-lambda hands a function text alone: of a header or a JSON body with other bytes it answers 500 itself. API Gateway does not,
    and what the functions make of such bytes is tested beside them."""
    emulator = response.status_code == 500 and b"https://httpstatuses.com/500" in response.content
    request = response.request
    body = request.body or b""
    plain = all(value.isascii() for value in request.headers.values()) and is_text(body)
    return (not emulator or plain) and not infers_user(response)


def infers_user(response):
    """A link that schemathesis infers takes the `userId` of a job for a user's id. It is the `sub` of a token, here no UUID, and is refused
    as such. An admin meets the jobs of others, too."""
    return response.status_code == 400 and response.request.path_url.startswith("/auth/users/schemathesis-")


def is_text(body):
    try:
        body if isinstance(body, str) else bytes(body).decode()
    except UnicodeDecodeError:
        return False
    return True
