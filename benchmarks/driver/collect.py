# SPDX-License-Identifier: MIT
"""Runs the programs, one at a time, and gathers what they print; and what machine and versions they ran on."""
import datetime
import json
import os
import platform
import re
import signal
import subprocess

ROUND_LIMIT_S = (60, 20)  # of one round of one contender, in a full measurement and in a quick one
ROUNDS_MAX = (21, 3)  # if the time of the run allows them


def output(*command):
    """The first line that a command prints; nothing when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[0] if lines else ""


def field(path, key):
    try:
        with open(path, encoding="utf-8") as file:
            match = re.search(rf"^{key}\s*:\s*(.*)$", file.read(), re.MULTILINE)
    except OSError:
        return ""
    return match[1].strip() if match else ""


def machine():
    kilobytes = field("/proc/meminfo", "MemTotal").split()
    return {
        "cpu": field("/proc/cpuinfo", "model name") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": f"{int(kilobytes[0]) / 2**20:.1f} GiB" if kilobytes else "",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "") if os.path.exists("/etc/os-release") else "",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def versions():
    compiler = os.environ.get("CC", "gcc")
    jemalloc = output("pkg-config", "--modversion", "jemalloc")
    return {name: version for name, version in {
        "compiler": output(compiler, "--version"),
        "glibc": " ".join(platform.libc_ver()),
        "liburing": output("pkg-config", "--modversion", "liburing"),
        "jemalloc": jemalloc.split("_")[0],
    }.items() if version}


def commit(source):
    name = output("git", "-C", source, "rev-parse", "--short=12", "HEAD")
    changed = output("git", "-C", source, "status", "--porcelain", "--untracked-files=no")
    return (name + " with changes" if changed else name) or "unknown"


def find(name, places):
    """A program, looked for in the places in turn; when it is nowhere, the harness will say so."""
    paths = [os.path.join(place, name) for place in places]
    return next((path for path in paths if os.path.exists(path)), paths[0])


def command_line(words, places):
    """The first word is a program, and so are those that begin with "@"."""
    return [find(word.removeprefix("@"), places) if index == 0 or word.startswith("@") else word
            for index, word in enumerate(words)]


def run_program(command, limit_s, log, environment):
    """Its lines, and what went wrong, if anything did. Its own rounds have limits; this is for when it hangs itself.
    What it says on the standard error, warnings of stalls among it, goes to the log."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True,
                               env={**os.environ, **environment})
    try:
        text, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # it kills its rounds and ends
        try:
            text, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
        return text, f"took more than {limit_s} s and was stopped"
    except BaseException:
        process.send_signal(signal.SIGTERM)
        raise
    return text, ""


def absent(run, results, problems, places):
    """The peers of a run that took no part in it, and why."""
    seen = {result["contender"] for result in results} | {problem["contender"] for problem in problems}
    for name, peer in run.peers.items():
        if name not in seen:
            words = command_line(peer.split(), places)
            missing = [word for word in words if os.path.isabs(word) and not os.path.exists(word)]
            why = f"{os.path.relpath(missing[-1])} is not there" if missing else "lacks what it needs for this"
            yield {"run": run.name, "contender": name, "why": why}


def measure(run, quick, places, log):
    """The results of one run: a list of what the harness printed, decoded, a list of problems, and one of absent peers."""
    seconds, limit = run.seconds[quick], ROUND_LIMIT_S[quick]
    program, *own = command_line(run.program, places)
    split = own.index("--") if "--" in own else len(own)
    command = [program, "--json"] + (["--quick"] if quick else []) + own[:split] + run.more[quick]
    command += ["--rounds", str(ROUNDS_MAX[quick]), "--budget", str(seconds), "--timeout", str(limit)]
    for name, peer in run.peers.items():
        command += ["--peer", f"{name}={' '.join(command_line(peer.split(), places))}"]
    command += own[split:]
    if not os.path.exists(program):
        return [], [{"run": run.name, "contender": "rota", "error": "not built"}], []
    # A first round is always run to its end, with whatever hangs in it.
    text, trouble = run_program(command, seconds + limit * (len(run.peers) + 1), log, run.environment)
    results, problems = [], []
    for line in text.splitlines():
        try:
            result = json.loads(line)
        except ValueError:
            log.write(f"{run.name}: not JSON: {line}\n")
            continue
        (problems if "error" in result else results).append(result)
    problems = [{"run": run.name, "contender": p["contender"], "error": p["error"]} for p in problems]
    if trouble or not results:
        problems.append({"run": run.name, "contender": "all", "error": trouble or "no results"})
    return results, problems, list(absent(run, results, problems, places))


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
