"""Contract tests of the record itself: names, words, and whether the samples show all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ai302_core._vocabulary import KINDS
from ai302_core.family import Endpoint, Field, Operation, Refused

from .terms import Terms, misfit

_FAMILY = re.compile(r"[a-z][a-z0-9_]*")
_OPERATION = re.compile(r"[a-z][a-z0-9-]*")
_PATH = re.compile(r"(?!\$)(?:[^.\[\]/\s]+|\[\d*\])(?:\.[^.\[\]/\s]+|\[\d*\])*")
_WAYS = ("url", "data", "file")


class RecordTests(Terms):
    """The record is sound by itself."""

    def test_names_and_api(self) -> None:
        """The names can be typed, nothing is named twice, and the API number is one this core knows."""
        family = self.described()
        assert family.api == 1, f"api={family.api!r}: this ai302-core knows api=1"
        assert _FAMILY.fullmatch(family.name), f"the family's name {family.name!r} must match [a-z][a-z0-9_]*"
        assert re.fullmatch(r"https?://[^/]+(/.*[^/])?", family.base_url), (
            f"base_url {family.base_url!r} must be an address, https:// in front and without a slash at its end"
        )
        assert re.match(r"https:|http://(127\.0\.0\.1|localhost)\b", family.base_url), (
            f"base_url {family.base_url!r} must begin with https://, or the key travels where everybody reads it"
        )
        for what, names in (
            ("operation", [entry.name for entry in family.operations]),
            ("gateway", [entry.name for entry in family.gateways]),
        ):
            assert names, f"the family has no {what}"
            twice = [name for name, count in Counter(names).items() if count > 1]
            assert not twice, f"the {what} {twice[0]!r} is there twice"
            odd = [name for name in names if not _OPERATION.fullmatch(name) and not name[0].isdigit()]
            assert not odd, f"the {what} name {odd[0]!r} must match [a-z][a-z0-9-]*"

    def test_the_record_is_sound(self) -> None:
        """Every path, pattern and kind of the record can mean something."""
        family = self.described()
        for gateway in family.gateways:
            name, _, value = gateway.auth.partition(":")
            assert value.count("{key}") == 1 and "{" not in name, (  # noqa: PT018
                f"auth of {gateway.name} must be one header with the key in its value, such as "
                '"Authorization: Bearer {key}"'
            )
            known = {entry.name for entry in family.operations} | {entry.name for entry in family.questions}
            known |= {"many", "cancel", "webhook"}
            odd = sorted(set(gateway.lacks) - known)
            assert not odd, (
                f"{gateway.name} lacks {odd[0]!r}, neither an operation, a question nor many, cancel, webhook"
            )
            for envelope in gateway.refused:
                _check_refused(envelope, gateway.name)
        for operation in family.operations:
            _check_operation(operation)
            asked = operation.lookup and operation.lookup.question
            assert asked is None or asked in {entry.name for entry in family.questions}, (
                f"{operation.name} is looked up by {asked!r}, which is no question of the family"
            )

    def test_samples_fit_the_record(self) -> None:
        """Every sample is about an operation and a gateway of the family."""
        family = self.described()
        wrong = [said for sample in self.told() if (said := misfit(family, sample))]
        assert not wrong, f"{'; '.join(wrong)}: change what it says, or delete it"

    def test_samples_show_every_operation(self) -> None:
        """There is a sample that succeeds for every operation."""
        family = self.described()
        shown = {sample.operation for sample in self.told() if sample.status == "succeeded"}
        for sample in self.told():
            for position in sample.paid(family)[1:]:
                shown |= {entry.name for entry in sample.submits(family, position)}
        assert self.told(), (
            "there are no samples, which are JSON files in the folder `samples` of the family's package. Where the "
            "source has them and the wheel does not, the build left them out: setuptools packs what "
            '[tool.setuptools.package-data] names, such as "samples/*.json"'
        )
        missing = [entry.name for entry in family.operations if entry.name not in shown]
        assert not missing, f"no sample shows the operation {missing[0]!r} succeed: add one to the samples folder"

    def test_samples_show_what_goes_wrong(self) -> None:
        """There is a sample of a refusal, and one of a failure where jobs can fail later."""
        family = self.described()
        samples = self.told()
        if any(entry.refused for entry in family.operations) or any(entry.refused for entry in family.gateways):
            assert any("kind" in sample.expect for sample in samples), (
                'no sample shows a refusal: add one whose submit is refused, with "expect": {"status": "refused", '
                '"kind": "…"}'
            )
        if any(entry.poll is not None for entry in family.operations):
            assert any(sample.status == "failed" for sample in samples), (
                'no sample shows a job fail after it was accepted: add one with "expect": {"status": "failed"}'
            )

    def test_samples_say_where_they_are_from(self) -> None:
        """A reader can tell a documented reply from one made up."""
        for sample in self.told():
            assert sample.source.startswith(("documented", "synthesized", "captured")), (
                f'{sample.name}.json: "source" begins with documented, captured or synthesized, and says from where'
            )


def _check_operation(operation: Operation) -> None:
    name = operation.name
    for envelope in operation.refused:
        _check_refused(envelope, name)
    for pattern in (*operation.rejected, *operation.missing_texts):
        re.compile(pattern)
    assert operation.assets or operation.finish, f"{name} says nowhere where its files are: assets=(image(…),)"
    odd_paths = [path for path in _paths_of(operation) if path != "#" and not _PATH.fullmatch(path)]
    assert not odd_paths, f"{name} looks at {odd_paths[0]!r}, which is no path: they are written a.b[].c, or a[0]"
    for what in ("submit", "poll", "cancel"):
        endpoint: Endpoint | None = getattr(operation, what)
        assert endpoint is None or endpoint.path.startswith("/"), (
            f"the path of {name}'s {what}, {endpoint.path!r}, must begin with a slash: it is added to base_url"
        )
        spoken = "" if endpoint is None else f"{endpoint.path} {endpoint.query} {endpoint.json}"
        assert what == "submit" or endpoint is None or "{job_id}" in spoken, (
            f"the {what} of {name} does not say {{job_id}}, so every job would look the same"
        )
    ways = [way for way in operation.images if way not in _WAYS]
    assert not ways, f"images of {name} says {ways[0]!r}; pictures go as {', '.join(_WAYS)}"
    assert "file" not in operation.images or operation.submit.multipart, (
        f'images of {name} says "file", which only a form carries: submit=post(…, multipart=True)'
    )
    soon, most = operation.usual
    assert 0 <= soon <= most <= operation.timeout, (
        f"usual={operation.usual!r} and timeout={operation.timeout!r} of {name} are seconds, in that order: nobody "
        "looks before the first of them"
    )
    if operation.poll is not None:
        assert operation.job_id, f"{name} is polled, and says nowhere where its id is: job_id=(…,)"
        assert any(row.succeeded for row in operation.states), f"no status of {name} means success: states=(…,)"
        assert any(row.failed for row in operation.states), (
            f"no status of {name} means failure, so a failed job would be waited for until its deadline"
        )
    if isinstance(operation.body, dict):
        known = operation.request.__dataclass_fields__
        odd = [entry for entry in _fields(operation.body) if entry not in known]
        assert not odd, f"the body of {name} takes field({odd[0]!r}), which {operation.request.__name__} does not have"


def _paths_of(operation: Operation) -> Iterator[str]:
    """Every path into a reply that an operation names."""
    yield from (*operation.job_id, *operation.progress, *operation.failure)
    yield from (row.at for row in (*operation.states, *operation.pending))
    for rule in operation.assets:
        yield from (*rule.paths, *rule.size)
    for envelope in operation.refused:
        yield from (*envelope.at, *envelope.message, *envelope.beside)
    if operation.many is not None:
        yield from (operation.many.at, operation.many.id)
    if operation.lookup is not None:
        yield from (operation.lookup.echo, operation.lookup.id)


def _fields(shape: object) -> list[str]:
    if isinstance(shape, Field):
        return [shape.name]
    if isinstance(shape, dict):
        return [name for entry in shape.values() for name in _fields(entry)]
    return [name for entry in shape for name in _fields(entry)] if isinstance(shape, (list, tuple)) else []


def _check_refused(envelope: Refused, where: str) -> None:
    odd = [kind for kind in (*envelope.kinds.values(), *envelope.texts.values()) if kind not in KINDS]
    assert not odd, f"{where} refuses with the kind {odd[0]!r}; kinds are {', '.join(KINDS)}"
    for pattern in envelope.texts:
        re.compile(pattern)
    assert envelope.at, f"a refusal of {where} has no path of its code"
