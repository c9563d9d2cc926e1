"""Kubernetes' own tests of storage, e2e.test, on a cluster of cluster.py; ginkgo runs several specs at once."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

from cluster import tool

PREFIX = re.compile(r"External Storage \[Driver: [^]]+\] ")
TESTS = "External.Storage.*"


class Suite:
    """`definition`: what e2e.test is told of the driver. `except_for`: {regular expression: why these are not run}."""

    def __init__(self, cluster, definition, except_for):
        self.cluster, self.definition, self.except_for = cluster, pathlib.Path(definition), except_for

    def run(self, name, logs, focus="", leave_out=None, minutes=170):
        """Runs the specs that match `focus` and not `leave_out`; returns a Report. All that is said goes to LOGS/NAME.log."""
        logs = pathlib.Path(logs).resolve()
        report = logs / f"{name}.json"
        report.unlink(missing_ok=True)
        skips = [f"--skip={TESTS}(?:{pattern})" for pattern in [*self.except_for, leave_out] if pattern]
        words = [tool("ginkgo"), "run", f"--procs={os.environ.get('LCW_E2E_PROCS', '3')}", f"--timeout={minutes}m",
                 "--no-color", "--silence-skips", f"--output-dir={logs}", f"--json-report={report.name}",
                 f"--focus={TESTS}(?:{focus})", *skips, tool("e2e.test"), "--",
                 f"-kubeconfig={self.cluster.kubeconfig}", f"-kubectl-path={tool('kubectl')}", "-provider=skeleton",
                 f"-storage.testdriver={self.definition.resolve()}",
                 # A second node may be there, and cordoned.
                 "-allowed-not-ready-nodes=1"]
        with open(logs / f"{name}.log", "wb") as log:
            ginkgo = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=logs, start_new_session=True)
            try:
                ginkgo.wait(timeout=60 * minutes + 600)
            finally:
                # Its processes of e2e.test outlive it when it is ended.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(ginkgo.pid, signal.SIGKILL)
                ginkgo.wait()
        assert report.exists(), f"e2e.test ended without a report; see {logs}/{name}.log"
        return Report(json.loads(report.read_text(encoding="utf-8")), self.except_for)


class Report:
    """The specs by what became of them, each {name: reason}; names without what is the same in all."""

    def __init__(self, suites, except_for):
        self.passed, self.failed, self.skipped, self.excepted, self.seconds = {}, {}, {}, {}, {}
        self.broken_off = [reason for suite in suites for reason in suite.get("SpecialSuiteFailureReasons") or []]
        for spec in (spec for suite in suites for spec in suite["SpecReports"] or []):
            name = " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])
            message = (spec.get("Failure") or {}).get("Message", "")
            if not PREFIX.match(name):
                # What must be ready before the first spec, and after the last.
                if spec["State"] not in ("passed", "skipped", "pending"):
                    self.failed[name.strip() or spec["LeafNodeType"]] = message
                continue
            name = PREFIX.sub("", name)
            self.seconds[name] = spec["RunTime"] / 1e9
            ours = [reason for pattern, reason in except_for.items() if re.search(pattern, name)]
            if spec["State"] == "passed":
                self.passed[name] = ""
            elif spec["State"] != "skipped":
                self.failed[name] = message
            elif message:
                self.skipped[name] = message
            elif ours:
                self.excepted[name] = ours[0]

    def text(self):
        """For people: every spec, those that did not run with why."""
        lines = []
        for title in ("failed", "passed", "excepted", "skipped"):
            specs = getattr(self, title)
            lines.append(f"{title}: {len(specs)}")
            for name in sorted(specs):
                reason = " ".join(specs[name].split())[:400]
                lines.append(f"  {name}" + (f": {reason}" if reason else f" ({self.seconds[name]:.0f} s)"))
        return "\n".join(lines) + "\n"
