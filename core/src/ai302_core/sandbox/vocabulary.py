"""The words with which a family says what its service answers: routes, what comes in, what goes out. No I/O."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .faults import Fault
    from .world import World

__all__ = [
    "BANNED_WORD",
    "Answer",
    "Emulation",
    "FormPart",
    "Handler",
    "Incoming",
    "Route",
    "bearer",
    "kept_out_302ai",
    "refusal_302ai",
]


@dataclass(frozen=True, kw_only=True)
class FormPart:
    """One part of a form. A file has a `file_name`; `text` is the content of any other."""

    name: str
    content: bytes
    file_name: str | None = None
    media_type: str = ""

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """One request as the sandbox received it.

    path     percent-decoded, without the query
    params   the values of the route's `{placeholders}`
    headers  names in lower case
    fault    what an armed fault wants this answer to be, if the route's `faults` names its kind
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: Fault | None = None

    def json(self) -> Any:
        """The body as JSON data, or None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def form(self) -> tuple[FormPart, ...]:
        """The parts of a multipart body, in order; none for any other body."""
        kind, _, options = self.headers.get("content-type", "").partition(";")
        boundary = re.search(r'boundary="?([^";]+)', options)
        if kind.strip().lower() != "multipart/form-data" or boundary is None:
            return ()
        mark = b"\r\n--" + boundary[1].encode()
        pieces = (b"\r\n" + self.body).split(mark)[1:-1]
        return tuple(_part(piece.removeprefix(b"\r\n")) for piece in pieces)

    def members(self) -> dict[str, Any]:
        """The members of a form: texts, files as data: links, several parts of one name as a list; {} for no form."""
        found: dict[str, Any] = {}
        for part in self.form():
            content = base64.b64encode(part.content).decode() if part.file_name is not None else ""
            value = part.text if part.file_name is None else f"data:{part.media_type};base64,{content}"
            held = found.get(part.name)
            found[part.name] = value if held is None else [*(held if isinstance(held, list) else [held]), value]
        return found

    def fault_is(self, kind: str) -> Fault | None:
        """The fault, if one of this kind is to happen here."""
        return self.fault if self.fault is not None and self.fault.kind == kind else None


@dataclass(frozen=True)
class Answer:
    """What goes back. `body` is JSON data, or bytes as they are, or None for an empty body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def content(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


def _part(piece: bytes) -> FormPart:
    head, _, content = piece.partition(b"\r\n\r\n")
    lines = head.decode("utf-8", "replace").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    said = {
        name.lower(): value for name, value in re.findall(r'(\w+)="([^"]*)"', headers.get("content-disposition", ""))
    }
    kind = headers.get("content-type", "")
    return FormPart(name=said.get("name", ""), content=content, file_name=said.get("filename"), media_type=kind)


Handler: TypeAlias = Callable[["World", Incoming], Answer]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One call of the service.

    name     what fault scripts call it: "submit:imagine" (also matched by "submit"), "poll", "cancel", "download"
    path     with `{placeholders}`, each one path segment
    handler  (world, incoming) -> answer; runs at once, must not wait
    faults   kinds of fault that the handler itself performs
    keyless  a key in a request to it counts as a leak
    """

    name: str
    method: str
    path: str
    handler: Handler
    faults: tuple[str, ...] = ()
    keyless: bool = False


@dataclass(frozen=True, kw_only=True)
class Emulation:
    """What the hook `ai302_sandbox` returns.

    prices   rows of the price list: an operation, or a name of the family's -> PTC a call; what is not named is free
    options  name -> default of everything a server can be told about this family
    """

    family: str
    routes: tuple[Route, ...]
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def bearer(incoming: Incoming) -> str | None:
    """The key of `Authorization: Bearer …`, or None."""
    scheme, _, key = incoming.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


_TEXTS = {
    # (wire/302ai.md 1.6, 2026-11-21): meanings of the catalogue; the wording is ours
    -10001: ("Invalid or missing API key", "缺少API-KEY或API-KEY无效", "APIキーがないか無効です"),
    -10004: ("Insufficient balance", "余额不足", "残高不足"),
    -10008: ("No channel available at the moment", "当前无可用模型", "利用できるモデルがありません"),
    -10009: ("This API does not support the function", "此API不支持该功能", "このAPIはこの機能に対応していません"),
    -10011: ("Invalid request", "请求无效", "無効なリクエスト"),
    -10012: ("Hourly limit reached, try again later", "小时额度已用完", "1時間の上限に達しました"),
}


BANNED_WORD = "forbidden-word"
"""In a prompt: what every emulated service refuses, or fails over, for its content."""


def refusal_302ai(status: int, code: int, **members: Any) -> Answer:
    """302.AI's own error envelope (wire/302ai.md 1.6), the same for every family on its hosts."""
    message, message_cn, message_jp = _TEXTS.get(code, ("Error", "错误", "エラー"))
    error = {"err_code": code, "message": message, "message_cn": message_cn, "message_jp": message_jp}
    return Answer(status, {"error": {**error, "type": "api_error", **members}})


def kept_out_302ai(world: World, incoming: Incoming) -> Answer | None:
    """302.AI's refusal without the right key, or as the fault `refused` (status, code) of the route says; else None."""
    if bearer(incoming) != world.key:
        return refusal_302ai(401, -10001)
    if fault := incoming.fault_is("refused"):
        return refusal_302ai(fault.option("status", 400), fault.option("code", -10011))
    return None
