"""What is required of the images: each rule returns its complaints, and none if it is kept."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

Instruction = tuple[str, str]

EXACT = re.compile(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
"""An image with the three numbers of its version."""
SECRET = re.compile(r"(?i)passw|secret|token|credential|api_?key|private_?key")
"""In the name of a variable."""
SECRET_FILE = re.compile(r"(?i)(^|/)(\.env|\.netrc|id_rsa|secrets)\b|\.(pem|key)$")


def instructions(dockerfile: str) -> list[Instruction]:
    """Split a Dockerfile into its instructions, without comments, continued lines joined."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    pairs = [line.strip().partition(" ") for line in whole.splitlines() if line.strip()]
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def complaints(dockerfile: str, context: Path) -> list[str]:
    """All that is wrong with a Dockerfile whose build context is `context`."""
    said = instructions(dockerfile)
    return [
        *_bases(said),
        *_last_stage(said[max(n for n, (word, _) in enumerate(said) if word == "FROM") :]),
        *_commands(said),
        *_secrets(said),
        *_sources(said, context),
    ]


def _bases(said: list[Instruction]) -> Iterator[str]:
    bases = [rest.split()[0] for word, rest in said if word == "FROM"]
    yield from (f"{base} is not pinned" for base in bases if not EXACT.fullmatch(base))
    if len(bases) < 2:
        yield "one stage, in which whatever builds remains"


def _last_stage(said: list[Instruction]) -> Iterator[str]:
    users = [rest for word, rest in said if word == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        yield "the last user is root, or has no number"
    checks = [rest for word, rest in said if word == "HEALTHCHECK"]
    if not checks or checks[-1].upper() == "NONE":
        yield "no health check"
    if any(re.search(r"\b(g\+\+|gcc|gfortran|build-essential)", rest) for _, rest in said):
        yield "a compiler remains"


def _commands(said: list[Instruction]) -> Iterator[str]:
    for word, rest in said:
        if word == "ADD":
            yield "ADD, which fetches and unpacks; use COPY"
        if word == "RUN" and re.search(r"\b(curl|wget)\b", rest):
            yield "something is fetched that no package manager verifies"
        if word == "RUN" and "apt-get install" in rest:
            if "--no-install-recommends" not in rest:
                yield "apt-get without --no-install-recommends"
            if "rm -rf /var/lib/apt/lists/*" not in rest:
                yield "apt's lists remain"
        if word == "RUN" and rest.count("pip install") > rest.count("--no-cache-dir"):
            yield "pip's cache remains"


def _secrets(said: list[Instruction]) -> Iterator[str]:
    for word, rest in said:
        if word in {"ENV", "ARG"}:
            names = [each.partition("=")[0] for each in shlex.split(rest)]
            yield from (f"secret {name}" for name in names if SECRET.search(name))
        if word == "COPY":
            yield from (f"secret {path}" for path in _copied(rest) if SECRET_FILE.search(path))


def _sources(said: list[Instruction], context: Path) -> Iterator[str]:
    let_in = (context / ".dockerignore").read_text().splitlines()
    for word, rest in said:
        if word != "COPY" or "--from=" in rest:
            continue
        for path in _copied(rest):
            if not (context / path).exists():
                yield f"{path} is not there"
            parts = [path, *(str(each) for each in Path(path).parents)]
            if not any(f"!{each}" in let_in for each in parts):
                yield f"{path} is kept out by .dockerignore"


def _copied(rest: str) -> list[str]:
    return [each for each in shlex.split(rest) if not each.startswith("--")][:-1]
