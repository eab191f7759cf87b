"""librdkafka, through confluent-kafka, with its default settings."""

import time


import confluent_kafka as kafka
from registry import registry
from trial import address, broker, eventually, expect, run
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition, admin as administration
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

SECONDS = 30
admin = AdminClient({"bootstrap.servers": address})


def done(futures):
    """What the one future of an administrator's answer holds."""
    (future,) = futures.values()
    return future.result(SECONDS)


def refused(code, futures):
    try:
        done(futures)
    except KafkaException as error:
        expect(error.args[0].code() == code, f"refused with {error}")
    else:
        raise AssertionError("it was not refused")


def topic(name, partitions=1, **config):
    done(admin.create_topics([NewTopic(name, num_partitions=partitions, config=config)]))
    return name


def producer(**settings):
    return Producer({"bootstrap.servers": address, **settings})


def send(sender, name, values, key=None, **more):
    """Produces values in order and waits for all; their offsets."""
    failed, offsets = [], []

    def delivered(error, message):
        failed.append(error) if error else offsets.append(message.offset())

    for number, value in enumerate(values):
        sender.produce(name, value=value, key=key(number) if key else None, on_delivery=delivered, **more)
        sender.poll(0)
    expect(sender.flush(SECONDS) == 0, "not everything was sent")
    expect(not failed, f"not everything was acknowledged: {failed[:1]}")
    return offsets


def consumer(group, **settings):
    return Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, **settings})


def read(readers, count, seconds=SECONDS):
    """Polls readers in turn until so many messages came."""
    got, until = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < until:
        for reader in readers:
            for message in reader.consume(count - len(got), timeout=0.1):
                if message.error():
                    raise KafkaException(message.error())
                got.append(message)
    expect(len(got) == count, f"{len(got)} of {count} messages came")
    return got


def values(messages):
    return [message.value().decode() for message in messages]


def numbers(prefix, count):
    return [f"{prefix}{number:04}" for number in range(count)]


def commit(reader, messages):
    ends = {}
    for message in messages:
        place = (message.topic(), message.partition())
        ends[place] = max(ends.get(place, 0), message.offset() + 1)
    reader.commit(offsets=[TopicPartition(t, p, o) for (t, p), o in ends.items()], asynchronous=False)


def topics():
    topic("made", 3)
    refused(KafkaError.TOPIC_ALREADY_EXISTS, admin.create_topics([NewTopic("made", num_partitions=1)]))
    refused(KafkaError.TOPIC_EXCEPTION, admin.create_topics([NewTopic("no name", num_partitions=1)]))
    refused(KafkaError.INVALID_REPLICATION_FACTOR, admin.create_topics([NewTopic("copies", num_partitions=1, replication_factor=3)]))
    done(admin.create_topics([NewTopic("only-asked", num_partitions=1)], validate_only=True))
    listed = admin.list_topics(timeout=SECONDS).topics
    expect(len(listed["made"].partitions) == 3, "three partitions are listed")
    expect("only-asked" not in listed, "what was only validated is not made")
    described = done(admin.describe_topics(kafka.TopicCollection(["made"])))
    expect(len(described.partitions) == 3 and not described.is_internal, f"described as {described}")
    done(admin.delete_topics(["made"]))
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, admin.delete_topics(["made"]))
    eventually(lambda: "made" not in admin.list_topics(timeout=SECONDS).topics, "a deleted topic is gone")


def partitions():
    topic("grows", 1)
    done(admin.create_partitions([NewPartitions("grows", 3)]))
    refused(KafkaError.INVALID_PARTITIONS, admin.create_partitions([NewPartitions("grows", 2)]))
    eventually(lambda: len(admin.list_topics("grows", timeout=SECONDS).topics["grows"].partitions) == 3, "three partitions are listed")
    send(producer(), "grows", ["x"], partition=2)


def produce():
    topic("produced")
    for settings in ({"acks": 0}, {"acks": 1}, {"acks": "all"}):
        send(producer(**settings), "produced", ["a", None], key=lambda number: f"k{number}", headers=[("h", b"1"), ("none", None)], timestamp=1_700_000_000_000)
    reader = consumer("produce-readers")
    reader.subscribe(["produced"])
    got = read([reader], 6)
    expect([message.value() for message in got] == [b"a", None] * 3, "values come back in order")
    expect([message.key() for message in got] == [b"k0", b"k1"] * 3, "keys come back")
    expect(all(message.headers() == [("h", b"1"), ("none", None)] for message in got), "headers come back")
    expect(all(message.timestamp() == (kafka.TIMESTAMP_CREATE_TIME, 1_700_000_000_000) for message in got), "timestamps come back")
    reader.close()


def codecs():
    topic("codecs")
    expected = []
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        sent = numbers(f"{codec} " + "text " * 20, 100)
        send(producer(**{"compression.type": codec, "linger.ms": 20}), "codecs", sent)
        expected += sent
    reader = consumer("codec-readers")
    reader.subscribe(["codecs"])
    expect(values(read([reader], 500)) == expected, "what was sent comes back")
    reader.close()


def large():
    topic("large")
    sender = producer(**{"message.max.bytes": 5_000_000})
    failed = []
    sender.produce("large", b"x" * 2_000_000, on_delivery=lambda error, _: failed.append(error))
    sender.flush(SECONDS)
    expect(failed and failed[0].code() == KafkaError.MSG_SIZE_TOO_LARGE, f"two megabytes: {failed}")
    expect(send(sender, "large", [b"x" * 900_000]) == [0], "a smaller one is taken")


def offsets():
    topic("timed", 1)
    for moment in (1_000, 2_000, 3_000):
        send(producer(), "timed", ["x"], timestamp=moment)
    reader = consumer("timed-readers")
    expect(reader.get_watermark_offsets(TopicPartition("timed", 0), timeout=SECONDS) == (0, 3), "watermarks")
    found = reader.offsets_for_times([TopicPartition("timed", 0, 1_500)], timeout=SECONDS)
    expect(found[0].offset == 1, f"the first from 1,500 on is {found}")
    place = TopicPartition("timed", 0)
    spec = administration.OffsetSpec
    for wanted, offset in ((spec.earliest(), 0), (spec.latest(), 3), (spec.for_timestamp(2_500), 2), (spec.max_timestamp(), 2)):
        listed = done(admin.list_offsets({place: wanted}))
        expect(listed.offset == offset, f"{wanted} is {listed.offset}, not {offset}")
    reader.close()


def group():
    topic("grouped", 4)
    sent = numbers("g", 400)
    send(producer(), "grouped", sent, key=lambda number: f"k{number}")
    reader = consumer("group")
    reader.subscribe(["grouped"])
    first = read([reader], 200)
    commit(reader, first)
    reader.close()
    broker("restart")
    reader = consumer("group")
    reader.subscribe(["grouped"])
    rest = read([reader], 200)
    expect(not reader.consume(1, timeout=1), "more came than was produced")
    expect(sorted(values(first) + values(rest)) == sent, "every value once")
    reader.close()


def members(name, **settings):
    """Two members share, one leaves, the other takes over: each message to one of them, none lost."""
    topic(name, 4)
    readers = [consumer(f"{name}-group", **settings) for _ in range(2)]
    sent = []
    for stage in range(3):
        if stage < 2:
            readers[stage].subscribe([name])
        else:
            readers.pop(0).close()
        until = time.monotonic() + SECONDS
        wanted = {0: [0, 4], 1: [2, 2], 2: [4]}[stage]
        while sorted(len(reader.assignment()) for reader in readers) != wanted:
            expect(time.monotonic() < until, f"stage {stage}: shared as {[reader.assignment() for reader in readers]}")
            for reader in readers:
                if reader.assignment() or stage != 0 or reader is readers[0]:
                    message = reader.poll(0.1)
                    expect(message is None, "nothing is there yet")
        now = numbers(f"{stage} ", 100)
        send(producer(), name, now, key=lambda number: f"k{number}")
        got = read([reader for reader in readers if reader.assignment()], 100)
        expect(sorted(values(got)) == now, f"stage {stage}: every value once")
        for reader in readers:
            if reader.assignment():
                reader.commit(asynchronous=False)
        sent += now
    readers[0].close()


def rebalance():
    members("eager", **{"partition.assignment.strategy": "range,roundrobin"})


def cooperative():
    members("cooperating", **{"partition.assignment.strategy": "cooperative-sticky"})


def consumer_protocol():
    members("new-protocol", **{"group.protocol": "consumer"})


def static():
    topic("stays", 4)
    seen = []
    for _ in range(2):
        assigned = []
        reader = consumer("static", **{"group.instance.id": "one", "session.timeout.ms": 30_000})
        reader.subscribe(["stays"], on_assign=lambda _, places: assigned.extend(places))
        until = time.monotonic() + SECONDS
        while not assigned:
            expect(time.monotonic() < until, "nothing was assigned")
            reader.poll(0.1)
        seen.append(done(admin.describe_consumer_groups(["static"])).members[0])
        expect(seen[-1].group_instance_id == "one", f"described as {seen[-1]}")
        reader.close()
        kept = done(admin.describe_consumer_groups(["static"]))
        expect(len(kept.members) == 1, "a static member that goes away keeps its place")
    expect(len(seen[0].assignment.topic_partitions) == 4, "all partitions are its own")


def regex():
    for name in ("match-a", "match-b", "other"):
        topic(name)
        send(producer(), name, [name])
    reader = consumer("by-pattern")
    reader.subscribe(["^match-.*"])
    expect(sorted(values(read([reader], 2))) == ["match-a", "match-b"], "both topics that match")
    expect(not reader.consume(1, timeout=1), "and no other")
    reader.close()


def groups_admin():
    topic("administered")
    send(producer(), "administered", numbers("", 10))
    reader = consumer("looked-at")
    reader.subscribe(["administered"])
    commit(reader, read([reader], 10))
    described = done(admin.describe_consumer_groups(["looked-at"]))
    expect(described.state.name == "STABLE" and len(described.members) == 1, f"described as {described.state}")
    refused(KafkaError.NON_EMPTY_GROUP, admin.delete_consumer_groups(["looked-at"]))
    reader.close()
    listed = {group.group_id: group for group in admin.list_consumer_groups().result(SECONDS).valid}
    expect(listed["looked-at"].state.name == "EMPTY", f"listed as {listed['looked-at'].state}")
    place = TopicPartition("administered", 0)
    asked = kafka.ConsumerGroupTopicPartitions("looked-at", [place])
    expect(done(admin.list_consumer_group_offsets([asked])).topic_partitions[0].offset == 10, "the committed offset")
    moved = kafka.ConsumerGroupTopicPartitions("looked-at", [TopicPartition("administered", 0, 5)])
    done(admin.alter_consumer_group_offsets([moved]))
    reader = consumer("looked-at")
    expect(reader.committed([place], timeout=SECONDS)[0].offset == 5, "the altered offset")
    reader.close()
    done(admin.delete_consumer_groups(["looked-at"]))
    refused(KafkaError.GROUP_ID_NOT_FOUND, admin.delete_consumer_groups(["looked-at"]))


def idempotent():
    topic("once", 1)
    sender = producer(**{"enable.idempotence": True, "linger.ms": 1, "retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200})
    sent, failed = numbers("i", 3_000), []
    for number, value in enumerate(sent):
        sender.produce("once", value, on_delivery=lambda error, _: failed.append(error) if error else None)
        sender.poll(0)
        if number in (1_000, 2_000):
            broker("kill")
    expect(sender.flush(60) == 0, "not everything was sent")
    expect(not failed, f"not everything was acknowledged: {failed[:1]}")
    reader = consumer("once-readers")
    reader.subscribe(["once"])
    expect(values(read([reader], 3_000)) == sent, "every value once and in order")
    expect(not reader.consume(1, timeout=1), "more came than was produced")
    reader.close()


def transactional(name, **settings):
    sender = producer(**{"transactional.id": name, **settings})
    sender.init_transactions(SECONDS)
    return sender


def transactions():
    topic("in-transactions", 2)
    sender = transactional("writer")
    expected = []
    for number in range(6):
        sender.begin_transaction()
        now = numbers(f"t{number} ", 20)
        for index, value in enumerate(now):
            sender.produce("in-transactions", value, partition=index % 2)
        if number % 3 == 1:
            expect(sender.flush(SECONDS) == 0, "flushed")
            sender.abort_transaction(SECONDS)
        else:
            sender.commit_transaction(SECONDS)
            expected += now
    for isolation, count in (("read_committed", 80), ("read_uncommitted", 120)):
        reader = consumer(f"{isolation} readers", **{"isolation.level": isolation})
        reader.subscribe(["in-transactions"])
        got = values(read([reader], count))
        expect(not reader.consume(1, timeout=1), f"{isolation}: more came than {count}")
        expect(isolation != "read_committed" or sorted(got) == sorted(expected), "what was committed, and nothing else")
        reader.close()
    # What is open holds back readers of what is committed.
    sender.begin_transaction()
    sender.produce("in-transactions", "open", partition=0)
    expect(sender.flush(SECONDS) == 0, "flushed")
    send(producer(), "in-transactions", ["behind"], partition=0)
    reader = consumer("behind", **{"isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition("in-transactions", 0, 0)])
    read([reader], 40)
    expect(not reader.consume(1, timeout=1), "nothing beyond an open transaction")
    sender.abort_transaction(SECONDS)
    expect(values(read([reader], 1)) == ["behind"], "once it is aborted, what is behind it")
    reader.close()


def conditions():
    name = topic("depending", **{"headwater.entities": "indexed"})

    def send_if(sender, key, version):
        """Sends one record on the condition that its key's last record stands there; its offset, or the error."""
        told = []
        sender.produce(name, "v", key=key, headers={"headwater-if-version": version}, on_delivery=lambda error, message: told.append((error, message.offset())))
        expect(sender.flush(SECONDS) == 0, "it is answered")
        return told[0]

    def refused(told, why):
        # The binding for Python tells the code alone, not what is said of the record.
        expect(told[0] is not None and told[0].code() == KafkaError.INVALID_RECORD, f"{why}: {told[0]}")

    for settings in ({}, {"enable.idempotence": True}, {"compression.type": "zstd"}):
        sender, key = producer(**settings), str(settings)
        error, offset = send_if(sender, key, "none")
        expect(error is None, f"the first record of a key: {error}")
        refused(send_if(sender, key, "none"), "there is one already")
        # What anybody writes counts.
        [plain] = send(producer(), name, ["plain"], key=lambda _: key)
        refused(send_if(sender, key, f"0@{offset}"), "another came in between")
        error, _ = send_if(sender, key, f"0@{plain}")
        expect(error is None, f"it is the last one: {error}")


def transactional_offsets():
    for name in ("from", "to"):
        topic(name)
    sent = numbers("", 50)
    send(producer(), "from", sent)
    sender = transactional("copier")
    done_count = 0
    for fails in (False, True, False):
        reader = consumer("copiers", **{"isolation.level": "read_committed"})
        reader.subscribe(["from"])
        got = read([reader], 20 if done_count == 0 else 50 - done_count)
        sender.begin_transaction()
        for value in values(got):
            sender.produce("to", value)
        ends = [TopicPartition("from", 0, got[-1].offset() + 1)]
        sender.send_offsets_to_transaction(ends, reader.consumer_group_metadata(), SECONDS)
        if fails:
            sender.abort_transaction(SECONDS)
        else:
            sender.commit_transaction(SECONDS)
            done_count += len(got)
        reader.close()
    reader = consumer("copied", **{"isolation.level": "read_committed"})
    reader.subscribe(["to"])
    expect(values(read([reader], 50)) == sent, "every value once")
    expect(not reader.consume(1, timeout=1), "and nothing that was aborted")
    reader.close()


def fencing():
    topic("fenced")
    older = transactional("twice")
    older.begin_transaction()
    older.produce("fenced", "old")
    expect(older.flush(SECONDS) == 0, "flushed")
    newer = transactional("twice")
    try:
        older.commit_transaction(SECONDS)
    except KafkaException as error:
        expect(error.args[0].fatal(), f"a fatal error: {error}")
        expect(error.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED), f"fenced: {error}")
    else:
        raise AssertionError("the older one was not fenced")
    newer.begin_transaction()
    newer.produce("fenced", "new")
    newer.commit_transaction(SECONDS)
    reader = consumer("fence-readers", **{"isolation.level": "read_committed"})
    reader.subscribe(["fenced"])
    expect(values(read([reader], 1)) == ["new"], "what the newer one wrote")
    reader.close()


def configs():
    topic("configured", **{"cleanup.policy": "compact", "retention.ms": "3600000"})
    resource = ConfigResource(ResourceType.TOPIC, "configured")

    def described(name):
        return done(admin.describe_configs([resource]))[name]

    expect(described("cleanup.policy").value == "compact", "as it was created")
    expect(described("retention.ms").source == administration.ConfigSource.DYNAMIC_TOPIC_CONFIG.value, "whose value it is")
    change = administration.ConfigEntry("retention.ms", "7200000", incremental_operation=administration.AlterConfigOpType.SET)
    done(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, "configured", incremental_configs=[change])]))
    eventually(lambda: described("retention.ms").value == "7200000", "as it was altered")
    broker("restart")
    expect(described("retention.ms").value == "7200000", "as it was altered, after a restart")
    change = administration.ConfigEntry("retention.ms", None, incremental_operation=administration.AlterConfigOpType.DELETE)
    done(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, "configured", incremental_configs=[change])]))
    own = administration.ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    eventually(lambda: described("retention.ms").source != own, "nobody's value any more")
    change = administration.ConfigEntry("no.such.config", "1", incremental_operation=administration.AlterConfigOpType.SET)
    refused(KafkaError.INVALID_CONFIG, admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, "configured", incremental_configs=[change])]))


def delete_records():
    topic("shortened")
    send(producer(), "shortened", numbers("", 10))
    deleted = done(admin.delete_records([TopicPartition("shortened", 0, 4)]))
    expect(deleted.low_watermark == 4, f"the start is {deleted.low_watermark}")
    reader = consumer("shortened-readers")
    reader.subscribe(["shortened"])
    expect(values(read([reader], 6)) == numbers("", 10)[4:], "from the new start on")
    reader.close()
    refused(KafkaError.OFFSET_OUT_OF_RANGE, admin.delete_records([TopicPartition("shortened", 0, 11)]))


def cluster():
    described = admin.describe_cluster().result(SECONDS)
    expect(len(described.nodes) == 1 and described.controller.id == described.nodes[0].id, f"described as {described}")
    expect(described.cluster_id == admin.list_topics(timeout=SECONDS).cluster_id, "one cluster's id everywhere")
    resource = ConfigResource(ResourceType.BROKER, str(described.nodes[0].id))
    expect("num.partitions" in done(admin.describe_configs([resource])), "the broker's settings")


run({
    "topics": topics,
    "partitions": partitions,
    "produce": produce,
    "codecs": codecs,
    "large": large,
    "offsets": offsets,
    "group": group,
    "rebalance": rebalance,
    "cooperative": cooperative,
    "static": static,
    "consumer-protocol": consumer_protocol,
    "regex": regex,
    "groups-admin": groups_admin,
    "idempotent": idempotent,
    "transactions": transactions,
    "conditions": conditions,
    "transactional-offsets": transactional_offsets,
    "fencing": fencing,
    "configs": configs,
    "delete-records": delete_records,
    "cluster": cluster,
    "registry": registry,
})
