"""Contract tests of what a caller writes: every field is sent or refused, extra members pass untouched."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ai302_core.errors import Ai302Error, NotFoundError, ParameterError
from ai302_core.jobs import Preview
from ai302_core.requests import Request
from ai302_core.sandbox.samples import Sample

from .stand import Stand, overheard, reason, request_of
from .terms import Terms, happy, over

_PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_LINK = "https://pictures.example/contract.png"
_VALUES: Mapping[str, tuple[Any, ...]] = {
    "prompt": ("a sentence of the contract",),
    "negative_prompt": ("blur of the contract",),
    "aspect_ratio": ("16:9", "9:16", "1:1"),
    "size": ("1024x1024", "768x512"),
    "resolution": ("1080p", "720p", "2K"),
    "duration": (5, 8, 10),
    "seed": (4711, 12),
    "count": (2, 3),
    "audio": (True, False),
}
_GUESSES: tuple[Any, ...] = ("contract", 3, 0.7, True)
_OWN = {"extra", "query", "action", "task", "values", "needs", "model"}


class RequestTests(Terms):
    """Nothing a caller writes is dropped in silence."""

    @over(happy)
    def test_every_field_is_sent_or_refused(self, sample: Sample) -> None:
        """A field changes what is sent, or is refused before money moves, or is told in a warning."""
        with overheard(), Stand(self.described()) as stand:
            request = request_of(sample)
            before = stand.preview(sample, request)
            self._without_a_model(stand, sample, request)
            self._rules_of_fields(sample, request)
            for name in type(request).__dataclass_fields__:
                if name not in _OWN and name not in self._later(sample):
                    self._reaches(stand, sample, before, name)

    def _without_a_model(self, stand: Stand, sample: Sample, request: Request) -> None:
        """Rules and bodies that depend on the model meet a caller who names none, or one of tomorrow."""
        for model in (None, "contract-model-1"):
            try:
                stand.preview(sample, replace(request, model=model))
            except (ParameterError, NotFoundError):
                continue
            except Ai302Error as problem:
                raise AssertionError(
                    f"{sample.operation}: model={model!r} breaks the family: {reason(problem)} Refuse it by "
                    'Rule(required=True), or do without: request.model or ""'
                ) from problem

    def _rules_of_fields(self, sample: Sample, request: Request) -> None:
        operation = self.operation_of(sample)
        if operation.rules is None or operation.said is not None:  # what is said inside a prompt need be no field
            return
        odd = [name for name in operation.rules(request) if name not in operation.request.__dataclass_fields__]
        assert not odd, (
            f"{sample.operation}: rules name {odd[0]!r}, which {operation.request.__name__} does not have: a rule is "
            "named as the caller names the field, not as the service does"
        )

    def _later(self, sample: Sample) -> set[str]:
        """Fields that the sample's second paid call, the answer to a window, takes with it."""
        family = self.described()
        others = [entry for position in sample.paid(family)[1:] for entry in sample.submits(family, position)]
        return {name for entry in others for name in entry.request.__dataclass_fields__}

    def _reaches(self, stand: Stand, sample: Sample, before: Preview, name: str) -> None:
        silent: list[Any] = []
        sent: list[str] = []
        refused = False
        operation = self.operation_of(sample)
        rule = operation.rules(request_of(sample)).get(name) if operation.rules else None
        for request, value in _changed(request_of(sample), name, rule.allowed if rule else ()):
            try:
                after = stand.preview(sample, request)
            except ParameterError:
                refused = True
                continue
            except Ai302Error as problem:
                raise AssertionError(f"{sample.operation}: {name}={value!r} breaks the family: {problem}") from problem
            if after.warnings:
                return
            if _wire(after) == _wire(before):
                silent.append(value)
            else:
                sent.append(_wire(after))
        if sent:
            assert name not in _VALUES or len(sent) == 1 or len(set(sent)) > 1, (
                f"{sample.operation}: whatever {name} is, the same is sent. Send the caller's value, or refuse others "
                "by a Rule(allowed=…)"
            )
            return
        # A service that only ever makes clips of 5 s takes 5, sends nothing, and refuses 8.
        assert refused or not silent, (
            f"{sample.operation}: {name}={silent[0]!r} is read and changes nothing that is sent. Send it, or do not "
            "read it: the engine then refuses it"
        )

    @over(happy)
    def test_extra_and_query_pass_untouched(self, sample: Sample) -> None:
        """What a caller knows and the family does not reaches the wire as it was written."""
        extra = {"x_contract": {"list": [1, None, "ü"], "flag": False}}
        query = {"x_contract": "a&b=ü 1"}
        with overheard(), Stand(self.described()) as stand:
            request = replace(request_of(sample), extra=extra, query=query)
            shown = stand.preview(sample, request)
        body = shown.body if isinstance(shown.body, Mapping) else {}
        assert body.get("x_contract") == extra["x_contract"], f"{sample.operation}: extra is not in the body as written"
        sent = parse_qs(urlsplit(shown.url).query).get("x_contract")
        assert sent == [query["x_contract"]], f"{sample.operation}: query is not in the address as written"

    def test_jobs_travel_as_json(self) -> None:
        """A job written in one process is read in another that has not met its family yet, and is the same."""
        jobs = [told.job.to_json() for sample in self.fitting() if (told := self.played(sample)).job is not None]
        program = (
            "import json, sys\n"
            f"sys.path[:0] = json.loads({json.dumps(json.dumps(sys.path))})\n"
            "from ai302_core.jobs import Job\n"
            "lines = json.load(sys.stdin)\n"
            "print(json.dumps([line for line in lines if Job.from_json(line).to_json() != line]))"
        )
        done = subprocess.run(  # noqa: S603 - this interpreter, our own words
            [sys.executable, "-c", program],
            input=json.dumps(jobs),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"a job cannot be read in another process: {done.stderr.strip()[-300:]}"
        changed = json.loads(done.stdout)
        assert not changed, f"a job is another after a journey as JSON: {changed[0][:200]}"


def _changed(request: Request, name: str, allowed: Sequence[Any]) -> Iterator[tuple[Request, Any]]:
    """Copies of the request with other values of one field, of whatever shape it takes, some `allowed` ones too."""
    old = getattr(request, name)
    if name in type(request).media_fields:
        values: tuple[Any, ...] = ((_PNG,), (_LINK,)) if isinstance(old, tuple) else (_PNG, _LINK)
    elif name in _VALUES:
        values = tuple(dict.fromkeys((*_VALUES[name], *allowed[:3])))
    else:
        said = str(type(request).__dataclass_fields__[name].type)
        fitting = tuple(value for value in _GUESSES if type(value).__name__ in said)
        values = (not old,) if isinstance(old, bool) else fitting or _GUESSES
    for value in values:
        if value == old:
            continue
        with contextlib.suppress(ParameterError, TypeError, ValueError):
            yield replace(request, **{name: value}), value


def _wire(preview: Preview) -> str:
    return json.dumps([preview.method, preview.url, preview.body], sort_keys=True, default=str)
