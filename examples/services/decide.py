"""A service that decides in Python: an account is never overdrawn, however many of these run at once.

    decide.py http://127.0.0.1:8090 ACCOUNT AMOUNT

Read the account's events with their version, decide, and append on the condition that this is still the version. Where somebody came in between the
answer is 412: read again and decide again. Nothing is locked, and no other event can be lost or overtaken. It needs nothing but Python.
"""

import decimal
import json
import sys
import urllib.error
import urllib.parse
import urllib.request


def call(method, address, body=None, headers={}):
    """Status, headers and the JSON of an answer, numbers exact."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        return answer.status, answer.headers, json.load(answer, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def entity(server, stream, key):
    """The events of one key in order, and their version."""
    address = f"{server}/streams/{stream}/entities/{urllib.parse.quote(key, safe='')}"
    events, next_page, version = [], address, None
    while next_page:
        status, headers, page = call("GET", next_page)
        if status != 200:
            raise RuntimeError(page["detail"])
        events += [event["value"] for event in page["events"]]
        # The version of the last page: whatever came after it will be in the way.
        version, next_page = headers["ETag"], page["next"] and urllib.parse.urljoin(server, page["next"])
    return events, version


def balance(events):
    # Others may have written it as a number.
    amounts = ((event["kind"], decimal.Decimal(event["amount"])) for event in events)
    return sum(amount if kind == "deposit" else -amount for kind, amount in amounts)


def withdraw(server, account, amount):
    """What is left, or None where there is not enough."""
    while True:
        events, version = entity(server, "accounts", account)
        left = balance(events) - amount
        if left < 0:
            return None
        # As a text: Python would make a float of a number, which holds some fifteen digits.
        event = {"account": account, "kind": "withdrawal", "amount": str(amount)}
        status, _, answer = call("POST", f"{server}/streams/accounts/events", event, {"If-Match": version})
        if status == 200:
            return left
        if status != 412:
            raise RuntimeError(answer["detail"])


if __name__ == "__main__":
    server, account, amount = sys.argv[1:]
    left = withdraw(server, account, decimal.Decimal(amount))
    print("refused" if left is None else f"withdrawn, {left} left")
