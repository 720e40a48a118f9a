"""Hostile replies, mutated towards code not yet reached: `make fuzz`; or `python -m tests.faults.fuzz FOLDER …`.

The property is the one of test_hostile.py, fed by atheris in place of hypothesis' own chance. Options are libFuzzer's,
such as -max_total_time=60; FOLDER keeps what was found, so that the next run goes on there.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

atheris = import_module("atheris")  # installed by `make fuzz` alone

with atheris.instrument_imports(include=["ai302_core", "ai302_midjourney", "ai302_unified_image", "ai302_veo"]):
    from tests.faults import hostility
    from tests.faults.test_hostile import test_whatever_is_answered

    hostility.conversations()


def main() -> None:
    """Runs until its time is over; a broken promise ends it with a traceback and the input in a file."""
    arguments = [os.path.abspath(word) if word[:1] != "-" else word for word in sys.argv]  # noqa: PTH100 - plain text
    for kept in (Path(word) for word in arguments[1:] if word[:1] != "-"):
        for number in range(200 if kept.is_dir() and not any(kept.iterdir()) else 0):
            # A conversation takes a thousand bytes to say; from nothing they would have to be found one by one.
            (kept / f"seed-{number}").write_bytes(random.Random(number).randbytes(2000))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # files that came within answers are kept here
        tested: Any = test_whatever_is_answered
        atheris.Setup(arguments, tested.hypothesis.fuzz_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
