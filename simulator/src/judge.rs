//! Whether what the log holds is what the world may expect.
//!
//! Nothing acknowledged is lost and nothing is invented; what was open is decided once and for ever; an append is there whole or not at all, once, with
//! its principal and its moment; what is read as committed is what transactions say that counts; events stand in the order in which they were asked for; offsets are dense but for what
//! compaction may take away; a start only moves forward; nothing that a reader saw is taken back.

use std::collections::HashMap;

use crate::depends;
use crate::gone::Gone;
use crate::reading::{PartitionRead, Reading};
use crate::world::{Fate, Landed, World};

/// What was found of one append: of each part the first offset, and when it was appended.
#[derive(Default)]
struct Found {
    offsets: HashMap<usize, u64>,
    appended_at_us: Option<i64>,
}

/// Judges a reading, and decides what was open. The error says what is wrong.
pub(crate) fn judge(world: &mut World, reading: &Reading) -> Result<(), String> {
    streams(world, reading)?;
    let mut found: HashMap<usize, Found> = HashMap::new();
    let mut may_be_gone: HashMap<(usize, u32), Gone> = HashMap::new();
    for index in world.live() {
        let name = world.streams[index].name.clone();
        for (number, partition) in reading.streams[&name].partitions.iter().enumerate() {
            let here = (index, number as u32);
            let gone = Gone::of(world, here);
            may_be_gone.insert(here, gone);
            let gone = &may_be_gone[&here];
            offsets(world, here, partition, gone).map_err(|what| format!("{name}/{number}: {what}"))?;
            events(world, here, partition, gone, &mut found).map_err(|what| format!("{name}/{number}: {what}"))?;
        }
    }
    for stream in &mut world.streams {
        stream.is_expiring = false;
    }
    for index in 0..world.appends.len() {
        append(world, index, found.remove(&index), &may_be_gone)?;
    }
    depends::judge(world, reading)
}

/// The streams that were created are there under their ids, those that were dropped are not, and there are no others.
fn streams(world: &mut World, reading: &Reading) -> Result<(), String> {
    let mut expected = 0;
    for stream in &mut world.streams {
        // A name's last incarnation may be open; ids of the ones before are known, or they never were.
        let there = reading
            .streams
            .get(&stream.name)
            .filter(|read| stream.id.map_or(stream.created == Fate::Open, |id| id == read.id));
        if stream.created == Fate::Open {
            stream.created = if there.is_some() { Fate::Done } else { Fate::Undone };
            stream.id = there.map(|read| read.id);
        }
        if stream.dropped == Fate::Open && stream.created == Fate::Done {
            stream.dropped = if there.is_some() { Fate::Undone } else { Fate::Done };
        }
        let is_expected = stream.created == Fate::Done && stream.dropped != Fate::Done;
        expected += usize::from(is_expected);
        match there {
            None if is_expected => return Err(format!("stream {} is lost", stream.name)),
            Some(_) if !is_expected => return Err(format!("stream {} was dropped and is there", stream.name)),
            Some(read) if is_expected && read.settings != stream.settings => {
                let open = stream.settings_open.take();
                if open.as_ref() != Some(&read.settings) {
                    return Err(format!("stream {} has the settings {:?}", stream.name, read.settings));
                }
                stream.settings = read.settings.clone();
            }
            _ => {}
        }
        match there {
            Some(read) if read.partitions.len() != stream.partitions as usize => {
                return Err(format!(
                    "stream {} has {} partitions instead of {}",
                    stream.name,
                    read.partitions.len(),
                    stream.partitions
                ));
            }
            _ => {}
        }
        stream.settings_open = None;
    }
    if reading.streams.len() != expected {
        let names: Vec<&String> = reading.streams.keys().collect();
        return Err(format!("{expected} streams are expected, there are {names:?}"));
    }
    Ok(())
}

/// Offsets are dense, but for what may be gone, up to the high watermark, which is the end, and never below what a reader saw.
fn offsets(world: &mut World, here: (usize, u32), partition: &PartitionRead, gone: &Gone) -> Result<(), String> {
    let PartitionRead {
        start,
        high_watermark,
        end,
        stable,
        ref events,
        ref committed,
    } = *partition;
    let is_expiring = world.streams[here.0].is_expiring;
    let known = &mut world.streams[here.0].starts[here.1 as usize];
    if start != known.0 && known.1 != Some(start) && !(is_expiring && start > known.0) {
        return Err(format!("it starts at {start}, {known:?} was asked for"));
    }
    *known = (start, None);
    if high_watermark != end || start > end {
        return Err(format!("start {start}, high watermark {high_watermark}, end {end}"));
    }
    let mut expected = start;
    for event in events {
        while expected < event.offset && gone.offsets.contains(&expected) {
            expected += 1;
        }
        if event.offset != expected {
            return Err(format!("offset {} stands where {expected} is expected", event.offset));
        }
        expected += 1;
    }
    while expected < end && gone.offsets.contains(&expected) {
        expected += 1;
    }
    if expected != end {
        return Err(format!("the events end at {expected}, the high watermark is {end}"));
    }
    let decided = partition.decided(&gone.missing_ends(partition));
    if decided.0 != stable {
        return Err(format!(
            "everything below {} is decided, {stable} is said to be stable",
            decided.0
        ));
    }
    if decided.1 != *committed {
        let differs = decided.1.iter().zip(committed).find(|(one, other)| one != other);
        return Err(format!(
            "{} events count, {} are read as committed; the first that differ: {differs:?}",
            decided.1.len(),
            committed.len()
        ));
    }
    let seen = world.seen.entry(here).or_default();
    if end < *seen {
        return Err(format!("a reader saw events up to {seen}, the high watermark is {end}"));
    }
    *seen = end;
    Ok(())
}

/// Every event was asked for, here, by this principal; the events of a batch stand together, in order, and batches in the order of asking.
fn events(
    world: &World,
    here: (usize, u32),
    partition: &PartitionRead,
    gone: &Gone,
    found: &mut HashMap<usize, Found>,
) -> Result<(), String> {
    let mut moment = i64::MIN;
    let mut last = (0, 0);
    let mut rest = partition.events.iter().peekable();
    while let Some(first) = rest.peek() {
        let first_offset = first.offset;
        let (index, part, number) =
            named(&first.value).ok_or_else(|| format!("{:?} was never asked for", first.value))?;
        let asked = world
            .appends
            .get(index)
            .and_then(|append| append.parts.get(part).map(|asked| (append, asked)));
        let (append, asked) = asked.ok_or_else(|| format!("{:?} was never asked for", first.value))?;
        let base = first_offset.checked_sub(number as u64);
        let base = base.ok_or_else(|| format!("offset {first_offset}: the batch is not whole"))?;
        if (asked.stream, asked.partition) != here {
            return Err(format!("offset {base} belongs into another partition"));
        }
        if (append.order, part) <= last {
            return Err(format!("offset {base}: append {index} stands behind a later one"));
        }
        last = (append.order, part);
        let found = found.entry(index).or_default();
        for (offset, value) in (base..).zip(&asked.values) {
            let Some(event) = rest.next_if(|event| event.offset == offset && event.value == *value) else {
                // What lies below the start is not read, and what is superseded need not be there.
                if offset < partition.start || gone.offsets.contains(&offset) {
                    continue;
                }
                return Err(format!("offset {base}: the batch is not whole"));
            };
            if event.principal != append.principal {
                return Err(format!(
                    "offset {}: by {} instead of {}",
                    event.offset, event.principal, append.principal
                ));
            }
            if event.appended_at_us < moment {
                return Err(format!("offset {}: appended before the event before it", event.offset));
            }
            moment = event.appended_at_us;
            if found.appended_at_us.is_some_and(|at| at != moment) {
                return Err(format!(
                    "offset {}: another moment than the rest of its append",
                    event.offset
                ));
            }
            found.appended_at_us = Some(moment);
        }
        if found.offsets.insert(part, base).is_some() {
            return Err(format!("offset {base}: append {index} is there twice"));
        }
    }
    Ok(())
}

/// An append is there whole where it happened, and nowhere where it did not.
fn append(
    world: &mut World,
    index: usize,
    found: Option<Found>,
    gone: &HashMap<(usize, u32), Gone>,
) -> Result<(), String> {
    let live = world.live();
    // What went into a stream that was dropped later, or stands below the start, or may be gone, cannot be looked for.
    let is_visible = |number: &usize| {
        let asked = &world.appends[index];
        let part = &asked.parts[*number];
        let landed = asked.landed.as_ref().and_then(|landed| landed.offsets[*number]);
        let start = world.streams[part.stream].starts[part.partition as usize].0;
        let may_be_gone = |offset: u64| {
            let here = gone.get(&(part.stream, part.partition));
            offset < start || here.is_some_and(|gone| gone.offsets.contains(&offset))
        };
        live.contains(&part.stream)
            && landed.is_none_or(|base| !(base..base + part.values.len() as u64).all(may_be_gone))
    };
    let visible: Vec<usize> = (0..world.appends[index].parts.len()).filter(is_visible).collect();
    let asked = &mut world.appends[index];
    let found = found.unwrap_or_default();
    if visible.is_empty() && found.offsets.is_empty() {
        return Ok(());
    }
    if found.offsets.is_empty() {
        return match asked.fate {
            Fate::Done => Err(format!("append {index} was acknowledged, or seen, and is lost")),
            Fate::Open => {
                asked.fate = Fate::Undone;
                world.note(format!("append {index}: found to be lost"));
                Ok(())
            }
            Fate::Undone => Ok(()),
        };
    }
    let missing = visible.iter().filter(|part| !found.offsets.contains_key(part));
    let missing: Vec<&usize> = missing.collect();
    if !missing.is_empty() {
        return Err(format!("of append {index}, the parts {missing:?} are not there"));
    }
    if asked.fate == Fate::Undone {
        return Err(format!("append {index} was refused, or found to be lost, and is there"));
    }
    let landed = Landed {
        offsets: (0..asked.parts.len())
            .map(|part| found.offsets.get(&part).copied())
            .collect(),
        appended_at_us: found.appended_at_us.unwrap_or_default(),
    };
    match &asked.landed {
        Some(before) if !before.agrees(&landed) => {
            return Err(format!(
                "append {index} landed at {before:?}, it is found at {landed:?}"
            ));
        }
        Some(_) => {}
        None => asked.landed = Some(landed),
    }
    if asked.fate == Fate::Open {
        world.note(format!("append {index}: found to be there"));
    }
    world.appends[index].fate = Fate::Done;
    Ok(())
}

/// The append, the part and the event in it that a value names; a marker is the first of its part.
fn named(value: &str) -> Option<(usize, usize, usize)> {
    let mut fields = value.split('/');
    let (append, part, event) = (fields.next()?, fields.next()?, fields.next()?);
    let event = match event {
        "end" => 0,
        number => number.parse().ok()?,
    };
    Some((append.parse().ok()?, part.parse().ok()?, event))
}
