"""What Veo can be asked beyond the common request. Frozen data, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from ai302_core.errors import ParameterError
from ai302_core.family import VideoRequest

__all__ = ["VeoRequest"]


@dataclass(frozen=True, kw_only=True)
class VeoRequest(VideoRequest):
    """A clip from a text, or from pictures and a text, in Veo's own terms.

    model           chooses the door; None: the newest one that takes what the request holds
    enhance_prompt  let the service rewrite the prompt first

    Raises ParameterError for a value of the wrong shape.
    """

    enhance_prompt: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.enhance_prompt is not None and not isinstance(self.enhance_prompt, bool):
            raise ParameterError(
                f"enhance_prompt: expected true or false, not {self.enhance_prompt!r}. Nothing was sent.",
                field="enhance_prompt",
            )
