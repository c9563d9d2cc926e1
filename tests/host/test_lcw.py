"""lcw where no mapping is needed: on closed volumes, its manual, and its completion."""
import json
import os
import pty
import pathlib
import re
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
LCW = os.path.join(os.environ["LCW_BUILD"], "lcw")
OLD, NEW = "correct horse", "battery staple"


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture
def lcw(tmp_path):
    def call(*words, secret=None, new=None, status=0):
        """secret: on standard input; new: for --new-passphrase-fd; status None: any."""
        pipes = []
        if secret is not None:
            words = (*words, "--passphrase-fd=0")
        if new is not None:
            read_end, write_end = os.pipe()
            os.write(write_end, new.encode())
            os.close(write_end)
            pipes.append(read_end)
            words = (*words, "--new-passphrase-fd", str(read_end))
        done = run(LCW, *words, f"--state-dir={tmp_path}/state", f"--run-dir={tmp_path}/run",
                   "--node-id=node-a", f"--local-path={tmp_path}/data", input=secret or "",
                   pass_fds=pipes)
        for pipe in pipes:
            os.close(pipe)
        assert status in (done.returncode, None), f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        assert "ERROR: AddressSanitizer" not in done.stderr
        for shown in (done.stdout, done.stderr):
            assert OLD not in shown and NEW not in shown
        return done.stdout + done.stderr
    return call


def image_of_the_go_driver(folder, name, passphrase=OLD):
    path = folder / name / f"luks-{name}.img"
    path.parent.mkdir(parents=True)
    with open(path, "wb") as out:
        out.truncate(32 << 20)
    done = run("cryptsetup", "luksFormat", "-q", "--type=luks2", "--pbkdf=pbkdf2",
               "--pbkdf-force-iterations=1000", "--key-file=-", str(path), input=passphrase)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def image(tmp_path, lcw):
    """An image of the driver's predecessor, taken over: a closed volume without any device-mapper."""
    path = image_of_the_go_driver(tmp_path / "data", "pvc-1")
    assert "is adopted" in lcw("volume", "adopt", "pvc-1", secret=OLD)
    return path


def backup_of(image):
    return image.parent / "luks-header.backup"


def test_what_is_wrong_is_told_with_what_mends_it(lcw, image):
    found = json.loads(lcw("volume", "check", "pvc-1", "-o", "json", status=3))
    wrong = [f for f in found["findings"] if f["result"] == "WRONG"]
    assert not found["good"] and [f["what"] for f in wrong] == ["backup"]
    lcw(*wrong[0]["mend"].split()[1:])
    assert backup_of(image).stat().st_mode & 0o777 == 0o600
    assert "WRONG" not in lcw("volume", "check", "pvc-1")

    with open(image, "r+b") as out:
        out.write(bytes(16 << 20))
    found = json.loads(lcw("volume", "check", "pvc-1", "-o", "json", status=3))
    mend = [f["mend"] for f in found["findings"] if f["result"] == "WRONG"]
    assert mend == ["lcw volume restore-header pvc-1"]
    blank = image.read_bytes()[:16 << 20]
    assert "does not open" in lcw("volume", "restore-header", "pvc-1", secret="wrong", status=1)
    assert image.read_bytes()[:16 << 20] == blank
    assert "from its backup" in lcw("volume", "restore-header", "pvc-1", secret=OLD)
    assert "WRONG" not in lcw("volume", "check", "pvc-1")
    assert "nothing to restore" in lcw("volume", "restore-header", "pvc-1", secret=OLD)


def test_the_passphrase_is_tried_and_changed(lcw, image):
    lcw("volume", "backup-header", "pvc-1")
    assert lcw("volume", "unlock-test", "pvc-1", secret=OLD).count(" opens") == 2
    assert lcw("volume", "unlock-test", "pvc-1", secret=NEW, status=3).count("does not open") == 2
    assert "unknown time" in lcw("volume", "show", "pvc-1")
    lcw("volume", "rotate-key", "pvc-1", secret=OLD, new=OLD, status=2)
    lcw("volume", "rotate-key", "pvc-1", secret="wrong", new=NEW, status=1)
    lcw("volume", "rotate-key", "pvc-1", secret=OLD, new=NEW)
    lcw("volume", "unlock-test", "pvc-1", secret=OLD, status=3)
    assert lcw("volume", "unlock-test", "pvc-1", secret=NEW).count(" opens") == 2
    assert "0 days ago" in lcw("volume", "show", "pvc-1")
    assert "1 keyslot," in lcw("volume", "check", "pvc-1")


def test_a_node_is_taken_over(lcw, tmp_path):
    data = tmp_path / "data"
    for name, passphrase in (("pvc-a", OLD), ("pvc-b", OLD), ("pvc-other", NEW)):
        image_of_the_go_driver(data, name, passphrase)
    (data / "pvc-blank").mkdir()
    (data / "pvc-blank" / "luks-pvc-blank.img").write_bytes(bytes(1 << 20))
    (data / "not-a-volume").mkdir()
    before = {path: path.read_bytes() for path in data.glob("*/*.img")}
    report = json.loads(lcw("node", "adopt", "-o", "json", secret=OLD, status=3))["findings"]
    assert [(f["text"].split("'")[1], f["result"]) for f in report] == \
        [("pvc-a", "ok"), ("pvc-b", "ok"), ("pvc-blank", "WRONG"), ("pvc-other", "WRONG")]
    assert "lcw node adopt" in lcw("node", "doctor", status=None)
    lcw("node", "adopt", secret=NEW, status=3)
    assert lcw("volume", "list", "-o", "name").split() == ["pvc-a", "pvc-b", "pvc-other"]
    assert {path: path.read_bytes() for path in before} == before
    (data / "pvc-blank" / "luks-pvc-blank.img").unlink()
    assert "nothing is to be adopted" in lcw("node", "adopt", secret=OLD)


def dump_volume_key(header):
    """Of a header with the passphrase OLD; cryptsetup says it, not the code under test."""
    return run("cryptsetup", "luksDump", "--batch-mode", "--dump-volume-key", "--key-file=-",
               str(header), input=OLD).stdout.split("MK dump:")[1]


def reencrypt_at_a_terminal(tmp_path, *options):
    """Started with a terminal as its standard error: the process, and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([LCW, "volume", "reencrypt", "pvc-1", "--passphrase-fd=0", *options,
                                f"--state-dir={tmp_path}/state", f"--run-dir={tmp_path}/run",
                                "--node-id=node-a"], stdin=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    process.stdin.write(OLD.encode())
    process.stdin.close()
    return process, ours


def read_until(terminal, words):
    text = b""
    while words not in text:
        text += os.read(terminal, 4096)
    return text.decode()


def test_the_volume_key_is_replaced_killed_and_not(lcw, image, tmp_path):
    lcw("volume", "backup-header", "pvc-1")
    with open(image, "r+b") as out:
        out.truncate((16 + 64) << 20)
    record = json.loads((image.parent / "volume.json").read_text())
    record["capacityBytes"] = 64 << 20
    (image.parent / "volume.json").write_text(json.dumps(record))
    old_key, data = dump_volume_key(backup_of(image)), image.read_bytes()[16 << 20:]
    assert "does not open" in lcw("volume", "reencrypt", "pvc-1", secret="wrong", status=1)
    assert "--rate" in lcw("volume", "reencrypt", "pvc-1", "--rate=fast", secret=OLD, status=2)

    process, terminal = reencrypt_at_a_terminal(tmp_path, "--rate=8Mi")
    shown = read_until(terminal, b" 25%")
    process.kill()
    process.wait()
    os.close(terminal)
    assert "pvc-1 [" in shown and "s left" in shown and OLD not in shown
    found = json.loads(lcw("volume", "check", "pvc-1", "-o", "json"))
    assert "lcw volume reencrypt pvc-1" in [one["mend"] for one in found["findings"]]
    for words, secrets in ((("expand", "pvc-1", "96Mi"), {}),
                           (("rotate-key", "pvc-1"), {"secret": OLD, "new": NEW})):
        assert "lcw volume reencrypt pvc-1" in lcw("volume", *words, **secrets, status=1)

    process, terminal = reencrypt_at_a_terminal(tmp_path, "--rate=8Mi")
    read_until(terminal, b" 50%")
    process.terminate()
    assert "goes on" in read_until(terminal, b"cannot be staged")
    os.close(terminal)
    assert process.wait() == 1

    assert "is replaced" in lcw("volume", "reencrypt", "pvc-1", secret=OLD)
    assert dump_volume_key(image) == dump_volume_key(backup_of(image)) != old_key
    now = image.read_bytes()[16 << 20:]
    assert all(now[at:at + 4096] != data[at:at + 4096] for at in range(0, 64 << 20, 4096))
    assert "WRONG" not in lcw("volume", "check", "pvc-1")
    assert sorted(os.listdir(image.parent)) == ["luks-header.backup", image.name, "volume.json"]


def test_a_closed_volume_grows(lcw, image):
    assert "as soon as it is staged" in lcw("volume", "expand", "pvc-1", "24Mi")
    assert image.stat().st_size == (16 + 24) << 20
    lcw("volume", "expand", "pvc-1", "1Mi", status=2)
    lcw("volume", "expand", "pvc-1", "much", status=2)


def test_a_volume_is_found_without_the_store(lcw, image, tmp_path):
    os.remove(tmp_path / "state" / "volumes" / "pvc-1.json")
    assert "pvc-1" not in lcw("volume", "list")
    assert "formatted" in lcw("volume", "show", "pvc-1")
    lcw("volume", "unlock-test", "pvc-1", secret=OLD, status=3)  # there is no backup yet
    assert "the store does not know" in lcw("node", "doctor", status=None)


def test_the_doctor_sees_what_thin_volumes_may_still_take(lcw, image):
    assert "thin volumes" not in lcw("node", "doctor", status=None)
    os.truncate(image, 1 << 43)
    assert "thin volumes may still take" in lcw("node", "doctor", status=3)


def test_a_busy_volume_is_status_4(lcw, image, tmp_path):
    holder = subprocess.Popen(["flock", str(image.parent), "sleep", "60"])
    try:
        for _ in range(100):
            if run("flock", "-n", str(image.parent), "true").returncode:
                break
        lcw("volume", "check", "pvc-1", status=4)
    finally:
        holder.kill()
        holder.wait()


def test_nothing_is_asked_without_a_terminal(lcw, image):
    assert "no terminal" in lcw("volume", "unlock-test", "pvc-1", status=2)
    assert "two descriptors" in lcw("volume", "rotate-key", "pvc-1", "--new-passphrase-fd=0",
                                    secret=OLD, status=2)


def test_the_doctor_answers_anywhere(lcw):
    done = run(LCW, "node", "doctor", "-o", "json", "--state-dir=/nowhere/state",
               "--run-dir=/nowhere/run")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["good"] else 3)
    assert {f["what"] for f in found["findings"]} >= {"kernel", "dm-crypt", "loop", "ext tools",
                                                      "libcryptsetup", "kubelet"}
    for one in found["findings"]:
        assert one["result"] in ("ok", "note", "WRONG") and one["text"]


def commands():
    """[(group, name)] and the options, as --help has them."""
    text = run(LCW, "--help").stdout
    return (re.findall(r"^  (\w+) ([\w-]+)", text, re.M),
            re.findall(r"^  (--[\w-]+=?)\S* ", text, re.M))


@pytest.mark.parametrize("page", ["lcw.8", "lukscryptwalker-csi.8"])
def test_the_manual_is_clean_and_names_every_option(page):
    done = run("groff", "-man", "-ww", "-z", "-Tutf8", str(REPO / "man" / page))
    assert (done.returncode, done.stderr) == (0, "")
    done = run("man", "--warnings", "-l", "-Tutf8", str(REPO / "man" / page),
               env={**os.environ, "LC_ALL": "C.UTF-8", "MANPAGER": "cat", "MANWIDTH": "200"})
    assert (done.returncode, done.stderr) == (0, "")
    text = re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout).replace("\u2010", "-").replace("\u2212", "-")
    binary = LCW if page == "lcw.8" else os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi")
    options = re.findall(r"^  (--[\w-]+)", run(binary, "--help").stdout, re.M)
    assert len(options) > 5
    for option in options:
        assert option in text, f"{option} is not in {page}"
    if page == "lcw.8":
        for group, name in commands()[0]:
            assert f"{group} {name}" in text, f"`{group} {name}` is not in {page}"


def completes(line, tmp_path):
    """What bash offers after these words."""
    words = line.split(" ")
    script = tmp_path / "lcw.bash"
    script.write_text(run(LCW, "completion", "bash").stdout)
    text = f"""
        lcw() {{ printf 'pvc-1\\npvc-2\\n'; }}
        . {script}
        COMP_WORDS=({' '.join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words) - 1}
        _lcw
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = run("bash", "-u", "-c", text)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_options_and_volumes(tmp_path):
    names, options = commands()
    assert set(completes("lcw ", tmp_path)) == {group for group, _ in names}
    assert set(completes("lcw volume ", tmp_path)) == {n for g, n in names if g == "volume"}
    assert completes("lcw volume sh", tmp_path) == ["show"]
    assert completes("lcw volume check pvc-", tmp_path) == ["pvc-1", "pvc-2"]
    assert completes("lcw -o", tmp_path) == ["-o"]
    assert set(completes("lcw volume list -o ", tmp_path)) == {"table", "json", "name"}
    assert "--wait" in options and "--run-dir=" in options
    assert set(options) - {"--version"} <= set(completes("lcw volume list --", tmp_path))


def test_zsh_and_fish_complete_too(tmp_path):
    zsh = tmp_path / "_lcw"
    zsh.write_text(run(LCW, "completion", "zsh").stdout)
    assert run("zsh", "-n", str(zsh)).stderr == ""
    done = run("zsh", "-f", "-c", f"""
        compdef() {{ }}; compadd() {{ print -l -- "$@"; }}
        _describe() {{ print -l -- $choices; }}
        lcw() {{ print -l pvc-1 pvc-2; }}
        . {zsh}
        words=(lcw volume ''); CURRENT=3; _lcw
        words=(lcw volume check ''); CURRENT=4; _lcw
        words=(lcw volume list --r); CURRENT=4; _lcw""")
    assert done.stderr == "" and "restore-header:bring back" in done.stdout
    assert "pvc-2" in done.stdout and "--run-dir=" in done.stdout
    fish = tmp_path / "lcw.fish"
    fish.write_text(run(LCW, "completion", "fish").stdout)
    done = run("fish", "--private", "-c", f"""
        function lcw; printf 'pvc-1\\npvc-2\\n'; end
        source {fish}
        complete -C 'lcw volume re'; complete -C 'lcw volume check '; complete -C 'lcw --run'""",
               env={**os.environ, "HOME": str(tmp_path)})
    assert "restore-header" in done.stdout and "pvc-2" in done.stdout and "--run-dir" in done.stdout
