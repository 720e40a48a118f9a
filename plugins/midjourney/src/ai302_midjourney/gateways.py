"""The services that speak Midjourney's format, as differences. Data only; what each offers: docs/midjourney.md."""

from __future__ import annotations

from ai302_core.family import DASHBOARD_302AI, ENVELOPES_302AI, REFUSED_302AI, Gateway

from . import replies

__all__ = ["GATEWAYS"]

_NET_ONLY = ("retexture", "swap-face-video", "imagine-all")
# Members of a video that one server alone has (wire/midjourney.md 2.11, 2026-11-21).
_UNDOCUMENTED = ("last_frame", "loop", "resolution", "batch")

# fmt: off
GATEWAYS: tuple[Gateway, ...] = (
    # (wire/midjourney.md 1.1 to 1.4 and 2.1, 2026-11-21) The raw key; the speed replaces /mj; no fast prefix is known.
    # What nobody is known to have called there is left out: an unknown member may be ignored, and the rest be billed.
    Gateway(
        "302ai",
        base_url="https://api.302.ai",
        auth="mj-api-secret: {key}",
        values={"speed": {"": "mj", "relax": "mj-relax", "turbo": "mj-turbo"}},
        lacks=(
            "many", "tasks", "image-seed", "shorten", "edits", "swap-face", "upload", "extend", "change", *_NET_ONLY,
        ),
        unread=("account_filter", *_UNDOCUMENTED),
        refused=ENVELOPES_302AI,
        dashboard=DASHBOARD_302AI,
    ),
    # Bearer; the speed precedes /mj; no route to cancel or to list everything. Unless its operator switches them on,
    # it removes the address of a callback and the account filter (wire/midjourney.md 1.4 and 8.2, 2026-11-21).
    Gateway(
        "new-api",
        values={"speed": {"": "mj", "relax": "mj-relax/mj", "fast": "mj-fast/mj", "turbo": "mj-turbo/mj"}},
        lacks=("cancel", "webhook", "tasks", *_NET_ONLY),
        unread=("account_filter", *_UNDOCUMENTED),
        refused=(REFUSED_302AI, replies.RELAY),
    ),
    # Self-hosted. The raw key, `Bearer` would be taken for a part of it (wire/midjourney.md 1.1, 2026-11-21).
    Gateway(
        "mjproxy-net",
        auth="Authorization: {key}",
        values={"speed": {"": "mj", "relax": "mj-relax/mj", "fast": "mj-fast/mj", "turbo": "mj-turbo/mj"}},
        lacks=("change",),
    ),
    # Self-hosted, the origin of the format: no buttons, no speeds, no cancel (wire/midjourney.md 2.1, 2026-11-21).
    Gateway(
        "mjproxy-java",
        auth="mj-api-secret: {key}",
        values={"speed": {"": "mj"}},
        lacks=(
            "action", "upscale", "clip", "extend", "describe-again", "modal", "video", "shorten", "edits", "swap-face",
            "upload", "cancel", "image-seed", *_NET_ONLY,
        ),
        unread=("account_filter", *_UNDOCUMENTED),
    ),
)
