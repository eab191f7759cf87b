//! An archive: what its stream no longer keeps stays in the table, and the table and the stream's rest are one, each event once.

use headwater_lake::DeltaLakes;

use crate::ground::{Ground, HISTORY, columnar, totals_of};

#[test]
fn events_that_went_from_the_stream_stay_in_the_table() {
    let ground = Ground::new();
    for round in 0..4_i64 {
        let views = ground.views(DeltaLakes::start().expect("threads"));
        let view = ground
            .start(&views, "history", HISTORY, columnar(&["third"]))
            .expect("a view");
        ground.append(round * 100..round * 100 + 60);
        ground.committed(&view);
        let end = ground.log.position("s").expect("the stream");
        for (_, partition, next_offset) in end.iter() {
            ground
                .log
                .delete_records("s", partition, next_offset)
                .expect("old events go");
        }
        ground.append(round * 100 + 60..(round + 1) * 100);
        ground.folded(&view);
        assert_eq!(ground.totals(&view).1, totals_of((round + 1) * 100), "round {round}");
        // Dropped and not closed: what waits is folded again, as far as the stream has it. It has all of it.
        drop((view, views));
    }
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground
        .start(&views, "history", HISTORY, columnar(&["third"]))
        .expect("a view");
    ground.folded(&view);
    assert_eq!(ground.totals(&view).1, totals_of(400));
    assert_eq!(view.status().lacking, 0, "nothing went before it was in the table");
}
