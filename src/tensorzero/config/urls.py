"""URLs of providers: what a config may name as the place to call.

Rules: the contract's page on models and providers, section 5.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from tensorzero.config.reader import Table


def parse_url(text: str) -> SplitResult:
    """An absolute ``http`` or ``https`` URL; raises ``ValueError`` saying what is wrong."""
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError("relative URL without a base, expected `https://host/…`")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme is `{parts.scheme}`, expected `http` or `https`")
    if not parts.hostname:
        raise ValueError("the URL has no host")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("the URL holds white space or control characters")
    _ = parts.port  # raises for a port that is none
    return parts


AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".c2s.ic.gov", ".sc2s.sgov.gov")


def outside_aws(host: str) -> bool:
    """Whether this host belongs to somebody else than AWS: it gets what was meant for AWS."""
    return not host.endswith(AWS_DOMAINS)


def check_api_base(text: str, table: Table, key: str) -> None:
    """A literal URL; ``env::`` and ``dynamic::`` are not taken here."""
    try:
        parts = parse_url(text)
    except ValueError as error:
        table.error(f"invalid URL: {error}; a literal URL is needed here", key)
        return
    if parts.query:
        table.warn("the query string of this URL is not sent", key)
    path = parts.path.rstrip("/")
    if path.endswith("/chat/completions"):
        table.warn("ends in `/chat/completions`, which is appended to it again", key)
    if table.value.get("type") == "anthropic" and path.endswith("/messages"):
        table.warn("Deprecation Warning: `/messages` is cut off this URL, leave it out", key)
