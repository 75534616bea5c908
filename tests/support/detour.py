"""Where the URL of a server leads, and the same URL by way of a port on this machine."""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

Place = tuple[str, int] | Path
"""A host and a port, or a socket in the file system."""

_USUAL = {"amqp": 5672, "http": 80, "postgres": 5432, "postgresql": 5432}


def place_of(url: str) -> Place:
    """Say where *url* leads; a database may name the folder of its socket as ``?host=``."""
    parts, asked = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
    port = int(asked.get("port") or parts.port or _USUAL[parts.scheme])
    host = asked.get("host") or unquote(parts.hostname or "127.0.0.1")
    return Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, port)


def by_way_of(url: str, port: int) -> str:
    """Give *url* with only its place changed: to *port* on this machine."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("host", "port")]
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}", query=urlencode(kept)))
