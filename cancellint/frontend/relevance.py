"""Which files are worth parsing: those with hazards, and what they import, directly or not.

Threads that hand each other messages by queues have the order of these as a hazard, without any coroutine.
"""

import re
from collections.abc import Iterator, Mapping

_VOCABULARY = re.compile(
    rb"\b(?:async|await|coroutine|create_future|\w+_threadsafe|yield\s+from|(?:from|import)\s+queue)\b"
)

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(?P<source>[.\w][. \t\w]*?)[ \t]+import[ \t]*"
    rb"(?P<names>\((?:[^)#]++|#[^\r\n]*)*+\)|[^\r\n\\]*(?:\\\r?\n[^\r\n\\]*)*)"
    rb"|import[ \t]+(?P<modules>[^\r\n;#\\]+(?:\\\r?\n[^\r\n;#\\]*)*))",
    re.MULTILINE,
)

_COMMENT = re.compile(rb"#[^\r\n]*")


def relevant(files: Mapping[str, tuple[bytes, bool]]) -> frozenset[str]:
    """The modules to parse, of all that there are: their bytes, and whether they are packages, by name."""
    waiting = [name for name, (data, _) in files.items() if _VOCABULARY.search(data)]
    chosen = set(waiting)
    while waiting:
        name = waiting.pop()
        data, is_package = files[name]
        for imported in imports(data, name, is_package):
            if imported in files and imported not in chosen:
                chosen.add(imported)
                waiting.append(imported)
    return frozenset(chosen)


def imports(data: bytes, module: str, is_package: bool) -> Iterator[str]:
    """Dotted names that the module may import: modules, and names in them that may be modules."""
    if b"import" not in data:
        return
    for statement in _IMPORT.finditer(data):
        source, names, modules = statement["source"], statement["names"], statement["modules"]
        if modules is not None:
            for item in modules.replace(b"\\", b" ").split(b","):
                words = item.split()
                if words:
                    yield from _with_parents(words[0].decode("utf-8", "replace"))
            continue
        base = _absolute(b"".join(source.split()).decode("utf-8", "replace"), module, is_package)
        yield from _with_parents(base)
        for item in _COMMENT.sub(b"", names).strip(b"()").replace(b"\\", b" ").split(b","):
            words = item.split()
            if words:
                name = words[0].strip(b"()").decode("utf-8", "replace")
                yield f"{base}.{name}" if base else name


def _absolute(source: str, module: str, is_package: bool) -> str:
    name = source.lstrip(".")
    level = len(source) - len(name)
    if not level:
        return name
    parts = module.split(".")
    parts = parts[: len(parts) - level + (1 if is_package else 0)]
    return ".".join([*parts, name] if name else parts)


def _with_parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
