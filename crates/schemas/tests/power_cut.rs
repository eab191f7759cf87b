//! The registry on a machine whose power goes at any moment: an id that was given out keeps its schema, and ids stay dense.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Dice;
use headwater_host::simulated::Simulation;
use headwater_schemas::{Level, Schema, SchemaType, Schemas};

/// Opens the registry of the machine; small files, as on a simulated disk they are memory.
fn open(machine: &Simulation) -> Option<Schemas> {
    let options = LogOptions {
        journal_bytes: 1024 * 1024,
        segment_bytes: 256 * 1024,
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(machine.host(), Path::new("/data"), options).ok()?;
    Schemas::open(log).ok()
}

/// Registers schemas until it is done or the power is gone; notes the ids that were given out.
async fn run(machine: &Simulation, random: &dyn Dice, given: &mut BTreeMap<u32, String>) {
    let Some(schemas) = open(machine) else { return };
    for _ in 0..20 {
        let text = format!(r#"{{"type":"fixed","name":"f","size":{}}}"#, random.roll() % 30);
        let subject = format!("s{}", random.roll() % 3);
        let schema = Schema {
            schema_type: SchemaType::Avro,
            text: text.clone(),
            references: Vec::new(),
        };
        let answered = match random.roll() % 4 {
            0 => schemas.delete(&subject, None, false, "ann").await.is_ok(),
            1 => schemas
                .set_level(Some(&subject), Some(Level::None), "ann")
                .await
                .is_ok(),
            _ => match schemas.register(&subject, schema, "ann").await {
                Ok(found) => {
                    let before = given.insert(found.registered.id, text.clone());
                    assert!(before.is_none_or(|before| before == text), "an id has one schema");
                    true
                }
                Err(_) => false,
            },
        };
        if !answered && machine.disk.is_off() {
            return;
        }
    }
}

#[tokio::test]
async fn ids_that_were_given_out_are_kept_wherever_the_power_is_cut() {
    let mut cuts = 0;
    for seed in 0..40 {
        let machine = Simulation::new(seed);
        let random = machine.host().dice;
        let mut given: BTreeMap<u32, String> = BTreeMap::new();
        for _ in 0..4 {
            let operations = machine.disk.operations();
            machine.disk.cut_power_at(operations + 10 + random.roll() % 60);
            run(&machine, random.as_ref(), &mut given).await;
            cuts += u32::from(machine.disk.is_off());
            machine.disk.cut_power();
            machine.disk.restart();
        }
        let schemas = open(&machine).expect("it opens");
        for (id, text) in &given {
            let found = schemas.id(*id).unwrap_or_else(|| panic!("seed {seed}: {id} is gone"));
            assert_eq!(found.schema.text, *text, "seed {seed}: {id}");
        }
        for id in 1..=schemas.id_max() {
            assert!(schemas.id(id).is_some(), "seed {seed}: there is no {id}");
        }
    }
    assert!(cuts > 40, "the power was cut {cuts} times only");
}
