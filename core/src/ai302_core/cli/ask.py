"""The verb jobs ask: the free questions a service answers beside looking at jobs."""

from __future__ import annotations

import json

from . import _options
from ._options import Parser
from ._session import Session


def parser() -> Parser:
    """Its options."""
    parser = Parser(
        "jobs ask",
        "Ask the service one of the family's free questions. Every answer is a line.",
        ("gen302 jobs ask image-seed last", "gen302 jobs ask tasks -p home --json"),
    )
    parser.add_argument("question", metavar="QUESTION", type=_options.text, help="such as image-seed or tasks")
    parser.add_argument("job", metavar="JOB", nargs="?", help=f"{_options.JOB}; for a question about one")
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_options.seconds,
        default=60.0,
        help="seconds to ask again in, in trouble",
    )
    _options.common(parser)
    return parser


def perform(session: Session) -> int:
    """Ask; every value is a line of data."""
    options = session.options
    job = session.job = None if options.job is None else session.provider.job(options.job)
    answers = session.provider.ask(options.question, job, timeout=options.timeout)
    for answer in answers:
        if options.json:
            session.output.record(answer)
        else:
            session.output.data(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
    if not answers:
        session.output.say("The service answered, with nothing.")
    return 0
