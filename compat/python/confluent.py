"""librdkafka through confluent-kafka, with its default settings: `confluent.py ADDRESS first|again FOLDER`.

`first` creates a topic, produces with every codec and every acks, reads half of it in a group and commits.
`again`, after a restart of the broker, goes on in the same group and must get exactly the other half.
"""

import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

TOPIC = "confluent"
GROUP = "confluent-readers"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
SETTINGS = [{"acks": 0}, {"acks": 1}, {"acks": "all"}, {"enable.idempotence": True}]
EACH = 100
TOTAL = len(CODECS) * len(SETTINGS) * EACH


def values():
    for codec in CODECS:
        for index in range(len(SETTINGS)):
            for number in range(EACH):
                yield f"{codec}/{index}/{number} " + "text " * 10


def produce(address):
    left = iter(values())
    for codec in CODECS:
        for settings in SETTINGS:
            failed = []
            producer = Producer({"bootstrap.servers": address, "compression.type": codec, **settings})
            for number in range(EACH):
                producer.produce(TOPIC, key=f"k{number}", value=next(left), headers=[("h", b"1")],
                                 on_delivery=lambda error, _: failed.append(error) if error else None)
            assert producer.flush(30) == 0, f"{codec} {settings}: not everything was sent"
            assert not failed, f"{codec} {settings}: {failed[0]}"


def consumer(address):
    return Consumer({"bootstrap.servers": address, "group.id": GROUP, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False})


def read(reader, count):
    got, patience = [], time.monotonic() + 30
    while len(got) < count and time.monotonic() < patience:
        for message in reader.consume(min(count - len(got), 100), timeout=1):
            if message.error():
                raise KafkaException(message.error())
            assert message.headers() == [("h", b"1")]
            got.append(message)
    assert len(got) == count, f"{len(got)} of {count} messages came"
    return got


def commit(reader, got):
    ends = {}
    for message in got:
        ends[message.partition()] = max(ends.get(message.partition(), 0), message.offset() + 1)
    reader.commit(offsets=[TopicPartition(TOPIC, p, o) for p, o in ends.items()], asynchronous=False)


def admin(address):
    client = AdminClient({"bootstrap.servers": address})
    client.create_topics([NewTopic(TOPIC, num_partitions=4)])[TOPIC].result(10)
    try:
        client.create_topics([NewTopic("copies", num_partitions=1, replication_factor=3)])["copies"].result(10)
        raise AssertionError("three copies cannot be kept by one broker")
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR, error
    config = ConfigResource(ResourceType.TOPIC, TOPIC)
    described = client.describe_configs([config])[config].result(10)
    assert described["message.timestamp.type"].value == "CreateTime"
    cluster = client.describe_cluster().result(10)
    assert len(cluster.nodes) == 1, cluster.nodes
    return client


def first(address):
    client = admin(address)
    produce(address)
    reader = consumer(address)
    reader.subscribe([TOPIC])
    got = read(reader, TOTAL // 2)
    commit(reader, got)
    group = client.describe_consumer_groups([GROUP])[GROUP].result(10)
    assert len(group.members) == 1 and group.state.name == "STABLE", group.state
    reader.close()
    low, high = consumer(address).get_watermark_offsets(TopicPartition(TOPIC, 0))
    assert low == 0 and high > 0
    with open(f"{sys.argv[3]}/confluent-first", "w") as kept:
        kept.write("\n".join(message.value().decode() for message in got))


def again(address):
    with open(f"{sys.argv[3]}/confluent-first") as kept:
        seen = kept.read().split("\n")
    reader = consumer(address)
    reader.subscribe([TOPIC])
    rest = [message.value().decode() for message in read(reader, TOTAL - len(seen))]
    assert not reader.consume(1, timeout=1), "more came than was produced"
    reader.close()
    assert sorted(seen + rest) == sorted(values()), "not every value came exactly once"
    client = AdminClient({"bootstrap.servers": address})
    assert GROUP in {group.group_id for group in client.list_consumer_groups().result(10).valid}
    client.delete_consumer_groups([GROUP])[GROUP].result(10)
    client.delete_topics([TOPIC])[TOPIC].result(10)
    assert TOPIC not in client.list_topics(timeout=10).topics


{"first": first, "again": again}[sys.argv[2]](sys.argv[1])
