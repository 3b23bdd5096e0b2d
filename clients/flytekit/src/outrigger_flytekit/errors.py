"""What a caller reads when a service cannot be used."""


class ServiceError(Exception):
    """A service could not be asked, or refused; the text says what to do.

    ``pushback`` is how many seconds not to ask again.
    """

    pushback = 0.0


class Unavailable(ServiceError):
    """The service did not answer, or not with what was asked for; it may later."""

    def __init__(self, words: str, pushback: float = 0.0):
        super().__init__(words)
        self.pushback = pushback


class StaleToken(ServiceError):
    """A file's token cannot be read or is not accepted; what renews the file may only be late."""


class Stopped(Exception):
    """The run ended before its job did."""

    def __str__(self) -> str:
        return "the run was stopped"


def other_release(sdk: str, mismatch: object) -> ServiceError:
    """For a release of ``sdk`` that this package cannot send tasks of."""
    return ServiceError(
        f"outrigger-flytekit does not fit this release of {sdk} ({mismatch}): install 'outrigger-flytekit[{sdk}]', "
        f"which names those that it fits, or unset OUTRIGGER_ENDPOINT and OUTRIGGER_ENDPOINTS"
    )


def is_of_another_package(error: Exception, sdk: str) -> bool:
    """Whether ``error`` is that a module is missing that is none of ``sdk``."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] != sdk


def cannot_be_mapped(task: str) -> ServiceError:
    """For a map task, whose items flytekit would run on this machine."""
    return ServiceError(
        f"{task} runs at a service, and flytekit maps no such tasks, neither here nor in a cluster: "
        "call it for each item in a @dynamic workflow"
    )


def code_is_local(task: str, option: str) -> ServiceError:
    """For a task whose code the vendor would have to read from this machine."""
    return ServiceError(
        f"{task} runs its code at the vendor, which cannot read this machine's files: "
        f"name a bucket that both can reach, {option} s3://BUCKET/PATH"
    )


def wrote_nothing(prefix: str) -> ServiceError:
    """For a job that ended well and left no outputs."""
    return ServiceError(
        f"the job succeeded, but {prefix}/outputs.pb cannot be read: "
        "can what ran the code write there, and this machine read it?"
    )


def cannot_be_read(path: str) -> ServiceError:
    """For a job whose code may have failed, where its bucket does not say."""
    return ServiceError(
        f"{path} cannot be looked for, which is where code that failed says so: can this machine read the bucket?"
    )


def no_value(where: str, names: list[str]) -> ServiceError:
    """For a job that ended well, whose outputs the service was to give."""
    return ServiceError(f"the job succeeded, but {where} gave no value for the outputs {', '.join(names)}")
