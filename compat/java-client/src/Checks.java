import static java.util.Map.entry;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client with its default settings. Each check uses topics and groups of its own. */
public final class Checks {
    private static final Admin ADMIN = Admin.create(Map.of("bootstrap.servers", Trial.ADDRESS));

    public static void main(String[] named) {
        new Trial()
                .check("topics", Checks::topics)
                .check("partitions", Checks::partitions)
                .check("produce", Checks::produce)
                .check("codecs", Checks::codecs)
                .check("large", Checks::large)
                .check("offsets", Checks::offsets)
                .check("group", Checks::group)
                .check("rebalance", () -> members("eager", Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor")))
                .check("cooperative", () -> members("cooperating", Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor")))
                .check("static", Checks::staticMember)
                .check("consumer-protocol", Checks::consumerProtocol)
                .check("regex", Checks::regex)
                .check("groups-admin", Checks::groupsAdmin)
                .check("idempotent", Checks::idempotent)
                .check("transactions", Checks::transactions)
                .check("transactional-offsets", Checks::transactionalOffsets)
                .check("fencing", Checks::fencing)
                .check("transactions-admin", Checks::transactionsAdmin)
                .check("configs", Checks::configs)
                .check("delete-records", Checks::deleteRecords)
                .check("cluster", Checks::cluster)
                .check("log-dirs", Checks::logDirs)
                .check("quorum", Checks::quorum)
                .check("quotas", Checks::quotas)
                .check("share", Checks::share)
                .run(named);
    }

    // What the checks are written with.

    private static void topic(String name, int partitions, Map<String, String> configs) {
        Trial.get(ADMIN.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all());
    }

    private static void topic(String name, int partitions) {
        topic(name, partitions, Map.of());
    }

    private static KafkaProducer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> settings = new HashMap<>(more);
        settings.put("bootstrap.servers", Trial.ADDRESS);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    private static KafkaProducer<String, String> transactional(String id) {
        KafkaProducer<String, String> producer = producer(Map.of("transactional.id", id));
        producer.initTransactions();
        return producer;
    }

    /** Sends values in order and waits for all. */
    private static void send(KafkaProducer<String, String> producer, String topic, List<String> values) {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int number = 0; number < values.size(); number++) {
            sent.add(producer.send(new ProducerRecord<>(topic, "k" + number, values.get(number))));
        }
        producer.flush();
        sent.forEach(Trial::get);
    }

    private static void send(String topic, List<String> values) {
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            send(producer, topic, values);
        }
    }

    private static Map<String, Object> reading(String group, Map<String, ?> more) {
        Map<String, Object> settings = new HashMap<>(more);
        settings.put("bootstrap.servers", Trial.ADDRESS);
        settings.put("group.id", group);
        return settings;
    }

    private static KafkaConsumer<String, String> consumer(String group, Map<String, ?> more) {
        Map<String, Object> settings = reading(group, more);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.putIfAbsent("max.poll.records", 50);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static KafkaConsumer<String, String> subscribed(String group, String topic, Map<String, ?> more) {
        KafkaConsumer<String, String> reader = consumer(group, more);
        reader.subscribe(List.of(topic));
        return reader;
    }

    /** Polls readers in turn until so many records came. */
    private static List<ConsumerRecord<String, String>> read(Collection<KafkaConsumer<String, String>> readers, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long until = System.nanoTime() + Trial.PATIENCE.toNanos();
        while (got.size() < count && System.nanoTime() < until) {
            readers.forEach(reader -> reader.poll(Duration.ofMillis(200)).forEach(got::add));
        }
        Trial.expect(got.size() == count, got.size() + " of " + count + " records came");
        return got;
    }

    private static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> reader, int count) {
        return read(List.of(reader), count);
    }

    private static void nothingMore(KafkaConsumer<String, String> reader) {
        Trial.expect(reader.poll(Duration.ofSeconds(1)).isEmpty(), "more came than was produced");
    }

    private static List<String> values(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).toList();
    }

    private static List<String> numbers(String prefix, int count) {
        List<String> values = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            values.add(prefix + String.format("%04d", number));
        }
        return values;
    }

    private static List<String> sorted(Collection<String> values) {
        return values.stream().sorted(Comparator.nullsFirst(Comparator.naturalOrder())).toList();
    }

    private static Map<TopicPartition, OffsetAndMetadata> ends(List<ConsumerRecord<String, String>> records) {
        Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
        for (ConsumerRecord<String, String> record : records) {
            ends.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        return ends;
    }

    // The checks.

    private static void topics() throws Exception {
        topic("made", 3);
        Trial.refused(TopicExistsException.class, () -> topic("made", 1));
        Trial.refused(InvalidTopicException.class, () -> topic("no name", 1));
        Trial.refused(InvalidReplicationFactorException.class, () -> Trial.get(ADMIN.createTopics(List.of(new NewTopic("copies", 1, (short) 3))).all()));
        Trial.get(ADMIN.createTopics(List.of(new NewTopic("placed", Map.of(0, List.of(1), 1, List.of(1))))).all());
        Trial.get(ADMIN.createTopics(List.of(new NewTopic("only-asked", 1, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all());
        Trial.eventually(() -> Trial.get(ADMIN.listTopics().names()).containsAll(Set.of("made", "placed")), "both are listed");
        Trial.expect(!Trial.get(ADMIN.listTopics().names()).contains("only-asked"), "what was only validated is not made");
        Trial.expect(Trial.get(ADMIN.describeTopics(List.of("made")).allTopicNames()).get("made").partitions().size() == 3, "three partitions");
        Trial.get(ADMIN.deleteTopics(List.of("made")).all());
        Trial.eventually(() -> !Trial.get(ADMIN.listTopics().names()).contains("made"), "a deleted topic is gone");
        Trial.refused(UnknownTopicOrPartitionException.class, () -> Trial.get(ADMIN.deleteTopics(List.of("made")).all()));
    }

    private static void partitions() throws Exception {
        topic("grows", 1);
        Trial.get(ADMIN.createPartitions(Map.of("grows", NewPartitions.increaseTo(3))).all());
        Trial.refused(InvalidPartitionsException.class, () -> Trial.get(ADMIN.createPartitions(Map.of("grows", NewPartitions.increaseTo(2))).all()));
        Trial.eventually(() -> Trial.get(ADMIN.describeTopics(List.of("grows")).allTopicNames()).get("grows").partitions().size() == 3, "three partitions");
    }

    private static void produce() {
        topic("produced", 1);
        for (String acks : List.of("0", "1", "all")) {
            try (KafkaProducer<String, String> producer = producer(Map.of("acks", acks))) {
                for (String value : Arrays.asList("a", null)) {
                    ProducerRecord<String, String> record = new ProducerRecord<>("produced", 0, 1_700_000_000_000L, "k", value);
                    record.headers().add("h", new byte[] {1}).add("none", null);
                    producer.send(record);
                }
            }
        }
        try (KafkaConsumer<String, String> reader = subscribed("produce-readers", "produced", Map.of())) {
            List<ConsumerRecord<String, String>> got = read(reader, 6);
            Trial.expect(values(got).equals(Arrays.asList("a", null, "a", null, "a", null)), "values come back in order: " + values(got));
            for (ConsumerRecord<String, String> record : got) {
                Trial.expect(record.key().equals("k") && record.timestamp() == 1_700_000_000_000L, "key and timestamp come back");
                Trial.expect(record.headers().toArray().length == 2 && record.headers().lastHeader("none").value() == null, "headers come back");
            }
        }
    }

    private static void codecs() {
        topic("codecs", 1);
        List<String> expected = new ArrayList<>();
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            List<String> now = numbers(codec + " " + "text ".repeat(20), 100);
            try (KafkaProducer<String, String> producer = producer(Map.of("compression.type", codec, "linger.ms", 20))) {
                send(producer, "codecs", now);
            }
            expected.addAll(now);
        }
        try (KafkaConsumer<String, String> reader = subscribed("codec-readers", "codecs", Map.of())) {
            Trial.expect(values(read(reader, 500)).equals(expected), "what was sent comes back");
        }
    }

    private static void large() throws Exception {
        topic("large", 1);
        try (KafkaProducer<String, String> producer = producer(Map.of("max.request.size", 5_000_000))) {
            Trial.refused(RecordTooLargeException.class, () -> Trial.get(producer.send(new ProducerRecord<>("large", "x".repeat(2_000_000)))));
            Trial.expect(Trial.get(producer.send(new ProducerRecord<>("large", "x".repeat(900_000)))).offset() == 0, "a smaller one is taken");
        }
    }

    private static void offsets() {
        topic("timed", 1);
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (long moment : new long[] {1_000, 3_000, 2_000}) {
                Trial.get(producer.send(new ProducerRecord<>("timed", 0, moment, "k", "x")));
            }
        }
        TopicPartition place = new TopicPartition("timed", 0);
        Map<OffsetSpec, Long> expected = Map.ofEntries(
                entry(OffsetSpec.earliest(), 0L), entry(OffsetSpec.latest(), 3L), entry(OffsetSpec.forTimestamp(2_500), 1L),
                entry(OffsetSpec.forTimestamp(4_000), -1L), entry(OffsetSpec.maxTimestamp(), 1L));
        expected.forEach((spec, offset) -> {
            long found = Trial.get(ADMIN.listOffsets(Map.of(place, spec)).all()).get(place).offset();
            Trial.expect(found == offset, spec.getClass().getSimpleName() + " is " + found + ", not " + offset);
        });
    }

    private static void group() throws Exception {
        topic("grouped", 4);
        List<String> sent = numbers("g", 400);
        send("grouped", sent);
        List<String> got = new ArrayList<>();
        try (KafkaConsumer<String, String> reader = subscribed("group", "grouped", Map.of())) {
            List<ConsumerRecord<String, String>> first = read(reader, 200);
            reader.commitSync(ends(first));
            got.addAll(values(first));
        }
        Trial.broker("restart");
        try (KafkaConsumer<String, String> reader = subscribed("group", "grouped", Map.of())) {
            got.addAll(values(read(reader, 200)));
            nothingMore(reader);
        }
        Trial.expect(sorted(got).equals(sent), "every value once");
    }

    /** Two members share, one leaves, the other takes over: each record to one of them, none lost. */
    private static void members(String name, Map<String, String> settings) throws Exception {
        topic(name, 4);
        List<KafkaConsumer<String, String>> readers = new ArrayList<>();
        List<List<Integer>> shares = List.of(List.of(4), List.of(2, 2), List.of(4));
        for (int stage = 0; stage < shares.size(); stage++) {
            if (stage < 2) {
                readers.add(subscribed(name + "-group", name, settings));
            } else {
                readers.remove(0).close();
            }
            List<Integer> wanted = shares.get(stage);
            Trial.eventually(() -> {
                readers.forEach(reader -> Trial.expect(reader.poll(Duration.ofMillis(100)).isEmpty(), "nothing is there yet"));
                return readers.stream().map(reader -> reader.assignment().size()).toList().equals(wanted);
            }, "stage " + stage + ": the partitions are not shared as " + wanted);
            List<String> now = numbers(stage + " ", 100);
            send(name, now);
            Trial.expect(sorted(values(read(readers, 100))).equals(now), "stage " + stage + ": every value once");
            readers.forEach(KafkaConsumer::commitSync);
        }
        readers.get(0).close();
    }

    private static void staticMember() throws Exception {
        topic("stays", 4);
        Set<String> generations = new HashSet<>();
        for (int time = 0; time < 2; time++) {
            try (KafkaConsumer<String, String> reader = subscribed("static", "stays", Map.of("group.instance.id", "one"))) {
                Trial.eventually(() -> {
                    reader.poll(Duration.ofMillis(100));
                    return reader.assignment().size() == 4;
                }, "all partitions are its own");
                generations.add(String.valueOf(reader.groupMetadata().generationId()));
            }
            var described = Trial.get(ADMIN.describeConsumerGroups(List.of("static")).all()).get("static");
            Trial.expect(described.members().size() == 1, "a static member that goes away keeps its place");
        }
        Trial.expect(generations.size() == 1, "no rebalance when it comes back: " + generations);
    }

    private static void consumerProtocol() throws Exception {
        members("new-protocol", Map.of("group.protocol", "consumer"));
        topic("pattern-one", 1);
        send("pattern-one", List.of("x"));
        try (KafkaConsumer<String, String> reader = consumer("new-pattern", Map.of("group.protocol", "consumer"))) {
            reader.subscribe(new SubscriptionPattern("pattern-.*"));
            read(reader, 1);
            var described = Trial.get(ADMIN.describeConsumerGroups(List.of("new-pattern")).all()).get("new-pattern");
            Trial.expect(described.groupState() == GroupState.STABLE && described.members().size() == 1, "described as " + described);
        }
        Trial.broker("restart");
        try (KafkaConsumer<String, String> reader = subscribed("new-protocol-group", "new-protocol", Map.of("group.protocol", "consumer"))) {
            nothingMore(reader);
            send("new-protocol", List.of("after"));
            Trial.expect(values(read(reader, 1)).equals(List.of("after")), "what was committed stays so over a restart");
        }
    }

    private static void regex() {
        for (String name : List.of("match-a", "match-b", "other")) {
            topic(name, 1);
            send(name, List.of(name));
        }
        try (KafkaConsumer<String, String> reader = consumer("by-pattern", Map.of())) {
            reader.subscribe(Pattern.compile("match-.*"));
            Trial.expect(sorted(values(read(reader, 2))).equals(List.of("match-a", "match-b")), "both topics that match");
            nothingMore(reader);
        }
    }

    private static void groupsAdmin() throws Exception {
        topic("administered", 1);
        send("administered", numbers("", 10));
        TopicPartition place = new TopicPartition("administered", 0);
        try (KafkaConsumer<String, String> reader = subscribed("looked-at", "administered", Map.of())) {
            reader.commitSync(Map.of(place, new OffsetAndMetadata(read(reader, 10).size(), "a note")));
            var described = Trial.get(ADMIN.describeConsumerGroups(List.of("looked-at")).all()).get("looked-at");
            Trial.expect(described.groupState() == GroupState.STABLE && described.members().size() == 1, "described as " + described);
            Trial.refused(GroupNotEmptyException.class, () -> Trial.get(ADMIN.deleteConsumerGroups(List.of("looked-at")).all()));
        }
        Trial.expect(Trial.get(ADMIN.listGroups().all()).stream().anyMatch(group -> group.groupId().equals("looked-at")), "it is listed");
        var committed = Trial.get(ADMIN.listConsumerGroupOffsets("looked-at").partitionsToOffsetAndMetadata()).get(place);
        Trial.expect(committed.offset() == 10 && committed.metadata().equals("a note"), "committed is " + committed);
        Trial.get(ADMIN.alterConsumerGroupOffsets("looked-at", Map.of(place, new OffsetAndMetadata(5))).all());
        Trial.expect(Trial.get(ADMIN.listConsumerGroupOffsets("looked-at").partitionsToOffsetAndMetadata()).get(place).offset() == 5, "altered");
        Trial.get(ADMIN.deleteConsumerGroupOffsets("looked-at", Set.of(place)).all());
        Trial.expect(Trial.get(ADMIN.listConsumerGroupOffsets("looked-at").partitionsToOffsetAndMetadata()).get(place) == null, "deleted");
        Trial.get(ADMIN.alterConsumerGroupOffsets("looked-at", Map.of(place, new OffsetAndMetadata(5))).all());
        Trial.get(ADMIN.deleteConsumerGroups(List.of("looked-at")).all());
        Trial.refused(GroupIdNotFoundException.class, () -> Trial.get(ADMIN.deleteConsumerGroups(List.of("looked-at")).all()));
    }

    private static void idempotent() throws Exception {
        topic("once", 1);
        List<String> sent = numbers("i", 3_000);
        List<Future<RecordMetadata>> waiting = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer(Map.of("linger.ms", 1))) {
            for (int number = 0; number < sent.size(); number++) {
                waiting.add(producer.send(new ProducerRecord<>("once", sent.get(number))));
                if (number == 1_000 || number == 2_000) {
                    Trial.broker("kill");
                }
            }
            waiting.forEach(Trial::get);
        }
        try (KafkaConsumer<String, String> reader = subscribed("once-readers", "once", Map.of("max.poll.records", 500))) {
            Trial.expect(values(read(reader, 3_000)).equals(sent), "every value once and in order");
            nothingMore(reader);
        }
    }

    private static void transactions() throws Exception {
        topic("in-transactions", 2);
        List<String> expected = new ArrayList<>();
        try (KafkaProducer<String, String> producer = transactional("writer")) {
            for (int number = 0; number < 6; number++) {
                producer.beginTransaction();
                List<String> now = numbers("t" + number + " ", 20);
                send(producer, "in-transactions", now);
                if (number == 3) {
                    Trial.broker("kill");
                }
                if (number % 3 == 1) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    expected.addAll(now);
                }
            }
        }
        for (Map.Entry<String, Integer> reading : Map.of("read_committed", 80, "read_uncommitted", 120).entrySet()) {
            Map<String, Object> settings = Map.of("isolation.level", reading.getKey());
            try (KafkaConsumer<String, String> reader = subscribed(reading.getKey(), "in-transactions", settings)) {
                List<String> got = values(read(reader, reading.getValue()));
                nothingMore(reader);
                Trial.expect(reading.getValue() == 120 || sorted(got).equals(sorted(expected)), "what was committed, and nothing else");
            }
        }
    }

    private static void transactionalOffsets() throws Exception {
        topic("from", 1);
        topic("to", 1);
        List<String> sent = numbers("", 50);
        send("from", sent);
        Map<String, Object> committed = Map.of("isolation.level", "read_committed", "max.poll.records", 10);
        int done = 0;
        try (KafkaProducer<String, String> producer = transactional("copier")) {
            for (boolean fails : new boolean[] {false, true, false}) {
                try (KafkaConsumer<String, String> reader = subscribed("copiers", "from", committed)) {
                    List<ConsumerRecord<String, String>> got = read(reader, done == 0 ? 20 : 50 - done);
                    producer.beginTransaction();
                    send(producer, "to", values(got));
                    producer.sendOffsetsToTransaction(ends(got), reader.groupMetadata());
                    if (fails) {
                        producer.abortTransaction();
                    } else {
                        producer.commitTransaction();
                        done += got.size();
                    }
                }
            }
        }
        try (KafkaConsumer<String, String> reader = subscribed("copied", "to", committed)) {
            Trial.expect(values(read(reader, 50)).equals(sent), "every value once");
            nothingMore(reader);
        }
    }

    private static void fencing() throws Exception {
        topic("fenced", 1);
        KafkaProducer<String, String> older = transactional("twice");
        older.beginTransaction();
        send(older, "fenced", List.of("old"));
        try (KafkaProducer<String, String> newer = transactional("twice")) {
            Trial.refused(ProducerFencedException.class, older::commitTransaction);
            newer.beginTransaction();
            send(newer, "fenced", List.of("new"));
            newer.commitTransaction();
        }
        older.close(Duration.ZERO);
        try (KafkaConsumer<String, String> reader = subscribed("fence-readers", "fenced", Map.of("isolation.level", "read_committed"))) {
            Trial.expect(values(read(reader, 1)).equals(List.of("new")), "what the newer one wrote");
        }
    }

    private static void transactionsAdmin() throws Exception {
        topic("watched", 1);
        TopicPartition place = new TopicPartition("watched", 0);
        KafkaProducer<String, String> producer = transactional("watched-writer");
        producer.beginTransaction();
        send(producer, "watched", List.of("open"));
        var described = Trial.get(ADMIN.describeTransactions(List.of("watched-writer")).all()).get("watched-writer");
        Trial.expect(described.state() == TransactionState.ONGOING && described.topicPartitions().equals(Set.of(place)), "described as " + described);
        Trial.expect(Trial.get(ADMIN.listTransactions().all()).stream().anyMatch(one -> one.transactionalId().equals("watched-writer")), "it is listed");
        var state = Trial.get(ADMIN.describeProducers(List.of(place)).all()).get(place).activeProducers().get(0);
        Trial.expect(state.producerId() == described.producerId() && state.currentTransactionStartOffset().getAsLong() == 0, "active is " + state);
        Trial.get(ADMIN.abortTransaction(new AbortTransactionSpec(place, state.producerId(), (short) state.producerEpoch(), -1)).all());
        send("watched", List.of("behind"));
        try (KafkaConsumer<String, String> reader = subscribed("watchers", "watched", Map.of("isolation.level", "read_committed"))) {
            Trial.expect(values(read(reader, 1)).equals(List.of("behind")), "it was aborted: what is behind it is read");
        }
        producer.close(Duration.ZERO);
        KafkaProducer<String, String> fenced = transactional("watched-writer");
        Trial.get(ADMIN.fenceProducers(List.of("watched-writer")).all());
        fenced.beginTransaction();
        Trial.refused(ApiException.class, () -> {
            fenced.send(new ProducerRecord<>("watched", "late"));
            fenced.commitTransaction();
        });
        fenced.close(Duration.ZERO);
    }

    private static void configs() throws Exception {
        topic("configured", 1, Map.of("cleanup.policy", "compact", "retention.ms", "3600000"));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "configured");
        Trial.expect(config(resource, "cleanup.policy").value().equals("compact"), "as it was created");
        Trial.expect(config(resource, "retention.ms").source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "whose value it is");
        alter(resource, "retention.ms", "7200000", AlterConfigOp.OpType.SET);
        Trial.eventually(() -> config(resource, "retention.ms").value().equals("7200000"), "as it was altered");
        alter(resource, "cleanup.policy", "delete", AlterConfigOp.OpType.APPEND);
        Trial.eventually(() -> config(resource, "cleanup.policy").value().equals("compact,delete"), "as it was appended to");
        Trial.broker("restart");
        Trial.expect(config(resource, "retention.ms").value().equals("7200000"), "as it was altered, after a restart");
        alter(resource, "retention.ms", null, AlterConfigOp.OpType.DELETE);
        Trial.eventually(() -> config(resource, "retention.ms").source() != ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "nobody's value any more");
        Trial.refused(InvalidConfigurationException.class, () -> alter(resource, "no.such.config", "1", AlterConfigOp.OpType.SET));
        Trial.refused(InvalidConfigurationException.class, () -> alter(resource, "retention.ms", "soon", AlterConfigOp.OpType.SET));
    }

    private static ConfigEntry config(ConfigResource resource, String name) {
        return Trial.get(ADMIN.describeConfigs(List.of(resource)).all()).get(resource).get(name);
    }

    private static void alter(ConfigResource resource, String name, String value, AlterConfigOp.OpType how) {
        Trial.get(ADMIN.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), how)))).all());
    }

    private static void deleteRecords() throws Exception {
        topic("shortened", 1);
        send("shortened", numbers("", 10));
        TopicPartition place = new TopicPartition("shortened", 0);
        long start = Trial.get(ADMIN.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(place)).lowWatermark();
        Trial.expect(start == 4, "the start is " + start);
        Trial.broker("restart");
        try (KafkaConsumer<String, String> reader = subscribed("shortened-readers", "shortened", Map.of())) {
            Trial.expect(values(read(reader, 6)).equals(numbers("", 10).subList(4, 10)), "from the new start on");
        }
        Trial.refused(OffsetOutOfRangeException.class, () -> Trial.get(ADMIN.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(11))).all()));
    }

    private static void cluster() throws Exception {
        var described = ADMIN.describeCluster();
        Trial.expect(Trial.get(described.nodes()).size() == 1, "one broker");
        int node = Trial.get(described.nodes()).iterator().next().id();
        Trial.expect(Trial.get(described.controller()).id() == node, "which is the controller");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(node));
        Trial.expect(config(resource, "num.partitions") != null, "the broker's settings");
    }

    private static void logDirs() {
        topic("somewhere", 1);
        send("somewhere", numbers("", 10));
        var described = Trial.get(ADMIN.describeLogDirs(List.of(1)).allDescriptions()).get(1).values();
        var replica = described.stream().map(dir -> dir.replicaInfos().get(new TopicPartition("somewhere", 0))).filter(info -> info != null).findFirst();
        Trial.expect(replica.isPresent() && replica.get().size() > 0, "where it lies and its bytes: " + replica);
    }

    private static void quorum() {
        Trial.expect(Trial.get(ADMIN.describeMetadataQuorum().quorumInfo()).leaderId() == 1, "the leader");
        Trial.expect(!Trial.get(ADMIN.describeFeatures().featureMetadata()).finalizedFeatures().isEmpty(), "the features");
    }

    private static void quotas() throws Exception {
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, "slow"));
        Trial.get(ADMIN.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 100_000.0))))).all());
        Trial.eventually(() -> quota(entity) != null && quota(entity) == 100_000.0, "as it was set");
        topic("throttled", 1);
        long began = System.nanoTime();
        try (KafkaProducer<String, String> producer = producer(Map.of("client.id", "slow", "linger.ms", 0))) {
            for (int number = 0; number < 30; number++) {
                Trial.get(producer.send(new ProducerRecord<>("throttled", "x".repeat(50_000))));
            }
        }
        long seconds = (System.nanoTime() - began) / 1_000_000_000;
        Trial.expect(seconds >= 2, "1.5 MB at 100 KB/s (and what a window allows beforehand) took " + seconds + " s");
        Trial.get(ADMIN.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", null))))).all());
        Trial.eventually(() -> quota(entity) == null, "as it was removed");
    }

    private static Double quota(ClientQuotaEntity entity) {
        var all = Trial.get(ADMIN.describeClientQuotas(ClientQuotaFilter.all()).entities());
        return all.getOrDefault(entity, Map.of()).get("producer_byte_rate");
    }

    private static void share() throws Exception {
        topic("shared", 2);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, "sharers");
        alter(resource, "share.auto.offset.reset", "earliest", AlterConfigOp.OpType.SET);
        List<String> sent = numbers("s", 100);
        send("shared", sent);
        List<String> got = new ArrayList<>();
        List<KafkaShareConsumer<String, String>> readers = new ArrayList<>();
        for (int number = 0; number < 2; number++) {
            KafkaShareConsumer<String, String> reader =
                    new KafkaShareConsumer<>(reading("sharers", Map.of("max.poll.records", 10)), new StringDeserializer(), new StringDeserializer());
            reader.subscribe(List.of("shared"));
            readers.add(reader);
        }
        long until = System.nanoTime() + Trial.PATIENCE.toNanos();
        while (got.size() < sent.size() && System.nanoTime() < until) {
            for (KafkaShareConsumer<String, String> reader : readers) {
                reader.poll(Duration.ofMillis(200)).forEach(record -> got.add(record.value()));
                reader.commitSync();
            }
        }
        readers.forEach(KafkaShareConsumer::close);
        Trial.expect(sorted(got).equals(sent), "every value once: " + got.size() + " came");
        var described = Trial.get(ADMIN.describeShareGroups(List.of("sharers")).all()).get("sharers");
        Trial.expect(described.groupState() == GroupState.EMPTY, "described as " + described);
        renewal();
    }

    /** A member holds on to an event for longer than it may have one, and nobody else is given it meanwhile (KIP-1222). */
    private static void renewal() throws Exception {
        topic("held", 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, "holders");
        alter(resource, "share.auto.offset.reset", "earliest", AlterConfigOp.OpType.SET);
        alter(resource, "share.record.lock.duration.ms", "15000", AlterConfigOp.OpType.SET);
        send("held", numbers("h", 1));
        Map<String, Object> explicit = Map.of("share.acknowledgement.mode", "explicit");
        try (var holder = new KafkaShareConsumer<>(reading("holders", explicit), new StringDeserializer(), new StringDeserializer());
                var other = new KafkaShareConsumer<>(reading("holders", explicit), new StringDeserializer(), new StringDeserializer())) {
            holder.subscribe(List.of("held"));
            ConsumerRecord<String, String> held = null;
            for (long until = System.nanoTime() + Trial.PATIENCE.toNanos(); held == null && System.nanoTime() < until; ) {
                for (ConsumerRecord<String, String> record : holder.poll(Duration.ofMillis(200))) {
                    held = record;
                }
            }
            Trial.expect(held != null, "the event came");
            other.subscribe(List.of("held"));
            for (int time = 0; time < 4; time++) {
                for (long until = System.nanoTime() + 5_000_000_000L; System.nanoTime() < until; ) {
                    Trial.expect(other.poll(Duration.ofMillis(200)).isEmpty(), "it is held");
                }
                holder.acknowledge(held, AcknowledgeType.RENEW);
                holder.commitSync().values().forEach(failed -> Trial.expect(failed.isEmpty(), "renewed: " + failed));
                for (ConsumerRecord<String, String> record : holder.poll(Duration.ofMillis(200))) {
                    held = record;
                }
            }
            holder.acknowledge(held, AcknowledgeType.ACCEPT);
            holder.commitSync().values().forEach(failed -> Trial.expect(failed.isEmpty(), "accepted: " + failed));
            Trial.expect(held.deliveryCount().orElse((short) 0) == 1, "it was given once: " + held);
        }
    }
}
