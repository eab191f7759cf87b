"""kafka-python with its default settings.

It is polled for half a second and more: a poll that ends while a member is joining can lose its assignment.

Not its cooperative assignor: with Apache Kafka too, a member is left without the messages of partitions that came to it.
"""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.admin import ConfigResource, NewTopic
from kafka.structs import OffsetAndMetadata
from trial import address, broker, eventually, expect, run

SECONDS = 30
admin = KafkaAdminClient(bootstrap_servers=address)


def ended(what):
    """The broker ends and comes back. An administrator's client that saw that stays without a connection: a new one."""
    global admin
    admin.close()
    broker(what)
    admin = KafkaAdminClient(bootstrap_servers=address)


def refused(error, action, *arguments, **more):
    try:
        action(*arguments, **more)
    except error:
        return
    raise AssertionError(f"it was not refused with {error.__name__}")


def topic(name, partitions=1, **configs):
    admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})
    return name


def send(name, values, key=None, producer=None, **settings):
    """Produces values in order and waits for all."""
    sender = producer or KafkaProducer(bootstrap_servers=address, **settings)
    sent = [sender.send(name, value, key=key(number) if key else None) for number, value in enumerate(values)]
    sender.flush(SECONDS)
    for future in sent:
        future.get(SECONDS)
    if producer is None:
        sender.close()


def consumer(group, *topics, **settings):
    return KafkaConsumer(*topics, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, **settings)


def read(readers, count):
    """Polls readers in turn until so many messages came."""
    got, until = [], time.monotonic() + SECONDS
    while len(got) < count and time.monotonic() < until:
        for reader in readers:
            for messages in reader.poll(timeout_ms=1000, max_records=count - len(got)).values():
                got.extend(messages)
            if len(got) == count:
                break
    expect(len(got) == count, f"{len(got)} of {count} messages came: {values(got)[:3]}…, to {[reader.assignment() for reader in readers]}")
    return got


def nothing_more(reader):
    expect(not reader.poll(timeout_ms=1000), "more came than was produced")


def values(messages):
    return [message.value for message in messages]


def numbers(prefix, count):
    return [f"{prefix}{number:04}".encode() for number in range(count)]


def ends(messages):
    highest = {}
    for message in messages:
        place = TopicPartition(message.topic, message.partition)
        highest[place] = max(highest.get(place, 0), message.offset + 1)
    return {place: OffsetAndMetadata(offset, "", -1) for place, offset in highest.items()}


def topics():
    topic("made", 3)
    refused(errors.TopicAlreadyExistsError, admin.create_topics, [NewTopic("made", 1, 1)])
    refused(errors.InvalidTopicError, admin.create_topics, [NewTopic("no name", 1, 1)])
    refused(errors.InvalidReplicationFactorError, admin.create_topics, [NewTopic("copies", 1, 3)])
    admin.create_topics([NewTopic("only-asked", 1, 1)], validate_only=True)
    eventually(lambda: "made" in admin.list_topics(), "the topic is listed")
    expect("only-asked" not in admin.list_topics(), "what was only validated is not made")
    expect(len(admin.describe_topics(["made"])[0]["partitions"]) == 3, "three partitions")
    admin.delete_topics(["made"])
    refused(errors.UnknownTopicOrPartitionError, admin.delete_topics, ["made"])
    eventually(lambda: "made" not in admin.list_topics(), "a deleted topic is gone")


def partitions():
    topic("grows")
    admin.create_partitions({"grows": 3})
    refused(errors.InvalidPartitionsError, admin.create_partitions, {"grows": 2})
    eventually(lambda: len(admin.describe_topics(["grows"])[0]["partitions"]) == 3, "three partitions")


def produce():
    topic("produced")
    for acks in (0, 1, "all"):
        # Idempotence is on by default, and needs acks=all.
        sender = KafkaProducer(bootstrap_servers=address, acks=acks, enable_idempotence=acks == "all")
        for number, value in enumerate((b"a", None)):
            sender.send("produced", value, key=b"k%d" % number, headers=[("h", b"1")], timestamp_ms=1_700_000_000_000)
        sender.flush(SECONDS)
        sender.close()
    reader = consumer("produce-readers", "produced")
    got = read([reader], 6)
    expect(values(got) == [b"a", None] * 3, "values come back in order")
    expect([message.key for message in got] == [b"k0", b"k1"] * 3, "keys come back")
    expect(all(list(message.headers) == [("h", b"1")] for message in got), "headers come back")
    expect(all(message.timestamp == 1_700_000_000_000 for message in got), "timestamps come back")
    reader.close()


def codecs():
    topic("codecs")
    expected = []
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        sent = numbers(f"{codec} " + "text " * 20, 100)
        send("codecs", sent, compression_type=codec, linger_ms=20)
        expected += sent
    reader = consumer("codec-readers", "codecs")
    expect(values(read([reader], 500)) == expected, "what was sent comes back")
    reader.close()


def large():
    topic("large")
    sender = KafkaProducer(bootstrap_servers=address, max_request_size=5_000_000)
    refused(errors.MessageSizeTooLargeError, sender.send("large", b"x" * 2_000_000).get, SECONDS)
    sender.close()
    # The producer that was refused one record goes on refusing all.
    sender = KafkaProducer(bootstrap_servers=address)
    expect(sender.send("large", b"x" * 900_000).get(SECONDS).offset == 0, "a smaller one is taken")
    sender.close()


def offsets():
    topic("timed")
    sender = KafkaProducer(bootstrap_servers=address)
    for moment in (1_000, 2_000, 3_000):
        sender.send("timed", b"x", timestamp_ms=moment).get(SECONDS)
    sender.close()
    place = TopicPartition("timed", 0)
    reader = consumer("timed-readers")
    expect((reader.beginning_offsets([place])[place], reader.end_offsets([place])[place]) == (0, 3), "both ends")
    found = reader.offsets_for_times({place: 1_500})[place]
    expect((found.offset, found.timestamp) == (1, 2_000), f"the first from 1,500 on is {found}")
    expect(reader.offsets_for_times({place: 4_000})[place] is None, "nothing is from 4,000 on")
    reader.close()


def group():
    topic("grouped", 4)
    sent = numbers("g", 400)
    send("grouped", sent, key=lambda number: b"k%d" % number)
    reader = consumer("group", "grouped", max_poll_records=50)
    first = read([reader], 200)
    reader.commit(ends(first))
    reader.close()
    ended("restart")
    reader = consumer("group", "grouped")
    rest = read([reader], 200)
    nothing_more(reader)
    expect(sorted(values(first) + values(rest)) == sent, "every value once")
    reader.close()


def members(name, **settings):
    """Two members share, one leaves, the other takes over: each message to one of them, none lost."""
    topic(name, 4)
    readers = [consumer(f"{name}-group", name, **settings)]
    for stage, wanted in enumerate(([4], [2, 2], [4])):
        if stage == 1:
            readers.append(consumer(f"{name}-group", name, **settings))
        if stage == 2:
            readers.pop(0).close()
        until = time.monotonic() + SECONDS
        while sorted(len(reader.assignment()) for reader in readers) != wanted:
            expect(time.monotonic() < until, f"stage {stage}: shared as {[reader.assignment() for reader in readers]}")
            for reader in readers:
                expect(not reader.poll(timeout_ms=2000), "nothing is there yet")
        now = numbers(f"{stage} ", 100)
        send(name, now, key=lambda number: b"k%d" % number)
        expect(sorted(values(read(readers, 100))) == now, f"stage {stage}: every value once")
        for reader in readers:
            reader.commit()
    readers[0].close()


def rebalance():
    members("eager")


def static():
    topic("stays", 4)
    for _ in range(2):
        reader = consumer("static", "stays", group_instance_id="one", session_timeout_ms=30_000)
        until = time.monotonic() + SECONDS
        while not reader.assignment():
            expect(time.monotonic() < until, "nothing was assigned")
            reader.poll(timeout_ms=500)
        expect(len(reader.assignment()) == 4, "all partitions are its own")
        reader.close()
        described = admin.describe_groups(["static"])["static"]
        expect([member["group_instance_id"] for member in described["members"]] == ["one"], f"described as {described}")


def regex():
    for name in ("match-a", "match-b", "other"):
        topic(name)
        send(name, [name.encode()])
    reader = consumer("by-pattern")
    reader.subscribe(pattern="^match-.*")
    expect(sorted(values(read([reader], 2))) == [b"match-a", b"match-b"], "both topics that match")
    nothing_more(reader)
    reader.close()


def groups_admin():
    topic("administered")
    send("administered", numbers("", 10))
    reader = consumer("looked-at", "administered")
    reader.commit(ends(read([reader], 10)))
    described = admin.describe_groups(["looked-at"])["looked-at"]
    expect(described["group_state"] == "Stable" and len(described["members"]) == 1, f"described as {described}")
    reader.close()
    expect("looked-at" in [group["group_id"] for group in admin.list_groups()], "it is listed")
    place = TopicPartition("administered", 0)
    expect(admin.list_group_offsets("looked-at")["looked-at"][place].offset == 10, "the committed offset")
    admin.alter_group_offsets("looked-at", {place: OffsetAndMetadata(5, "", -1)})
    expect(admin.list_group_offsets("looked-at")["looked-at"][place].offset == 5, "the altered offset")
    admin.delete_group_offsets("looked-at", [place])
    expect(place not in admin.list_group_offsets("looked-at").get("looked-at", {}), "the deleted offset")
    admin.delete_groups(["looked-at"])
    expect("looked-at" not in [group["group_id"] for group in admin.list_groups()], "it is gone")


def idempotent():
    topic("once")
    sender = KafkaProducer(bootstrap_servers=address, linger_ms=1, retry_backoff_ms=50, reconnect_backoff_max_ms=200)
    sent, futures = numbers("i", 3_000), []
    for number, value in enumerate(sent):
        futures.append(sender.send("once", value))
        if number in (1_000, 2_000):
            ended("kill")
    sender.flush(60)
    for future in futures:
        future.get(SECONDS)
    sender.close()
    reader = consumer("once-readers", "once")
    expect(values(read([reader], 3_000)) == sent, "every value once and in order")
    nothing_more(reader)
    reader.close()


def transactional(name):
    sender = KafkaProducer(bootstrap_servers=address, transactional_id=name)
    sender.init_transactions()
    return sender


def transactions():
    topic("in-transactions")
    sender, expected = transactional("writer"), []
    for number in range(6):
        sender.begin_transaction()
        now = numbers(f"t{number} ", 20)
        send("in-transactions", now, producer=sender)
        if number % 3 == 1:
            sender.abort_transaction()
        else:
            sender.commit_transaction()
            expected += now
    sender.close()
    for isolation, count in (("read_committed", 80), ("read_uncommitted", 120)):
        reader = consumer(f"{isolation} readers", "in-transactions", isolation_level=isolation)
        got = values(read([reader], count))
        nothing_more(reader)
        expect(isolation != "read_committed" or got == expected, "what was committed, and nothing else")
        reader.close()


def conditions():
    name = topic("depending", **{"headwater.entities": "indexed"})

    def send_if(key, version, **settings):
        """Sends one record on the condition that its key's last record stands there; its offset. An idempotent producer of this client takes nothing more after a refusal: a new one each time."""
        sender = KafkaProducer(bootstrap_servers=address, **settings)
        try:
            return sender.send(name, b"v", key=key, headers=[("headwater-if-version", version.encode())]).get(SECONDS).offset
        finally:
            sender.close()

    for number, settings in enumerate(({"enable_idempotence": False}, {}, {"compression_type": "gzip"})):
        key = b"k%d" % number
        offset = send_if(key, "none", **settings)
        refused(errors.InvalidRecordError, send_if, key, "none", **settings)
        # What anybody writes counts.
        send(name, [b"plain"], key=lambda _: key)
        refused(errors.InvalidRecordError, send_if, key, f"0@{offset}", **settings)
        expect(send_if(key, f"0@{offset + 1}", **settings) == offset + 2, "it is the last one")


def transactional_offsets():
    for name in ("from", "to"):
        topic(name)
    sent = numbers("", 50)
    send("from", sent)
    sender, done = transactional("copier"), 0
    for fails in (False, True, False):
        reader = consumer("copiers", "from", isolation_level="read_committed", max_poll_records=20)
        got = read([reader], 20 if done == 0 else 50 - done)
        sender.begin_transaction()
        send("to", values(got), producer=sender)
        sender.send_offsets_to_transaction(ends(got), reader.group_metadata())
        if fails:
            sender.abort_transaction()
        else:
            sender.commit_transaction()
            done += len(got)
        reader.close()
    sender.close()
    reader = consumer("copied", "to", isolation_level="read_committed")
    expect(values(read([reader], 50)) == sent, "every value once")
    nothing_more(reader)
    reader.close()


def fencing():
    topic("fenced")
    older = transactional("twice")
    older.begin_transaction()
    send("fenced", [b"old"], producer=older)
    newer = transactional("twice")
    try:
        older.commit_transaction()
    except (errors.ProducerFencedError, errors.InvalidProducerEpochError):
        pass
    else:
        raise AssertionError("the older one was not fenced")
    newer.begin_transaction()
    send("fenced", [b"new"], producer=newer)
    newer.commit_transaction()
    newer.close()
    reader = consumer("fence-readers", "fenced", isolation_level="read_committed")
    expect(values(read([reader], 1)) == [b"new"], "what the newer one wrote")
    reader.close()


def transactions_admin():
    topic("watched")
    sender = transactional("watched-writer")
    sender.begin_transaction()
    send("watched", [b"open"], producer=sender)
    described = admin.describe_transactions(["watched-writer"])["watched-writer"]
    expect(str(described.state).endswith("ONGOING") or "Ongoing" in str(described.state), f"described as {described}")
    expect("watched-writer" in str(admin.list_transactions()), "it is listed")
    place = TopicPartition("watched", 0)
    producers = admin.describe_producers([place])[place]
    expect(str(described.producer_id) in str(producers), f"the partition's producers are {producers}")
    sender.commit_transaction()
    sender.close()


def configs():
    topic("configured", **{"cleanup.policy": "compact", "retention.ms": "3600000"})

    def described(name):
        found = admin.describe_configs([ConfigResource("topic", "configured")], config_filter="all")
        return found["topic"]["configured"][name]["value"]

    expect((described("cleanup.policy"), described("retention.ms")) == ("compact", "3600000"), "as it was created")
    admin.alter_configs([ConfigResource("topic", "configured", {"retention.ms": "7200000"})])
    eventually(lambda: described("retention.ms") == "7200000", "as it was altered")
    admin.reset_configs([ConfigResource("topic", "configured", ["retention.ms"])])
    eventually(lambda: described("retention.ms") != "7200000", "nobody's value any more")


def delete_records():
    topic("shortened")
    send("shortened", numbers("", 10))
    admin.delete_records({TopicPartition("shortened", 0): 4})
    reader = consumer("shortened-readers", "shortened")
    expect(values(read([reader], 6)) == numbers("", 10)[4:], "from the new start on")
    reader.close()


def cluster():
    described = admin.describe_cluster()
    expect(len(described["brokers"]) == 1, f"described as {described}")


def log_dirs():
    topic("somewhere")
    (described,) = admin.describe_log_dirs()
    expect("somewhere" in str(described), f"described as {described}")


def quorum():
    described = admin.describe_metadata_quorum()
    expect(described, "the quorum is described")
    features = admin.describe_features()
    expect("transaction.version" in str(features), f"the features are {features}")


run({
    "topics": topics,
    "partitions": partitions,
    "produce": produce,
    "codecs": codecs,
    "large": large,
    "offsets": offsets,
    "group": group,
    "rebalance": rebalance,
    "static": static,
    "regex": regex,
    "groups-admin": groups_admin,
    "idempotent": idempotent,
    "transactions": transactions,
    "conditions": conditions,
    "transactional-offsets": transactional_offsets,
    "fencing": fencing,
    "transactions-admin": transactions_admin,
    "configs": configs,
    "delete-records": delete_records,
    "cluster": cluster,
    "log-dirs": log_dirs,
    "quorum": quorum,
})
