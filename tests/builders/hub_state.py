"""What the test Hub holds: repositories, commits, files, and a record of what was asked of it.

Speaks no HTTP (``hub_server`` does).
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LFS_SUFFIXES = (".parquet", ".safetensors")  # what the Hub's default .gitattributes sends to LFS


@dataclass(frozen=True, slots=True)
class Blob:
    """One version of one file."""

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        """The git object's name: of the file itself, or of the pointer that stands for it."""
        text = f"oid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()
        data = b"version https://git-lfs.github.com/spec/v1\n" + text if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        found = {"type": "file", "path": path, "oid": self.oid, "size": len(self.data)}
        if self.lfs:
            found["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": 134}
        return found


@dataclass(slots=True)
class Repo:
    """A repository: each commit is the whole tree after it."""

    kind: str  # model, dataset
    name: str  # owner/name
    private: bool
    commits: list[tuple[str, dict[str, Blob]]] = field(default_factory=list)

    def commit(self, files: dict[str, Blob]) -> str:
        sha = hashlib.sha1(f"{self.kind}{self.name}{len(self.commits)}".encode()).hexdigest()
        self.commits.append((sha, files))
        return sha

    def tree(self, revision: str) -> tuple[str, dict[str, Blob]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((c for c in self.commits if c[0] == revision), None)


@dataclass(slots=True)
class Hub:
    """The server's whole state, to look at in a test."""

    url: str
    token: str
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)  # by (kind, owner/name)
    objects: dict[str, bytes] = field(default_factory=dict)  # LFS, by sha256
    uploads: list[str] = field(default_factory=list)  # sha256 of each LFS object that came in
    created: list[dict[str, Any]] = field(default_factory=list)  # what repos/create was sent
    requests: list[tuple[str, str, int]] = field(default_factory=list)  # method, path, status
    refuse: dict[str, int] = field(default_factory=dict)  # pattern of "METHOD path" → status
    bodies: list[bytes] = field(default_factory=list)  # all that clients sent, in any request
    # pattern of "METHOD path" → what happens on this machine once, before that is answered
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)
    signature: str = field(default_factory=lambda: secrets.token_hex(8))  # of LFS upload addresses

    def add_repo(self, kind: str, name: str, *, private: bool, **files: bytes) -> Repo:
        repo = self.repos[kind, name] = Repo(kind, name, private)
        blobs = {path: Blob(data, path.endswith(LFS_SUFFIXES)) for path, data in files.items()}
        repo.commit({".gitattributes": Blob(b"*.parquet filter=lfs\n", lfs=False), **blobs})
        return repo

    def files(self, kind: str, name: str) -> dict[str, bytes]:
        """What a repository's main branch holds, without .gitattributes."""
        blobs = self.repos[kind, name].commits[-1][1]
        return {path: blob.data for path, blob in blobs.items() if path != ".gitattributes"}
