"""Every public method, as a caller writes it: read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing, closing
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, assert_type

from ai302_core import (
    Action,
    Ai302Error,
    ApiError,
    Asset,
    AsyncProvider,
    ContentRejected,
    Cost,
    DownloadError,
    ImageRequest,
    Job,
    JobError,
    JobFailed,
    JobTimeout,
    Media,
    MediaRef,
    Model,
    Money,
    Notice,
    Outcome,
    ParameterError,
    Preview,
    Provider,
    Request,
    Result,
    Status,
    VideoRequest,
    aconnect,
    connect,
)


def requests() -> None:
    picture: Media = Path("lantern.png")
    request = ImageRequest("a paper lantern", aspect_ratio="16:9", size=(1024, 1536), seed=7, images=(picture, b"PNG"))
    assert_type(request, ImageRequest)
    assert_type(request.prompt, str)
    assert_type(request.model, str | None)
    assert_type(request.images, Sequence[str | PathLike[str] | bytes | Asset | MediaRef])
    clip = VideoRequest("it sways", duration=5, first_frame=picture, extra={"hd": True})
    assert_type(clip.duration, float | None)
    ImageRequest("typo", aspect="16:9")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ImageRequest(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    request.prompt = "frozen"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def progress(job: Job) -> None:
    assert_type(job.progress, float | None)


def sync() -> None:
    assert_type(connect(), Provider)
    config = {"providers": {"hero": {"family": "midjourney"}}}
    with connect("hero", api_key="sk-…", base_url="http://127.0.0.1:1", gateway="new-api", config=config) as hero:
        assert_type(hero, Provider)
        job = hero.submit(ImageRequest("a lantern"), key="cover", again=True, lenient=True, timeout=10)
        assert_type(job, Job)
        assert_type(hero.wait(job, timeout=60, on_update=progress), Result)
        result = hero.run(VideoRequest("it sways"), key="clip", on_update=progress, save_to=Path("clips"))
        assert_type(result, Result)
        for outcome in hero.run_many([ImageRequest("a"), ImageRequest("b")], save_to="pictures"):
            assert_type(outcome, Outcome)
        for outcome in hero.run_many({"a": ImageRequest("a")}, again=True, lenient=True):
            assert_type(outcome.error, Ai302Error | None)
        with closing(hero.run_many([ImageRequest("a")])) as some:
            assert_type(next(some), Outcome)
        assert_type(hero.act(job, "upscale-2", key="big", timeout=5), Job)
        assert_type(hero.act(job, "zoom-custom", prompt="wider"), Job)
        assert_type(hero.act_all(job, "imagine-all", key="four"), list[Job])
        assert_type(hero.ask("image-seed", job), list[Any])
        assert_type(hero.cost(job), Cost)
        assert_type(hero.poll(job), Job)
        assert_type(hero.cancel(job), Job)
        assert_type(hero.save(job), list[Path])
        assert_type(hero.save(result, "pictures", roles=["grid"], sidecar=False), list[Path])
        assert_type(hero.save(result.images[0], to=Path("one.png")), list[Path])
        with hero.open(result.images[0]) as file:
            assert_type(file.read(), bytes)
        assert_type(hero.dry_run(ImageRequest("a lantern"), lenient=True), Preview)
        for model in hero.models("image"):
            assert_type(model, Model)
        assert_type(hero.job("last"), Job)
        assert_type(hero.jobs(status=[Status.SUCCEEDED], since=datetime.now(UTC), text="lantern"), list[Job])
        for outcome in hero.resume(save_to="pictures"):
            assert_type(outcome.files, tuple[Path, ...])
        assert_type(hero.reconcile(job, remote_id="17"), Job)
        assert_type(hero.reconcile(job, abandon=True), Job)
        assert_type(hero.reconcile(job, resubmit=True), Job)
        assert_type(hero.adopt("17", "imagine"), Job)
        hero.close()
        hero.submit("a prompt")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        hero.submit(ImageRequest("a"), keys="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def unsync() -> None:
    assert_type(aconnect(), AsyncProvider)
    async with aconnect("hero", config=Path("gen302.toml"), ledger=":memory:") as hero:
        assert_type(hero, AsyncProvider)
        job = await hero.submit(ImageRequest("a lantern"), key="cover", again=True, lenient=True, timeout=10)
        assert_type(job, Job)
        assert_type(await hero.wait(job, timeout=60, on_update=progress), Result)
        result = await hero.run(VideoRequest("it sways"), key="clip", on_update=progress, save_to=Path("clips"))
        assert_type(result, Result)
        async for outcome in hero.run_many([ImageRequest("a"), ImageRequest("b")], save_to="pictures"):
            assert_type(outcome, Outcome)
        async for outcome in hero.run_many({"a": ImageRequest("a")}, again=True, lenient=True):
            assert_type(outcome.result, Result | None)
        async with aclosing(hero.run_many([ImageRequest("a")])) as some:
            assert_type(await anext(some), Outcome)
        assert_type(await hero.act(job, "upscale-2", key="big", timeout=5), Job)
        assert_type(await hero.act(job, "zoom-custom", prompt="wider"), Job)
        assert_type(await hero.act_all(job, "imagine-all", key="four"), list[Job])
        assert_type(await hero.ask("tasks"), list[Any])
        assert_type(await hero.cost(job), Cost)
        assert_type(await hero.poll(job), Job)
        assert_type(await hero.cancel(job), Job)
        assert_type(await hero.save(job), list[Path])
        assert_type(await hero.save(result, "pictures", roles=["grid"], sidecar=False), list[Path])
        assert_type(await hero.save(result.images[0], to=Path("one.png")), list[Path])
        with await hero.open(result.images[0]) as file:
            assert_type(file.read(), bytes)
        assert_type(await hero.dry_run(ImageRequest("a lantern")), Preview)
        for model in await hero.models("image"):
            assert_type(model, Model)
        assert_type(await hero.job("last"), Job)
        assert_type(await hero.jobs(status=[Status.SUCCEEDED], text="lantern"), list[Job])
        async for outcome in hero.resume(save_to="pictures"):
            assert_type(outcome.key, str | None)
        assert_type(await hero.reconcile(job, remote_id="17"), Job)
        assert_type(await hero.adopt("17", operation="imagine"), Job)
        await hero.aclose()
        await hero.submit("a prompt")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def outcomes(job: Job, result: Result, outcome: Outcome, cost: Cost, preview: Preview) -> None:
    assert_type(job.status, Status)
    assert_type(job.status.settled, bool)
    assert_type(job.remote_id, str | None)
    assert_type(job.request, Request | None)
    assert_type(job.created_at, datetime)
    assert_type(job.finished_at, datetime | None)
    assert_type(job.actions, tuple[Action, ...])
    assert_type(job.warnings, tuple[Notice, ...])
    assert_type(Job.from_json(job.to_json()), Job)
    assert_type(result.images, tuple[Asset, ...])
    assert_type(result.images[0].url, str | None)
    assert_type(result.images[0].expires_at, datetime | None)
    assert_type(result.files, tuple[Path, ...])
    assert_type(outcome.job, Job | None)
    assert_type(cost.observed, Money | None)
    assert_type(Money(Decimal("0.3")).amount, Decimal)
    assert_type(preview.headers, Mapping[str, str])


def errors(provider: Provider, request: ImageRequest) -> None:
    try:
        provider.run(request)
    except ParameterError as error:
        assert_type(error.field, str)
    except ContentRejected as error:
        assert_type(error.hint, str)
    except (JobFailed, JobTimeout) as error:
        assert_type(error.job, Job)
    except JobError as error:
        assert_type(error.retryable, bool)
    except DownloadError as error:
        assert_type(error.asset, Asset | None)
    except ApiError as error:
        assert_type(error.status_code, int)
        assert_type(error.retry_after, float | None)
    except Ai302Error as error:
        assert_type(error.message, str)
        assert_type(error.job, Job | None)
