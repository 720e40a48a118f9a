"""Observers hear of every job, each alone, muted after failing; the log and OpenTelemetry as first-party proofs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ai302_core import ImageRequest, Job, connect
from ai302_core.errors import Ai302Error, ConfigError, PluginError

HEARD = """
from ai302_core.events import hookimpl
heard = []

@hookimpl
def ai302_event(event):
    heard.append(event)
"""
FAILING = HEARD.replace("heard.append(event)", "heard.append(event)\n    raise RuntimeError('no disk')")


@pytest.fixture
def observer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], ModuleType]]:
    """Installs an observer of that name; its module, once it was loaded."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    made: list[str] = []

    def install(name: str, text: str) -> ModuleType:
        module = f"observer_{name}"
        made.append(module)
        (site / f"{module}.py").write_text(text)
        info = site / f"{name}_observer-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-observer\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ai302_core.observers]\n{name} = {module}\n")
        return __import__(module)

    yield install
    for module in made:
        sys.modules.pop(module, None)


def bought(shop: Any, *observers: str, prompt: str = "a paper boat", **more: Any) -> None:
    options = shop.options()
    options["config"] |= {"observers": list(observers), **more}
    with connect(**options) as provider:
        provider.run(ImageRequest(prompt), save_to=shop.folder)


def kinds(module: ModuleType) -> list[str]:
    return [type(event).__name__ for event in module.heard]


def test_events_come_in_order_with_the_job_after_them(shop: Any, observer: Callable[[str, str], ModuleType]) -> None:
    module = observer("ear", HEARD)
    bought(shop, "ear")
    told = kinds(module)
    assert told[0] == "Submitted"
    assert [kind for kind in told if kind not in ("Updated", "Warned")] == ["Submitted", "Settled", "Saved"]
    submitted, settled, saved = (e for e in module.heard if type(e).__name__ in ("Submitted", "Settled", "Saved"))
    assert submitted.job.remote_id == settled.job.remote_id
    assert settled.job.status == "succeeded"
    assert len(saved.files) == 4
    assert all(path.is_file() for path in saved.files)


def test_a_failing_observer_is_muted_and_the_others_hear_on(
    shop: Any, observer: Callable[[str, str], ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    failing, good = observer("bad", FAILING), observer("good", HEARD)
    bought(shop, "bad", "good")
    assert kinds(failing) == ["Submitted"]
    assert kinds(good)[-1] == "Saved"
    assert caplog.text.count("The observer bad failed and is muted: RuntimeError: no disk") == 1
    assert shop.sandbox.paid == 1


@pytest.mark.parametrize("ledger", ["sqlite", "off"])
def test_nothing_is_told_twice(
    shop: Any, observer: Callable[[str, str], ModuleType], ledger: str, tmp_path: Path
) -> None:
    module = observer("ear", HEARD)
    options = {**shop.options(), "ledger": "off" if ledger == "off" else f"sqlite:///{tmp_path}/told.db"}
    options["config"] |= {"observers": ["ear"]}
    with connect(**options) as provider:
        job = provider.submit(ImageRequest("a paper boat"))
        if ledger == "off":
            told = provider.save(provider.wait(job), shop.folder)
    with connect(**options) as another:  # a worker, or the same program tomorrow
        if ledger != "off":
            result = another.wait(Job.from_json(job.to_json()))
            told = another.save(result, shop.folder)
            assert another.cost(result.job).observed is not None  # written down after the job was over
            another.save(result, shop.folder)
    assert len(told) == 4
    assert [kind for kind in kinds(module) if kind not in ("Updated", "Warned")] == ["Submitted", "Settled", "Saved"]


def test_an_observer_that_ends_python_is_muted(
    shop: Any, observer: Callable[[str, str], ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    observer("bye", FAILING.replace("RuntimeError('no disk')", "SystemExit(3)"))
    good = observer("good", HEARD)
    bought(shop, "bye", "good")
    assert kinds(good)[-1] == "Saved"
    assert "The observer bye failed and is muted: SystemExit: 3" in caplog.text
    assert shop.sandbox.paid == 1


def test_the_log(shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    bought(shop, "logging", prompt="a secret paper boat")
    lines = [record for record in caplog.records if record.name == "ai302_core.jobs"]
    said = [record.getMessage() for record in lines]
    assert "submitted" in said[0]
    assert said[-1].endswith("saved: 4 saved")
    assert all(record.provider == "hero" for record in lines)  # type: ignore[attr-defined]
    assert "secret paper boat" not in " ".join(said)
    shop.sandbox.fault("submit", "fail", reason="[Image denied] Sorry!")
    with pytest.raises(Ai302Error):
        bought(shop, "logging", prompt="another boat")
    ours = [record for record in caplog.records if record.name == "ai302_core.jobs"]
    errors = [record for record in ours if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "Image denied" in errors[0].getMessage()


def test_opentelemetry(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, measuring = TracerProvider(), MeterProvider(metric_readers=[reader])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", tracing.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", measuring.get_meter)
    bought(shop, "otel")
    shop.sandbox.fault("submit", "fail", reason="[Image denied] Sorry!")
    with pytest.raises(Ai302Error):
        bought(shop, "otel", prompt="another boat")
    good, bad = spans.get_finished_spans()
    assert good.name == "generate_content midjourney"
    assert good.kind is trace.SpanKind.CLIENT
    told = dict(good.attributes or {})
    assert told["gen_ai.operation.name"] == "generate_content"
    assert told["gen_ai.provider.name"] == "midjourney"
    assert told["gen_ai.output.type"] == "image"
    assert told["server.address"] == "127.0.0.1"
    assert told["ai302.sandbox"] is True
    assert "error.type" not in told
    assert good.start_time is not None
    assert good.end_time is not None
    assert good.end_time > good.start_time
    assert bad.status.status_code is trace.StatusCode.ERROR
    assert (bad.attributes or {})["error.type"] == "FAILURE"
    assert "boat" not in f"{told} {dict(bad.attributes or {})} {bad.name}"
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("gen_ai.client.operation.duration", "s")
    assert sorted(point.count for point in metric.data.data_points) == [1, 1]  # type: ignore[union-attr]
    measuring.shutdown()
    tracing.shutdown()


def test_observers_that_cannot_be_used_are_told_before_anything_is_paid(
    shop: Any, observer: Callable[[str, str], ModuleType]
) -> None:
    observer("ear", HEARD)
    observer("typo", HEARD.replace("ai302_event", "ai302_evnt"))
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        (["lgging"], {}, r"no observer 'lgging' \(did you mean 'logging'\?\)"),
        (["typo"], {}, "'typo' of typo-observer cannot be used: PluginValidationError"),
        (["ear"], {"plugins": ["ai302-midjourney"]}, "ear-observer, which `plugins` in gen302.toml does not allow"),
    ]
    for names, more, said in cases:
        with pytest.raises(ConfigError, match=said):
            bought(shop, *names, **more)
    bought(shop, "ear", "logging", plugins=["ai302-midjourney", "Ear_Observer"])
    assert shop.sandbox.paid == 1


@pytest.mark.parametrize("allowed", [[], ["somebody-else"]])
def test_only_what_is_allowed_is_loaded(shop: Any, allowed: list[str]) -> None:
    with pytest.raises(PluginError, match=r"is of ai302-midjourney, which `plugins` in .* does not allow") as it:
        bought(shop, plugins=allowed)
    assert 'plugins = ["ai302-midjourney"]' in it.value.hint
    assert shop.sandbox.paid == 0
