"""A small Hub on loopback for the real client: repositories, commits, LFS, downloads, and refusals.

Keeps everything in memory and has one user with one token. No xet, no pull requests, no branches
other than main. Clients should run in a process of their own (see ``run_client``), because
huggingface_hub and datasets read HF_ENDPOINT when they are imported.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.builders.hub_state import LFS_SUFFIXES, Blob, Hub, Repo

USER = "ada"

# Not shaped like a key on purpose: it must be kept out by its value, not by its looks.
TOKEN = "canary.of.the.hub.token.0123456789"


@contextmanager
def hub_server(token: str = TOKEN) -> Iterator[Hub]:
    """A running Hub whose only user is USER, known by ``token``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = server.hub = Hub(f"http://127.0.0.1:{server.server_port}", token)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_client(
    code: str, hub: Hub | str, home: Path, *, token: str | None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process that knows this Hub, an empty cache and at most one token."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env = clean | {
        "HF_ENDPOINT": hub if isinstance(hub, str) else hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "NO_PROXY": "127.0.0.1",
    }
    if token is not None:
        env["HF_TOKEN"] = token
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=timeout_s
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass  # requests are kept in Hub.requests instead

    def setup(self) -> None:
        super().setup()
        self.hub = self.server.hub  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.bodies.append(body)
        for pattern in [p for p in self.hub.meanwhile if re.search(p, f"{self.command} {path}")]:
            self.hub.meanwhile.pop(pattern)()
        for pattern, status in self.hub.refuse.items():
            if re.search(pattern, f"{self.command} {path}"):
                # the worst kind of server: it tells the secret it was sent to everybody
                secret = self.hub.token
                self._say(status, {"error": f"refused: {secret}"}, {"X-Error-Message": secret})
                return
        if " //" in self.requestline:  # http.server would forgive it, the Hub does not
            self._missing("EntryNotFound")
            return
        for pattern, handle in _ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                handle(self, body, **found.groupdict())
                return
        self._missing("EntryNotFound")

    def _say(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.hub.requests.append((self.command, urlsplit(self.path).path, status))
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, text)
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that gave up in the middle
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    def _missing(self, code: str) -> None:
        self._say(404, {"error": code}, {"X-Error-Code": code})

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _repo(self, kind: str, name: str, *, write: bool = False) -> Repo | None:
        """The repository, if this client may see it; else the refusal is already sent."""
        repo = self.hub.repos.get((kind, name))
        if repo is None or ((repo.private or write) and not self._known()):
            status = 404 if self._known() else 401  # the Hub hides what it does not show
            self._say(status, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repo

    def _tree(self, kind: str, name: str, revision: str) -> tuple[str, dict[str, Blob]] | None:
        repo = self._repo(kind, name)
        found = repo.tree(revision) if repo else None
        if repo and not found:
            self._missing("RevisionNotFound")
        return found

    def whoami(self, body: bytes) -> None:
        found = {"type": "user", "name": USER, "auth": {"type": "access_token"}}
        self._say(200, found) if self._known() else self._say(401, {"error": "Invalid token"})

    def create(self, body: bytes) -> None:
        if not self._known():
            self._say(401, {"error": "Invalid username or password."})
            return
        asked = json.loads(body)
        owner, kind = asked.get("organization") or USER, asked.get("type") or "model"
        name = f"{owner}/{asked['name']}"
        url = f"{self.hub.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if owner != USER:
            self._say(403, {"error": f"You don't have the rights to create under {owner}"})
        elif (kind, name) in self.hub.repos:
            self._say(409, {"error": "You already created this repo", "url": url})
        else:
            private = asked.get("private", asked.get("visibility") == "private")
            self.hub.created.append({"name": name, "type": kind, "private": private})
            self.hub.add_repo(kind, name, private=private)
            self._say(200, {"url": url, "name": name})

    def validate_yaml(self, body: bytes) -> None:
        text = json.loads(body)["content"]
        try:
            ok = isinstance(yaml.safe_load(text.split("---\n")[1]), dict)
        except (IndexError, yaml.YAMLError):
            ok = False
        errors = [] if ok else [{"message": "no valid metadata"}]
        self._say(200 if ok else 400, {"errors": errors, "warnings": []})

    def info(self, body: bytes, kind: str, name: str, revision: str | None = None) -> None:
        if (found := self._tree(kind, name, revision or "main")) is None:
            return
        sha, files = found
        private = self.hub.repos[kind, name].private
        siblings = [{"rfilename": path} for path in files]
        known = {"id": name, "sha": sha, "private": private, "siblings": siblings, "tags": []}
        self._say(200, known | {"downloads": 0, "likes": 0, "gated": False, "disabled": False})

    def tree(self, body: bytes, kind: str, name: str, revision: str, under: str | None) -> None:
        if (found := self._tree(kind, name, revision)) is None:
            return
        root = f"{under.strip('/')}/" if under else ""
        deep = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        entries: dict[str, dict[str, Any]] = {}
        for path, blob in found[1].items():
            head, slash, _ = path.removeprefix(root).partition("/")
            if path.startswith(root) and (deep or not slash):
                entries[path] = blob.entry(path)
            elif path.startswith(root):
                entries[root + head] = {"type": "directory", "path": root + head, "oid": "0" * 40}
        self._say(200, list(entries.values())) if entries else self._missing("EntryNotFound")

    def paths_info(self, body: bytes, kind: str, name: str, revision: str) -> None:
        if (found := self._tree(kind, name, revision)) is None:
            return
        paths = parse_qs(body.decode()).get("paths", [])
        files = [found[1][path].entry(path) for path in paths if path in found[1]]
        folders = [p for p in paths if any(f.startswith(f"{p}/") for f in found[1])]
        self._say(200, files + [{"type": "directory", "path": p, "oid": "0" * 40} for p in folders])

    def preupload(self, body: bytes, kind: str, name: str, revision: str) -> None:
        if (repo := self._repo(kind, name, write=True)) is None:
            return
        held = repo.commits[-1][1]
        files = [
            {
                "path": path,
                "uploadMode": "lfs" if path.endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
                "oid": held[path].oid if path in held else None,
            }
            for path in (file["path"] for file in json.loads(body)["files"])
        ]
        self._say(200, {"files": files})

    def lfs_batch(self, body: bytes, folder: str | None, name: str) -> None:
        if self._repo("dataset" if folder else "model", name, write=True) is None:
            return
        objects = json.loads(body)["objects"]
        for item in objects:
            if item["oid"] not in self.hub.objects:
                put = f"{self.hub.url}/lfs/{self.hub.signature}/{item['oid']}"
                verify = {"href": f"{self.hub.url}/lfs/verify"}
                item["actions"] = {"upload": {"href": put}, "verify": verify}
        self._say(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, body: bytes, signature: str, oid: str) -> None:
        if signature != self.hub.signature or hashlib.sha256(body).hexdigest() != oid:
            self._say(403, {"error": "wrong signature or content"})
            return
        self.hub.objects[oid] = body
        self.hub.uploads.append(oid)
        self._say(200, {})

    def lfs_verify(self, body: bytes) -> None:
        asked = json.loads(body)
        held = self.hub.objects.get(asked["oid"], b"")
        self._say(200 if self._known() and len(held) == asked["size"] else 404, {})

    def commit(self, body: bytes, kind: str, name: str, revision: str) -> None:
        if (repo := self._repo(kind, name, write=True)) is None:
            return
        parent, files = repo.commits[-1]
        files = dict(files)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit") not in (None, parent):
                self._say(412, {"error": "the branch has moved"})
                return
            if line["key"] == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), lfs=False)
            elif line["key"] == "lfsFile":
                files[value["path"]] = Blob(self.hub.objects[value["oid"]], lfs=True)
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(files)
        self._say(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha})

    def resolve(self, body: bytes, folder: str | None, name: str, revision: str, file: str) -> None:
        found = self._tree("dataset" if folder else "model", name, revision)
        if found is None:
            return
        sha, files = found
        if file not in files:
            self._missing("EntryNotFound")
            return
        blob = files[file]
        headers = {"ETag": f'"{blob.sha256 if blob.lfs else blob.oid}"', "X-Repo-Commit": sha}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            self._say(200, blob.data, headers | {"Accept-Ranges": "bytes"})
            return
        first, last = int(wanted[1]), min(int(wanted[2] or 1 << 62), len(blob.data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(blob.data)}"
        self._say(206, blob.data[first : last + 1], headers)


_API = r"/api/(?P<kind>model|dataset)s/(?P<name>[^/]+/[^/]+)"
_GIT = r"/(?P<folder>datasets/)?(?P<name>[^/]+/[^/]+)"
_ROUTES: list[tuple[str, Any]] = [
    (r"GET /api/whoami-v2", _Handler.whoami),
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate_yaml),
    (rf"GET {_API}", _Handler.info),
    (rf"GET {_API}/revision/(?P<revision>[^/]+)", _Handler.info),
    (rf"GET {_API}/tree/(?P<revision>[^/]+)(?P<under>/.*)?", _Handler.tree),
    (rf"POST {_API}/paths-info/(?P<revision>[^/]+)", _Handler.paths_info),
    (rf"POST {_API}/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    (rf"POST {_API}/commit/(?P<revision>[^/]+)", _Handler.commit),
    (rf"POST {_GIT}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (r"PUT /lfs/(?P<signature>\w+)/(?P<oid>\w+)", _Handler.lfs_put),
    (r"POST /lfs/verify", _Handler.lfs_verify),
    (rf"(GET|HEAD) {_GIT}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", _Handler.resolve),
]
