"""Our own families keep the contract every author's family keeps, without exemption."""

from __future__ import annotations

from ai302_core.testing import FamilyContract


class TestMidjourney(FamilyContract):
    family = "midjourney"


class TestUnifiedImage(FamilyContract):
    family = "unified_image"


class TestVeo(FamilyContract):
    family = "veo"
