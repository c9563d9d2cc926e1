"""One control plane and one node for all scenarios of a run; the driver is installed as the specification says."""
import functools
import glob
import http.server
import os
import pathlib
import shutil
import sys
import tempfile
import threading

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/support"))
from cluster import Cluster  # noqa: E402
from realnode import RealNode  # noqa: E402
from s3 import Server  # noqa: E402
from terminal import Terminal, section  # noqa: E402

LOGS = pathlib.Path(os.environ["STAGE_LOGS"])
ROLES = ("node", "controller", "mounter")


@pytest.fixture(scope="session")
def cluster():
    path = tempfile.mkdtemp(prefix="lcw-e2e-")
    one = Cluster(path, nodes=("node1", "node2"))
    try:
        one.start()
        one.start_controllers()
        one.start_scheduler()
        yield one
    finally:
        one.stop()
        for log in pathlib.Path(path).glob("*.log"):
            shutil.copy(log, LOGS)
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def terminal(cluster):
    home = tempfile.mkdtemp(prefix="lcw-home-")
    yield Terminal(cluster, home)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def node(cluster, terminal):
    """Ready; the logs of everything on it are kept."""
    one = RealNode(cluster, "node1", LOGS / "node1", os.environ["LCW_E2E_IMAGES"])
    try:
        yield one.power_on().wait_ready()
        keep_logs(terminal)
        one.shell("cp -r /var/log/pods /results/ && sync", check=False)
    finally:
        one.power_off()
        one.disk.unlink()
        (one.folder / "kubeconfig").unlink()


def keep_logs(terminal):
    (LOGS / "objects.txt").write_text(terminal.look() + terminal.run(
        "kubectl get all,csinode,csistoragecapacities,luksvolumes,luksnodes -A; kubectl get events -A", check=False))
    for role in ROLES:
        (LOGS / f"driver-{role}.log").write_text(terminal.run(
            f"kubectl -n kube-system logs -l app=lukscryptwalker-csi-{role} --tail=-1 --prefix --all-containers", check=False))


@pytest.fixture(scope="session")
def repository(terminal):
    """URL of a repository of charts with ours in it."""
    folder = f"{terminal.home}/charts"
    terminal.run(f"helm package {REPO}/charts/lukscryptwalker-csi -d {folder} && helm repo index {folder}")
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    serve.log_message = lambda *words: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def first_install(repository):
    """The specification's commands: the repository is here, and one of its two installs is enough."""
    add, install = section("Option 1: Helm Installation (Recommended)", "bash")[:2]
    assert "https://algonomia.github.io/lukscryptwalker-csi/" in add
    return add.replace("https://algonomia.github.io/lukscryptwalker-csi/", repository), install[:install.index("# Or with")]


def driver_ready(terminal, seconds=600):
    for kind, role in (("daemonset", "node"), ("daemonset", "mounter"), ("deployment", "controller")):
        terminal.run(f"kubectl -n kube-system rollout status --timeout={seconds}s {kind}/my-lukscryptwalker-lukscryptwalker-csi-{role}"
                     if role != "mounter" else  # it has OnDelete, of which kubectl knows no status
                     f"kubectl -n kube-system wait --for=condition=Ready --timeout={seconds}s pod -l app=lukscryptwalker-csi-mounter",
                     seconds=seconds + 30)


@pytest.fixture(scope="session")
def installed(terminal, node, repository):
    """The output of the commands of the specification."""
    said = "".join(terminal.run(command) for command in first_install(repository))
    driver_ready(terminal)
    return said


@pytest.fixture(scope="session")
def second_node(cluster, terminal, installed):
    one = RealNode(cluster, "node2", LOGS / "node2", os.environ["LCW_E2E_IMAGES"], memory=2048)
    try:
        one.power_on().wait_ready()
        driver_ready(terminal)
        yield one
        one.shell("cp -r /var/log/pods /results/ && sync", check=False)
    finally:
        one.power_off()
        one.disk.unlink()
        (one.folder / "kubeconfig").unlink()


@pytest.fixture(scope="module")
def node2(second_node, terminal):
    """Takes pods only while a scenario asks for it: the others count on one node."""
    terminal.run("kubectl uncordon node2")
    yield second_node
    terminal.run("kubectl cordon node2")


@pytest.fixture(scope="session")
def s3():
    """An S3 server of this machine; `inside` is its address as nodes and pods see it."""
    base = tempfile.mkdtemp(prefix="lcw-s3-")
    server = Server(base).start()
    server.inside = f"http://10.0.2.2:{server.port}"
    yield server
    server.stop()
    shutil.copy(f"{base}/server.log", LOGS / "s3.log")
    shutil.rmtree(base)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    # After the last test there is no cluster that could be looked at.
    if report.failed and report.when != "teardown" and "terminal" in item.funcargs:
        (LOGS / f"failed-{item.name}.txt").write_text(item.funcargs["terminal"].look())
        keep_logs(item.funcargs["terminal"])
    return report


def pytest_terminal_summary(terminalreporter):
    """A table: one line for each scenario, which is a file."""
    table = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if getattr(report, "when", "call") != "call" and outcome == "passed":
                continue
            row = table.setdefault(os.path.basename(report.nodeid.split("::")[0]), {"passed": 0, "failed": 0, "error": 0, "s": 0})
            row[outcome] += 1
            row["s"] += report.duration
    terminalreporter.write_line(f"{'scenario':40}{'passed':>8}{'failed':>8}{'seconds':>9}")
    for name in sorted(table):
        row = table[name]
        scenario = name.removeprefix("test_").removesuffix(".py").replace("_", " ")
        terminalreporter.write_line(f"{scenario:40}{row['passed']:8}{row['failed'] + row['error']:8}{row['s']:9.0f}")


assert glob.glob(os.environ["LCW_E2E_IMAGES"] + "/*.tar"), "no images: run scripts/e2e"
