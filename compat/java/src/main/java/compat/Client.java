package compat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.TransactionalIdAuthorizationException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client with its default settings: {@code Client ADDRESS first|again FOLDER}.
 *
 * <p>{@code first} creates a topic, produces with every codec and every acks, reads half of it in a group and commits. {@code again}, after a
 * restart of the broker, goes on in the same group and must get exactly the other half.
 */
public final class Client {
    private static final String TOPIC = "java";
    private static final String GROUP = "java-readers";
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final List<String> ACKS = List.of("0", "1", "all");
    private static final int EACH = 100;
    private static final int TOTAL = CODECS.size() * ACKS.size() * EACH;

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> address = Map.of("bootstrap.servers", arguments[0]);
        Path kept = Path.of(arguments[2], "java-first");
        if (arguments[1].equals("first")) {
            first(address, kept);
        } else {
            again(address, kept);
        }
    }

    private static void first(Map<String, Object> address, Path kept) throws Exception {
        try (Admin admin = Admin.create(address)) {
            admin.createTopics(List.of(new NewTopic(TOPIC, 4, (short) 1))).all().get();
            expect(
                    InvalidReplicationFactorException.class,
                    admin.createTopics(List.of(new NewTopic("copies", 1, (short) 3))).all());
            check(admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).partitions().size() == 4, "four partitions");
            check(admin.describeCluster().nodes().get().size() == 1, "one broker");
        }
        produce(address);
        transactionsAreRefused(address);
        try (KafkaConsumer<String, String> reader = reader(address)) {
            List<ConsumerRecord<String, String>> got = read(reader, TOTAL / 2);
            Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
            for (ConsumerRecord<String, String> record : got) {
                ends.put(new TopicPartition(TOPIC, record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            reader.commitSync(ends);
            Files.write(kept, got.stream().map(ConsumerRecord::value).toList());
        }
    }

    private static void again(Map<String, Object> address, Path kept) throws Exception {
        List<String> seen = new ArrayList<>(Files.readAllLines(kept));
        try (KafkaConsumer<String, String> reader = reader(address)) {
            read(reader, TOTAL - seen.size()).forEach(record -> seen.add(record.value()));
            check(reader.poll(Duration.ofSeconds(1)).isEmpty(), "no more than was produced");
        }
        List<String> expected = new ArrayList<>(values());
        Collections.sort(expected);
        Collections.sort(seen);
        check(seen.equals(expected), "every value exactly once");
        try (Admin admin = Admin.create(address)) {
            TopicPartition place = new TopicPartition(TOPIC, 0);
            long latest = admin.listOffsets(Map.of(place, OffsetSpec.latest())).all().get().get(place).offset();
            long largest = admin.listOffsets(Map.of(place, OffsetSpec.maxTimestamp())).all().get().get(place).offset();
            check(latest > 0 && largest >= 0 && largest < latest, "the event with the largest timestamp is one of them");
            check(!admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get().isEmpty(), "commits are listed");
            admin.deleteConsumerGroups(List.of(GROUP)).all().get();
            admin.deleteTopics(List.of(TOPIC)).all().get();
        }
    }

    private static void produce(Map<String, Object> address) throws Exception {
        int next = 0;
        for (String codec : CODECS) {
            for (String acks : ACKS) {
                Map<String, Object> settings = new HashMap<>(address);
                settings.put("compression.type", codec);
                settings.put("acks", acks);
                // Idempotence is on by default, and needs acks=all.
                settings.put("enable.idempotence", acks.equals("all"));
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
                    for (int number = 0; number < EACH; number++) {
                        sent.add(producer.send(new ProducerRecord<>(TOPIC, "k" + number, values().get(next++))));
                    }
                }
                for (Future<RecordMetadata> one : sent) {
                    one.get();
                }
            }
        }
    }

    private static void transactionsAreRefused(Map<String, Object> address) {
        Map<String, Object> settings = new HashMap<>(address);
        settings.put("transactional.id", "t");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            throw new AssertionError("transactions are not offered");
        } catch (TransactionalIdAuthorizationException expected) {
            // This is how a client learns of it.
        }
    }

    private static KafkaConsumer<String, String> reader(Map<String, Object> address) {
        Map<String, Object> settings = new HashMap<>(address);
        settings.put("group.id", GROUP);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.put("max.poll.records", 50);
        KafkaConsumer<String, String> reader = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        reader.subscribe(List.of(TOPIC));
        return reader;
    }

    private static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> reader, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long patience = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (got.size() < count && System.nanoTime() < patience) {
            reader.poll(Duration.ofSeconds(1)).forEach(got::add);
        }
        check(got.size() == count, got.size() + " of " + count + " messages came");
        return got;
    }

    private static List<String> values() {
        List<String> values = new ArrayList<>();
        for (String codec : CODECS) {
            for (String acks : ACKS) {
                for (int number = 0; number < EACH; number++) {
                    values.add(codec + "/" + acks + "/" + number + " " + "text ".repeat(10));
                }
            }
        }
        return values;
    }

    private static void expect(Class<? extends Exception> expected, Future<?> future) throws InterruptedException {
        try {
            future.get();
            throw new AssertionError("expected " + expected.getSimpleName());
        } catch (ExecutionException error) {
            check(expected.isInstance(error.getCause()), error.getCause() + " is no " + expected.getSimpleName());
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
