//! In which order a pattern is followed: from the vertex that is told most narrowly, along its edges.
//!
//! Pure: from what is known of the variables to the steps.

use super::pattern::{Direction, Repeats};

/// An edge between two vertex variables.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) edge: usize,
    pub(super) path: usize,
    pub(super) direction: Direction,
    pub(super) repeats: Option<Repeats>,
    pub(super) is_shortest: bool,
}

/// A vertex variable, and how many vertices it is begun with: those of its keys, or all of its tables'.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    pub(super) variable: usize,
    pub(super) is_keyed: bool,
    pub(super) vertices: u64,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Begins with a vertex.
    Begin(usize),
    /// Follows a link, by its place.
    Follow {
        link: usize,
        /// From its right end to its left.
        is_backwards: bool,
        /// Whether the vertex at the far end is known already.
        closes: bool,
    },
}

/// The steps by which every vertex and every link is come to.
pub(super) fn order(beginnings: &[Beginning], links: &[Link]) -> Vec<Move> {
    let mut known: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = (0..links.len()).collect();
    let mut moves: Vec<Move> = Vec::new();
    loop {
        while let Some(place) = next_link(links, &left, &known) {
            let link = left.remove(place);
            let Link {
                left: from, right: to, ..
            } = links[link];
            let (knows_left, knows_right) = (known.contains(&from), known.contains(&to));
            moves.push(Move::Follow {
                link,
                is_backwards: !knows_left,
                closes: knows_left && knows_right,
            });
            known.extend(
                [from, to]
                    .into_iter()
                    .filter(|end| !known.contains(end))
                    .collect::<Vec<usize>>(),
            );
        }
        let open = beginnings
            .iter()
            .filter(|beginning| !known.contains(&beginning.variable));
        let Some(first) = open.min_by_key(|beginning| (!beginning.is_keyed, beginning.vertices)) else {
            return moves;
        };
        moves.push(Move::Begin(first.variable));
        known.push(first.variable);
    }
}

/// The link to be followed next: one that closes a circle narrows down, one edge opens less than a row of them.
fn next_link(links: &[Link], left: &[usize], known: &[usize]) -> Option<usize> {
    let reachable = left.iter().enumerate().filter_map(|(place, link)| {
        let Link {
            left, right, repeats, ..
        } = &links[*link];
        let ends = [left, right].into_iter().filter(|end| known.contains(end)).count();
        (ends > 0).then_some((ends < 2, repeats.is_some(), place))
    });
    reachable.min().map(|(_, _, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(left: usize, right: usize, repeats: bool) -> Link {
        Link {
            left,
            right,
            edge: 0,
            path: 0,
            direction: Direction::Right,
            repeats: repeats.then_some(Repeats { min: 1, max: Some(2) }),
            is_shortest: false,
        }
    }

    /// Vertices (`-` a number that is keyed), links, steps as `begin`, `left>right` in the direction followed; `=` where both ends were known.
    fn check(vertices: &[(bool, u64)], links: &[(usize, usize, bool)], expected: &str) {
        let beginnings: Vec<Beginning> = vertices
            .iter()
            .enumerate()
            .map(|(variable, (is_keyed, vertices))| Beginning {
                variable,
                is_keyed: *is_keyed,
                vertices: *vertices,
            })
            .collect();
        let links: Vec<Link> = links
            .iter()
            .map(|(left, right, repeats)| link(*left, *right, *repeats))
            .collect();
        let shown = order(&beginnings, &links).into_iter().map(|step| match step {
            Move::Begin(variable) => variable.to_string(),
            Move::Follow {
                link,
                is_backwards,
                closes,
            } => {
                let Link { left, right, .. } = links[link];
                let (from, to) = if is_backwards { (right, left) } else { (left, right) };
                format!("{from}{}{to}", if closes { "=" } else { ">" })
            }
        });
        assert_eq!(shown.collect::<Vec<String>>().join(" "), expected);
    }

    #[test]
    fn a_pattern_is_followed_from_its_narrowest_vertex() {
        let all = |count: u64| (false, count);
        check(
            &[(true, 1), all(9), all(9)],
            &[(0, 1, false), (1, 2, false)],
            "0 0>1 1>2",
        );
        check(
            &[all(9), all(9), (true, 1)],
            &[(0, 1, false), (1, 2, false)],
            "2 2>1 1>0",
        );
        check(&[all(9), all(5), all(9)], &[(0, 1, false), (1, 2, false)], "1 1>0 1>2");
        check(&[(true, 9), all(1)], &[(0, 1, false)], "0 0>1");
        // A triangle is closed by looking, and one edge is followed before a row of them.
        check(
            &[(true, 1), all(9), all(9)],
            &[(0, 1, true), (1, 2, false), (0, 2, false)],
            "0 0>2 2>1 0=1",
        );
        // Parts that nothing joins are begun one after another.
        check(&[all(9), all(3), (true, 2)], &[(0, 1, false)], "2 1 1>0");
        check(&[all(9)], &[(0, 0, false)], "0 0=0");
    }
}
