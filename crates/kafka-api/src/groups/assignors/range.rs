//! Each topic is cut into runs, one for each of its members in order. Members that read the same topics with as many partitions
//! get the same numbers of each, so that a join of the topics finds both sides in one place.

use std::collections::BTreeMap;

use super::subscriber::Subscribers;
use crate::groups::partitions::Partitions;

pub(super) fn assign(subscribers: &Subscribers, topics: &BTreeMap<u128, u32>) -> BTreeMap<String, Partitions> {
    let mut assigned: BTreeMap<String, Partitions> = BTreeMap::new();
    let mut order: Vec<&String> = subscribers.keys().collect();
    // Who has an instance comes first, by its name.
    order.sort_by_key(|id| {
        let instance = subscribers[*id].instance.as_deref();
        (instance.is_none(), instance, id.as_str())
    });
    for id in &order {
        assigned.insert((*id).clone(), Partitions::default());
    }
    for (topic, partitions) in topics {
        let readers: Vec<&String> = order
            .iter()
            .copied()
            .filter(|id| subscribers[*id].topics.contains(topic))
            .collect();
        let count = readers.len() as u32;
        let mut next = 0;
        for (index, id) in (0_u32..).zip(readers) {
            let run = partitions / count + u32::from(index < partitions % count);
            if let Some(of_member) = assigned.get_mut(id) {
                (next..next + run).for_each(|partition| of_member.insert(*topic, partition));
            }
            next += run;
        }
    }
    assigned
}
