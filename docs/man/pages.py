#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the manual pages of section 3: pages.py SOURCE VERSION DIRECTORY

The public headers are the manual. Each makes a page, io/tcp.h rota_tcp(3): its first comment is the description; then
come its declarations, each with the comment above it. Every function and macro is an alias of its page. What is private
(names that begin with rota__ or end in _, and what follows "private" in a struct) is left out."""
import glob
import os
import re
import sys

NO_PAGE = ("types.h", "waitlist.h")  # what rota(7) tells; what is public for its size only
COMMENT = re.compile(r"^/\*.*?\*/\n", re.DOTALL | re.MULTILINE)
NOT_FOR_READERS = re.compile(r"^/\* (clang-format|--- |[^*]*NOLINT).*\*/\n", re.MULTILINE)


# --- reading ---


def is_private(name):
    return name.startswith(("rota__", "ROTA__")) or name.endswith("_")


def comment_lines(comment):
    """The text of a comment, without its frame."""
    lines = comment.strip()[2:-2].split("\n")
    lines = [re.sub(r"^ \* ?", "", line) for line in lines]
    return "\n".join([lines[0].strip()] + [line.rstrip() for line in lines[1:]]).strip("\n").split("\n")


def macro(text):
    """A macro as it is used: with its value when that is short, without what it expands to when it takes arguments."""
    head = re.match(r"#define (\w+)(\([^)]*\))?[ \t]*(.*)", text, re.DOTALL)
    name, arguments, value = head[1], head[2] or "", head[3]
    if is_private(name) or name.endswith("_H"):
        return None
    value = re.sub(r"\s*/\*.*?\*/", "", value)
    shown = "" if arguments or re.search(r"[\\{=]", value) else " " + value
    return name, f"#define {name}{arguments}{shown}".rstrip()


def without_private(struct):
    """A struct without its private fields, and a word in their place."""
    lines, kept, hidden = struct.split("\n"), [], False
    for line in lines[1:-1]:
        code = re.sub(r"/\*.*?\*/", "", line).strip()
        if not code and re.match(r"\s*/\* private", line):
            hidden = True
            break
        fields = re.findall(r"(\w+)(?:\[[^]]*\])*(?: : \d+)?(?=[,;])", code)
        if fields and (all(map(is_private, fields)) or "/* private */" in line):
            hidden = True
        else:
            kept.append(line)
    return "\n".join([lines[0]] + kept + (["\t/* and private fields */"] if hidden else []) + [lines[-1]])


def declaration(text):
    """The name by which one finds a declaration, if it has one, and how it is shown."""
    text = re.sub(r"\b(ROTA_API|ROTA_MUST_USE) ?| __attribute__\(\(.*?\)\)(?=;|,| )", "", text.strip())
    text = re.sub(r"\s+;", ";", text)
    if text.startswith("static inline"):
        text = re.sub(r"^static inline ", "", text.split("{")[0].strip()) + ";"
    if re.match(r"(typedef )?(struct|union|enum)\b[^;(]*\{", text):
        name = re.match(r"(?:typedef )?(?:struct|union|enum) (\w*)", text)[1]
        return None if is_private(name) else ("", without_private(text))
    if re.fullmatch(r"struct \w+;", text):
        return None
    name = re.search(r"\b(rota_\w+)\s*\(", text) or re.search(r"\b(rota_\w+);", text)
    if name is None or is_private(name[1]):
        return None
    return name[1], re.sub(r"\n\t+ *", "\n    ", text)


def declarations(code):
    """The declarations between two comments, in groups: a blank line ends one."""
    statement, depth, groups = "", 0, [[]]
    for line in re.sub(r"\\\n", "\\\\\r", code).split("\n"):
        if depth == 0 and not statement and line.startswith("#define"):
            groups[-1].append(macro(line.replace("\r", "\n")))
        elif depth > 0 or statement or not line.startswith(("#", "ROTA_BEGIN", "ROTA_END", "}")):
            statement += line + "\n"
            bare = re.sub(r"/\*.*?\*/", "", line)
            depth += bare.count("{") - bare.count("}")
            ended = bare.rstrip().endswith(";") or (statement.startswith("static inline") and bare.startswith("}"))
            if depth == 0 and ended:
                groups[-1].append(declaration(statement))
                statement = ""
            elif not statement.strip():
                statement = ""
                groups.append([])
    return [[each for each in group if each is not None] for group in groups]


def read_header(path):
    """The description, and the blocks: a comment and what it is about."""
    with open(path, encoding="utf-8") as file:
        text = NOT_FOR_READERS.sub("", file.read())
    comments = list(COMMENT.finditer(text))[1:]  # without the licence
    blocks = []
    for comment, following in zip(comments, comments[1:] + [None]):
        code = text[comment.end():following.start() if following else len(text)]
        groups = declarations(code)
        blocks += [(comment_lines(comment[0]), groups[0])] + [([], group) for group in groups[1:]]
    includes = [os.path.basename(name) for name in re.findall(r'#include "([^"]+)"', text)]
    return blocks[0][0], [([], blocks[0][1])] + blocks[1:], includes


# --- writing ---


def quoted(text, is_code):
    text = text.replace("\\", "\\e")
    text = text.replace("-", "\\-") if is_code else re.sub(r"(?<!\w)-(?=\w)", r"\\-", text)
    for character, name in (("'", "aq"), ("^", "ha"), ("~", "ti"), ("`", "ga")):
        text = text.replace(character, f"\\({name}") if is_code else text
    return "\\&" + text if text.startswith((".", "'")) else text


def verbatim(lines):
    return [".EX"] + [quoted(line.expandtabs(4), True) for line in lines] + [".EE"]


def prose(lines):
    """Paragraphs, lists and, where a line is indented by far, code."""
    out, code = [], []
    for line in lines + [""]:
        if re.match(r"\t| {4}", line) or (code and not line):
            code.append(line)
            continue
        if code:
            while not code[-1]:
                code.pop()
            out += [".IP"] + verbatim([re.sub(r"^(\t| {4})", "", each) for each in code]) + [".PP"]
            code = []
        item = re.match(r" ?- (.*)", line)
        if item:
            out += [".IP \\(bu 2", item[1]]
        elif not line:
            out.append(".PP")
        else:
            out.append(line.strip())
    text = [each if each.startswith((".IP", ".PP", ".E")) or "\\" in each else bold(quoted(each, False)) for each in out]
    while text and text[-1] == ".PP":
        text.pop()
    return [each for i, each in enumerate(text) if each != ".PP" or (i > 0 and text[i - 1] != ".PP")]


def bold(text):
    return re.sub(r"\b((?:rota|ROTA)_\w+)", r"\\fB\1\\fP", text)


def page(path, names, version, pages):
    title = "rota_" + os.path.basename(path)[:-2]
    description, blocks, includes = read_header(path)
    summary = re.split(r"[.:;] |[.:]$", " ".join(description))[0]
    named = ", ".join(dict.fromkeys([title] + names))
    out = ['.\\" Written from ' + "/".join(path.split(os.sep)[-2:]),
           ".nr HY 0", f'.TH {title.upper()} 3 "" "rota {version}" "rota"', ".ad l", ".SH NAME", f"{named} \\- {quoted(summary, False)}",
           ".SH SYNOPSIS", ".EX", "#include <rota.h>", ".EE", ".PP", "cc ... $(pkg\\-config \\-\\-cflags \\-\\-libs rota)",
           ".SH DESCRIPTION"] + prose(description) + [".SH DECLARATIONS"]
    for text, declared in blocks:
        if declared:
            out += [".PP"] + verbatim("\n".join(shown for _, shown in declared).split("\n"))
            out += [".RS 4"] + prose(text) + [".RE"] if text else []
    related = sorted(f"\\fBrota_{name[:-2]}\\fP(3)" for name in includes if name in pages)
    return out + [".SH SEE ALSO", ",\n".join(["\\fBrota\\fP(7)"] + related), ""]


def write(directory, name, lines):
    with open(os.path.join(directory, name + ".3"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def main():
    source, version, directory = sys.argv[1:4]
    # An installation says by its environment where all goes.
    root = os.environ.get("DESTDIR", "") if os.path.isabs(directory) else os.environ["MESON_INSTALL_DESTDIR_PREFIX"]
    directory = root + "/" + directory + "/man3"
    os.makedirs(directory, exist_ok=True)
    headers = sorted(path for folder in ("runtime", "io", "sync") for path in glob.glob(f"{source}/{folder}/*.h")
                     if not path.endswith(("_internal.h",) + NO_PAGE))
    pages = {os.path.basename(path) for path in headers}
    for path in headers:
        title = "rota_" + os.path.basename(path)[:-2]
        names = [name for _, declared in read_header(path)[1] for name, _ in declared if name]
        write(directory, title, page(path, names, version, pages))
        for name in names:
            if name != title:
                write(directory, name, [f".so man3/{title}.3", ""])


main()
