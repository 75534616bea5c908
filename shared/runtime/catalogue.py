"""Read job types and handlers from the modules that the settings name."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType

from shared.contract.authoring import Handler, handlers_in
from shared.contract.job_types import Catalogue, JobType, job_types_in

BUILT_IN_JOB_TYPES = ("shared.job_types.demo", "shared.job_types.documents")
BUILT_IN_HANDLERS = ("back_service.handlers.demo", "back_service.handlers.documents")


def load_job_types(modules: Iterable[str]) -> Catalogue:
    """Import *modules* and collect what they define.

    Raises ``ValueError`` for a doubled name or a broken file, ``ImportError`` for a missing one.
    """
    found: dict[int, JobType] = {}
    for module in modules:
        for job_type in job_types_in(vars(_imported(module, "UKETSUKE_JOB_TYPES"))):
            found[id(job_type)] = job_type  # the same object may be imported by several modules
    return Catalogue(found.values())


def load_handlers(modules: Iterable[str], catalogue: Catalogue) -> Mapping[str, Handler]:
    """Import *modules* and collect their handlers; each must be for a type that is known."""
    handlers: dict[str, Handler] = {}
    for module in modules:
        for job_type, handler in handlers_in(vars(_imported(module, "UKETSUKE_HANDLERS"))).items():
            if catalogue.get(job_type.name) is not job_type:
                raise ValueError(
                    f"{module}: {job_type.name} is not among the job types of UKETSUKE_JOB_TYPES"
                )
            if handlers.setdefault(job_type.name, handler) is not handler:
                raise ValueError(f"{module}: {job_type.name} already has a handler")
    return handlers


def _imported(module: str, setting: str) -> ModuleType:
    """Import *module*; say which *setting* named it, if that cannot be done."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            text = f"{setting}: there is no module {module}; is its parent folder on PYTHONPATH?"
            raise ImportError(text) from error
        raise ImportError(f"{setting}: {module} needs {error.name}, which is not there") from error
    except SyntaxError as error:
        raise ValueError(f"{setting}: {module}: {error}") from error
