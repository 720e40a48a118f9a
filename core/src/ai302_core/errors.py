"""The error tree: what happened, what it means for the money, and the next command.

Ai302Error
├── ConfigError  PluginError  LedgerError  ParameterError (a ValueError)  KeyConflict  BudgetExceeded
├── ContentRejected
├── TransportError  ReplyError  DownloadError
├── ApiError
│   ├── AuthenticationError BalanceError RateLimitError InvalidRequestError NotFoundError ServerError
│   └── ContentRejectedError
└── JobError
    └── JobFailed JobRejected JobCanceled JobInputRequired JobUnconfirmed JobTimeout
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .assets import Asset
    from .jobs import Job

__all__ = [
    "Ai302Error",
    "ApiError",
    "AuthenticationError",
    "BalanceError",
    "Billed",
    "BudgetExceeded",
    "ConfigError",
    "ContentRejected",
    "ContentRejectedError",
    "DownloadError",
    "InvalidRequestError",
    "JobCanceled",
    "JobError",
    "JobFailed",
    "JobInputRequired",
    "JobRejected",
    "JobTimeout",
    "JobUnconfirmed",
    "KeyConflict",
    "LedgerError",
    "NotFoundError",
    "ParameterError",
    "PluginError",
    "RateLimitError",
    "ReplyError",
    "ServerError",
    "TransportError",
]

Billed = Literal["yes", "no", "unknown"]


def _rebuild(cls: type[Ai302Error], args: tuple[Any, ...], state: dict[str, Any]) -> Ai302Error:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class Ai302Error(Exception):
    """Everything this library raises on purpose.

    message    what happened, in one sentence
    billed     "no": nothing was paid; "yes": it was, the job exists; "unknown": look before you pay again
    retryable  the same call may succeed later without a change
    hint       the next thing to do, usually a command; may be empty
    job        the job that was bought by then, as it was last seen; None when there is none
    """

    billed: Billed = "no"
    retryable: bool = False
    job: Job | None = None
    _hint = ""

    def __init__(
        self, message: str, *, billed: Billed | None = None, retryable: bool | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if billed is not None:
            self.billed = billed
        if retryable is not None:
            self.retryable = retryable

    @property
    def hint(self) -> str:
        """The next thing to do; a traceback shows it beneath the message, as a note of the error."""
        return self._hint

    @hint.setter
    def hint(self, text: str) -> None:
        notes = [note for note in getattr(self, "__notes__", ()) if note != self._hint]
        self._hint, self.__notes__ = text, [text, *notes] if text else notes

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class ConfigError(Ai302Error):
    """The configuration cannot be used; nothing was sent."""


class PluginError(Ai302Error):
    """A family's distribution is broken, missing, or made for another API; nothing was sent."""


class LedgerError(Ai302Error):
    """The ledger cannot be read or written."""


class ParameterError(Ai302Error, ValueError):
    """The request cannot be expressed as asked. Nothing was sent.

    field  the request field at fault, or "" when it is the request as a whole
    """

    def __init__(self, message: str, *, field: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.field = field


class KeyConflict(Ai302Error):
    """The key already names another request, or an attempt that is still open. Nothing was sent.

    job_id  the job that holds the key
    """

    def __init__(self, message: str, *, job_id: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.job_id = job_id


class BudgetExceeded(Ai302Error):
    """The configured budget is used up. Nothing was sent."""


class ContentRejected(Ai302Error):
    """The service refused the content, before the start (ContentRejectedError) or after it (JobRejected)."""


class TransportError(Ai302Error):
    """No usable connection, or no answer.

    sent  the request may have reached the service
    """

    retryable = True

    def __init__(self, message: str, *, sent: bool, **details: Any) -> None:
        super().__init__(message, **details)
        self.sent = sent


class ReplyError(Ai302Error):
    """The service answered something that cannot be read. Shows its first bytes and the likely cause."""


class DownloadError(Ai302Error):
    """A file could not be had; the job itself is fine and paid, and saving again is free.

    asset   the asset that is missing, or None
    reason  why, as a part of a sentence, or ""
    """

    billed: Billed = "yes"
    retryable = True

    def __init__(self, message: str, *, asset: Asset | None = None, reason: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.asset = asset
        self.reason = reason


class ApiError(Ai302Error):
    """The service said no.

    status_code  the HTTP status
    code         the service's own code, as text, or ""
    request_id   the service's name for this request, or ""
    retry_after  seconds the service asks to wait, or None
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class AuthenticationError(ApiError):
    """The key is missing, wrong, expired, or may not do this."""


class BalanceError(ApiError):
    """The account or the key has no money or quota left."""


class RateLimitError(ApiError):
    """The gateway is busy and created nothing."""

    retryable = True


class InvalidRequestError(ApiError):
    """The service does not take these parameters."""


class NotFoundError(ApiError):
    """The service does not know this task, or does not offer this operation."""


class ServerError(ApiError):
    """The service has trouble of its own."""

    retryable = True


class ContentRejectedError(ApiError, ContentRejected):
    """The service refused the content before starting. Nothing was created."""


class JobError(Ai302Error):
    """A job did not end in files. The job goes with the error, and `billed` is the job's unless said otherwise.

    job  the snapshot at the time of the error
    """

    job: Job

    def __init__(self, message: str, *, job: Job, **details: Any) -> None:
        details.setdefault("billed", job.billed)
        super().__init__(message, **details)
        self.job = job


class JobFailed(JobError):
    """The job was accepted and failed.

    code  the service's own code or status word, or ""
    """

    def __init__(self, message: str, *, job: Job, code: str = "", **details: Any) -> None:
        super().__init__(message, job=job, **details)
        self.code = code


class JobRejected(JobFailed, ContentRejected):
    """The job was accepted, and its content refused afterwards."""


class JobCanceled(JobError):
    """The job was canceled."""


class JobInputRequired(JobError):
    """The job waits for an answer: `act(job, "continue", …)`."""


class JobUnconfirmed(JobError):
    """A submit whose answer never came: it may have been accepted and billed. It is never sent again by itself."""


class JobTimeout(JobError, TimeoutError):
    """The wait is over, the job is not. It lives on; wait for it again."""

    retryable = True
