"""What can go wrong with an exchange with an upstream server."""

from __future__ import annotations


class ClientError(Exception):
    """An exchange with an upstream server failed. The text names the server, never a header."""


class ConnectFailed(ClientError):
    """No connection: not resolved, refused, unreachable, certificate not accepted, too slow."""


class ClientTimeout(ClientError):
    """The time given to a request has passed."""


class ConnectTimeout(ClientTimeout):
    """It passed while connecting."""


class PoolTimeout(ClientTimeout):
    """It passed while all connections to the server were in use."""


class ConnectionLost(ClientError):
    """The server closed the connection before its answer was complete."""

    def __init__(self, message, partial=b"", unanswered=False):
        super().__init__(message)
        self.partial = partial
        self.unanswered = unanswered


class ProtocolError(ClientError):
    """The answer is not HTTP/1.1, or its body is not what its fields say."""


class BodyTooLarge(ClientError):
    """The answer's body, as sent or decoded, exceeds the pool's limit."""
