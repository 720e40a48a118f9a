"""One configuration in use: its accounts, its ledger, its drivers, shared by both providers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from math import inf
from typing import Any, NoReturn, TypeVar

from . import _http, _sqlite, config, registry
from ._accounts import Account
from ._bells import Bells
from ._config.keys import LazyKey
from ._drivers import AsyncDriver, SyncDriver
from ._flows import outcomes, routing
from ._flows.routing import Members
from ._policies import Timeouts
from ._steps import Call, Sleep
from .errors import ConfigError, PluginError
from .family import Family, Gateway, Operation
from .jobs import Job, Model
from .ledger import Ledger, Limits, named
from .requests import ImageRequest, Request, VideoRequest, expect

T = TypeVar("T")
_REQUEST, _JOB = 'a request such as ImageRequest("a lantern")', "a job, as result.job is; provider.job(ID) finds one"


class Connection:
    """Settings, resolved lazily: a broken provider costs only itself."""

    def __init__(
        self,
        name: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        gateway: str | None = None,
        config_from: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        ledger: str | None = None,
        budget: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            self.settings = config.load_settings(config_from, budget=budget)
            key = None if api_key is None else config.SecretKey(api_key)
            address = None if base_url is None else config.normalise_base_url(base_url)
        except ConfigError as problem:
            raise problem.with_traceback(None) from None  # the frames behind it hold files and the whole environment
        self.name = name
        self._given: dict[str, Any] = {"api_key": key, "base_url": address, "gateway": gateway}
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()
        store = _sqlite.open_ledger(config.ledger_url(self.settings, ledger), data_dir=config.data_dir())
        self.ledger: Ledger = store if not self.settings.observers else self._told(store)
        self._transports: dict[Timeouts, _http.Transport] = {}
        self.bells = Bells()
        self._sync: dict[Timeouts, SyncDriver] = {}
        self._async: dict[Timeouts, AsyncDriver] = {}
        self.sending: Callable[[Call | Sleep], object] | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A provider stays in its process: it holds connections and a key. Call connect() in the other one; "
            "what travels is a job, as job.to_json() or pickled."
        )

    def driver(self, owner: Account | ConfigError) -> SyncDriver:
        """The sync driver with this account's timeouts; without an account for what concerns the ledger alone."""
        timeouts = owner.timeouts if isinstance(owner, Account) else Timeouts()
        with self._lock:
            if timeouts not in self._sync:
                self._sync[timeouts] = SyncDriver(self._transport(timeouts), self.ledger, self.bells)
                self._sync[timeouts].sending = self.sending
            return self._sync[timeouts]

    def async_driver(self, owner: Account | ConfigError) -> AsyncDriver:
        """The async driver, likewise."""
        timeouts = owner.timeouts if isinstance(owner, Account) else Timeouts()
        with self._lock:
            if timeouts not in self._async:
                self._async[timeouts] = AsyncDriver(self._transport(timeouts), self.ledger, self.bells)
                self._async[timeouts].sync.sending = self.sending
            return self._async[timeouts]

    def _transport(self, timeouts: Timeouts) -> _http.Transport:
        if timeouts not in self._transports:
            self._transports[timeouts] = _http.Transport(timeouts)
        return self._transports[timeouts]

    def members(self, request: Request) -> Members:
        """Who may serve a request, in the order they are asked: several for an alias. Raises ConfigError.

        Where nobody is named, a family's own request is served by the only one that has it.
        """
        try:
            return self._members(expect(request, Request, _REQUEST).kind or None)
        except ConfigError:
            shared = type(request) in (ImageRequest, VideoRequest)
            only = None if shared else self._only(lambda operation: operation.request is type(request))
            if only is None:
                raise
            return {only.name: only}

    def _members(self, kind: str | None) -> Members:
        names = config.pick_providers(self.settings, self.name, kind, self._installed)
        return {name: self.account(name) if len(names) == 1 else self._member(name) for name in names}

    def _member(self, name: str) -> Account | PluginError:
        try:
            return self.account(name)
        except PluginError as problem:
            return problem

    def serving(self, request: Request) -> Account:
        """The account that is asked first for a request. Raises ConfigError, PluginError."""
        return routing.leader(self.members(request))

    def default(self) -> Account:
        """The account of this connection when there is no request to choose by. Raises ConfigError."""
        return self.account(config.pick_provider(self.settings, self.name, None, self._installed))

    def owning(self, job: Job) -> Account:
        """The configured account of a job: same family, same origin. A job's address never brings a key to it.

        Raises ConfigError when no provider of that origin is configured.
        """
        for name in dict.fromkeys([expect(job, Job, _JOB).provider, *self.settings.providers, job.family]):
            try:
                account = self.account(name)
            except (ConfigError, PluginError):
                continue
            if account.family.name == job.family and account.base_url == job.base_url:
                return account
        raise outcomes.unowned(job, self.settings.providers)

    def owner(self, job: Job) -> Account | ConfigError:
        """The same account; or why there is none, for what may be done without."""
        try:
            return self.owning(job)
        except ConfigError as problem:
            return problem

    def offering(self, operation: str | None) -> Account:
        """As `default`; where nobody is named, the only one whose family has this operation. Raises ConfigError."""
        try:
            return self.default()
        except ConfigError:
            only = self._only(lambda entry: entry.name == operation)
            if only is None:
                raise
            return only

    def _only(self, has: Callable[[Operation], bool]) -> Account | None:
        if self.name is not None or isinstance(self.settings.default, str):
            return None
        try:
            found = [account for account in self._every() if any(map(has, account.family.operations))]
        except ConfigError:
            return None
        return found[0] if len(found) == 1 else None

    def of(self, job: Job | None, kind: str | None = None) -> Account:
        """The account of a job; without one, of whoever serves `kind`, else of whoever is there: files need no key."""
        if job is not None:
            return self.owning(job)
        try:
            return routing.leader(self._members(kind))
        except ConfigError:
            if not isinstance(self.settings.default, Mapping):
                raise
            return self.account(next(iter(self.settings.providers)))

    def models(self, task: str | None) -> list[tuple[str, Model]]:
        """(family, model) of the catalogues of whoever serves: the provider named, or those of every default."""
        families: dict[str, Family] = {}
        for kind in (None, "image", "video"):
            with suppress(ConfigError):
                for member in self._members(kind).values():
                    if isinstance(member, Account):
                        families.setdefault(member.family.name, member.family)
        if not families:
            families = {account.family.name: account.family for account in self._every()}
        return [
            (name, model)
            for name, family in families.items()
            for model in family.models
            if task is None or model.task == task
        ]

    def _every(self) -> list[Account]:
        """Whoever is configured, else every installed family. Raises ConfigError when there is nobody."""
        if self.name is not None:
            return [self.default()]
        names = list(self.settings.providers) or list(dict.fromkeys(self._installed))
        found = [member for member in map(self._member, names) if isinstance(member, Account)]
        return found or [self.default()]

    def found(self, ref: str) -> Job:
        """The one job `ref` names. Raises ParameterError for none or several, LedgerError."""
        return named(self.ledger, ref)

    def account(self, name: str) -> Account:
        """The account of a configured provider, or of an installed family by its own name."""
        with self._lock:
            if name not in self._accounts:
                self._accounts[name] = self._resolved(name)
            return self._accounts[name]

    def _resolved(self, name: str) -> Account:
        settings = self.settings
        chosen = settings.provider(name)
        family = registry.load(chosen.family, choice=chosen.plugin, allowed=settings.plugins)
        given = self._given if name == self._target() else dict.fromkeys(self._given)
        gateway = self._gateway(family, name, given["gateway"] or chosen.gateway)
        address = given["base_url"] or chosen.base_url or family.address(gateway)
        if address is None and settings.sandbox is None:
            raise ConfigError(
                f"Gateway {gateway.name} of {name!r} has no address of its own. Nothing was sent.",
                hint=f'Add it: [providers.{name}] base_url = "https://…"',
            )
        home = chosen.base_url or family.address(self._gateway(family, name, chosen.gateway))
        base_url = settings.sandbox or config.normalise_base_url(address or "")
        limits = Limits(
            max_jobs=settings.budget.max_jobs if settings.budget else None,
            per=settings.budget.per if settings.budget else "day",
            concurrent=chosen.limits.concurrent,
            per_minute=chosen.limits.per_minute,
        )
        return Account(
            name=name,
            family=family,
            gateway=gateway,
            base_url=base_url,
            key=LazyKey(lambda: config.key_for(settings, name, base_url, home=home, api_key=given["api_key"])),
            defaults=chosen.defaults,
            timeouts=chosen.timeouts,
            limits=limits,
            **_looks(chosen.poll, sandbox=settings.sandbox is not None),
            sandbox=settings.sandbox is not None,
        )

    def _target(self) -> str | None:
        """The one provider that what the caller gave (key, address, gateway) is for. Raises ConfigError."""
        if not any(self._given.values()):
            return None
        return config.pick_provider(self.settings, self.name, None, self._installed)

    def _gateway(self, family: Family, provider: str, name: str | None) -> Gateway:
        if name is None:
            return family.gateways[0]
        own = self.settings.gateways.get(name)
        gateway = family.gateway(own.like if own is not None else name)
        if gateway is None:
            known = ", ".join([*(entry.name for entry in family.gateways), *self.settings.gateways])
            asked = own.like if own else name
            raise ConfigError(f"[providers.{provider}] {family.name} knows no gateway {asked!r}; it knows: {known}.")
        if own is None:
            return gateway
        return replace(
            gateway,
            name=name,
            base_url=own.base_url or family.address(gateway),
            auth=own.auth or gateway.auth,
            values={**gateway.values, **own.values},
            members={**gateway.members, **own.members},
            lacks=gateway.lacks if own.lacks is None else tuple(own.lacks),
            unread=gateway.unread if own.unread is None else tuple(own.unread),
        )

    def _told(self, store: Ledger) -> Ledger:
        from . import _observing

        return _observing.told(store, self.settings.observers, self.settings.plugins)

    @cached_property
    def _installed(self) -> list[str]:
        return [entry.name for entry in registry.installed()]

    def close(self) -> None:
        """Let go of connections and the ledger. Twice is fine; using it again opens them again."""
        for driver in self._async.values():
            driver.release()
        for transport in self._transports.values():
            transport.close()
        self.ledger.close()

    async def release_loop(self) -> None:
        """Let go of what belongs to the running event loop."""
        for transport in list(self._transports.values()):
            await transport.aclose()

    async def aclose(self) -> None:
        """Wait for receipts still to be written, then let go."""
        for driver in list(self._async.values()):
            await driver.aclose()
        await asyncio.to_thread(self.close)  # a ledger of ten thousand rows takes 40 ms to check in what it wrote


def _looks(poll: config.PollSettings, *, sandbox: bool) -> dict[str, float]:
    """How often to look. The sandbox's clock may run a hundred times faster than ours, and its looks load nobody."""
    initial = poll.initial or 2.0
    return {
        "interval": min(initial, 0.25) if sandbox else initial,
        "slowest": min(poll.maximum or 60.0, 5.0) if sandbox else poll.maximum or 60.0,
        "first": poll.initial or poll.maximum or inf,
    }
