"""What the image is built from is named by its digest."""
import pathlib
import re

REPO = pathlib.Path(__file__).resolve().parents[2]
PINNED = r"\S+@sha256:[0-9a-f]{64}"


def bases(text):
    """What the FROM lines mean if no build argument is given; a stage of the file itself is none."""
    default = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.M))
    stages = re.findall(r"^FROM .* AS (\w+)$", text, re.M)
    named = re.findall(r"^FROM (?:--platform=\S+ )?(\S+)", text, re.M)
    resolved = [re.sub(r"\$\{?(\w+)\}?", lambda found: default.get(found.group(1), ""), name) for name in named]
    return [name for name in resolved if name not in [*stages, "scratch"]]


def test_every_base_is_pinned():
    found = bases((REPO / "Dockerfile").read_text())
    assert found and all(re.fullmatch(PINNED, name) for name in found), found


def test_no_workflow_builds_from_another_base():
    for workflow in (REPO / ".github/workflows").glob("*.yml"):
        given = re.findall(r"\bBASE=(\S+)", workflow.read_text())
        assert all(re.fullmatch(PINNED, name) for name in given), f"{workflow.name}: {given}"
