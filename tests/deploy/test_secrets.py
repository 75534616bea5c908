"""The passwords of a cluster: made together, so that they fit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.check.rendered import FOLDER
from tests.deploy.manifests import rendered


def made(folder: Path) -> dict[tuple[str, str], Any]:
    """Run the program as a deploy does; answer the Secrets by namespace and name."""
    (folder / "ca.crt").write_text("certificate")
    words = ["--database-ca", str(folder / "ca.crt"), "--broker-ca", str(folder / "ca.crt")]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "make_secrets.py"), *words],
        check=True,
        capture_output=True,
        text=True,
    )
    items = json.loads(done.stdout)["items"]
    return {(s["metadata"]["namespace"], s["metadata"]["name"]): s["stringData"] for s in items}


def test_every_secret_that_is_mounted_or_named_is_made(tmp_path: Path) -> None:
    """A pod whose Secret is missing waits for ever, and says so where nobody looks."""
    production, found = rendered("production"), made(tmp_path)
    wanted = {
        ("uketsuke", volume["secret"]["secretName"])
        for workload in production.ours
        for volume in workload.pod["volumes"]
        if "secret" in volume
    }
    for user in production.of("User"):
        wanted.add(("uketsuke-stores", user["spec"]["importCredentialsSecret"]["name"]))
    database = production.named("Cluster", "uketsuke-database")["spec"]
    names = [role["passwordSecret"]["name"] for role in database["managed"]["roles"]]
    names.append(database["bootstrap"]["initdb"]["secret"]["name"])
    wanted |= {("uketsuke-stores", name) for name in names}
    wanted |= {
        ("uketsuke", reference["name"])
        for scaler in production.of("TriggerAuthentication")
        for reference in scaler["spec"]["secretTargetRef"]
    }

    assert set(found) == wanted


def test_a_service_has_the_password_that_its_store_has(tmp_path: Path) -> None:
    """Each store and its clients are told at once; and over a line that is checked."""
    found = made(tmp_path)
    for service, role, user in [
        ("prepare", "migrator", "topology"),
        ("front", "front", "front"),
        ("back", "back", "back"),
    ]:
        files = found["uketsuke", f"uketsuke-{service}"]
        database, broker = (urlsplit(files[f"uketsuke_{n}_url"]) for n in ("database", "amqp"))
        theirs = found["uketsuke-stores", f"uketsuke-database-{role}"]
        others = found["uketsuke-stores", f"uketsuke-broker-{user}"]

        assert (database.username, database.password) == (theirs["username"], theirs["password"])
        assert (broker.username, broker.password) == (others["username"], others["password"])
        assert (
            "sslmode=verify-full&sslrootcert=/etc/uketsuke/secrets/database-ca.crt"
            in database.query
        )
        assert (broker.scheme, broker.query) == (
            "amqps",
            "cafile=/etc/uketsuke/secrets/broker-ca.crt",
        )
        assert files["database-ca.crt"] == "certificate"


def test_no_two_passwords_are_alike(tmp_path: Path) -> None:
    """Nor are those of two runs."""
    first, second = made(tmp_path), made(tmp_path)
    passwords = [s["password"] for run in (first, second) for s in run.values() if "password" in s]

    assert len(set(passwords)) == len(passwords) == 14
    assert all(len(password) > 40 for password in passwords)
