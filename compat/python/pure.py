"""kafka-python, with its default settings: `pure.py ADDRESS first|again FOLDER`.

`first` creates a topic, produces with every codec and every acks, reads half of it in a group and commits.
`again`, after a restart of the broker, goes on in the same group and must get exactly the other half.
"""

import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata

TOPIC = "kafka-python"
GROUP = "kafka-python-readers"
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
ACKS = [0, 1, "all"]
EACH = 100
TOTAL = len(CODECS) * len(ACKS) * EACH


def values():
    for codec in CODECS:
        for acks in ACKS:
            for number in range(EACH):
                yield f"{codec}/{acks}/{number} " + "text " * 10


def produce(address):
    left = iter(values())
    for codec in CODECS:
        for acks in ACKS:
            # Idempotence is on by default, and needs acks=all.
            producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks=acks,
                                     enable_idempotence=acks == "all")
            sent = [producer.send(TOPIC, key=b"k%d" % number, value=next(left).encode()) for number in range(EACH)]
            producer.flush(30)
            for future in sent:
                future.get(30)
            producer.close()


def consumer(address):
    return KafkaConsumer(TOPIC, bootstrap_servers=address, group_id=GROUP, auto_offset_reset="earliest",
                         enable_auto_commit=False, max_poll_records=50)


def read(reader, count):
    got, patience = [], time.monotonic() + 30
    while len(got) < count and time.monotonic() < patience:
        for messages in reader.poll(timeout_ms=1000, max_records=count - len(got)).values():
            got.extend(messages)
    assert len(got) == count, f"{len(got)} of {count} messages came"
    return got


def first(address):
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(TOPIC, num_partitions=4, replication_factor=1)])
    admin.close()
    produce(address)
    reader = consumer(address)
    got = read(reader, TOTAL // 2)
    ends = {}
    for message in got:
        place = TopicPartition(TOPIC, message.partition)
        ends[place] = OffsetAndMetadata(max(ends.get(place, OffsetAndMetadata(0, "", -1)).offset, message.offset + 1), "", -1)
    reader.commit(ends)
    places = [TopicPartition(TOPIC, partition) for partition in range(4)]
    assert sum(reader.end_offsets(places).values()) == TOTAL
    assert set(reader.beginning_offsets(places).values()) == {0}
    reader.close()
    with open(f"{sys.argv[3]}/pure-first", "w") as kept:
        kept.write("\n".join(message.value.decode() for message in got))


def again(address):
    with open(f"{sys.argv[3]}/pure-first") as kept:
        seen = kept.read().split("\n")
    reader = consumer(address)
    rest = [message.value.decode() for message in read(reader, TOTAL - len(seen))]
    assert not reader.poll(timeout_ms=1000), "more came than was produced"
    reader.close()
    assert sorted(seen + rest) == sorted(values()), "not every value came exactly once"
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.delete_topics([TOPIC])
    admin.close()


{"first": first, "again": again}[sys.argv[2]](sys.argv[1])
