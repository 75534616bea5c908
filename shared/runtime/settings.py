"""What the environment may tell a process, read once, typed, with the unit in the type.

A bad environment refuses to start and names every mistake; secrets never print.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.contract.addresses import PUBLIC_PORTS, EgressRules
from shared.runtime.catalogue import BUILT_IN_JOB_TYPES
from shared.runtime.logs import LogFormat

PREFIX: Final = "UKETSUKE_"

_NOT_OURS = frozenset(
    {"LOCAL_DIR", "PG_BIN", "RABBITMQ_SBIN", "URL", "TOKEN", "QUARANTINE_OF", "SECRETS_DIR"}
)
"""Names with our prefix that other programs of the project read, or a worker tells its child."""


_SHORTEST_KEY: Final = 32


def _seconds(value: object) -> object:
    return float(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]

Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)]
Role = Literal["work", "upkeep"]
Roles = Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_listed)]

Port = Annotated[int, Field(ge=1, le=65_535)]
Ports = Annotated[tuple[Port, ...], NoDecode, BeforeValidator(_listed)]


class BadSettings(Exception):
    """The environment cannot be used; the text names every mistake."""


class DatabaseAddress(BaseSettings):
    """What a command reads that needs the database alone."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    database_url: SecretStr = Field(min_length=1)


class TopologySettings(BaseSettings):
    """What the command reads that makes exchanges and queues."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    amqp_url: SecretStr = Field(min_length=1)
    job_types: Listed = ()

    @property
    def job_type_modules(self) -> tuple[str, ...]:
        return (*BUILT_IN_JOB_TYPES, *self.job_types)


class CommonSettings(BaseSettings):
    """What both services read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    database_url: SecretStr = Field(min_length=1, description="address of PostgreSQL")
    amqp_url: SecretStr = Field(
        min_length=1, description="one address, or several of one cluster with commas"
    )
    declare_topology: bool = Field(
        default=True,
        description="make exchanges and queues; else only look for them: a deploy has made them",
    )
    blob_dir: Path = Field(
        default=Path(".local/blobs"), description="files of requests and results; both need it"
    )
    blob_url: str | None = Field(
        default=None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]+)?$",
        description="s3://bucket/prefix: the files are there, and not in a folder",
    )
    blob_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#@\s]+$",
        description="address of a store that speaks S3 and is not AWS",
    )
    blob_region: str | None = Field(default=None, description="else as AWS's own tools find it")
    blob_access_key: SecretStr | None = Field(
        default=None, description="else as AWS's own tools find it: environment, role, web identity"
    )
    blob_secret_key: SecretStr | None = Field(default=None, description="belongs to the access key")
    job_types: Listed = Field(default=(), description="modules with job types beside the built-in")
    log_format: LogFormat = Field(
        default="json", description="a JSON object a line, or for eyes at a terminal"
    )
    log_level: str = Field(default="info", description="debug, info, warning or error")
    confirm_wait: Seconds = Field(
        default=timedelta(seconds=1),
        ge=timedelta(0),
        description="how long a 202 waits for the broker",
    )
    max_age: Seconds = Field(
        default=timedelta(days=7),
        ge=timedelta(seconds=1),
        description="deadline of a job whose request and type name none",
    )
    pool_size: int = Field(default=8, ge=2, le=100, description="connections to PostgreSQL")
    drain: Seconds = Field(
        default=timedelta(seconds=25),
        ge=timedelta(0),
        description="less than the grace period of the pod",
    )
    probe_host: str = Field(
        default="127.0.0.1", description="address to listen on for probes and figures"
    )
    probe_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="for /livez, /readyz and /metrics; a front has no other /metrics then",
    )

    egress_ports: Ports = Field(
        default=PUBLIC_PORTS, description="of public addresses that files may be fetched from"
    )
    fetch_allow_cidrs: Listed = Field(
        default=(), description="private networks that files may be fetched from"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="address of a collector of traces, by OTLP over HTTP; the OTEL_* variables "
        "say the rest, and may say this as well; needs the extra otel",
    )

    @field_validator("fetch_allow_cidrs")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        EgressRules.of(ports=(), networks=value)
        return value

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if value.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @property
    def egress(self) -> EgressRules:
        return EgressRules.of(ports=self.egress_ports, networks=self.fetch_allow_cidrs)

    @property
    def job_type_modules(self) -> tuple[str, ...]:
        return (*BUILT_IN_JOB_TYPES, *self.job_types)


class FrontSettings(CommonSettings):
    """What the front service reads."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, ge=1, le=65_535, description="port to listen on")
    reuse_port: bool = Field(default=False, description="several fronts of one host on one port")
    read_pool_size: int = Field(
        default=4, ge=1, le=100, description="connections to PostgreSQL of readers only"
    )
    max_body: int = Field(default=1_048_576, ge=1_024, description="bytes of a submit")
    max_batch: int = Field(default=8 * 2**20, ge=1_024, description="bytes of a batch of submits")
    max_upload: int = Field(default=2**30, ge=1_024, description="bytes of one uploaded file")
    max_outbox: int = Field(default=100_000, ge=1, description="rows; above, submits get 503")
    max_submits: int = Field(
        default=1_000, ge=64, description="that wait to be stored at once; above, 503"
    )
    max_connections: int = Field(default=12_000, ge=1, description="above, 503 and the end")
    max_connections_per_address: int = Field(
        default=200, ge=1, description="of one address, or of one IPv6 /64; proxies are exempt"
    )
    trusted_proxies: Listed = Field(
        default=("127.0.0.0/8", "::1"), description="networks whose connections stand for many"
    )
    max_streams: int = Field(default=12_000, ge=1, description="that follow a job; above, 429")
    max_waiting: int = Field(
        default=2_000, ge=0, description="requests that wait for an ending; above, none waits"
    )
    rate: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="submits a second, those of batches too; above, 429",
    )
    burst: int = Field(
        default=100,
        ge=1,
        description="submits at once after a pause, under a rate; a larger batch is a 413",
    )
    status_redirect: bool = Field(default=False, description="303 to the result once completed")
    auth: Literal["auto", "required"] = Field(
        default="auto",
        description="required: every caller shows a key; auto: as soon as there is a key",
    )
    oidc_issuer: str | None = Field(
        default=None, description="whose tokens (JWT) are taken beside keys; needs the extra oidc"
    )
    oidc_audience: str | None = Field(default=None, description="for whom its tokens must be")
    oidc_keys_url: str | None = Field(
        default=None, description="of its JWKS; else what its discovery document names"
    )
    oidc_algorithms: Listed = Field(
        default=("RS256", "ES256"), min_length=1, description="of signatures that are taken"
    )
    oidc_tenant_claim: str = Field(default="tenant", description="which claim names the tenant")
    oidc_tenant: str | None = Field(
        default=None, description="the tenant of all its tokens, instead of a claim"
    )
    oidc_scope_claim: str = Field(default="scope", description="which claim lists the scopes")
    oidc_scope_prefix: str = Field(
        default="", description="of the scopes that are ours, as uketsuke: in uketsuke:read"
    )
    allow_anonymous: bool = Field(default=False, description="take callers beyond loopback")
    allowed_origins: Listed = Field(
        default=(), description="origins of pages elsewhere whose scripts may call"
    )
    token_keys: Secrets = Field(
        default=(),
        description="that sign read tokens, 32 characters or more each; the first signs, all are "
        "believed; else a key is made beside the blobs",
    )

    @field_validator("token_keys")
    @classmethod
    def _are_long(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key) < _SHORTEST_KEY for key in value):
            raise ValueError(f"a key must have {_SHORTEST_KEY} characters or more")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ip_network(text)
        return value

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(text) for text in self.trusted_proxies)


class BackSettings(CommonSettings):
    """What the back service reads."""

    roles: Roles = Field(
        default=("work", "upkeep"),
        min_length=1,
        description="work: run the jobs of its pools; upkeep: relay, schedule, rescue and clean up",
    )
    handlers: Listed = Field(default=(), description="modules with handlers beside the built-in")
    pools: Listed = Field(
        default=("default",), min_length=1, description="the pools whose jobs it runs"
    )
    concurrency: int = Field(default=16, ge=1, le=10_000, description="attempts that run at once")
    prefetch: int = Field(
        default=4, ge=1, le=1_000, description="knocks the broker may buffer for one queue"
    )
    turn: int = Field(default=20, ge=1, le=10_000, description="jobs in a row of one key")
    lease: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=2),
        description="for how long a job is its worker's without a sign of life",
    )
    stall_warning: Seconds = Field(
        default=timedelta(seconds=1),
        gt=timedelta(0),
        description="how long the event loop may stand still before the log says where",
    )
    stall_limit: Seconds | None = Field(
        default=None,
        gt=timedelta(0),
        description="and before the process ends; else what is left of a lease when it is renewed",
    )
    max_crashes: int = Field(
        default=3, ge=1, description="workers that one job may end before it fails as crash_loop"
    )
    quarantine: bool = Field(
        default=False,
        description="take only jobs that ended their workers, one at a time, and leave: "
        "a worker starts such processes by itself",
    )
    max_result: int = Field(default=16 * 2**20, ge=1_024, description="bytes of a result")
    preload: bool = Field(
        default=True, description="import what child processes need before the first one does"
    )
    child_memory: int = Field(default=2**30, ge=2**26, description="bytes of a child process")
    child_niceness: int = Field(
        default=10, ge=0, le=19, description="by how much child processes yield to services"
    )


S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S]) -> S:
    """Read *kind* from the environment, or raise ``BadSettings`` with a line for each mistake.

    What the environment does not say may stand in files of the folder ``UKETSUKE_SECRETS_DIR``,
    named like the variables, in small letters.
    """
    try:
        return kind(**_secret_files(os.environ.get(PREFIX + "SECRETS_DIR")))
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'_'.join(map(str, mistake['loc'][:1])).upper()}: {mistake['msg']}"
            for mistake in error.errors(include_url=False, include_input=False)
        ]
        raise BadSettings("\n".join(lines)) from error


def _secret_files(folder: str | None) -> dict[str, Any]:
    """Tell pydantic where the secrets are; a folder that is not there it would pass over."""
    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise BadSettings(f"{PREFIX}SECRETS_DIR: {folder} is no folder")
    return {"_secrets_dir": folder}


def unknown_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """List variables with our prefix that nobody reads: most often a slip of the pen."""
    known = {
        name.upper() for kind in (FrontSettings, BackSettings) for name in kind.model_fields
    } | _NOT_OURS
    ours = (name for name in environment if name.startswith(PREFIX))
    return sorted(
        name
        for name in ours
        if name.removeprefix(PREFIX) not in known and not name.startswith(PREFIX + "TEST_")
    )
