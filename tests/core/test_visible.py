"""Words from elsewhere command no terminal: neither in an error's text, nor in what the command prints."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from ai302_core import ImageRequest
from ai302_core._flows import submitting
from ai302_core._flows.submitting import Order
from ai302_core._visible import visible
from ai302_core.cli._output import Output
from ai302_core.errors import InvalidRequestError

HOSTILE = "bad \x1b[2J\x9b31m\x07\u202e\r\nNothing was paid.\n"
SHOWN = "bad \\x1b[2J\\x9b31m\\x07\\u202e"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_a_service_says_is_one_line_without_commands(account: Any, hand: Any, reply: Any) -> None:
    fed = hand(reply({"code": 4, "message": HOSTILE}, 400))
    with pytest.raises(InvalidRequestError) as caught:
        fed.run(submitting.submit(account, ImageRequest("a lamp"), Order()))
    assert f"{SHOWN} Nothing was paid." in str(caught.value)


@pytest.mark.parametrize(("stream", "kept"), [(Terminal, False), (io.StringIO, True)])
def test_data_goes_out_as_it_is_unless_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], kept: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", taking := stream())
    Output().data(HOSTILE)
    told = taking.getvalue()
    assert (told == f"{HOSTILE}\n") is kept
    assert (SHOWN in told) is not kept


def test_words_for_people_never_command(capsys: pytest.CaptureFixture[str]) -> None:
    Output().say(HOSTILE)
    Output().complain(HOSTILE, "money", "next")
    _, people = capsys.readouterr()
    assert people.count(SHOWN) == 2
    assert people.isascii()
    assert all(letter.isprintable() or letter == "\n" for letter in people)


def test_letters_of_every_script_stay() -> None:
    for words in ("ünï 灯笼 مصباح \u200f فانوس", "👩\u200d🚀", "one\ttwo\nthree"):
        assert visible(words) == words
