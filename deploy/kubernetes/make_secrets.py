r"""Make every password of a production cluster, and print the Secrets that hold them.

    python3 deploy/kubernetes/make_secrets.py --database-ca database.crt --broker-ca broker.crt \
        | kubectl apply -f -

Standard library only. Nothing is written down here: what is lost is made anew by another run and
a restart of all pods. The certificates are those that the services check their stores against.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

DATABASE: Final = "uketsuke-database-rw.uketsuke-stores.svc"
BROKER: Final = "uketsuke-broker.uketsuke-stores.svc"
_FILES: Final = "/etc/uketsuke/secrets"
_STORES: Final = "uketsuke-stores"
_OURS: Final = "uketsuke"
_DATABASE_USERS: Final = ("migrator", "front", "back", "scaler")
_BROKER_USERS: Final = ("topology", "front", "back")
_SERVICES: Final = {
    "prepare": ("migrator", "topology"),
    "front": ("front", "front"),
    "back": ("back", "back"),
}
"""Which users each Secret of the services is for: of the database, of the broker."""


def main(words: Sequence[str]) -> int:
    options = _options(words)
    certificates = {
        "database-ca.crt": options.database_ca.read_text(encoding="utf-8"),
        "broker-ca.crt": options.broker_ca.read_text(encoding="utf-8"),
    }
    items = make_secrets(certificates)
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout, indent=1)
    return 0


def make_secrets(certificates: Mapping[str, str]) -> list[dict[str, Any]]:
    """Make all Secrets, each password once; every call makes others."""
    database = {name: secrets.token_urlsafe(32) for name in _DATABASE_USERS}
    broker = {name: secrets.token_urlsafe(32) for name in _BROKER_USERS}
    made = [
        _secret(_STORES, f"uketsuke-database-{name}", "kubernetes.io/basic-auth",
                username=f"uketsuke_{name}", password=password)
        for name, password in database.items()
    ]  # fmt: skip
    made += [
        _secret(_STORES, f"uketsuke-broker-{name}", "Opaque",
                username=f"uketsuke-{name}", password=password)
        for name, password in broker.items()
    ]  # fmt: skip
    for service, (role, user) in _SERVICES.items():
        files = dict(certificates)
        files["uketsuke_database_url"] = database_url(role, database[role])
        files["uketsuke_amqp_url"] = broker_url(user, broker[user])
        if service == "front":
            files["uketsuke_token_keys"] = secrets.token_urlsafe(32)
        made.append(_secret(_OURS, f"uketsuke-{service}", "Opaque", **files))
    connection = f"{_address('scaler', database['scaler'])}?sslmode=require"
    made.append(_secret(_OURS, "uketsuke-scaler", "Opaque", connection=connection))
    return made


def database_url(role: str, password: str) -> str:
    where = f"{_FILES}/database-ca.crt"
    return f"{_address(role, password)}?sslmode=verify-full&sslrootcert={where}"


def broker_url(user: str, password: str) -> str:
    where = f"{_FILES}/broker-ca.crt"
    return f"amqps://uketsuke-{user}:{password}@{BROKER}:5671/uketsuke?cafile={where}"


def _address(role: str, password: str) -> str:
    return f"postgresql://uketsuke_{role}:{password}@{DATABASE}:5432/uketsuke"


def _secret(namespace: str, name: str, kind: str, **values: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": kind,
        "stringData": values,
    }


def _options(words: Sequence[str]) -> argparse.Namespace:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--database-ca", type=Path, required=True, metavar="FILE")
    reader.add_argument("--broker-ca", type=Path, required=True, metavar="FILE")
    return reader.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
