import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What the application is given, and whether it counted right: {@code Words create}, {@code Words write}, {@code Words check WRITTEN}. */
public final class Words {
    private static final int PARTITIONS = 3;
    private static final int WORDS = 17;
    private static final int SECONDS = 18;
    private static final int EACH_SECOND = 500;
    private static final Map<String, Object> ADDRESS = Map.of("bootstrap.servers", System.getenv("ADDRESS"));

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "create" -> create();
            case "write" -> write();
            default -> check(Long.parseLong(Files.readString(Path.of(arguments[1])).trim()));
        }
    }

    private static void create() throws Exception {
        try (Admin admin = Admin.create(ADDRESS)) {
            admin.createTopics(List.of(new NewTopic("words", PARTITIONS, (short) 1), new NewTopic("counts", PARTITIONS, (short) 1))).all().get();
        }
    }

    /** Words at an even pace, each acknowledged; prints how many. */
    private static void write() throws Exception {
        long written = 0;
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(ADDRESS, new StringSerializer(), new StringSerializer())) {
            for (int second = 0; second < SECONDS; second++) {
                for (int number = 0; number < EACH_SECOND; number++, written++) {
                    producer.send(new ProducerRecord<>("words", String.valueOf(written % 100), "word" + written % WORDS), (place, error) -> {
                        if (error != null) {
                            error.printStackTrace();
                            Runtime.getRuntime().halt(1);
                        }
                    });
                }
                producer.flush();
                Thread.sleep(1_000);
            }
        }
        System.out.println(written);
    }

    /** Each word's counts are 1, 2, 3, … and their last are all that was written. */
    private static void check(long written) {
        Map<String, Object> settings = new HashMap<>(ADDRESS);
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest");
        Map<String, Long> counts = new HashMap<>();
        long got = 0;
        try (KafkaConsumer<String, String> reader = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> places = reader.partitionsFor("counts").stream().map(place -> new TopicPartition("counts", place.partition())).toList();
            reader.assign(places);
            reader.seekToBeginning(places);
            long until = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            // A little longer than until the last: nothing may come after it.
            while (System.nanoTime() < until) {
                for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(500))) {
                    long count = Long.parseLong(record.value());
                    long before = counts.getOrDefault(record.key(), 0L);
                    if (count != before + 1) {
                        throw new AssertionError(record.key() + ": " + count + " comes after " + before + " at " + record.partition() + "@" + record.offset());
                    }
                    counts.put(record.key(), count);
                    got++;
                }
                if (got == written) {
                    until = Math.min(until, System.nanoTime() + Duration.ofSeconds(3).toNanos());
                }
            }
        }
        if (got != written) {
            throw new AssertionError(got + " of " + written + " words were counted");
        }
    }
}
