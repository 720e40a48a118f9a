"""What to do next when a service says no, by the kind of its refusal. Data only."""

from __future__ import annotations

NEXT = {
    "auth": "gen302 doctor  # free: is the key the right one, and may it do this?",
    "balance": "Top up the account or raise the key's quota, then run the same command again.",
    "busy": "Type the same again in a while.",
    # (wire/302ai.md 1.6, 2026-11-21) -10012 is an hourly limit; when its hour begins is documented nowhere.
    "rate": "Type the same again when the limit is over; an hourly one is within the hour.",
    "content": "Change the prompt or the pictures.",
    "invalid": "Change the request; `--dry-run` shows what is sent.",
    "unsupported": "gen302 models  # what this provider knows of; -p names another one",
    "server": "Type the same again in a while; `gen302 models` lists the models that are known.",
    "unclear": "Look again in a while; looking is free.",
}
