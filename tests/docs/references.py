#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what the pages refer to: names of rota's, files, headings. A name in a guide is one that a program can use: it
stands in a public header or that of an adapter among the examples, outside of comments, or is read from the environment;
in the pages about the inside it may be any of the sources'. `rota_op_*` stands for all that begin so. Every page in
docs/ is in docs/README.md, and each chapter of the guide, in that order, ends with a link to the next one.
Environment: SOURCE, the top of the tree."""
import glob
import os
import re
import sys

SOURCE = os.environ["SOURCE"]
NAME = re.compile(r"\b(?:rota|ROTA)_\w+\*?")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def sources(pattern):
    return [path for folder in ("runtime", "io", "sync") for path in glob.glob(os.path.join(SOURCE, folder, pattern))]


def public_names():
    headers = [path for path in sources("*.h") if not path.endswith("_internal.h")]
    headers += glob.glob(os.path.join(SOURCE, "examples", "adapters", "*.h"))
    names = {name for path in headers for name in NAME.findall(COMMENT.sub("", text_of(path)))}
    return names | {name for path in sources("*.c") for name in re.findall(r'"(ROTA_\w+)"', text_of(path))}


def inner_names():
    return {name for path in sources("*.[chS]") for name in NAME.findall(text_of(path))}


def is_known(name, names):
    if name.endswith(("*", "_")):
        return any(known.startswith(name.rstrip("*")) for known in names)
    return name in names


def is_for_users(page):
    return not page.startswith(os.path.join(SOURCE, "docs")) or os.path.basename(page).startswith("guide")


def anchors(page):
    """The headings as links name them."""
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_link(page, target):
    if re.match(r"[a-z]+:", target):
        return False
    path, _, anchor = target.partition("#")
    path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    return not os.path.exists(path) or (anchor != "" and anchor not in anchors(path))


def complaints(page, public, inner):
    names = public if is_for_users(page) else public | inner
    for number, line in enumerate(text_of(page).splitlines(), 1):
        for name in NAME.findall(re.sub(r"\]\([^)]*\)", "]", line)):  # a file may be called as it likes
            if not is_known(name, names):
                yield f"{page}:{number}: there is no {name}"
        for target in LINK.findall(line):
            if broken_link(page, target):
                yield f"{page}:{number}: nothing is at {target}"


def broken_order(contents):
    chapters = re.findall(r"^\d+\. \[[^\]]*\]\(([^)]*)\)", contents, re.M)
    for chapter, following in zip(chapters, chapters[1:] + ["README.md"]):
        last = text_of(os.path.join(SOURCE, "docs", chapter)).rstrip().splitlines()[-1]
        if LINK.findall(last)[:1] != [following]:
            yield f"docs/{chapter}: does not end with a link to {following}"


def main():
    docs = sorted(glob.glob(os.path.join(SOURCE, "docs", "*.md")))
    pages = docs + [os.path.join(SOURCE, path) for path in ("README.md", "examples/README.md", "benchmarks/README.md")]
    public, inner = public_names(), inner_names()
    contents = text_of(os.path.join(SOURCE, "docs", "README.md"))
    found = [complaint for page in pages for complaint in complaints(page, public, inner)]
    found += broken_order(contents)
    found += [f"{page}: not in docs/README.md" for page in docs
              if os.path.basename(page) != "README.md" and f"]({os.path.basename(page)})" not in contents]
    print("\n".join(found + [f"{len(pages)} pages, {len(public)} public names, {len(found)} complaints"]))
    return 1 if found or not public or not inner else 0


sys.exit(main())
