"""What alert rules, dashboard and runbook ask for, compared with what endpoints expose.

observability.py check SCRAPE...   every metric, label and label value that is named is there
observability.py rules             all expressions of dashboard and runbook as a file of rules
observability.py expressions DIR   all expressions, each in a file of its own

Nothing but the standard library: the rules are read by line, in the one form that they are kept in.
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging/prometheus/pqlink-alerts.yml"
DASHBOARD = ROOT / "packaging/grafana/pqlink.json"
RUNBOOK = ROOT / "docs/runbook.md"

# What Prometheus itself adds.
OF_PROMETHEUS = {"up": {}, "ALERTS": {"alertname": None, "alertstate": None}}
TARGET_LABELS = {"job": None, "instance": None}
# Their values are not a closed list that is there from the start.
OPEN_LABELS = {"miner", "worker", "version", "crypto", "le"}
CORE_PANELS = {"row", "stat", "timeseries", "state-timeline", "text"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "Inf", "NaN"}
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
TOKEN = re.compile(
    r"""\s+|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>\d[\w.]*)"""
    r"""|(?P<name>[A-Za-z_:][\w:]*)|(?P<op>=~|!~|!=|==|>=|<=|.)""",
    re.S,
)


class Bad(Exception):
    pass


def samples(paths):
    """The exposition as {sample name: {label: set of values}}."""
    seen = {}
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            name, labels = re.match(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? ", line).groups()
            known = seen.setdefault(name, {})
            for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""):
                known.setdefault(label, set()).add(value)
    return seen


def tokens(expression):
    found = []
    for match in TOKEN.finditer(expression):
        if match.lastgroup:
            found.append((match.lastgroup, match.group()))
    return found + [("end", "")] * 3


def until(words, at, end):
    """The words from |at| to |end|, and the place after it."""
    start = at
    while words[at][1] != end:
        if words[at][0] == "end":
            raise Bad(f"'{end}' is missing")
        at += 1
    return words[start:at], at + 1


def matchers(words):
    found = []
    for i in range(0, len(words), 4):
        group = words[i : i + 4]
        if len(group) < 3 or group[0][0] != "name" or group[2][0] != "string":
            raise Bad(f"not a matcher: {' '.join(w for _, w in group)}")
        found.append((group[0][1], group[1][1], group[2][1][1:-1]))
    return found


def parse(expression):
    """([(metric, matchers)], {labels of by, on, ...}) of an expression."""
    words, at = tokens(expression), 0
    selectors, listed = [], set()
    while words[at][0] != "end":
        kind, word = words[at]
        at += 1
        if kind != "name" or word in KEYWORDS:
            continue
        if word in LISTS and words[at][1] == "(":
            inside, at = until(words, at + 1, ")")
            listed |= {w for k, w in inside if k == "name"}
        elif words[at][1] == "{":
            inside, at = until(words, at + 1, "}")
            selectors.append((word, matchers(inside)))
        elif words[at][1] != "(" and word not in LISTS and not is_function(words, at):
            selectors.append((word, []))
    return selectors, listed


def is_function(words, at):
    """sum by (x) (...): the aggregation stands before a list."""
    return words[at][1] in LISTS and words[at + 1][1] == "(" and words[at][1] in ("by", "without")


def filled_in(expression):
    """As Grafana does it with its variables."""
    return (
        expression.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$instance", ".*")
    )


def labels_of(metric, exposed):
    if metric in OF_PROMETHEUS:
        return {**OF_PROMETHEUS[metric], **TARGET_LABELS}
    if metric in exposed:
        return {**exposed[metric], **TARGET_LABELS}
    raise Bad(f"nobody exposes {metric}")


def check_matcher(metric, known, matcher):
    label, operator, value = matcher
    if label not in known:
        raise Bad(f"{metric} has no label {label}")
    values = known[label]
    if values is None or label in OPEN_LABELS:
        return
    for wanted in value.split("|") if operator in ("=~", "!~") else [value]:
        if wanted != ".*" and wanted not in values:
            raise Bad(f'{metric} never has {label}="{wanted}"; it has {", ".join(sorted(values))}')


def check_expression(expression, exposed, shown=()):
    """|shown|: labels that a legend or an annotation names."""
    selectors, listed = parse(filled_in(expression))
    if not selectors:
        raise Bad("it names no metric")
    union = {"severity", "alertname"}
    for metric, found in selectors:
        known = labels_of(metric, exposed)
        union |= set(known)
        for matcher in found:
            check_matcher(metric, known, matcher)
    for label in listed | set(shown):
        if label not in union:
            raise Bad(f"none of its metrics has the label {label}")


def alerts():
    """[(name, expression, labels that its texts name, runbook address)] of the rules."""
    found = []
    for block in RULES.read_text().split("      - alert: ")[1:]:
        lines = block.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("        expr: "))
        expression = lines[at].removeprefix("        expr: ")
        if expression == "|-":
            rest = lines[at + 1 :]
            end = next(i for i, line in enumerate(rest) if not line.startswith(" " * 10))
            expression = "\n".join(line.strip() for line in rest[:end])
        elif expression[0] == "'":
            expression = expression[1:-1]
        address = re.search(r"runbook_url: (\S+)", block)
        shown = re.findall(r"\$labels\.(\w+)", block)
        found.append((lines[0], expression, shown, address.group(1) if address else ""))
    return found


def dashboard():
    return json.loads(DASHBOARD.read_text())


def dashboard_expressions(board):
    """[(where, expression, labels of the legend)]"""
    found = []
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            shown = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            found.append((f'panel "{panel["title"]}"', target["expr"], shown))
    for note in board["annotations"]["list"]:
        if "expr" in note:
            found.append((f'annotation "{note["name"]}"', note["expr"], []))
    for variable in board["templating"]["list"]:
        for metric, label in re.findall(r"label_values\((\w+), (\w+)\)", variable.get("definition", "")):
            found.append((f'variable "{variable["name"]}"', metric, [label]))
    return found


def runbook_expressions():
    blocks = re.findall(r"^ *```promql\n(.*?)^ *```", RUNBOOK.read_text(), re.S | re.M)
    return [("the runbook", line.strip(), []) for block in blocks for line in block.splitlines() if line.strip()]


def check_dashboard(board):
    """What makes Grafana refuse a dashboard, or draw it wrong."""
    if board["schemaVersion"] < 38 or not board["uid"] or not board["title"]:
        raise Bad("the dashboard needs uid, title and the schema of Grafana 10")
    if [v["type"] for v in board["templating"]["list"]] != ["datasource", "query"]:
        raise Bad("the dashboard needs the variables datasource and instance")
    numbers, taken = set(), set()
    for panel in board["panels"]:
        if panel["type"] not in CORE_PANELS:
            raise Bad(f'panel "{panel["title"]}" needs a plugin: {panel["type"]}')
        if panel["id"] in numbers:
            raise Bad(f"two panels have the number {panel['id']}")
        numbers.add(panel["id"])
        g = panel["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        if g["x"] + g["w"] > 24 or cells & taken:
            raise Bad(f'panel "{panel["title"]}" lies on another one or beside the page')
        taken |= cells
        for target in panel.get("targets", []):
            if target["datasource"]["uid"] != "${datasource}" or "expr" not in target:
                raise Bad(f'panel "{panel["title"]}" does not use the variable datasource')


def check_anchors(rules):
    headings = re.findall(r"^#+ (Pqlink\w+)$", RUNBOOK.read_text(), re.M)
    for name, _, _, address in rules:
        if address != f"docs/runbook.md#{name.lower()}":
            raise Bad(f"{name} does not lead to its place in the runbook: {address}")
    names = [rule[0] for rule in rules]
    if len(set(names)) != len(names) or sorted(names) != sorted(headings):
        odd = sorted(set(names) ^ set(headings)) or "one is there twice"
        raise Bad(f"alerts and headings of the runbook differ: {odd}")


def everything():
    rules = alerts()
    return (
        [(f"alert {name}", expression, shown) for name, expression, shown, _ in rules]
        + dashboard_expressions(dashboard())
        + runbook_expressions()
    )


def check(paths):
    exposed = samples(paths)
    failed = 0
    checks = [
        ("the dashboard", lambda: check_dashboard(dashboard())),
        ("the runbook", lambda: check_anchors(alerts())),
    ]
    for where, expression, shown in everything():
        checks.append((where, lambda e=expression, s=shown: check_expression(e, exposed, s)))
    for where, step in checks:
        try:
            step()
        except Bad as bad:
            failed += 1
            print(f"{where}: {bad}", file=sys.stderr)
    print(f"{len(checks)} checks, {failed} failed")
    return 1 if failed else 0


def main():
    if sys.argv[1] == "check":
        return check(sys.argv[2:])
    texts = [filled_in(expression) for _, expression, _ in everything()]
    if sys.argv[1] == "expressions":
        for i, text in enumerate(texts):
            (pathlib.Path(sys.argv[2]) / str(i)).write_text(text)
    else:
        rules = [{"record": f"expression:{i}", "expr": text} for i, text in enumerate(texts)]
        print(json.dumps({"groups": [{"name": "expressions", "rules": rules}]}))
    return 0


sys.exit(main())
