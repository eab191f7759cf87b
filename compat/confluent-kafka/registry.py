"""Confluent's serializers and deserializers against the schema registry, unmodified: Avro, Protobuf and JSON Schema."""

import json
import os
import pathlib
import urllib.request

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from trial import address, broker, expect

RATING = {
    "type": "record",
    "name": "Rating",
    "namespace": "shop",
    "fields": [
        {"name": "item", "type": "string"},
        {"name": "stars", "type": "int"},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}
PERSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


def url():
    return "http://" + pathlib.Path(os.environ["WORK"], "http").read_text().strip()


def client():
    return SchemaRegistryClient({"url": url()})


def context(topic):
    return SerializationContext(topic, MessageField.VALUE)


def sql(statement):
    """What a statement answers over HTTP: its rows."""
    request = urllib.request.Request(url() + "/sql", statement.encode(), {"Content-Type": "text/plain", "Accept": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def send(topic, values):
    producer = Producer({"bootstrap.servers": address})
    failed = []
    for value in values:
        producer.produce(topic, value=value, on_delivery=lambda error, _: failed.append(error) if error else None)
    expect(producer.flush(30) == 0 and not failed, f"not everything was sent: {failed}")


def avro(topic, registry):
    serialize = AvroSerializer(registry, json.dumps(RATING))
    events = [{"item": "lamp", "stars": 5, "note": None}, {"item": "desk", "stars": 3, "note": "é"}]
    values = [serialize(event, context(topic)) for event in events]
    deserialize = AvroDeserializer(client())
    expect([deserialize(value, context(topic)) for value in values] == events, "Avro comes back")
    return values


def order_class():
    """A message class, made here as protoc would make it."""
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    file.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="Order")
    kinds = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="id", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    message.field.add(name="cents", number=2, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    message.field.add(name="at", number=3, type=kinds.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp", label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def protobuf(topic, registry, order):
    serialize = ProtobufSerializer(order, registry, {"use.deprecated.format": False})
    orders = [order(id="o1", cents=9007199254740993, at=timestamp_pb2.Timestamp(seconds=1767323045)), order(id="o2")]
    values = [serialize(one, context(topic)) for one in orders]
    deserialize = ProtobufDeserializer(order, {"use.deprecated.format": False}, client())
    expect([deserialize(value, context(topic)) for value in values] == orders, "Protobuf comes back")
    return values


def json_schema(topic, registry):
    serialize = JSONSerializer(json.dumps(PERSON), registry)
    people = [{"name": "ann", "age": 7}, {"name": "bob"}]
    values = [serialize(one, context(topic)) for one in people]
    deserialize = JSONDeserializer(None, schema_registry_client=client())
    expect([deserialize(value, context(topic)) for value in values] == people, "JSON comes back")
    return values


def refused(code, act):
    try:
        act()
    except SchemaRegistryError as error:
        expect(error.error_code == code, f"refused with {error}")
    else:
        raise AssertionError("it was not refused")


def administration(registry):
    """What the client can ask beside its serializers."""
    expect(registry.get_subjects() == ["orders-value", "people-value", "ratings-value"], f"subjects {registry.get_subjects()}")
    expect(registry.get_versions("ratings-value") == [1], "one version")
    latest = registry.get_latest_version("ratings-value")
    expect(latest.version == 1 and registry.get_schema(latest.schema_id).schema_type == "AVRO", f"latest {latest}")
    longer = dict(RATING, fields=RATING["fields"] + [{"name": "by", "type": "string", "default": ""}])
    broken = dict(RATING, fields=[{"name": "item", "type": "long"}])
    expect(registry.test_compatibility("ratings-value", Schema(json.dumps(longer), "AVRO")), "a default makes it readable")
    expect(not registry.test_compatibility("ratings-value", Schema(json.dumps(broken), "AVRO")), "a string is no long")
    refused(409, lambda: registry.register_schema("ratings-value", Schema(json.dumps(broken), "AVRO")))
    registry.set_compatibility("ratings-value", "NONE")
    expect(registry.get_compatibility("ratings-value") == "NONE", "the level is set")
    inner = json.dumps({"type": "record", "name": "Inner", "namespace": "n", "fields": [{"name": "x", "type": "int"}]})
    outer = json.dumps({"type": "record", "name": "Outer", "fields": [{"name": "i", "type": "n.Inner"}]})
    registry.register_schema("inner", Schema(inner, "AVRO"))
    reference = SchemaReference("n.Inner", "inner", 1)
    number = registry.register_schema("outer", Schema(outer, "AVRO", [reference]))
    expect(registry.get_schema(number).references == [reference], "references are kept")
    refused(42206, lambda: registry.delete_subject("inner"))
    expect(registry.delete_subject("outer") == [1] and registry.delete_subject("outer", permanent=True) == [1], "deleted")
    refused(40401, lambda: registry.get_latest_version("outer"))


def registry():
    order = order_class()
    first = client()
    ratings, orders, people = avro("ratings", first), protobuf("orders", first, order), json_schema("people", first)
    administration(first)
    sql("CREATE STREAM ratings KEY (item) WITH (format = 'avro', partitions = 1)")
    sql("CREATE STREAM orders KEY (id) WITH (format = 'protobuf', partitions = 1)")
    sql("CREATE STREAM people (name TEXT NOT NULL, age INTEGER) WITH (partitions = 1)")
    for topic, values in [("ratings", ratings), ("orders", orders), ("people", people)]:
        send(topic, values)
    sql("INSERT INTO ratings (item, stars) VALUES ('vase', 1)")
    for restart in ["restart", "kill"]:
        found = [sql(question) for question in (
            "SELECT item, stars, note FROM ratings ORDER BY _offset",
            "SELECT id, cents, at FROM orders ORDER BY _offset",
            "SELECT name, age FROM people ORDER BY _offset",
        )]
        said = json.dumps(found)
        for part in ["lamp", "desk", "vase", "9007199254740993", "2026-01-02", "ann", "bob"]:
            expect(part in said, f"'{part}' in {said}")
        broker(restart)
        # New clients, which know nothing by heart.
        expect(avro("ratings", client()) == ratings, "the same ids for Avro")
        expect(protobuf("orders", client(), order) == orders, "the same ids for Protobuf")
        expect(json_schema("people", client()) == people, "the same ids for JSON")
