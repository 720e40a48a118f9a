"""What is the same at many doors of 302.AI: error envelopes, task words, uploads, account records. Data only."""

from __future__ import annotations

from ._vocabulary import Dashboard, Refused, States, Upload, get, post

__all__ = [
    "DASHBOARD_302AI",
    "ENVELOPES_302AI",
    "FAILURE_302AI",
    "REFUSED_302AI",
    "REJECTED_302AI",
    "STATES_302AI_V2",
    "UPLOAD_302AI",
]

REFUSED_302AI = Refused(
    # wire/302ai.md 1.6 (help centre and first-party tables, 2026-11-21). Both signs of a code occur there.
    # The second place is that of some task doors.
    at=("error.err_code", "data.error.err_code"),
    kinds={
        **dict.fromkeys((-10001, 10001, -10002, 10002, -10005, 10005), "auth"),
        **dict.fromkeys((-10004, 10004, -10006, 10006, -10007, 10007, -10018, 10018), "balance"),
        **dict.fromkeys((-10012, 10012), "rate"),
        **dict.fromkeys((-10009, 10009), "unsupported"),
        **dict.fromkeys((-10008, 10008), "server"),
        # An internal error, or the upstream timed out: it may have made, and billed, what was asked.
        **dict.fromkeys((-10003, 10003, -1024, 1024), "unclear"),
    },
    message=("error.message", "error.message_en", "error.message_cn", "data.error.message", "message", "error"),
    beside=("error.message_cn", "data.error.message_cn"),
)
"""302.AI's own error envelope, the same for every family on its hosts."""

ENVELOPES_302AI = (
    REFUSED_302AI,
    # (wire/302ai.md 1.6, 2026-11-21) The schema `ErrorResponse` of some doors: words. Other codes there are no refusal.
    Refused(
        at=("code", "error.code"),
        kinds={
            "InvalidParameter": "invalid",
            "MissingParameter": "invalid",
            "Unauthorized": "auth",
            "InsufficientBalance": "balance",
            "RateLimitExceeded": "rate",
            "InternalError": "unclear",
        },
        others=False,
    ),
    # Inside HTTP 200: a disabled key, and one that may not do this.
    Refused(at=("code",), kinds={-1: "auth", 403: "auth"}, others=False),
)
"""Every form in which 302.AI says no, for a gateway's or an operation's `refused`."""

UPLOAD_302AI = Upload(
    # wire/302ai.md 7 (a study and first-party code, 2026-11-21): 0.001 PTC a call, at most 50 MB; another code than
    # 200 is an error in HTTP 200 too; one app also takes `url` or `file_url`. For how long a link lives, and what the
    # other codes are, is documented nowhere: an hour costs little, and codes that look like HTTP's are read so.
    call=post("/302/upload-file", multipart=True),
    url=("data", "data.url", "url", "file_url"),
    refused=(
        REFUSED_302AI,
        Refused(
            at=("code",),
            accepted=(200,),
            kinds={401: "auth", 402: "balance", 403: "auth", 429: "busy", 500: "server", 502: "server", 503: "server"},
        ),
    ),
)
"""302.AI's own upload door, the same for every family on its hosts."""

DASHBOARD_302AI = Dashboard(
    # (wire/302ai.md 8 and 1.2, 2026-11-21) One scheme for the key, whatever a family's own doors want.
    record=get("/dashboard/record/{request_id}"),
    cost=("data.cost", "cost"),
    request_ids=("ai302_cost_request_ids", "data.ai302_cost_request_ids"),
    balance=get("/dashboard/balance"),
    left=("data.balance", "balance"),
    refused=ENVELOPES_302AI,
)
"""302.AI's account and cost records, the same for every family on its hosts."""

STATES_302AI_V2 = (
    # wire/302ai.md 1.5 and 4 (pages and first-party command, 2026-11-21). A submit may fail by an `error` alone.
    States(
        at="status",
        queued=("pending", "queue*"),
        running=("processing",),
        succeeded=("completed", "succe*"),
        failed=("fail*", "error"),
    ),
    States(at="error", running=("0", "false"), failed=("?*",)),
)
"""The words of 302.AI's unified v2 doors: image, video, audio."""

FAILURE_302AI = ("error.error", "error.message", "error", "raw_response.output.message", "message", "fail_reason")
"""Where 302.AI's tasks say why they failed, in the order of wire/302ai.md 11 (2026-11-21)."""

REJECTED_302AI = (
    r"content.?(policy|filter|moderation)|moderation|safety|sensitive|nsfw|prohibited|violat",
    r"敏感|违规|违禁|审核",
)
"""Words of a failure over the content at 302.AI. None is documented; these are the vendors' usual ones."""
