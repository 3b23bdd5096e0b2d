"""Services in front of fake vendors."""

import pytest

from callers import Grpc, Rest
from programs import Service
from vendors import BigQuery, Databricks, Snowflake

VENDORS = {"bigquery": BigQuery, "databricks": Databricks, "snowflake": Snowflake}


@pytest.fixture
def start(tmp_path):
    """Starts services that end with the test: `start(vendor, *flags)`."""
    running = []

    def start(vendor, *flags, name="service", **options):
        service = Service(tmp_path / name, vendor, *flags, **options)
        running.append(service)
        return service.wait_until_ready() if not options.get("unready") else service

    yield start
    for service in running:
        service.kill()


@pytest.fixture
def vendor(request):
    """A fake vendor, by its parameter's name; BigQuery if there is none."""
    made = VENDORS[getattr(request, "param", "bigquery")]()
    yield made
    made.close()


@pytest.fixture
def service(start, vendor):
    return start(vendor)


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory):
    """One service for a module's tests that leave no traces."""
    vendor = BigQuery()
    with Service(tmp_path_factory.mktemp("shared"), vendor) as service:
        yield service.wait_until_ready()
    vendor.close()


@pytest.fixture(scope="session")
def shared_vendors(tmp_path_factory):
    """One service for each vendor, for tests that reset the vendor: `shared_vendors("databricks")`."""
    running = {}

    def shared(vendor):
        name = vendor if isinstance(vendor, str) else vendor.program
        if name not in running:
            running[name] = Service(tmp_path_factory.mktemp(name), VENDORS[name]()).wait_until_ready()
        return running[name]

    yield shared
    for service in running.values():
        service.kill()


@pytest.fixture
def rest(service):
    return Rest(service)


@pytest.fixture
def flyte(service):
    """Flyte 1, over gRPC."""
    client = Grpc(service)
    yield client
    client.close()


every_vendor = pytest.mark.parametrize("vendor", list(VENDORS), indirect=True)
