"""The users of the broker, with the rights that the manifests give them, on a real one."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import yaml

from deploy.local.stack import Stack
from tests.house.sources import ROOT

RIGHTS: Final = ROOT / "deploy" / "kubernetes" / "components" / "stores" / "rights.yaml"
_PASSWORD: Final = "of-the-tests"


def permissions() -> dict[str, dict[str, str]]:
    """Read who may do what: by the name in the manifests, without its prefix."""
    documents = yaml.safe_load_all(RIGHTS.read_text(encoding="utf-8"))
    return {
        found["spec"]["userReference"]["name"].removeprefix("uketsuke-"): found["spec"][
            "permissions"
        ]
        for found in documents
        if found["kind"] == "Permission"
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """A virtual host, and how each user reaches it."""

    vhost: str
    urls: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.urls[name]


@asynccontextmanager
async def open_users(stack: Stack) -> AsyncIterator[Users]:
    """Make a virtual host and its users, and remove them again."""
    mark = secrets.token_hex(6)
    vhost, given = f"rights_{mark}", permissions()
    names = {name: f"{name}-{mark}" for name in given}

    def ctl(*words: str) -> Any:
        return stack.broker.ctl(*words)

    def make() -> None:
        ctl("add_vhost", vhost)
        for name, may in given.items():
            ctl("add_user", names[name], _PASSWORD)
            ctl("set_permissions", "-p", vhost, names[name], *(may[v] for v in _VERBS))

    def remove() -> None:
        for words in [("delete_vhost", vhost), *(("delete_user", n) for n in names.values())]:
            with suppress(RuntimeError):
                ctl(*words)

    try:
        await asyncio.to_thread(make)
        yield Users(vhost=vhost, urls={n: _url(stack.amqp_url, u, vhost) for n, u in names.items()})
    finally:
        await asyncio.to_thread(remove)


_VERBS: Final = ("configure", "write", "read")


def _url(admin: str, user: str, vhost: str) -> str:
    parts = urlsplit(admin)
    address = parts.netloc.rpartition("@")[2]
    netloc = f"{user}:{_PASSWORD}@{address}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{quote(vhost, safe='')}"))
