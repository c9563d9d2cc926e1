#!/usr/bin/env python3
"""archive OUT NAME ROOT [KEY=VALUE]...: a folder or a tar as an image of one layer, in the form that `docker save`
writes and containerd imports. KEY is of an image's configuration: Entrypoint and Env are words split at spaces."""
import hashlib
import io
import json
import os
import sys
import tarfile


def layer_of(root):
    if os.path.isfile(root):
        with open(root, "rb") as content:
            return content.read()
    made = io.BytesIO()

    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in sorted(os.listdir(root)):
            tar.add(f"{root}/{name}", name, filter=plain)
    return made.getvalue()


def main():
    out, name, root, *settings = sys.argv[1:]
    settings = dict(setting.split("=", 1) for setting in settings)
    for key in {"Entrypoint", "Cmd", "Env"} & set(settings):
        settings[key] = settings[key].split(" ")
    layer = layer_of(root)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": settings, "created": "1970-01-01T00:00:00Z", "rootfs": {
        "type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}).encode()
    key = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{key}.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(f"{out}.part", "w") as tar:
        for path, content in (("layer.tar", layer), (f"{key}.json", config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    os.replace(f"{out}.part", out)


main()
