"""What a fault shows instead of the answer."""

from __future__ import annotations

from dataclasses import replace

from .faults import Fault
from .vocabulary import Answer, Incoming, refusal_302ai

__all__ = ["disguised"]

_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n"
    "<body><center><h1>{title}</h1></center><hr><center>cloudflare</center></body></html>\n"
)


def disguised(fault: Fault, answer: Answer, incoming: Incoming, origin: str) -> Answer:
    """The answer that the client gets to see. Kinds that act on the socket, and a family's own, leave it as it is."""
    match fault.kind:
        case "error500":
            return refusal_302ai(500, -10003)
        case "error502":
            return _page("502 Bad Gateway", 502)
        case "error503":
            return refusal_302ai(503, -10008)
        case "error504html":
            return _page("504 Gateway Time-out", 504)
        case "error524html":
            return _page("524: A timeout occurred", 524)
        case "html":
            return _page("Just a moment...", 200)
        case "429":
            return _busy(fault)
        case "empty":
            return replace(answer, body=None)
        case "truncated":
            content = answer.content()
            return replace(answer, body=content[: len(content) // 2])
        case "short":
            content = answer.content()
            return replace(answer, body=content[: int(len(content) * fault.option("at", 0.5))])
        case "expired":
            # (wire/midjourney.md 6.3, 2026-11-21)
            return Answer(404, b"This content is no longer available.", media_type="text/plain; charset=utf-8")
        case "redirect":
            elsewhere = str(fault.option("to", origin.replace("127.0.0.1", "localhost")))
            return Answer(fault.option("status", 302), None, {"Location": elsewhere.rstrip("/") + incoming.path})
    return answer


def _page(title: str, status: int) -> Answer:
    return Answer(status, _PAGE.format(title=title).encode(), media_type="text/html; charset=UTF-8")


def _busy(fault: Fault) -> Answer:
    answer = refusal_302ai(429, -10012)
    if (hint := fault.option("hint", None)) is not None:
        answer.body["error"]["message"] = f"Rate limit reached. Please try again in {hint}s."
        answer.body["error"]["retry_after"] = hint
    if (wait := fault.option("retry_after", None)) is not None:
        return replace(answer, headers={"Retry-After": str(wait)})
    return answer
