"""Keys and the addresses they may go to: a key goes home only. No key is printed, compared to text, or pickled."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn
from urllib.parse import urlsplit

from ai302_core.errors import ConfigError

from .settings import Settings

__all__ = ["COMMON_KEYS", "SecretKey", "key_for", "normalise_base_url", "sandbox_address"]

COMMON_KEYS = ("AI302_API_KEY", "AI302_KEY")
"""The common key: sent to 302.AI's own hosts and to loopback, nowhere else."""

HOME = frozenset({"api.302.ai", "api.302ai.com", "api.302ai.cn"})
SANDBOX_KEY = "sk-sandbox"

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?")
# The version, and Midjourney's modes (wire/midjourney.md 1.3, 2026-11-21): the family's own paths bring them.
_TAIL = re.compile(r"(?:/(?:v1|mj|mj-fast|mj-relax|mj-turbo)?)+\Z")


class SecretKey:
    """A key that shows itself only to `reveal()`.

    source  where it came from: the name of an environment variable, or "api_key="
    """

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: str = "api_key=") -> None:
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ConfigError(
                f"The key in {source} has a space, a line break or a letter no key has, or is empty. Nothing was sent.",
                hint='Copy the key alone, without quotes and without "Bearer".',
            )
        self._text = text
        self.source = source

    def reveal(self) -> str:
        """The key itself, for the one header that carries it."""
        return self._text

    def __repr__(self) -> str:
        return f"SecretKey({self.source}, hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not pickled or copied; connect again where it is needed.")


class LazyKey:
    """A key looked up when a call needs it: looking at what is configured, and saving files, need none."""

    def __init__(self, look_up: Callable[[], SecretKey]) -> None:
        self._look_up = look_up

    @property
    def source(self) -> str:
        """Where the key comes from, such as the name of a variable. Raises ConfigError when there is none."""
        return self._looked_up().source

    def reveal(self) -> str:
        """The key itself. Raises ConfigError when there is none for this address; nothing was sent."""
        return self._looked_up().reveal()

    def _looked_up(self) -> SecretKey:
        try:
            return self._look_up()
        except ConfigError as problem:
            # Some tools print the variables of every frame, and those behind it hold keys.
            raise problem.with_traceback(None) from None


@lru_cache(maxsize=64)  # asked for at every key
def normalise_base_url(url: str) -> str:
    """The address without its tail: scheme and host in lower case, no `/`, `/v1`, `/mj`, `/mj-fast` … at the end.

    Raises ConfigError for anything but a plain http(s) address; its text is not repeated, it may hold a secret.
    """
    if not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>'):
        raise _bad("has a space or a letter that no address has; a name in other letters is written as xn--…")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise _bad("is no address") from None
    if parts.scheme not in ("http", "https"):
        raise _bad("does not begin with https:// (or http://)")
    if "@" in parts.netloc:
        raise _bad("holds a user name or password; a key belongs in an environment variable (api_key_env)")
    if "?" in url or "#" in url:
        raise _bad("has a query or fragment; a key belongs in an environment variable (api_key_env)")
    if not _is_host(host):
        raise _bad("has no host, or one that cannot be")
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        shown += f":{port}"
    return f"{parts.scheme}://{shown}{_TAIL.sub('', parts.path)}"


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            return ipaddress.ip_address(host).version == 6 and "%" not in host
        except ValueError:
            return False
    return _HOST.fullmatch(host) is not None


def _bad(what: str) -> ConfigError:
    return ConfigError(
        f"The base_url {what}. Nothing was sent.", hint='It looks like base_url = "https://relay.example".'
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def sandbox_address(url: str) -> str:
    """The normalised address of GEN302_SANDBOX. Raises ConfigError unless it is this machine's own."""
    try:
        address = normalise_base_url(url)
    except ConfigError as problem:
        raise ConfigError(
            f"GEN302_SANDBOX{problem.message.removeprefix('The base_url')}",
            hint="gen302 sandbox  # starts one and tells its address",
        ) from None
    if not _is_loopback(urlsplit(address).hostname or ""):
        raise ConfigError(
            "GEN302_SANDBOX names another machine; the sandbox is on this one. Nothing was sent.",
            hint="gen302 sandbox -- COMMAND  # sets it; without GEN302_SANDBOX the real service is used",
        )
    return address


def key_for(
    settings: Settings,
    provider: str,
    base_url: str,
    *,
    home: str | None = None,
    api_key: str | SecretKey | None = None,
    env: Mapping[str, str] | None = None,
) -> SecretKey:
    """The key that may be sent to `base_url`, on behalf of a provider.

    home     the address the configuration gives the provider, by itself or by its gateway
    api_key  given by the caller for this address, instead of any from the environment
    env      instead of the process's environment

    Raises ConfigError when there is none, or when the one there is belongs elsewhere. Never says a key.
    """
    env = os.environ if env is None else env
    address = normalise_base_url(base_url)
    if settings.sandbox is not None:
        if address != settings.sandbox:
            raise ConfigError("GEN302_SANDBOX is set: no other address gets a key. Nothing was sent.")
        return SecretKey(env.get("GEN302_SANDBOX_KEY") or SANDBOX_KEY, "GEN302_SANDBOX_KEY")
    if api_key is not None:
        return api_key if isinstance(api_key, SecretKey) else SecretKey(api_key)
    chosen = settings.provider(provider)
    own = chosen.api_key_env
    if own is not None and own not in COMMON_KEYS:
        given_for = _origin(home or chosen.base_url or address)
        if given_for != _origin(address):
            raise ConfigError(
                f"The key in {own} was given for {given_for}, not for {_origin(address)}. Nothing was sent.",
                hint="Give the key of the other address: connect(…, base_url=…, api_key=…).",
            )
        if not (key := env.get(own)):
            raise ConfigError(
                f"Provider {provider!r} takes its key from {own}, which is not set. Nothing was sent.",
                hint=_export(own),
            )
        return SecretKey(key, own)
    host = urlsplit(address).hostname or ""
    _check_home(provider, address, host, chosen.withheld)
    names = COMMON_KEYS if own is None else (own,)
    for name in names:
        if key := env.get(name):
            return SecretKey(key, name)
    raise _missing(host, names[0])


@lru_cache(maxsize=64)
def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _check_home(provider: str, address: str, host: str, withheld: str) -> None:
    if _is_loopback(host):
        return
    if host not in HOME:
        variable = f"{provider.replace('-', '_').upper()}_KEY"
        reason = withheld or f"{COMMON_KEYS[0]} is for 302.AI's own hosts only"
        raise ConfigError(
            f"Provider {provider!r} is at {host}, which needs a key of its own: {reason}. Nothing was sent.",
            hint=f'Add under [providers.{provider.replace("-", "_")}] in gen302.toml: api_key_env = "{variable}"',
        )
    if _origin(address) != f"https://{host}":
        raise ConfigError(
            f"Provider {provider!r} would send the key to {_origin(address)}; it goes only to https://{host}. "
            "Nothing was sent.",
            hint=f'base_url = "https://{host}"',
        )


def _export(name: str, value: str = "…") -> str:
    return f'$env:{name} = "{value}"' if os.name == "nt" else f"export {name}={value}"


def _missing(host: str, name: str) -> ConfigError:
    if _is_loopback(host):
        return ConfigError(
            f"There is no key for {host}: {name} is not set. Nothing was sent.",
            hint=f"For the sandbox: {_export(name, SANDBOX_KEY)}, or run gen302 sandbox -- COMMAND.",
        )
    return ConfigError(
        f"There is no key for {host}: {name} is not set. Nothing was sent.",
        hint=f"Make a key on the account page of https://302.ai/, then {_export(name)}; without one, try gen302 demo.",
    )
