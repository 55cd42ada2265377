"""A request that is answered with an HTTP status and words."""

from __future__ import annotations

from collections.abc import Mapping

from vocalbio.errors import VocalbioError

__all__ = ["Refusal"]


class Refusal(VocalbioError):
    """
    Raised anywhere in a request, in a worker too: the client gets ``{"error": words}``.

    Parameters
    ----------
    status : int
        HTTP status.
    words : str
        What was got, what was expected, what to do.
    headers : mapping of str to str
        Further headers of the answer, such as ``Retry-After``.
    id : str, optional
        Under which the server's log tells more.

    Examples
    --------
    >>> from vocalbio.serve.refusal import Refusal
    >>> Refusal(413, "too large").status
    413
    """

    def __init__(
        self, status: int, words: str, headers: Mapping[str, str] | None = None, id: str | None = None
    ) -> None:
        super().__init__(status, words, headers, id)  # all of them: it travels between processes
        self.status = status
        self.words = words
        self.headers = dict(headers or {})
        self.id = id

    def __str__(self) -> str:
        return self.words
