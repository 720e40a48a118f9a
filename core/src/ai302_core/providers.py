"""Provider: what callers hold. Every decision is a flow; here each method is a line or two."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from . import _policies
from ._clock import Span
from ._connection import Connection
from ._flows import acting, additions, asking, costs, outcomes, reconciling, routing, settling, several
from ._flows.submitting import Order
from ._flows.waiting import OnUpdate
from ._targets import Target, path_text
from .assets import Asset
from .jobs import Cost, Job, Model, Outcome, Preview, Result, Status
from .ledger import listed
from .requests import Request

__all__ = ["OnUpdate", "Provider"]


class Provider:
    """Buy, follow and own. A context manager, safe to share between threads, usable after a fork.

    Jobs of any provider of the same configuration can be given to any method: each goes to its own.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"<Provider {self._connection.name or 'default'}>"

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections. Twice is fine."""
        self._connection.close()

    def submit(
        self,
        request: Request,
        *,
        key: str | None = None,
        again: bool = False,
        lenient: bool = False,
        timeout: float = 60.0,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> Job:
        """Buy one intention and return as soon as it is accepted.

        key      your name for the intention: the same key and request never pay twice, in any process
        again    buy once more under a key whose attempt failed or was canceled
        lenient  send without what the family cannot express; `job.warnings` says what
        timeout  seconds to wait for a busy gateway; a request on the wire always gets its full answer time
        save_to  where a later wait or resume puts the files
        webhook  an address the service is to call when something happens, `{job_id}` in it filled; see `webhooks`.
                 A callback only wakes a look; ParameterError where the family or gateway makes none

        Raises ParameterError, ConfigError, KeyConflict, BudgetExceeded, ApiError and TransportError(sent=False) when
        nothing was created; JobUnconfirmed when nobody knows. Of an alias, the next member is asked only after a
        verified refusal: `job.provider` served it, `job.warnings` say who did not.
        """
        members = self._connection.members(request)
        order = Order(
            key=key, again=again, lenient=lenient, timeout=timeout, save_to=path_text(save_to), webhook=webhook
        )
        return self._connection.driver(routing.leader(members)).pay(routing.submit(members, request, order))

    def wait(self, job: Job, *, timeout: float | None = None, on_update: OnUpdate | None = None) -> Result:
        """Follow a job until it settles.

        timeout    seconds; None: the operation's own patience; 0 looks once
        on_update  called with every new snapshot

        Raises JobError; JobTimeout leaves the job alive. At once for INPUT_REQUIRED and UNCONFIRMED.
        """
        additions.check_following(timeout, on_update)
        return self._settled(job, Span(timeout), on_update)

    def _settled(self, job: Job, span: Span, on_update: OnUpdate | None, *, bought: bool = False) -> Result:
        account = self._connection.owning(job)
        driver = self._connection.driver(account)
        while True:
            job = driver.run(settling.settle(account, job, timeout=span.left(), on_update=on_update, bought=bought))
            if job.status is not Status.INPUT_REQUIRED or not acting.foreseen(job):
                return outcomes.result(account, job)
            job = driver.pay(acting.answer(account, job, span.left()))

    def run(
        self,
        request: Request,
        *,
        key: str | None = None,
        again: bool = False,
        lenient: bool = False,
        timeout: float | None = None,
        on_update: OnUpdate | None = None,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> Result:
        """Submit, wait, and save if `save_to` says where. `timeout` is for both, 60 s of it at most for a busy gateway.

        See `submit`, `wait` and `save` for what is raised. What is on the wire always gets its full answer time.
        """
        additions.check_following(timeout, on_update)
        span, cap = Span(timeout), _policies.busy(timeout)
        job = self.submit(request, key=key, again=again, lenient=lenient, timeout=cap, save_to=save_to, webhook=webhook)
        if on_update is not None:
            on_update(job)
        result = self._settled(job, span, on_update, bought=True)
        return result if save_to is None else self._with_files(result, save_to)

    def _with_files(self, result: Result, to: Target | None) -> Result:
        account = self._connection.owning(result.job)
        files, notices = self._connection.driver(account).run(settling.save(result.job, path_text(to)))
        return outcomes.saved(result, files, notices)

    def run_many(
        self,
        requests: Iterable[Request] | Mapping[str, Request],
        *,
        again: bool = False,
        lenient: bool = False,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> Generator[Outcome, None]:
        """Run many requests at once and yield each outcome as it settles; a mapping's keys name the intentions.

        A loop that is left early submits nothing more; what was bought lives on, see `resume`.
        """
        from . import _loopthread, _many

        make = partial(
            _many.run_many, self._connection, requests,
            again=again, lenient=lenient, save_to=path_text(save_to), webhook=webhook,
        )  # fmt: skip
        return _loopthread.in_thread(make, self._connection.release_loop)

    def act(
        self,
        job: Job,
        action: str,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        save_to: Target | None = None,
        webhook: str | None = None,
        **fields: Any,
    ) -> Job:
        """Press an action of a finished job, by name ("upscale-2") or label ("U2"); "continue" answers INPUT_REQUIRED.

        Raises ParameterError for an action or field the job does not offer, else as `submit`.
        """
        account = self._connection.owning(job)
        flow = acting.act(
            account, job, action, fields, key=key, timeout=timeout, save_to=path_text(save_to), webhook=webhook
        )
        return self._connection.driver(account).pay(flow)

    def act_all(
        self,
        job: Job,
        action: str,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        save_to: Target | None = None,
        webhook: str | None = None,
    ) -> list[Job]:
        """Press an action that starts several jobs, such as Midjourney's "imagine-all": one paid call, a row for each.

        key  your name for the press: the jobs that hold it are returned and nothing is sent; another key presses anew

        Raises as `submit`; when nobody knows what the press did, each of its rows is UNCONFIRMED.
        """
        account = self._connection.owning(job)
        flow = several.act_all(
            account, job, action, key=key, timeout=timeout, save_to=path_text(save_to), webhook=webhook
        )
        return self._connection.driver(account).pay(flow)

    def ask(self, question: str, job: Job | None = None, *, timeout: float = 60.0) -> list[Any]:
        """What the service answers to a free question of the family, as the values it yields, such as seeds or tasks.

        job      the job it is asked about, for a question about one
        timeout  seconds to ask again in while the service has trouble

        Raises ParameterError, NotFoundError where the gateway does not answer it, ApiError, TransportError, ReplyError.
        """
        account = self._connection.of(job)
        return self._connection.driver(account).run(asking.ask(account, question, job, timeout=timeout))

    def poll(self, job: Job) -> Job:
        """Look once; free. Raises TransportError, ReplyError, ApiError; the job is not harmed."""
        account = self._connection.owning(job)
        return self._connection.driver(account).run(settling.poll(account, job))

    def cancel(self, job: Job) -> Job:
        """Ask the service to stop. The job returned says what became of it: CANCELED, or finished after all.

        Raises ParameterError when the gateway cannot cancel.
        """
        account = self._connection.owning(job)
        return self._connection.driver(account).run(settling.cancel(account, job))

    def save(
        self,
        what: Job | Result | Asset,
        to: Target | None = None,
        *,
        roles: Sequence[str] | None = None,
        sidecar: bool = True,
    ) -> list[Path]:
        """Put the files on disk; again is free. A folder, or a template such as "{date}/{id}-{n}".

        to     None: where the submit said, else the working folder
        roles  such as ["grid"], instead of the deliverables

        Raises DownloadError when a file cannot be had; the job is fine and paid.
        """
        from . import downloads

        job, assets = outcomes.subject(what)
        account = self._connection.of(job, assets[0].kind if assets else None)
        driver = self._connection.driver(account)
        if job is None:
            return driver.run(downloads.save_assets(assets, path_text(to) or ".", account.base_url))
        return driver.run(settling.save(job, path_text(to), roles=roles, sidecar=sidecar))[0]

    def open(self, asset: Asset) -> BinaryIO:
        """The asset's content as a binary file, complete and checked before the first byte. Raises DownloadError."""
        from . import downloads

        account = self._connection.of(None, outcomes.kind_of(asset))
        return self._connection.driver(account).run(downloads.open_stream(asset, base_url=account.base_url))

    def dry_run(self, request: Request, *, lenient: bool = False, webhook: str | None = None) -> Preview:
        """The exact HTTP request `submit` would send, its key masked, JOB-ID for the id the job would get.

        Nothing is sent. Raises as `submit`.
        """
        members = self._connection.members(request)
        flow = routing.preview(members, request, lenient=lenient, webhook=webhook)
        return self._connection.driver(routing.leader(members)).run(flow)

    def models(self, task: str | None = None) -> tuple[Model, ...]:
        """What the families in use know of, of one task ("image", "video") or all; it guides and never gates."""
        return tuple(model for _, model in self._connection.models(task))

    def cost(self, job: Job) -> Cost:
        """What the job cost, asked of the service's own record if it is not known yet: free, late, best effort.

        What the record says is kept in the ledger. What nobody knows stays None, never 0.
        Raises ConfigError, LedgerError.
        """
        account = self._connection.owning(job)
        return self._connection.driver(account).run(costs.known(account, job)).cost

    def job(self, ref: str) -> Job:
        """A job of the ledger by id, last letters, "last", key, task id or saved file. Raises ParameterError."""
        return self._connection.found(ref)

    def jobs(
        self, *, status: Sequence[Status] = (), since: datetime | None = None, text: str = "", limit: int | None = None
    ) -> list[Job]:
        """Jobs of the ledger, newest first, without their `raw`. Raises ParameterError, LedgerError.

        since, text   made then or later, no time zone means local time; words of the request, case ignored
        """
        return listed(self._connection.ledger, status, since, text, limit)

    def resume(self, save_to: Target | None = None) -> Generator[Outcome, None]:
        """Finish every open job of the ledger nobody else follows; yields each as it settles. Pays for nothing."""
        from . import _loopthread, _many

        make = partial(_many.resume, self._connection, path_text(save_to))
        return _loopthread.in_thread(make, self._connection.release_loop)

    def reconcile(
        self,
        job: Job,
        *,
        remote_id: str | None = None,
        resubmit: bool = False,
        abandon: bool = False,
        webhook: str | None = None,
    ) -> Job:
        """Settle an UNCONFIRMED job: it became the task `remote_id`; or it did not, `resubmit`; or `abandon` it.

        webhook  of what is bought again: the first one's address, which usually carries a token, is kept nowhere

        With none of them, and before anything is bought again, the service's own list of tasks is asked for it where
        the gateway has one: found, it is followed, and nothing is paid. Raises JobUnconfirmed when it is not found or
        nothing can look it up, ParameterError when more than one is said or the job is not unconfirmed. A job is given
        up without its provider, too: one that is not configured any more, or has no key.
        """
        owner = self._connection.owner(job)
        flow = reconciling.reconcile(
            owner, job, remote_id=remote_id, resubmit=resubmit, abandon=abandon, webhook=webhook
        )
        return self._connection.driver(owner).pay(flow)

    def adopt(self, remote_id: str, operation: str | None = None) -> Job:
        """Take up a task another tool started at this provider; free. Raises NotFoundError.

        Where nobody is named, at the only one whose family has the operation.
        """
        account = self._connection.offering(operation)
        return self._connection.driver(account).run(settling.adopt(account, remote_id, operation))
