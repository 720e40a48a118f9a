"""For plugin authors and for people who test against a sandbox: the contract, and the sandbox's words.

The pytest fixture is in `ai302_core.testing.fixtures`.
"""

from __future__ import annotations

from ai302_core.sandbox import Fault, RunningSandbox, serve
from ai302_core.sandbox.samples import Exchange, Sample, read_samples

from .contract import FamilyContract
from .terms import Finding, because, findings

__all__ = [
    "Exchange",
    "FamilyContract",
    "Fault",
    "Finding",
    "RunningSandbox",
    "Sample",
    "because",
    "findings",
    "read_samples",
    "serve",
]
