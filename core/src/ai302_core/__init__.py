"""Buy pictures, videos and sounds from 302.AI and compatible gateways: nobody pays twice, no paid job is lost.

    from ai302_core import ImageRequest, connect

    with connect() as provider:
        result = provider.run(ImageRequest("a paper lantern over a canal"), save_to="pictures")

Durations are seconds, sizes pixels, moments aware UTC, everywhere.
"""

TYPE_CHECKING: bool = False  # the type is for jedi, which completes in notebooks: it reads a plain False as never
if TYPE_CHECKING:
    from ._opening import aconnect, connect
    from .assets import Asset, Media, MediaRef
    from .async_providers import AsyncProvider
    from .errors import (
        Ai302Error,
        ApiError,
        AuthenticationError,
        BalanceError,
        BudgetExceeded,
        ConfigError,
        ContentRejected,
        ContentRejectedError,
        DownloadError,
        InvalidRequestError,
        JobCanceled,
        JobError,
        JobFailed,
        JobInputRequired,
        JobRejected,
        JobTimeout,
        JobUnconfirmed,
        KeyConflict,
        LedgerError,
        NotFoundError,
        ParameterError,
        PluginError,
        RateLimitError,
        ReplyError,
        ServerError,
        TransportError,
    )
    from .jobs import Action, Cost, Job, Model, Money, Notice, Outcome, Preview, Result, Status
    from .providers import Provider
    from .requests import ActionRequest, ImageRequest, Request, VideoRequest

_HOME = {
    "assets": ("Asset", "Media", "MediaRef"),
    "errors": (
        "Ai302Error",
        "ApiError",
        "AuthenticationError",
        "BalanceError",
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
    ),
    "jobs": ("Action", "Cost", "Job", "Model", "Money", "Notice", "Outcome", "Preview", "Result", "Status"),
    "_opening": ("aconnect", "connect"),
    "async_providers": ("AsyncProvider",),
    "providers": ("Provider",),
    "requests": ("ActionRequest", "ImageRequest", "Request", "VideoRequest"),
}

__all__ = [
    "Action",
    "ActionRequest",
    "Ai302Error",
    "ApiError",
    "Asset",
    "AsyncProvider",
    "AuthenticationError",
    "BalanceError",
    "BudgetExceeded",
    "ConfigError",
    "ContentRejected",
    "ContentRejectedError",
    "Cost",
    "DownloadError",
    "ImageRequest",
    "InvalidRequestError",
    "Job",
    "JobCanceled",
    "JobError",
    "JobFailed",
    "JobInputRequired",
    "JobRejected",
    "JobTimeout",
    "JobUnconfirmed",
    "KeyConflict",
    "LedgerError",
    "Media",
    "MediaRef",
    "Model",
    "Money",
    "NotFoundError",
    "Notice",
    "Outcome",
    "ParameterError",
    "PluginError",
    "Preview",
    "Provider",
    "RateLimitError",
    "ReplyError",
    "Request",
    "Result",
    "ServerError",
    "Status",
    "TransportError",
    "VideoRequest",
    "aconnect",
    "connect",
]

if not TYPE_CHECKING:

    def __getattr__(name):
        for module, names in _HOME.items():
            if name in names:
                # The import statement's own function: importlib would cost more than the rest of this file.
                value = getattr(__import__(f"{__name__}.{module}", fromlist=[name]), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
