"""What `gen302 plugins new` writes: a whole distribution of a family, which passes its own tests as it is."""

from __future__ import annotations

import json
import keyword
import re
from typing import Any

from ai302_core._version import VERSION
from ai302_core.errors import ParameterError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def files_of(name: str) -> tuple[str, dict[str, str]]:
    """(the distribution's name, path -> text). Raises ParameterError for a name that cannot be one of a family."""
    family = name.replace("-", "_")
    if not _NAME.fullmatch(family) or keyword.iskeyword(family) or family.startswith("ai302"):
        raise ParameterError(
            f"{name!r} cannot be the name of a family: small letters, digits and _, a letter first, without ai302.",
            hint="gen302 plugins new hailuo",
        )
    values = {
        "family": family,
        "distribution": f"ai302-{family.replace('_', '-')}",
        "package": f"ai302_{family}",
        "cls": "Test" + "".join(part.capitalize() for part in family.split("_")),
        "host": f"https://api.{family.replace('_', '-')}.example",
        "core": VERSION.rpartition(".")[0],
    }
    package = f"src/ai302_{family}"
    texts = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"{package}/__init__.py": _MODULE,
        "tests/test_contract.py": _TEST,
    }
    files = {path: _filled(text, values) for path, text in texts.items()}
    files[f"{package}/py.typed"] = ""
    for sample, document in _samples(values).items():
        files[f"{package}/samples/{sample}.json"] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return values["distribution"], files


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text.lstrip("\n")


_PYPROJECT = """
[build-system]
requires = ["hatchling>=1.26"]
build-backend = "hatchling.build"

[project]
name = "<distribution>"
version = "0.1.0"
description = "The family <family> for ai302-core."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["ai302-core>=<core>"]

[project.optional-dependencies]
test = ["ai302-core[testing]"]

[project.entry-points."ai302_core.families"]
<family> = "<package>"

[tool.hatch.build.targets.wheel]
packages = ["src/<package>"]
"""

_README = """
# <distribution>

The family `<family>` for ai302-core: describe here what it makes, at which service, and where its wire format is
documented. In its folder, with the Python that has ai302-core:

    pip install -e ".[test]"
    gen302 plugins check <family>
    gen302 sandbox -- gen302 run -p <family> "a paper boat" -o pictures

The last line costs nothing: the sandbox answers with the samples.
"""

_MODULE = '''
"""The family <family>: where things are in its service's replies, as data."""

from __future__ import annotations

from ai302_core.family import (
    Family,
    Gateway,
    ImageRequest,
    Operation,
    Refused,
    States,
    field,
    get,
    hookimpl,
    image,
    post,
)

_FAMILY = Family(
    "<family>",
    api=1,
    base_url="<host>",
    gateways=(Gateway("own", base_url="<host>", auth="Authorization: Bearer {key}"),),
    operations=(
        Operation(
            "image",
            request=ImageRequest,
            # The paid call: its body has the wire's shape; a field that is unset is left out, one that is not
            # mentioned here is refused when a caller sets it.
            submit=post("/v1/images"),
            body={"prompt": field("prompt"), "seed": field("seed")},
            # Where the submit's reply has the id, and the free call that looks.
            job_id=("id",),
            poll=get("/v1/images/{job_id}"),
            states=(
                States(
                    at="status",
                    queued=("queued",),
                    running=("running",),
                    succeeded=("succeeded",),
                    failed=("failed",),
                ),
            ),
            assets=(image("images[].url"),),
            failure=("error.message",),
            # What a refused submit looks like: nothing is created then.
            refused=(Refused(at=("error.code",), kinds={"content": "content"}, message=("error.message",)),),
        ),
    ),
)


@hookimpl
def ai302_family() -> Family:
    """The record of <family>."""
    return _FAMILY
'''

_TEST = '''
"""The family keeps the contract of ai302-core: pytest, or gen302 plugins check <family>."""

from ai302_core.testing import FamilyContract


class <cls>(FamilyContract):
    family = "<family>"
'''


def _samples(values: dict[str, str]) -> dict[str, Any]:
    asked = {"type": "ImageRequest", "prompt": "a paper boat"}
    link = f"{values['host']}/files/boat.png"
    job = "task-20261121-0001"
    head = {
        "source": "synthesized; replace it with what the service documents",
        "gateway": "own",
        "operation": "image",
        "request": asked,
    }

    def submit(status: int, body: Any) -> dict[str, Any]:
        sent = {"method": "POST", "path": "/v1/images", "body": {"prompt": "a paper boat"}}
        return {"sent": sent, "reply": {"status": status, "body": body}}

    def look(body: Any) -> dict[str, Any]:
        return {"sent": {"method": "GET", "path": f"/v1/images/{job}"}, "reply": {"status": 200, "body": body}}

    accepted = submit(200, {"id": job, "status": "queued"})
    failed = {"id": job, "status": "failed", "error": {"message": "the upstream gave up"}}
    refused = {"error": {"code": "content", "message": "not this prompt"}}
    return {
        "image": {
            "about": "A picture, from the submit to its file.",
            **head,
            "exchanges": [
                accepted,
                look({"id": job, "status": "running"}),
                look({"id": job, "status": "succeeded", "images": [{"url": link}]}),
            ],
            "expect": {"status": "succeeded", "assets": [{"kind": "image", "url": link}]},
        },
        "image-failed": {
            "about": "Accepted, and failed later.",
            **head,
            "exchanges": [accepted, look(failed)],
            "expect": {"status": "failed", "message": "the upstream gave up"},
        },
        "image-refused": {
            "about": "Refused at once: nothing is created, nothing is billed.",
            **head,
            "exchanges": [submit(400, refused)],
            "expect": {"status": "refused", "kind": "content"},
        },
    }
