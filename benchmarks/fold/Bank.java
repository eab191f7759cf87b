import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The bank's view by Kafka Streams, with what it comes with: RocksDB and a changelog, at least once. Fills the topic with the lines of a file,
 * then takes them twice: once to warm up, once to be measured. {@code Bank ADDRESS FILE STATE-FOLDER}.
 */
public final class Bank {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int STATE_BYTES = 2 * Long.BYTES;

    public static void main(String[] arguments) throws Exception {
        long events = fill(arguments[0], Path.of(arguments[1]));
        for (String round : List.of("warming", "measured")) {
            take(arguments[0], Path.of(arguments[2], round), round, events);
        }
    }

    private static long fill(String address, Path file) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            admin.createTopics(List.of(new NewTopic("transactions", 2, (short) 1))).all().get();
        }
        Map<String, Object> settings = Map.of("bootstrap.servers", address, "linger.ms", 20, "batch.size", 262_144);
        long events = 0;
        try (BufferedReader lines = Files.newBufferedReader(file);
                var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String account = line.substring(12, line.indexOf('"', 12));
                producer.send(new ProducerRecord<>("transactions", account, line));
                events++;
            }
        }
        return events;
    }

    private static void take(String address, Path state, String name, long events) throws Exception {
        AtomicLong taken = new AtomicLong();
        CountDownLatch done = new CountDownLatch(1);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("transactions", Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .groupByKey(Grouped.with(Serdes.String(), Serdes.ByteArray()))
                .aggregate(
                        () -> new byte[STATE_BYTES],
                        (account, event, before) -> {
                            if (taken.incrementAndGet() == events) done.countDown();
                            return after(event, before);
                        },
                        Materialized.<String, byte[], KeyValueStore<Bytes, byte[]>>as("balances").withValueSerde(Serdes.ByteArray()));
        Properties settings = new Properties();
        settings.putAll(Map.of(
                StreamsConfig.APPLICATION_ID_CONFIG, "bank-" + name,
                StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, address,
                StreamsConfig.STATE_DIR_CONFIG, state.toString(),
                StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class,
                StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2,
                StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest"));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
            long begun = System.nanoTime();
            long before = processorTime();
            streams.start();
            done.await();
            double wall = (System.nanoTime() - begun) / 1e9;
            double processor = (processorTime() - before) / 1e9;
            System.out.printf("Kafka Streams  %s: %.3f M events/s, %.3f M a processor second%n", name, events / wall / 1e6, events / processor / 1e6);
        }
    }

    /** The state: the balance in cents, exact, and the number of entries. */
    private static byte[] after(byte[] event, byte[] before) {
        try {
            JsonNode json = JSON.readTree(event);
            long cents = new BigDecimal(json.get("amount").asText()).movePointRight(2).longValueExact();
            ByteBuffer state = ByteBuffer.wrap(before);
            boolean isDeposit = json.get("kind").textValue().equals("deposit");
            return ByteBuffer.allocate(STATE_BYTES)
                    .putLong(state.getLong(0) + (isDeposit ? cents : -cents))
                    .putLong(state.getLong(Long.BYTES) + 1)
                    .array();
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    private static long processorTime() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }
}
