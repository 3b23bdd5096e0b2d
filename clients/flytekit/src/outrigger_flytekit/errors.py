"""Errors for callers when a service cannot be used."""


class ServiceError(Exception):
    """A call failed or was refused; the message says what to do.

    ``pushback`` is the number of seconds to wait before another call.
    """

    pushback = 0.0


class Unavailable(ServiceError):
    """The service did not answer, or returned a transient error."""

    def __init__(self, message: str, pushback: float = 0.0):
        super().__init__(message)
        self.pushback = pushback


class Unanswered(Unavailable):
    """There was no answer in time: the service may have done what it was asked."""


class StaleToken(ServiceError):
    """A token file cannot be read, or its token was rejected; it may be renewed soon."""


class Stopped(Exception):
    """The run ended before its job did."""

    def __str__(self) -> str:
        return "the run was stopped"


def other_release(sdk: str, mismatch: object) -> ServiceError:
    """For a release of ``sdk`` that this package does not support."""
    return ServiceError(
        f"outrigger-flytekit does not support this release of {sdk} ({mismatch}): install 'outrigger-flytekit[{sdk}]', "
        f"which installs a supported one, or unset OUTRIGGER_ENDPOINT and OUTRIGGER_ENDPOINTS"
    )


def is_of_another_package(error: Exception, sdk: str) -> bool:
    """Whether ``error`` is about a missing module outside of ``sdk``."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] != sdk


def cannot_be_mapped(task: str) -> ServiceError:
    """For a map task, whose items flytekit would run on this machine."""
    return ServiceError(
        f"{task} runs at a service, and flytekit does not support map tasks of connectors, locally or in a cluster: "
        "call it for each item in a @dynamic workflow"
    )


def code_is_local(task: str, option: str) -> ServiceError:
    """For a task whose code is only on this machine."""
    return ServiceError(
        f"{task} runs its code at the vendor, which cannot read this machine's files: "
        f"set a bucket that both can access, {option} s3://BUCKET/PATH"
    )


def wrote_nothing(prefix: str) -> ServiceError:
    """For a job that succeeded but wrote no outputs."""
    return ServiceError(
        f"the job succeeded, but {prefix}/outputs.pb cannot be read: "
        "check that the code can write there, and that this machine can read it"
    )


def cannot_be_read(path: str) -> ServiceError:
    """For a job whose error file cannot be checked."""
    return ServiceError(
        f"cannot check whether {path} exists, where failed code writes its error: "
        "check that this machine can read the bucket"
    )


def no_value(where: str, names: list[str]) -> ServiceError:
    """For a task that succeeded, but whose outputs the service did not return."""
    return ServiceError(f"the task succeeded, but {where} returned no value for the outputs {', '.join(names)}")
