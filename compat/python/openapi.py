"""The program's OpenAPI document: valid by the validator, and good for a generated client that works: `openapi.py HOST:PORT`."""

import importlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

OPERATIONS_MIN = 30


def is_valid(document):
    faults = [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not faults, "\n".join(faults)


def has_names_of_its_own(document):
    operations = [
        operation
        for path in document["paths"].values()
        for verb, operation in path.items()
        if verb in ("get", "post", "put", "delete")
    ]
    names = [operation.get("operationId") for operation in operations]
    assert all(names), "every operation has a name"
    # Generators take capitals and signs away.
    folded = ["".join(letter for letter in name.lower() if letter.isalnum()) for name in names]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    assert not twice, f"names that generators take for one: {twice}"
    assert len(names) >= OPERATIONS_MIN, f"{len(names)} operations"


# Method, address as it is described, address as it is asked, body, status.
ANSWERS = [
    ("post", "/commands/withdraw", "", {"account": "AnnC", "amount": 1}, 200),
    ("post", "/commands/withdraw", "?dry_run=true", {"account": "AnnC", "amount": 1}, 200),
    ("post", "/commands/withdraw", "?explain=true", {"account": "AnnC", "amount": 1}, 200),
    ("post", "/commands/withdraw", "?explain=true", {"account": "AnnC", "amount": 1000}, 200),
    ("post", "/commands/withdraw", "", {"account": "AnnC", "amount": 1000}, 422),
    ("post", "/commands/withdraw", "", {"account": "AnnC", "amount": -1}, 422),
    ("post", "/commands/withdraw", "", {"amount": 1}, 400),
    ("post", "/commands/remind", "?dry_run=true", {"account": "AnnC", "note": [1]}, 200),
    ("post", "/commands/remind", "", {"account": "AnnC", "note": [1]}, 200),
    ("post", "/commands/remind", "", {"account": "AnnC", "note": [1]}, 422),
    ("post", "/commands/remind", "", {"account": "AnnD", "note": {"a": 1}}, 422),
    ("post", "/streams/transactions/events", "", {"account": "AnnC", "kind": "deposit", "amount": 1, "teller": None}, 200),
    ("post", "/streams/transactions/events", "?partition=0&envelope=true", {"value": {"account": "AnnC", "kind": "deposit", "amount": "1.5"}}, 200),
    ("post", "/streams/transactions/events", "", {"account": "AnnC"}, 422),
    ("get", "/streams/transactions/events", "?limit=2", None, 200),
    ("get", "/streams/transactions/entities/{key}", "AnnC?limit=2", None, 200),
    ("get", "/streams/transactions/entities/{key}", "nobody", None, 200),
    ("get", "/events", "?stream=transactions", None, 200),
    ("post", "/events/query", "", {"query": [{"stream": "transactions"}]}, 200),
    ("post", "/events", "", {"events": [{"stream": "notes", "value": 1}], "condition": {"none_of": [{"stream": "transactions"}]}}, 412),
    ("get", "/views/balances", "?limit=1", None, 200),
    ("get", "/views/balances/{account}", "AnnC", None, 200),
    ("get", "/views/balances/{account}", "nobody", None, 404),
    ("get", "/schedules", "", None, 200),
]


def asked(address, method, path, body):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, {"Content-Type": "application/json"}, method=method.upper())
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        return answer.status, answer.headers.get_content_type(), json.load(answer)


def holds(document, at, value, what):
    """A value against a schema that stands somewhere in the document."""
    pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in at)
    faults = [fault.message for fault in Draft202012Validator({**document, "$ref": f"#/{pointer}"}).iter_errors(value)]
    assert not faults, f"{what}: {json.dumps(value)}\n" + "\n".join(faults)


def answers_as_it_says(document, address):
    # A command decides on what views say: the deposit that is behind is seen, too.
    asked(address, "post", "/streams/transactions/events", {"account": "AnnC", "kind": "deposit", "amount": 100})
    for method, path, rest, body, expected in ANSWERS:
        address_asked = (path[: path.index("{")] if "{" in path else path) + rest
        status, kind, answer = asked(address, method, address_asked, body)
        what = f"{method} {address_asked} {json.dumps(body)}"
        assert status == expected, f"{what}: {status} {answer}"
        operation = document["paths"][path][method]
        described = str(status) if str(status) in operation["responses"] else "default"
        assert kind in operation["responses"][described]["content"], f"{what}: {kind} is not described"
        if body is not None and status == 200:
            holds(document, ["paths", path, method, "requestBody", "content", "application/json", "schema"], body, f"what is taken by {what}")
        holds(document, ["paths", path, method, "responses", described, "content", kind, "schema"], answer, what)


def makes_a_client(document, address):
    with open("openapi.json", "w") as file:
        json.dump(document, file)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--output-path", "generated", "--meta", "none"]
    made = subprocess.run(command, capture_output=True, text=True)
    said = made.stdout + made.stderr
    assert made.returncode == 0, said
    # What it says of other media types is its own limit: it makes the request and the answer of JSON.
    faults = [what for what in re.findall(r"WARNING parsing [^\n]*\n\n([^\n]*)", said) if not what.startswith("Unsupported content type")]
    assert not faults and "Unable to parse" not in said, said
    sys.path.insert(0, ".")
    client = importlib.import_module("generated").Client(base_url=f"http://{address}")
    withdraw = importlib.import_module("generated.api.commands.command_withdraw")
    row = importlib.import_module("generated.api.views.get_balances")
    arguments = importlib.import_module("generated.models").CommandWithdrawBody(account="BradA", amount="40.00")
    decided = withdraw.sync_detailed(client=client, body=arguments)
    assert decided.status_code == 200 and decided.parsed.events[0].stream == "transactions", decided
    refused = withdraw.sync_detailed(client=client, body=arguments.__class__(account="BradA", amount="70.00"))
    assert refused.status_code == 422 and json.loads(refused.content)["code"] == "insufficient_funds", refused
    tried = withdraw.sync_detailed(client=client, body=arguments, dry_run=True)
    assert tried.status_code == 200 and tried.parsed.dry_run and tried.parsed.events[0].stream == "transactions", tried
    explained = withdraw.sync_detailed(client=client, body=arguments, explain=True)
    assert explained.status_code == 200 and explained.parsed.command == "withdraw", explained
    remind = importlib.import_module("generated.api.commands.command_remind")
    reminded = importlib.import_module("generated.models").CommandRemindBody(account="EveB", note=[1])
    outcomes = [remind.sync_detailed(client=client, body=reminded) for _ in range(2)]
    assert [(one.status_code, getattr(one.parsed, "code", None)) for one in outcomes] == [(200, None), (422, "schedule_exists")], outcomes
    found = row.sync(account="BradA", client=client, headwater_after=decided.parsed.position)
    assert found.balance == 60.0 and found.entries == 2, found


def main(address):
    with urllib.request.urlopen(f"http://{address}/openapi.json") as answer:
        document = json.load(answer)
    is_valid(document)
    has_names_of_its_own(document)
    event = {"account": "BradA", "kind": "deposit", "amount": 100.00}
    request = urllib.request.Request(
        f"http://{address}/streams/transactions/events", json.dumps(event).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request).close()
    answers_as_it_says(document, address)
    makes_a_client(document, address)
    print(f"ok      openapi: {len(document['paths'])} addresses, a valid document, a client that works")


main(*sys.argv[1:])
