#!/usr/bin/env python3
"""The one table at the end of scripts/torture.

What was tried is a line of the file $LCW_SUMMARY (without it nothing is written): one line for each
point of a walk as soon as it is known, so that a run that breaks off has told of them and a later
one need not try them again; one or more for each other part when it has ended.
`summary.py FILE` prints all lines as one table; exit status 1 when something failed.
`summary.py --has PART FILE`: whether that part has ended in it.
`summary.py --junit PART OPERATION RESULTS` and `--fuzz RESULTS` add what pytest and scripts/fuzz did.
"""
import json
import os
import sys
import xml.etree.ElementTree

ROW = "{:<10} {:<24} {:>10} {:>9}  {}"


def add(part, operation, tried, failures, note="", key=""):
    """part: kills, errors, power cuts, load, s3, minio or fuzz; tried: points, cuts, calls, tests or
    inputs; key: the name of a point."""
    path = os.environ.get("LCW_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write("\n" + json.dumps([part, operation, tried, failures, note, key]) + "\n")


def lines_of(path):
    """A machine that was stopped may have left half a line; the next one begins with a new one."""
    try:
        with open(path, encoding="utf-8") as text:
            return [json.loads(line) for line in text if line.endswith("]\n")]
    except FileNotFoundError:
        return []


def known_points(part):
    """The keys of the points that this run, or the one that it goes on with, has tried."""
    return {line[5] for line in lines_of(os.environ.get("LCW_SUMMARY", "")) if line[0] == part and line[5]}


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


def add_fuzz(results):
    """Lines of scripts/fuzz: pass or fail, the target, the number of inputs or what was found."""
    inputs, crashed, targets = 0, [], 0
    with open(results, encoding="utf-8") as text:
        for outcome, name, what in (line.rstrip("\n").split("\t", 2) for line in text):
            targets += 1
            inputs += int(what.split(" ")[0]) if outcome == "pass" and what[:1].isdigit() else 0
            crashed += [name] if outcome != "pass" else []
    add("fuzz", "inputs", inputs, len(crashed), "; ".join([f"{targets} targets", *crashed]))


def main():
    if sys.argv[1] == "--has":
        return 0 if any(line[0] == sys.argv[2] for line in lines_of(sys.argv[3])) else 1
    if sys.argv[1] == "--junit":
        add_junit(*sys.argv[2:5])
        return 0
    if sys.argv[1] == "--fuzz":
        add_fuzz(sys.argv[2])
        return 0
    rows = merged(line[:5] for line in lines_of(sys.argv[1]))
    print(ROW.format("part", "operation", "tried", "failures", ""))
    for row in rows:
        print(ROW.format(*row).rstrip())
    totals = merged((part, "all", tried, failures, "") for part, _, tried, failures, _ in rows)
    for row in totals:
        print(ROW.format(*row).rstrip())
    return 1 if not rows or any(row[3] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
