"""Scenario 2: PostgreSQL on an encrypted volume, at work while the driver is killed, upgraded and asked for more room."""
import contextlib
import re

import pytest
from conftest import driver_ready
from terminal import claim, pod

# Until somebody makes the file: pgbench's own word on each round is in the log.
LOAD = ("rm -f /tmp/stop /tmp/load /tmp/status; (status=0; while [ ! -e /tmp/stop ]; do "
        "pgbench -n -c 2 -T 5 >> /tmp/load 2>&1 || status=$?; done; echo $status > /tmp/status) > /dev/null 2>&1 &")
NODE_PLUGIN = "-n kube-system -l app=lukscryptwalker-csi-node"


def sql(terminal, text):
    return terminal.execute("postgres", f'psql -Atc "{text}"').strip()


@pytest.fixture(scope="module")
def postgres(installed, terminal):
    """A pod with pgbench's tables; yields the object, to make it again."""
    one = pod("postgres", "postgres", command=None, image="postgres:15", path="/var/lib/postgresql/data",
              securityContext={"fsGroup": 26})
    one["spec"]["terminationGracePeriodSeconds"] = 60
    one["spec"]["containers"][0]["args"] = ["-c", "max_wal_size=96MB"]
    terminal.apply(claim("postgres", "lukscryptwalker-local", "512Mi"), one)
    terminal.pod_ready("postgres")
    answers(terminal)
    terminal.execute("postgres", "pgbench -i -q -s 1")
    yield one
    terminal.delete("pod/postgres", "pvc/postgres")


def answers(terminal):
    terminal.until("PostgreSQL answers", lambda: terminal.execute("postgres", "psql -Atc 'select 1'", check=False).strip() == "1")


class Load:
    transactions = 0


@pytest.fixture(scope="module")
def load(postgres, terminal):
    """A context in which pgbench runs; what it did is counted over all of them."""
    total = Load()

    @contextlib.contextmanager
    def running():
        terminal.execute("postgres", LOAD)
        terminal.until("transactions", lambda: int(sql(terminal, "select count(*) from pgbench_history")) > total.transactions)
        yield
        before = int(sql(terminal, "select count(*) from pgbench_history"))
        terminal.until("transactions afterwards", lambda: int(sql(terminal, "select count(*) from pgbench_history")) > before)
        terminal.execute("postgres", "touch /tmp/stop")
        terminal.until("pgbench ends", lambda: terminal.execute("postgres", "cat /tmp/status || true").strip().isdigit())
        status = terminal.execute("postgres", "cat /tmp/status")
        said = terminal.execute("postgres", "cat /tmp/load")
        done = [int(number) for number in re.findall(r"^number of transactions actually processed: (\d+)", said, re.M)]
        failed = re.findall(r"^number of failed transactions: (\d+)", said, re.M)
        assert status.strip() == "0" and done and failed == ["0"] * len(done), said
        total.transactions += sum(done)

    yield running
    assert int(sql(terminal, "select count(*) from pgbench_history")) == total.transactions


def plugin(terminal):
    """Name and how often it was restarted."""
    one, = terminal.get(*NODE_PLUGIN.split(), "pods")["items"]
    return one["metadata"]["name"], one["status"]["containerStatuses"][0]["restartCount"]


def test_the_node_plugin_is_killed_under_load(load, node, terminal):
    name, restarts = plugin(terminal)
    with load():
        node.shell("kill -9 $(pgrep -f '^/usr/bin/lukscryptwalker-csi node ')")
        terminal.until("it was restarted", lambda: plugin(terminal) == (name, restarts + 1))
        driver_ready(terminal)


def test_its_pod_is_deleted_under_load(load, terminal):
    name, _ = plugin(terminal)
    with load():
        terminal.delete("-n", "kube-system", f"pod/{name}")
        driver_ready(terminal)
    assert plugin(terminal)[0] != name


def test_the_driver_is_upgraded_under_load(load, terminal):
    name, _ = plugin(terminal)
    with load():
        said = terminal.run("helm upgrade my-lukscryptwalker lukscryptwalker-csi/lukscryptwalker-csi --namespace kube-system "
                            "--reuse-values --set node.podAnnotations.upgrade=second --set controller.podAnnotations.upgrade=second")
        assert "REVISION: 2" in said
        driver_ready(terminal)
    assert plugin(terminal)[0] != name


def test_the_volume_grows_under_load(load, terminal):
    def size():
        return int(terminal.execute("postgres", "df -Pk /var/lib/postgresql/data | tail -n 1").split()[1])

    assert size() < 512 << 10
    with load():
        terminal.run("""kubectl patch pvc postgres -p '{"spec":{"resources":{"requests":{"storage":"1Gi"}}}}'""")
        terminal.until("1 GiB in the pod", lambda: size() > 0.9 * (1 << 20))
        terminal.until("the claim says so", lambda: terminal.get("pvc", "postgres")["status"]["capacity"]["storage"] == "1Gi")


def test_every_transaction_is_there_after_the_pod_came_back(load, postgres, terminal):
    with load():
        pass
    rows = sql(terminal, "select count(*), sum(delta) from pgbench_history")
    balance = sql(terminal, "select sum(abalance) from pgbench_accounts")
    terminal.delete("pod/postgres")
    terminal.apply(postgres)
    terminal.pod_ready("postgres")
    answers(terminal)
    assert sql(terminal, "select count(*), sum(delta) from pgbench_history") == rows
    assert sql(terminal, "select sum(abalance) from pgbench_accounts") == balance == rows.split("|")[1]


def test_the_disk_of_the_node_has_ciphertext_only(postgres, node, terminal):
    sql(terminal, "create table marked as select 'plain-words-of-a-row' as words from generate_series(1, 1000); checkpoint")
    node.shell("sync")
    volume = terminal.volume_of("postgres")
    image = f"/opt/local-path-provisioner/{volume}/luks-{volume}.img"
    # The same search finds them where they are plain.
    found = terminal.execute("postgres", "grep -rac plain-words-of-a-row /var/lib/postgresql/data/base | grep -v :0")
    assert found.strip()
    assert node.shell(f"grep -ac plain-words-of-a-row {image} || true").strip() == "0"
