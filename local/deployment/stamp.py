"""Names the release in a built template, so that each deployment publishes a new version of every function.

SAM hashes a function's properties before it looks up parameters: a parameter's new value alone is no new version, and whoever calls
goes on with the old one. A changed literal in the environment is.
"""

import re

RELEASE = re.compile(r"^( +RELEASE: ).*$", re.MULTILINE)


def stamped(template: str, release: str) -> str:
    """The text of the template with another RELEASE."""
    found = len(RELEASE.findall(template))
    if found != 1:
        raise ValueError(f"the template has {found} lines with RELEASE, and one was expected")
    return RELEASE.sub(rf"\g<1>'{release}'", template)
