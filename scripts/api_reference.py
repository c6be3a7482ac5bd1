"""docs/reference/api.md, from the code: `python -m scripts.api_reference > docs/reference/api.md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from typing import Literal, NamedTuple, get_args, get_origin

import memaudit as ma
from memaudit.report.model import Finding
from memaudit.report.model.figures import Part
from memaudit.report.model.report import ReportOf

_HEAD = """# The Python API

Written by `python -m scripts.api_reference` from the code; a test holds the two together, and runs every example.
[From images to a verdict in Python](../how-to/python.md) shows them at work.

`import memaudit as ma` loads nothing; a name is loaded when it is first used. An option is called as that of the
command (`--match-from`, `match_from`), whose [page](../index.md#how-to) explains it. For all functions:

- A store is its folder (`AnyStore`), what made it, or what `ma.open_store` opened; a report (`AnyReport`) is a
  report.json or the run that has one.
- Given `out`, the files are those of the command, but for its words. Without it a run lies in a temporary folder,
  which is there as long as its result: `.write(folder)` keeps it.
- Results are frozen. What is columnar has `.to_arrow()`; what a reader must know is in `.warnings`.
- `progress(stage, done, total)` is called now and then, total 0: unknown. Nothing is printed.
- Errors are those of `memaudit.errors`, with one line that says what to do: UsageError, InputError,
  InconclusiveError, MissingDependencyError.

"""
_ORDER = (
    *(
        "stores",
        "hosts",
        "indexes",
        "deduping",
        "exporting",
        "reweighting",
        "calibrating",
        "planning",
        "costing",
        "prompting",
        "page_choices",
        "auditing",
        "extracting",
        "searching",
        "filtering",
        "looking_up",
        "guarding",
        "claims",
        "claim_ledger",
        "facing",
        "reviewing",
        "review_page",
        "gating",
        "starting",
        "releasing",
        "canaries",
        "canary_keys",
        "bundles",
    ),
    *("comparing", "history", "runs", "findings", "tables", "encoding", "encoders", "inspecting"),
)
_BESIDES = "What results are made of"
_HIDDEN = ("scratch",)  # fields that are nobody's business


class Names:
    """The public names, and the classes of memaudit that these return, derive from or hold."""

    @cached_property
    def public(self) -> dict[str, object]:
        return {name: getattr(ma, name) for name in ma.__all__ if name != "errors"}

    @cached_property
    def besides(self) -> list[type]:
        found: list[type] = []
        waiting = [each for given in self.public.values() for each in reached(given)]
        while waiting:
            each = waiting.pop(0)
            if each not in found and each not in self.public.values() and not issubclass(each, Part):
                found.append(each)
                waiting += reached(each) if fields_of(each) else []
        return sorted(found, key=lambda each: each.__name__)

    @cached_property
    def homes(self) -> dict[str, list[object]]:
        """Title of a section: its entries, functions first."""
        homes: dict[str, list[object]] = {}
        modules = [f"memaudit.api.{name}" for name in _ORDER]
        for module in modules:
            members = [each for each in (*self.public.values(), *self.besides) if home_of(each) == module]
            title = str(sys.modules[module].__doc__).splitlines()[0].partition(":")[0].rstrip(".")
            homes[title] = sorted(members, key=inspect.isclass)
        everything = sorted((*self.public.values(), *self.besides), key=name_of)
        homes[_BESIDES] = [each for each in everything if home_of(each) not in modules]
        return homes

    def linked(self, annotation: str, kind: type) -> str:
        """A type in words, as class `kind` has it, with a link where there is something to read."""

        def link(word: re.Match[str]) -> str:
            meant = meaning_of(word[0], kind)
            if get_origin(meant) is Literal:
                return " or ".join(f"`{value!r}`" for value in get_args(meant))
            target = self._target(meant)
            return f"[{word[0]}]({target})" if target else word[0]

        return re.sub(r"(?<!\.)\b[A-Z]\w+", link, annotation.replace(" | ", " or "))

    def _target(self, meant: object) -> str | None:
        if get_origin(meant) is ReportOf or meant is Finding:
            return "report.md"
        if inspect.isclass(meant) and issubclass(meant, Part):
            return f"report.md#{meant.__name__.lower()}"
        return f"#{name_of(meant).lower()}" if meant in (*self.public.values(), *self.besides) else None


def page() -> str:
    """The page as Markdown."""
    names = Names()
    parts = [part for title, members in names.homes.items() for part in _section(title, members, names)]
    return "\n".join([_HEAD.rstrip("\n"), "", *_contents(names.homes), *parts])


def _contents(homes: Mapping[str, list[object]]) -> Iterator[str]:
    yield "| | |\n|---|---|"
    for title, members in homes.items():
        yield f"| {title} | {', '.join(f'[{name_of(each)}](#{name_of(each).lower()})' for each in members)} |"
    yield ""


def _section(title: str, members: list[object], names: Names) -> Iterator[str]:
    yield f"## {title}\n"
    for each in members:
        yield f"### {name_of(each)}\n"
        yield from _class(each, names) if inspect.isclass(each) else _function(each)


def _function(function: object) -> Iterator[str]:
    doc = Doc.of(function, {*inspect.signature(function).parameters})  # type: ignore[arg-type]
    yield f"```python\n{call_of(function)}\n```\n"
    yield from doc.before
    if doc.meanings:
        yield "\n".join(f"- `{each.replace(', ', '`, `')}`: {means}" for each, means in doc.meanings.items()) + "\n"
    yield from doc.after


def _class(kind: type, names: Names) -> Iterator[str]:
    doc = Doc.of(kind, {*fields_of(kind)})
    base = next((each for each in kind.__mro__[1:] if each in names.besides), None)
    yield from (*doc.before, *doc.after)
    if base:
        yield f"Besides what [{base.__name__}](#{base.__name__.lower()}) has:\n"
    meanings = {name: means for each, means in doc.meanings.items() for name in each.split(", ")}
    rows = [*_rows(kind, base, meanings, names)]
    if rows:
        yield "\n".join(["| | type | |\n|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""])


def _rows(kind: type, base: type | None, meanings: Mapping[str, str], names: Names) -> Iterator[tuple[str, str, str]]:
    """Values of an enumeration, fields, properties and methods; not those of the base."""
    if issubclass(kind, Enum):
        yield from ((f"`{each.name}`", f"`{each.value!r}`", "") for each in kind)
    for name, annotation in fields_of(kind).items():
        if not (base and name in fields_of(base)) and name not in _HIDDEN:
            yield f"`{name}`", names.linked(annotation, kind), meanings.get(name, "").replace("|", r"\|")
    for name, member in own(kind, base):
        function = getter_of(member) or member
        call = name if getter_of(member) else f"{name}({', '.join(parameters_of(function))})"
        yield f"`{call}`", names.linked(returned(function), kind), first_paragraph(member)


class Doc(NamedTuple):
    """A docstring: prose before and after what parameters or fields (one or more, "a, b") mean."""

    before: list[str]
    meanings: dict[str, str]
    after: list[str]

    @classmethod
    def of(cls, given: object, known: set[str]) -> Doc:
        """`out: where to. threshold: cosine.` is a list of meanings, if the names are known."""
        doc = cls([], {}, [])
        for paragraph in inspect.cleandoc(getattr(given, "__doc__", None) or "").split("\n\n"):
            if paragraph.startswith(">>> "):
                doc.after.append("```python\n" + re.sub(r"\s+# doctest: .*", "", paragraph) + "\n```\n")
                continue
            doc._take(" ".join(paragraph.split()), known)
        return doc

    def _take(self, paragraph: str, known: set[str]) -> None:
        """Put each part of a paragraph where it belongs."""
        name = f"(?:{'|'.join(sorted(known, key=len, reverse=True)) or '(?!)'})"
        prose, *pieces = re.split(rf"(?:^|(?<=[.;?] ))({name}(?:, {name})*): ", paragraph)
        (self.after if self.meanings else self.before).extend(_paragraph(prose))
        for names, text in zip(pieces[::2], pieces[1::2], strict=True):
            meaning, raises, error = text.partition("Raises ")
            self.meanings[names] = escaped(meaning.strip().rstrip(";."))
            self.after.extend(_paragraph(raises + error))


def _paragraph(text: str) -> list[str]:
    return [f"{escaped(text.strip())}\n"] if text.strip() else []


def name_of(given: object) -> str:
    return str(getattr(given, "__name__", given))


def home_of(given: object) -> str:
    return str(getattr(inspect.unwrap(given), "__module__", ""))  # type: ignore[arg-type]


def call_of(function: object) -> str:
    """The signature, on one line if that is short."""
    parts, call = parameters_of(function, whole=True), f"ma.{name_of(function)}"
    short = f"{call}({', '.join(parts)}) -> {returned(function)}"
    long = [f"{call}(", *(f"    {part}," for part in parts), f") -> {returned(function)}"]
    return short if len(short) <= 100 else "\n".join(long)


def parameters_of(function: object, *, whole: bool = False) -> list[str]:
    """Their names; whole: with type and default."""
    parts: list[str] = []
    for each in inspect.signature(function).parameters.values():  # type: ignore[arg-type]
        if each.name in ("self", "cls"):
            continue
        if whole and each.kind is each.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if each.default is each.empty else f" = {_shown(each.default)}"
        parts.append(f"{each.name}: {each.annotation}{default}" if whole else each.name)
    return parts


def _shown(default: object) -> str:
    if is_dataclass(default):
        return f"{name_of(type(default))}()"
    return name_of(default) if callable(default) else f'"{default}"' if isinstance(default, str) else repr(default)


def returned(function: object) -> str:
    return str(inspect.signature(function).return_annotation)  # type: ignore[arg-type]


def first_paragraph(member: object) -> str:
    """Of its docstring, on a line of a table."""
    return escaped(" ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())).replace("|", r"\|")


def escaped(text: str) -> str:
    """For Markdown, but for what stands in backticks."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        each if each.startswith("`") else re.sub(r"([*<]|(?<!\w)_|_(?!\w))", r"\\\1", each) for each in pieces
    )


def fields_of(kind: type) -> dict[str, str]:
    """Names and types of a dataclass or a NamedTuple, none of another class."""
    if is_dataclass(kind):
        return {each.name: str(each.type) for each in fields(kind)}
    given = inspect.get_annotations(kind) if issubclass(kind, tuple) else {}
    return {name: getattr(annotation, "__forward_arg__", str(annotation)) for name, annotation in given.items()}


def own(kind: type, base: type | None = None) -> Iterator[tuple[str, object]]:
    """Public properties and methods, in the order of the code, without those of the base."""
    for each in kind.__mro__:
        if each is base or not home_of(each).startswith("memaudit."):
            break
        for name, member in vars(each).items():
            function = getattr(member, "__func__", member)
            if not name.startswith("_") and (getter_of(member) or inspect.isfunction(function)):
                yield name, function if inspect.isfunction(function) else member


def getter_of(member: object) -> object | None:
    return member.fget if isinstance(member, property) else member.func if isinstance(member, cached_property) else None


def meaning_of(word: str, kind: type) -> object:
    """What a word of an annotation means, in the module where `kind` or a base of it is defined."""
    homes = (vars(sys.modules[each.__module__]) for each in kind.__mro__)
    return next((home[word] for home in homes if word in home), None)


def reached(given: object) -> list[type]:
    """Classes of memaudit that a function returns, or that a class derives from, holds or gives."""
    if not inspect.isclass(given):
        home = vars(sys.modules[home_of(given)])
        meant = [home.get(word) for word in re.findall(r"\w+", returned(given))]
    else:
        held = {name: annotation for name, annotation in fields_of(given).items() if name not in _HIDDEN}
        given_back = [returned(getter) for _, member in own(given) if (getter := getter_of(member))]
        words = re.findall(r"\w+", " ".join([*held.values(), *given_back]))
        meant = [*given.__mro__[1:], *(meaning_of(word, given) for word in words)]
    return [each for each in meant if inspect.isclass(each) and home_of(each).startswith("memaudit.")]


if __name__ == "__main__":
    print(page(), end="")
