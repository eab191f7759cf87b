//! What was meant, where a name is misspelled.

/// The name that is spelled most like `name`, where one is near.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + name.chars().count() / 4;
    names
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (column, candidate) in other.iter().enumerate() {
            let above = row[column + 1];
            row[column] = left;
            left = (diagonal + usize::from(letter != *candidate))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
        }
        row[other.len()] = left;
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, names: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(name, names.iter().copied()), expected, "{name}");
    }

    #[test]
    fn near_names_are_suggested() {
        check("balance", &["balances", "transactions"], Some("balances"));
        check("transcations", &["balances", "transactions"], Some("transactions"));
        check("accuont", &["account", "amount"], Some("account"));
        check("x", &["balances"], None);
        check("", &[], None);
    }
}
