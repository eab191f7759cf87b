"""The program's OpenAPI document: valid by the validator, and good for a generated client that works: `openapi.py HOST:PORT`."""

import importlib
import json
import re
import subprocess
import sys
import urllib.request

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
    makes_a_client(document, address)
    print(f"ok      openapi: {len(document['paths'])} addresses, a valid document, a client that works")


main(*sys.argv[1:])
