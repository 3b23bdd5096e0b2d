"""What an error of a database says about its task.

PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
MySQL: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
MariaDB: https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What becomes of the task."""

    REFUSED = "the statement is wrong or forbidden, and would be again"
    UNAVAILABLE = "the database cannot for now; nothing of the statement is left"
    TIMED_OUT = "the statement took too long"
    CANCELLED = "somebody else cancelled the statement"


# The longest prefix counts. What is not listed is refused.
SQLSTATES = {
    "08": Verdict.UNAVAILABLE,  # connection exceptions
    "08P01": Verdict.REFUSED,  # protocol_violation: a bad parameter, as of PgBouncer
    "25P03": Verdict.TIMED_OUT,  # idle_in_transaction_session_timeout
    "25P04": Verdict.TIMED_OUT,  # transaction_timeout
    "40": Verdict.UNAVAILABLE,  # deadlock, serialization failure
    "40002": Verdict.REFUSED,  # transaction_integrity_constraint_violation
    "53": Verdict.UNAVAILABLE,  # memory, disk, connections
    "53400": Verdict.REFUSED,  # configuration_limit_exceeded: temp_file_limit
    "55006": Verdict.UNAVAILABLE,  # object_in_use
    "55P03": Verdict.UNAVAILABLE,  # lock_not_available
    "57": Verdict.UNAVAILABLE,  # shutdown, crash, cannot_connect_now
    "57014": Verdict.CANCELLED,  # query_canceled: pg_cancel_backend
    "57P04": Verdict.REFUSED,  # database_dropped
    "58": Verdict.UNAVAILABLE,  # system errors
    "58P01": Verdict.REFUSED,  # undefined_file
    "58P02": Verdict.REFUSED,  # duplicate_file
}

# SQLSTATEs of MySQL are mostly HY000, so its own numbers count. What is not listed is refused.
ERRNOS = {
    **dict.fromkeys((1969, 3024), Verdict.TIMED_OUT),  # max_statement_time, max_execution_time
    1317: Verdict.CANCELLED,  # KILL QUERY
    **dict.fromkeys((1205, 1206, 1213, 1020, 1412), Verdict.UNAVAILABLE),  # locks, deadlocks, changed rows
    **dict.fromkeys((1040, 1129, 1203, 1226, 1637, 1135), Verdict.UNAVAILABLE),  # too many connections or threads
    **dict.fromkeys((1021, 1037, 1038, 1041, 1114), Verdict.UNAVAILABLE),  # disk and memory
    **dict.fromkeys((1053, 1077, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 3169, 4031), Verdict.UNAVAILABLE),
    **dict.fromkeys((1047, 1836, 3100), Verdict.UNAVAILABLE),  # Galera, a replica that took over, group replication
    **dict.fromkeys(range(2000, 2100), Verdict.UNAVAILABLE),  # the driver's: the connection
}


def of_sqlstate(sqlstate: str) -> Verdict:
    """For errors of PostgreSQL."""
    found = (SQLSTATES.get(sqlstate[:length]) for length in range(len(sqlstate), 1, -1))
    return next((verdict for verdict in found if verdict), Verdict.REFUSED)


def of_errno(errno: int) -> Verdict:
    """For errors of MySQL and MariaDB."""
    return ERRNOS.get(errno, Verdict.REFUSED)
