"""What a stack costs a month before it does anything, by its template and its parameters.

List prices of us-east-1 in US dollars as of late 2026, without free tiers or discounts. What a track costs: docs/operations.md.
"""

HOURS = 730
MINUTES = 43_200

NODES = {"cache.t4g.micro": 0.0128, "cache.t4g.small": 0.0256, "cache.m7g.large": 0.1264}
NAT = 0.045
ADDRESS = 0.005
ALARM_METRIC = 0.10
FIGURE = 0.30
DASHBOARD = 3.00
SECRET = 0.40
GIGABYTE_SECOND = 0.0000133
INVOCATION = 0.0000002
LISTING = 0.000005
QUEUE_CALL = 0.0000004

# Of the queue, outcomes, the share that failed, times, the sweep. Cold starts are one a function, and errors cost when there are some.
FIGURES = 13 + 4 + 1 + 4 + 2


class Stack:
    """A template with the parameters that it is deployed with."""

    def __init__(self, template, given):
        self.template = template
        defaults = {name: str(of.get("Default", "")) for name, of in template["Parameters"].items()}
        self.parameters = defaults | given

    def value(self, of):
        """What CloudFormation makes of Ref, If, FindInMap, Equals, Not, And and Or; anything else stays as it is."""
        if not isinstance(of, dict) or len(of) != 1:
            return of
        (key, inside), = of.items()
        if key == "Ref":
            return self.parameters.get(inside, of)
        if key == "Condition":
            return self.holds(inside)
        if key == "Fn::If":
            return self.value(inside[1] if self.holds(inside[0]) else inside[2])
        if key == "Fn::FindInMap":
            first, second, third = map(self.value, inside)
            return self.template["Mappings"][first][second][third]
        if key == "Fn::Equals":
            left, right = map(self.value, inside)
            return str(left) == str(right)
        if key == "Fn::Not":
            return not self.value(inside[0])
        if key == "Fn::And":
            return all(map(self.value, inside))
        if key == "Fn::Or":
            return any(map(self.value, inside))
        return of

    def holds(self, condition):
        return self.value(self.template["Conditions"][condition])

    def of_type(self, kind):
        """The properties of the resources of one type that this stack has."""
        for resource in self.template["Resources"].values():
            if resource["Type"] == kind and ("Condition" not in resource or self.holds(resource["Condition"])):
                yield resource.get("Properties", {})

    def fixed(self):
        """(line, how it is worked out, dollars) for each line of the fixed cost; None where a price is not known here."""
        functions = len(list(self.of_type("AWS::Serverless::Function")))
        if list(self.of_type("AWS::EC2::NatGateway")):
            yield "NAT gateway and its address", f"{HOURS} × {NAT} + {HOURS} × {ADDRESS}", HOURS * (NAT + ADDRESS)
        for cache in self.of_type("AWS::ElastiCache::ReplicationGroup"):
            kind = self.value(cache["CacheNodeType"])
            nodes = 1 + int(self.value(cache["ReplicasPerNodeGroup"]))
            price = NODES.get(kind)
            log = ", and what AWS asks for the log of writes" if "Durability" in cache else ""
            known = None if price is None else nodes * HOURS * price
            yield f"cache, {nodes} × `{kind}`", f"{nodes} × {HOURS} × {price}{log}", known
        figures = FIGURES + functions
        yield "CloudWatch figures", f"{figures} × {FIGURE:.2f}: {FIGURES} of the system, cold starts of {functions} functions", figures * FIGURE
        watched = [len([m for m in alarm.get("Metrics", []) if "MetricStat" in m]) or 1 for alarm in self.of_type("AWS::CloudWatch::Alarm")]
        yield "alarms, by metric", f"{len(watched)} alarms with {sum(watched)} metrics × {ALARM_METRIC:.2f}", sum(watched) * ALARM_METRIC
        secrets = len(list(self.of_type("AWS::SecretsManager::Secret")))
        yield "dashboard; secrets", f"{DASHBOARD:.2f}; {secrets} × {SECRET:.2f}", DASHBOARD + secrets * SECRET
        sweep = MINUTES * (0.4 * 0.5 * GIGABYTE_SECOND + INVOCATION) + 2 * MINUTES * LISTING
        yield "sweep", f"{MINUTES:,} × (0.4 s × 0.5 GB × {GIGABYTE_SECOND:.7f} + {INVOCATION:.7f}) + {2 * MINUTES:,} lists of S3 × {LISTING:.6f}", sweep
        sources = len(list(self.of_type("AWS::Lambda::EventSourceMapping")))
        polls = sources * 5 * 3 * MINUTES
        yield f"Lambda's polls of {sources} idle queues", f"{sources} × 5 × 3 a minute × {MINUTES:,} × {QUEUE_CALL:.7f}", polls * QUEUE_CALL


def total(rows):
    return sum(dollars or 0 for *_, dollars in rows)


def table(rows):
    """The lines of a Markdown table."""
    for line, arithmetic, dollars in rows:
        yield f"| {line} | {arithmetic} | {'not known here' if dollars is None else f'{dollars:.2f}'} |"
    yield f"| **fixed** | | **{total(rows):.2f}** |"
