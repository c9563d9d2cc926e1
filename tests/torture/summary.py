#!/usr/bin/env python3
"""The one table at the end of scripts/torture.

Each part calls add() when it has ended, which appends a line to the file $LCW_SUMMARY (does nothing
without); `summary.py FILE` prints all lines as one table. Exit status 1 when something failed.
`summary.py --junit PART OPERATION RESULTS` adds the line of a run of pytest.
"""
import json
import os
import sys
import xml.etree.ElementTree

ROW = "{:<10} {:<22} {:>8} {:>9}  {}"


def add(part, operation, tried, failures, note=""):
    """part: kills, errors, power cuts, load, s3 or minio; tried: points, cuts, calls or tests."""
    path = os.environ.get("LCW_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps([part, operation, tried, failures, note]) + "\n")


def merged(rows):
    """Rows of the same part and operation (of other file systems, other errors) are one."""
    found = {}
    for part, operation, tried, failures, note in rows:
        row = found.setdefault((part, operation), [0, 0, []])
        row[0] += tried
        row[1] += failures
        row[2] += [note] if note and note not in row[2] else []
    return [(*key, tried, failures, "; ".join(notes)) for key, (tried, failures, notes) in found.items()]


def add_junit(part, operation, results):
    """Tests that pytest skipped were not tried."""
    cases = list(xml.etree.ElementTree.parse(results).iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    add(part, operation, len(cases) - skipped, failed, f"{skipped} skipped" if skipped else "")


def main():
    if sys.argv[1] == "--junit":
        add_junit(*sys.argv[2:5])
        return 0
    try:
        with open(sys.argv[1], encoding="utf-8") as lines:
            rows = merged(json.loads(line) for line in lines)
    except FileNotFoundError:
        rows = []
    print(ROW.format("part", "operation", "tried", "failures", ""))
    for row in rows:
        print(ROW.format(*row).rstrip())
    totals = merged((part, "all", tried, failures, "") for part, _, tried, failures, _ in rows)
    for row in totals:
        print(ROW.format(*row).rstrip())
    return 1 if not rows or any(row[3] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
