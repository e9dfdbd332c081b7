"""Takes out of a recording, or of a replay, what differs from run to run: times, ids, random values, ciphertexts, places."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_PATTERNS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
    (re.compile(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"v1:[A-Za-z0-9+/=]+:v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+"), "<salt>"),
    (re.compile(r"127\.0\.0\.1:\d{4,5}\b"), "127.0.0.1:$PORT"),
    # The recordings have a path outside of the project without the way up to it.
    (re.compile(r"project:///(?:\.\./)*\.\.(?=\$)"), "project:///"),
    (re.compile(r"v1:[A-Za-z0-9+/=]{16}:[A-Za-z0-9+/=]*"), "<ciphertext>"),
)
# An unknown value looks like a UUID, and is none.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass
class Names:
    """Strings of one run and what stands for them; longer ones are replaced first."""

    replacements: dict[str, str] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)
    ways: list[tuple[re.Pattern[str], str]] = field(default_factory=list)

    def add_place(self, path: str, name: str) -> None:
        """Names a folder, also where a source position leads to it from a project that shares some of the folders above it."""
        self.add(path, name)
        *above, last = path.strip("/").split("/")
        own = ""
        for folder in above:
            own = f"(?:{own}{re.escape(folder)}/)?"
        self.ways.append((re.compile(rf"project:///(?:\.\./)+{own}{re.escape(last)}(?=/)"), f"project:///{name}"))

    def add(self, text: str, name: str) -> None:
        """Gives ``text`` a name; the first one stays."""
        self.replacements.setdefault(text, name)

    def learn(self, deployment: dict[str, Any]) -> None:
        """Finds the generated values in a state: the ids of commands and what ``random`` resources made."""
        for resource in deployment.get("resources") or []:
            name, kind = resource["urn"].split("::")[-1], resource["type"]
            identity = str(resource.get("id", ""))
            if kind == "command:local:Command" and re.fullmatch(re.escape(name) + "[0-9a-f]{8}", identity):
                self.add(identity, f"<id of {name}>")
            said = (resource.get("outputs") or {}).get("stdout")
            if isinstance(said, str) and re.fullmatch(re.escape(name) + r"-\d+", said):
                # The commands of a case count together, at the same time.
                self.add(said, f"<count of {name}>")
            if kind.startswith("random:"):
                self.lengths.add(len(identity))
                given = set(_texts(resource.get("inputs")))
                for text in [identity, *_texts(resource.get("outputs"))]:
                    if len(text) >= 3 and text not in given and text not in ("none", "keepers", SIGNATURE, _SECRET):
                        self.add(text, f"<random of {name}>")
                        # As it stands in the plaintext of a secret, which is JSON that Go wrote.
                        escaped = json.dumps(text)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
                        self.add(escaped, f"<random of {name}>")
                        self.add(text.upper(), f"<RANDOM OF {name}>")

    def text(self, text: str) -> str:
        """``text`` with names in place of what they stand for."""
        text = text.replace(_UNKNOWN, "<unknown>")
        text = re.sub(r'"size":(\d+)', lambda m: '"size":<length>' if int(m[1]) in self.lengths else m[0], text)
        for way, place in self.ways:
            text = way.sub(place, text)
        for old in sorted(self.replacements, key=len, reverse=True):
            text = text.replace(old, self.replacements[old])
        for pattern, name in _PATTERNS:
            text = pattern.sub(name, text)
        return text

    def value(self, value: Any) -> Any:
        """The same for every text in a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            # A program of the cases exports the length of a random name as "size".
            sizes = {key: "<length>" for key, item in value.items() if key == "size" and item in self.lengths}
            return {self.text(key): self.value(item) for key, item in (value | sizes).items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    """The texts in outputs; of a secret its plaintext, where it is shown."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if value.get(SIGNATURE) == _SECRET:
            if isinstance(value.get("plaintext"), str):
                yield from _texts(json.loads(value["plaintext"]))
            return
        for key, item in value.items():
            if key not in ("__meta", "__pulumi_raw_state_delta"):
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def state(document: Any, names: Names, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An exported state in comparable form: resources by URN and whether they are to be deleted; their order, and ``without``, aside."""
    deployment = (document or {}).get("deployment") or {}
    resources: dict[str, Any] = {}
    for resource in deployment.get("resources") or []:
        if resource["urn"] in without:
            continue
        view = {key: value for key, value in resource.items() if key not in ("created", "modified", "stackTrace")}
        changed = "modified" if resource.get("created") != resource.get("modified") else "as created"
        view["times"] = changed if "created" in resource else "modified only" if "modified" in resource else "none"
        # The program hands these over as sets.
        for key in ("dependencies", "aliases"):
            view |= {key: sorted(view[key])} if key in view else {}
        needs = view.get("propertyDependencies")
        view |= {"propertyDependencies": {key: sorted(urns or []) for key, urns in needs.items()}} if needs else {}
        for half in ("inputs", "outputs"):
            if isinstance(view.get(half), dict):
                view[half] = {k: v for k, v in view[half].items() if k != "__pulumi-go-provider-version"}
        limits = view.get("inputs") or {}
        if resource["type"].endswith(":RandomInteger") and limits.get("min") != limits.get("max"):
            view |= {"id": "<integer>", "outputs": (view.get("outputs") or {}) | {"id": "<integer>", "result": "<integer>"}}
        if resource["type"].startswith("github:") and isinstance(view.get("outputs"), dict):
            view["outputs"] = view["outputs"] | _order_of_times(view["outputs"])
        key = resource["urn"] + (" (to be deleted)" if resource.get("delete") else "")
        while key in resources:
            key += " again"
        resources[key] = names.value(view)
    pending = [names.value({"type": p["type"], "urn": p["resource"]["urn"]}) for p in deployment.get("pending_operations") or []]
    return {"version": (document or {}).get("version"), "resources": resources, "pending": sorted(map(json.dumps, pending))}


def _order_of_times(outputs: dict[str, Any]) -> dict[str, int]:
    """The stand-in's clock counts requests, whose order is chance: only which of a resource's times are equal or later counts."""
    times = {key: outputs[key] for key in ("createdAt", "updatedAt", "remoteUpdatedAt") if isinstance(outputs.get(key), str)}
    return {key: sorted(set(times.values())).index(value) for key, value in times.items()}


def misplaced(document: Any) -> list[str]:
    """Resources that stand before something that they need: the CLI would refuse such a state."""
    seen: set[str] = set()
    wrong = []
    for resource in ((document or {}).get("deployment") or {}).get("resources") or []:
        needs = [resource.get("parent"), *resource.get("dependencies", []), resource.get("provider", "").rpartition("::")[0]]
        wrong += [
            f"{resource['urn']} stands before {need}" for need in needs if need and need not in seen and not resource.get("delete")
        ]
        seen.add(resource["urn"])
    return wrong


def steps(events: Iterable[dict[str, Any]], without: frozenset[str] = frozenset()) -> Counter[str]:
    """What was done to which resource, and what policies said, as counted lines; ``without`` some resources, and then the summary."""
    found: Counter[str] = Counter()
    for event in events:
        for kind in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            if kind in event:
                metadata = event[kind]["metadata"]
                if metadata["urn"] in without:
                    continue
                found[f"{kind} {metadata['op']} {metadata['urn']}"] += 1
        if "policyEvent" in event:
            policy = event["policyEvent"]
            found[f"policy {policy.get('policyName')} {policy.get('enforcementLevel')} {policy.get('resourceUrn', '')}"] += 1
        if "summaryEvent" in event and not without:
            changes = event["summaryEvent"].get("resourceChanges") or {}
            found["summary " + json.dumps({key: count for key, count in sorted(changes.items()) if count})] += 1
    return found


def preview(document: Any, names: Names) -> dict[str, Any]:
    """The comparable part of ``preview --json``: the summary, and each step with its reasons."""
    rows = []
    for step in (document or {}).get("steps") or []:
        row = {key: step.get(key) for key in ("op", "urn", "replaceReasons", "diffReasons", "detailedDiff") if step.get(key)}
        for reasons in ("replaceReasons", "diffReasons"):
            row |= {reasons: sorted(row[reasons])} if reasons in row else {}
        row["provider"] = names.text(step.get("provider") or "")
        rows.append(json.dumps(row, sort_keys=True))
    diagnostics = sorted(
        {
            f"{d.get('severity')}: {names.text(d['message']).splitlines()[0]}"
            for d in (document or {}).get("diagnostics") or []
            if d["message"].strip() and d.get("severity") != "info#err"
        }
    )
    return {"changeSummary": (document or {}).get("changeSummary") or {}, "steps": sorted(rows), "diagnostics": diagnostics}


def history(entries: Any, names: Names) -> list[Any]:
    """The comparable part of a history: places, versions of programs and this machine's variables aside."""
    view = []
    for recorded in entries or []:
        entry = {key: value for key, value in recorded.items() if key not in ("startTime", "endTime")}
        environment = entry.get("environment") or {}
        aside = (
            "runtime.executable",
            "runtime.version",
            "runtime.metadata",
            "pulumi.arch",
            "pulumi.env.",
            "pulumi.flag.event-log",
            "git.",
            "vcs.",
        )
        entry["environment"] = {key: value for key, value in environment.items() if not key.startswith(aside)}
        view.append(names.value(entry))
    return view


def listing(text: str) -> str:
    """``text`` with the trees of resources that ``stack`` prints in it in order of their lines.

    They come in the order of the state, which for independent resources is that in which their operations ended: chance in the real
    engine too. In the recorded case ``secrets`` the first run ended ``uses``, ``marked``, ``generated``; the next two the other way round.
    """
    lines: list[str] = []
    rows: list[tuple[str, ...]] = []
    above: list[str] = []
    for line in [*text.splitlines(), ""]:
        if row := re.match(r" {4}((?:[│ ] {2})*)[├└]─ (.*)", line):
            depth = len(row[1]) // 3
            above[depth:] = [row[2]]
            rows.append(tuple(above))
        elif rows and line.startswith("    "):
            rows[-1] = (*rows[-1][:-1], f"{rows[-1][-1]} {line.strip('│ ')}")  # the id, with --show-ids
        else:
            lines += [" / ".join(path) for path in sorted(rows)]
            rows.clear()
            lines.append(line)
    return "\n".join(lines)


def answers(text: str) -> str:
    """What the calls of the Automation API gave back, as the recorded tours print it: one line a call, and the exit codes of refusals.

    Aside: what the engine printed meanwhile, how often it sent which kind of event, and the order of two independent commands in a state.
    """
    lines = [line.rstrip() for line in text.splitlines() if re.match(r"\[\d+\] |[a-z][\w. ]*: | code: ", line)]
    text = re.sub(r"(\w+Result)\(.*", r"\1", "\n".join(lines))
    text = re.sub(r" object at 0x[0-9a-f]+", "", text).replace("'slow', 'line'", "'line', 'slow'")
    return re.sub(r"\[('\w+_event'(?:, '\w+_event')*)\]", lambda m: str(sorted(set(m[1].split(", ")))), text)


def paths(tree: str) -> list[str]:
    """The files of a backend listing; nanoseconds in names aside, and the journals that this engine has beside."""
    lines = [re.sub(r"\d{19}", "<ns>", line.split(maxsplit=2)[-1]) for line in tree.splitlines()]
    return sorted(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<uuid>", line) for line in lines if "/journals" not in line)
