"""How a flow is asked to stop, by Ctrl-C or by its caller: at its next rest, never between paying and its receipt."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Self

from . import _clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import getsignal as _get_signal
    from signal import signal as _set_signal

    from ._steps import Flow
else:  # what those two are made of, without the enum in which they seek every handler, in vain and by an exception
    from _signal import getsignal as _get_signal
    from _signal import signal as _set_signal


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a canceled caller, held back until the receipt of a paid call was written.

    outcome  what the flow returned all the same, usually the Job; None when it was stopped before it paid
    """

    outcome: object = None


class Stop:
    """Asks a flow to stop at its next rest: while it sleeps or before it pays, never between that and the receipt."""

    def __init__(self) -> None:
        self.asked = False
        self._event = threading.Event()

    def ask(self) -> None:
        """Stop at the next rest."""
        self.asked = True
        self._event.set()

    def check(self) -> None:
        """Raise Interrupted if asked."""
        if self.asked:
            raise Interrupted

    def sleep(self, seconds: float) -> None:
        """Wait, or raise Interrupted as soon as asked."""
        self._event.wait(seconds)
        self.check()


class SignalStop(Stop):
    """The same, asked by Ctrl-C in the main thread while it is held. The second Ctrl-C does not wait any more."""

    def __init__(self) -> None:
        self.asked = self._resting = False  # no event: no other thread asks
        self.begun: list[Callable[[], Flow[None]]] = []  # what is done with the rows of a flow that was broken off

    def __enter__(self) -> Self:
        _set_signal(signal.SIGINT, self.heard)
        return self

    def __exit__(self, *_: object) -> None:
        _set_signal(signal.SIGINT, signal.default_int_handler)

    def ask(self) -> None:
        """Stop at the next rest."""
        self.asked = True

    def heard(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: no locks here, it may run anywhere in the main thread."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self._resting:
            raise Interrupted

    def sleep(self, seconds: float) -> None:
        """Wait, or raise Interrupted as soon as asked."""
        self._resting = True
        try:
            self.check()
            if seconds > 0:
                _clock.sleep(seconds)
        finally:
            self._resting = False


def hears_ctrl_c() -> bool:
    """Whether this is the main thread of a program with Python's own Ctrl-C."""
    main = threading.current_thread() is threading.main_thread()
    return main and _get_signal(signal.SIGINT) is signal.default_int_handler
