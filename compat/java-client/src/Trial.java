import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Runs checks one after another and prints one line for each: {@code ok FEATURE} or {@code FAILED FEATURE: what went wrong}. */
final class Trial {
    static final String ADDRESS = System.getenv("ADDRESS");
    static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final int CHECK_SECONDS_MAX = 90;

    private final Map<String, Check> checks = new LinkedHashMap<>();

    interface Check {
        void run() throws Exception;
    }

    Trial check(String feature, Check check) {
        checks.put(feature, check);
        return this;
    }

    /** All of them, or those that are named. Ends the process: a client's threads may be left over. */
    void run(String[] named) {
        ExecutorService one = Executors.newCachedThreadPool();
        for (String feature : named.length > 0 ? java.util.List.of(named) : checks.keySet()) {
            Check check = checks.get(feature);
            Future<?> running = one.submit(() -> {
                check.run();
                return null;
            });
            try {
                running.get(CHECK_SECONDS_MAX, TimeUnit.SECONDS);
                System.out.println("ok " + feature);
            } catch (ExecutionException error) {
                error.getCause().printStackTrace();
                System.out.println(("FAILED " + feature + ": " + error.getCause()).replace('\n', ' '));
            } catch (Exception error) {
                running.cancel(true);
                System.out.println("FAILED " + feature + ": " + error);
            }
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** {@code restart} or {@code kill}: the broker ends so and is started again at the same address. */
    static void broker(String what) throws Exception {
        Process process = new ProcessBuilder(System.getenv("BROKER"), what).inheritIO().start();
        expect(process.waitFor() == 0, "the broker did not come back");
    }

    static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** Waits for what a broker may tell its clients a little later. */
    static void eventually(BooleanSupplier holds, String what) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!holds.getAsBoolean()) {
            expect(System.nanoTime() < until, what);
            Thread.sleep(100);
        }
    }

    /** What a future holds, without the exception around the exception. */
    static <T> T get(Future<T> future) {
        try {
            return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw error.getCause() instanceof RuntimeException cause ? cause : new RuntimeException(error.getCause());
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static void refused(Class<? extends Exception> expected, Check action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            expect(expected.isInstance(error), error + " is no " + expected.getSimpleName());
            return;
        }
        throw new AssertionError("it was not refused with " + expected.getSimpleName());
    }
}
