"""A service that reacts: every order is charged once at a payment provider, and the receipt becomes an event.

    react.py KAFKA_ADDRESS HTTP_ADDRESS PROVIDER_ADDRESS

A consumer group reads the orders; how far it has got is kept by the log. Whoever acts on the world acts at least once, because it may die between
the act and the note of it. So both ends are told apart by the order's own place in the log, which is the same each time:

    read order ── charge, with the key `orders/2@17` ── append the receipt, with the same key ── commit the offset
                  (the provider knows it again)         (the command gives its first answer again)

A view does none of this: views are built again whenever somebody wants, and must have no effects. This is a consumer group, whose place never goes back
by itself. It needs confluent-kafka, or any other Kafka client.
"""

import json
import sys
import urllib.request

import confluent_kafka as kafka


def post(address, body, key):
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def react(message, http, provider):
    order = json.loads(message.value())
    key = f"{message.topic()}/{message.partition()}@{message.offset()}"
    charged = post(f"{provider}/charges", {"amount": order["amount"]}, key)
    post(f"{http}/commands/record_payment", {"order_id": order["order_id"], "receipt": charged["receipt"]}, key)


def main(address, http, provider):
    consumer = kafka.Consumer(
        {"bootstrap.servers": address, "group.id": "charging", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe(["orders"])
    while True:
        messages = consumer.consume(num_messages=100, timeout=1.0)
        for message in messages:
            if message.error():
                raise kafka.KafkaException(message.error())
            react(message, http, provider)
        if messages:
            # Once for all of them: what is done again after a crash is the same again.
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
