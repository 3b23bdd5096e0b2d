"""What a caller reads when a service cannot be used."""


class ServiceError(Exception):
    """A service could not be asked, or refused; the text says what to do."""


class Unreachable(ServiceError):
    """The service did not answer; it may later."""


class Stopped(Exception):
    """The run ended before its job did."""
