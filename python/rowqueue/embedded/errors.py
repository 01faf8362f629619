"""What goes wrong when a server is to be started."""


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL could not be started."""


class EmbeddedUnavailable(EmbeddedError):
    """There are no PostgreSQL programs to start: no wheel, and none installed that fits."""
