"""How Midjourney servers say no, where a task stands, and why it failed: words and codes, as data."""

from __future__ import annotations

from ai302_core.family import REFUSED_302AI, Refused, States

__all__ = ["ENVELOPE", "MISSING", "MISSING_TEXTS", "PENDING", "REFUSED", "REJECTED", "RELAY", "STATES"]

# Texts decide before codes: servers differ in their codes, less in their words (wire/midjourney.md 3.2, 3.5, 7.3).
_TEXTS = {
    # A relay learns of a finished parent late; nothing was created (wire/midjourney.md 9 no. 8, 2026-11-21).
    "task_status_not_success|关联任务状态错误": "busy",
    "队列已满|队列数已达上限|并发数已达上限|queue (is )?full|负载已饱和|saturated": "busy",
    "敏感|违规|banned|sensitive|content.policy|moderation": "content",
    "quota_not_enough|insufficient.*(quota|balance)|余额不足|额度不足|预扣费额度失败": "balance",
    "无可用的账号|实例不存在或不可用|get_channel_info_failed|无可用渠道|no available (channel|account)": "server",
    "unknown_action|视频功能未启用|不支持的操作": "unsupported",
    "task_no_found|task_not_found|关联任务不存在": "missing",
}
ENVELOPE = Refused(
    # The submit's envelope, and the relays' {description, type, code} (wire/midjourney.md 3.2 and 7.3, 2026-11-21).
    at=("code",),
    accepted=(1, 21, 22),
    # 302.AI's page has 1, 22 and "other": any other number is a no. 0 stands in made-up examples only and is not one.
    kinds={
        **dict.fromkeys(range(2, 100), "invalid"),
        3: "missing", 5: "unclear", 9: "server", 23: "busy", 24: "content", 30: "busy",
    },
    texts=_TEXTS,
    message=("description", "message"),
)  # fmt: skip
RELAY = Refused(
    # {error: {message, type}} of the relays (wire/midjourney.md 7.3, 2026-11-21); the HTTP status says what it means.
    at=("error.type", "error.code", "error.message"),
    texts=_TEXTS,
    message=("error.message",),
)
REFUSED = (REFUSED_302AI, ENVELOPE, RELAY)

STATES = (
    # (wire/midjourney.md 4.2, 2026-11-21)
    States(
        at="status",
        queued=("", "NOT_START", "SUBMITTED"),
        running=("IN_PROGRESS",),
        input_required=("MODAL",),
        succeeded=("SUCCESS",),
        failed=("FAILURE", "FAILED", "EXPIRED"),
        canceled=("CANCEL", "CANCELLED", "CANCELED"),
    ),
)
# 21 has two meanings; the first look tells which (wire/midjourney.md 3.4, 2026-11-21).
PENDING = (States(at="code", queued=("1", "22"), input_required=("21",)),)

REJECTED = (
    # failReason in English and Chinese (wire/midjourney.md 4.10, 2026-11-21). "Blocked" and "Pending mod message" speak
    # of the operator's account, not of the content.
    r"banned|sensitive|image denied|output filters?|content (policy|moderation)|nsfw|community (guidelines|standards)",
    r"敏感|违规|违禁|审核",
)
MISSING = (404, 204)
# A relay says it in a 400 (wire/midjourney.md 7.4, 2026-11-21).
MISSING_TEXTS = (r'"description"\s*:\s*"task_(no|not)_found', r"midjourney_task_not_found")
