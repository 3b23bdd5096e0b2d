"""One control plane for all tests, and a namespace for each: python -B -m pytest -p no:cacheprovider tests/cluster

build.py and tests/charts/tools.py install the programs. OUTRIGGER_CLUSTER_DIR, OUTRIGGER_TOOLS_DIR and OUTRIGGER_BIN_DIR
set the directories; by default they are below target.
"""

import itertools

import pytest

from control_plane import BUILT, control_plane, eventually
from namespace import TOOLS, Namespace, Refused

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
NUMBERS = itertools.count(1)


def has_started(namespace):
    """The controllers have created the default objects of a namespace."""
    try:
        namespace.kubectl("get", "serviceaccount/default", "configmap/kube-root-ca.crt")
        return True
    except Refused:
        return False


def make_namespace(plane, name, helm="helm", labels=None):
    namespace = Namespace(plane, name, helm)
    namespace.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
    eventually(lambda: has_started(namespace), what=plane.tail)
    return namespace


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    for directory, maker in ((BUILT / "bin", "tests/cluster/build.py"), (TOOLS, "tests/charts/tools.py")):
        assert directory.is_dir(), f"{directory} not found: run python {maker}"
    with control_plane(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture(scope="session")
def flyte(plane):
    """Propeller's namespace, with its ServiceAccount and one other."""
    namespace = make_namespace(plane, "flyte")
    for account in ("flytepropeller", "flyteadmin"):
        namespace.kubectl("create", "serviceaccount", account)
    return namespace


@pytest.fixture
def helm():
    """The Helm to use; tests for both versions override it."""
    return "helm"


@pytest.fixture
def plugins(plane, helm):
    """A namespace for plugins that enforces the restricted pod security standard."""
    return make_namespace(plane, f"plugins-{next(NUMBERS)}", helm, RESTRICTED)


@pytest.fixture(scope="session")
def definitions(plane):
    """Custom resource definitions, as published by their projects."""
    namespace = Namespace(plane, "default")
    # Not `kubectl apply`, which stores each definition in an annotation; some are too large for that.
    namespace.kubectl("create", f"--filename={BUILT}/definitions")
    namespace.kubectl("wait", "--for=condition=Established", "--timeout=30s", "customresourcedefinitions", "--all")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the control plane's logs if a test fails."""
    report = yield
    plane = getattr(item, "funcargs", {}).get("plane")
    if plane and report.failed:
        report.sections.append(("control plane", plane.tail()))
    return report
