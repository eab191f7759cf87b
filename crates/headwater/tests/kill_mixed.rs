//! kill -9 under a mixed load: idempotent and transactional producers, a copier that is both, members of a group, compaction. Nothing acknowledged is lost or
//! doubled, nothing aborted is seen, what groups committed never goes back.
//!
//! Four kills in every run of the tests; `HEADWATER_KILLS=100 cargo test -p headwater --test kill_mixed -- --nocapture` for more, `HEADWATER_SEED` for the same moments.

mod load;
mod program;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use load::Stage;
use program::Program;
use program::dice::{Dice, kills};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

const KILLS: u64 = 4;
const PARTITIONS: i32 = 3;

/// Makes the topics; one of them is compacted.
async fn create_topics(program: &Program) {
    let admin: AdminClient<DefaultClientContext> = program.client().create().expect("librdkafka starts");
    let plain =
        ["orders", "transfers", "copies"].map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
    let made = admin
        .create_topics(&plain, &AdminOptions::new())
        .await
        .expect("the broker answers");
    for topic in made {
        topic.expect("the topic is made");
    }
    let balances = NewTopic::new("balances", PARTITIONS, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("segment.bytes", "1048576")
        .set("segment.ms", "1000")
        .set("min.cleanable.dirty.ratio", "0.01");
    let made = admin
        .create_topics([&balances], &AdminOptions::new())
        .await
        .expect("the broker answers");
    made[0].as_ref().expect("the compacted topic is made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_a_mixed_load_lose_double_and_show_nothing() {
    let (mut dice, kills) = (Dice::new(), kills(KILLS));
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), "");
    let data = folder.path().join("data");
    let mut program = Program::start(&application, &data);
    let doors = program.doors();
    create_topics(&program).await;
    let stage = Stage::new(program.client());

    let commits = AtomicUsize::new(0);

    let rows = thread::scope(|scope| {
        let stage = &stage;
        let _curtain = stage.curtain();
        let seeds = [dice.below(u64::MAX), dice.below(u64::MAX)];
        let orders = ["a", "b"].map(|name| {
            scope.spawn(move || load::idempotent::write(stage, "orders", PARTITIONS, load::idempotent::numbered(name)))
        });
        let changing = move || load::idempotent::write(stage, "balances", PARTITIONS, load::compacted::changing);
        let balances = scope.spawn(changing);
        let transfers = [("x", seeds[0]), ("y", seeds[1])].map(|(name, seed)| {
            scope.spawn(move || load::transactional::write(stage, "transfers", name, PARTITIONS, seed))
        });
        let witness = scope.spawn(move || load::transactional::witness(stage, "transfers"));
        let copier = scope.spawn(move || load::copying::copy(stage, "orders", "copies"));
        let commits = &commits;
        let members = [0, 1].map(|_| scope.spawn(move || load::grouped::read(stage, "orders", "readers", commits)));

        for _ in 0..kills {
            thread::sleep(Duration::from_millis(300 + dice.below(1_200)));
            program.kill();
            program = Program::start_at(&application, &data, doors);
        }
        thread::sleep(Duration::from_secs(2));
        let latest = Instant::now() + load::PATIENCE;
        while commits.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < latest, "no member commits");
            thread::sleep(Duration::from_millis(50));
        }
        stage.stop();

        let orders = orders.map(|thread| thread.join().expect("a producer ends well"));
        let balances = balances.join().expect("a producer ends well");
        let transfers = transfers.map(|thread| thread.join().expect("a transactional producer ends well"));
        let seen = witness.join().expect("the witness ends well");
        let members = members.map(|thread| thread.join().expect("a member ends well"));
        copier.join().expect("the copier ends well");

        let rows = stage.read("orders", "read_committed");
        load::idempotent::check("orders", &orders, &rows);
        for member in &members {
            load::grouped::check("orders", member, &rows);
        }
        load::copying::check(&rows, &stage.read("copies", "read_committed"));
        let committed = stage.read("transfers", "read_committed");
        let transfers: Vec<load::transactional::Transaction> = transfers.into_iter().flatten().collect();
        load::transactional::check("transfers", &transfers, &seen, &committed);
        let kept = stage.read("balances", "read_uncommitted");
        load::compacted::check("balances", &balances, &kept);
        assert!(
            kills < 100 || load::compacted::compacted(&balances, &kept),
            "compaction took something away"
        );
        println!(
            "{} orders, {} transfers committed, {} seen at once",
            rows.len(),
            committed.len(),
            seen.len()
        );
        rows
    });
    assert!(!rows.is_empty());
}
