"""The command lines of the documents as a shell reads them: blocks of commands, and commands in a sentence."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from helpers.executables import nodes

PACKAGE: Final = "hand_pose_ros"
DOCUMENTS: Final = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "models/*.md")
CHECKED: Final = (
    "hand_pose",
    *nodes(),
    "make",
    "ros2",
    "python",
    "pip",
    "tools/run",
    "colcon",
    "torchrun",
    "srun",
)
"""Programs whose command lines are checked."""
UNCHECKED: Final = (
    "sudo",
    "mkdir",
    "cd",
    "git",
    "source",
    ".",
    "rosdep",
    "touch",
    "export",
    "python3",
    "sbatch",
)
"""Programs that change the user's machine; they may stand beside those that are checked."""
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELLS: Final = ("", "sh", "bash", "console", "slurm")
_INLINE: Final = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_ASSIGNMENT: Final = re.compile(r"[A-Z_]+=")
_MAKE_VARIABLE: Final = re.compile(r"[A-Z]{3,}=\S*")
_LOOP: Final = re.compile(r"for (\w+) in (.+?); do\b")


_OF_SCHEDULER: Final = {"SLURM_ARRAY_TASK_ID": "1"}
"""Variables that job schedulers set."""


class DocumentedCommand(NamedTuple):
    """One command line.

    document: where it stands. words: as the shell passes them, with loops and braces unrolled.
    """

    document: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def documented_commands(repository: Path) -> list[DocumentedCommand]:
    """All commands of the documents, each once for each document."""
    found: dict[DocumentedCommand, None] = {}
    for pattern in DOCUMENTS:
        for path in sorted(repository.glob(pattern)):
            name = path.relative_to(repository).as_posix()
            for words in commands_in(path.read_text(encoding="utf-8")):
                found[DocumentedCommand(name, words)] = None
    return list(found)


def of_program(commands: Sequence[DocumentedCommand], *programs: str) -> list[DocumentedCommand]:
    """The commands of these programs, each once, without the `tools/run`, `ros2 run`, `srun` or `torchrun` that
    starts them.
    """
    found: dict[tuple[str, ...], DocumentedCommand] = {}
    for one in commands:
        words = one.words
        if words[0] == "tools/run":
            words = words[1:]
        elif words[:3] == ("ros2", "run", PACKAGE):
            words = words[3:]
        if words[0] == "srun":
            words = words[1:]
        if words[0] == "torchrun" and PACKAGE in words:
            words = ("hand_pose", *words[words.index(PACKAGE) + 1 :])
        if words and words[0] in programs:
            found.setdefault(words, one._replace(words=words))
    return list(found.values())


class ParsedError(Exception):
    """Ends a command after its arguments were read; ``options`` are what it read."""

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.options = options


def parsed_only(run: Callable[[], object]) -> argparse.Namespace:
    """The options that a command reads from its arguments, unabbreviated; what it does then is left out."""
    read = argparse.ArgumentParser.parse_args

    def parse_args(self: argparse.ArgumentParser, *arguments: Any, **given: Any) -> None:
        self.allow_abbrev = False
        raise ParsedError(read(self, *arguments, **given))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        with pytest.raises(ParsedError) as ended:
            run()
    return ended.value.options


def commands_in(text: str) -> Iterator[tuple[str, ...]]:
    """The words of each command of a document.

    Raises:
        ValueError: a line among commands runs a program that is neither checked nor left alone on purpose.
    """
    prose = text
    for match in _FENCE.finditer(text):
        prose = prose.replace(match.group(0), "")
        if match.group(1) in _SHELLS:
            yield from _block(match.group(2))
    for block in re.findall(r"(?:^    .*\n?)+", prose, re.MULTILINE):
        yield from _block(re.sub(r"^    ", "", block, flags=re.MULTILINE))
    prose = re.sub(r"^    .*$", "", prose, flags=re.MULTILINE)
    for inline in _INLINE.findall(prose):
        words = tuple(inline.split())
        if _MAKE_VARIABLE.fullmatch(inline):
            yield "make", inline
        elif words[0] in CHECKED and len(words) > 1:
            yield from _split(inline, {})


def _block(block: str) -> Iterator[tuple[str, ...]]:
    """The commands of a block; none if no line of it runs a program that is checked."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    commands = [words for line in _unrolled(lines) for words in _split(*line)]
    if not any(words[0] in CHECKED for words in commands):
        return
    for words in commands:
        if words[0] not in (*CHECKED, *UNCHECKED):
            raise ValueError(f"{words[0]!r} of {shlex.join(words)!r} is neither checked nor left alone")
        yield words


def _unrolled(lines: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each line with the variables that hold for it; lines of a loop once for each value."""
    variables: dict[str, str] = dict(_OF_SCHEDULER)
    loop: tuple[str, list[str]] | None = None
    for line in lines:
        bare = re.sub(r"(^|\s)# .*$|^#.*$", "", line).strip()
        if match := _LOOP.match(bare):
            loop = match.group(1), match.group(2).split()
        elif bare == "done":
            loop = None
        elif _ASSIGNMENT.match(bare):
            name, _, value = bare.partition("=")
            variables[name] = " ".join(shlex.split(value))
        elif bare and loop is not None:
            for value in loop[1]:
                yield bare, variables | {loop[0]: value}
        elif bare:
            yield bare, dict(variables)


def _split(line: str, variables: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The commands of a line, joined by '&&', without their '...'."""
    text = re.sub(r"\$(\w+)", lambda match: variables.get(match.group(1), match.group(0)), line)
    try:
        words = shlex.split(text)
    except ValueError:  # a sentence or a formula, not a command
        return
    command: list[str] = []
    for word in (*words, "&&"):
        if word != "&&":
            command += [one for one in _braces(word) if one != "..."]
        elif command:
            yield tuple(command)
            command = []


def _braces(word: str) -> list[str]:
    """``a{b,c}`` as bash expands it."""
    parts = re.split(r"\{([^{}]*,[^{}]*)\}", word)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(one) for one in product(*choices)]
