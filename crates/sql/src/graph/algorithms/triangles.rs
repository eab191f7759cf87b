//! Triangles: M. Latapy, "Main-memory triangle computations for very large (sparse (power-law)) graphs", 2008 (compact-forward), after
//! N. Chiba and T. Nishizeki, "Arboricity and subgraph listing algorithms", 1985.
//!
//! Edges are led from the vertex of lower degree to that of higher; a triangle is then found once, where two of its edges go out, and no
//! vertex has more than √(2·edges) edges out.

use crate::SqlError;

/// How many vertices are gone over between two looks at whether the answer is wanted.
const VERTICES_AT_ONCE: usize = 1_024;

/// In how many triangles each vertex is. Edges beside each other are one, loops none, and no edge has a direction.
pub(super) fn triangles(
    vertices: usize,
    edges: &[(u32, u32)],
    mut wanted: impl FnMut() -> Result<(), SqlError>,
) -> Result<Vec<u64>, SqlError> {
    let mut pairs: Vec<(u32, u32)> = edges
        .iter()
        .filter(|(from, to)| from != to)
        .map(|(from, to)| (*from.min(to), *from.max(to)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut degrees: Vec<u32> = vec![0; vertices];
    for (one, other) in &pairs {
        degrees[*one as usize] += 1;
        degrees[*other as usize] += 1;
    }
    let rank = |vertex: u32| (degrees[vertex as usize], vertex);
    let mut out: Vec<Vec<u32>> = vec![Vec::new(); vertices];
    for (one, other) in pairs {
        match rank(one) < rank(other) {
            true => out[one as usize].push(other),
            false => out[other as usize].push(one),
        }
    }
    out.iter_mut().for_each(|out| out.sort_unstable());
    let mut counts: Vec<u64> = vec![0; vertices];
    for (vertex, neighbours) in out.iter().enumerate() {
        if vertex % VERTICES_AT_ONCE == 0 {
            wanted()?;
        }
        for neighbour in neighbours {
            for third in common(neighbours, &out[*neighbour as usize]) {
                counts[vertex] += 1;
                counts[*neighbour as usize] += 1;
                counts[third as usize] += 1;
            }
        }
    }
    Ok(counts)
}

/// What two lists in order have in common.
fn common<'a>(one: &'a [u32], other: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let (mut left, mut right) = (0, 0);
    std::iter::from_fn(move || {
        while let (Some(a), Some(b)) = (one.get(left), other.get(right)) {
            left += usize::from(a <= b);
            right += usize::from(b <= a);
            if a == b {
                return Some(*a);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vertices: usize, edges: &[(u32, u32)], expected: &[u64]) {
        assert_eq!(
            triangles(vertices, edges, || Ok(())).expect("counts"),
            expected,
            "{edges:?}"
        );
    }

    #[test]
    fn each_corner_counts_its_triangles() {
        check(0, &[], &[]);
        check(3, &[(0, 1), (1, 2)], &[0, 0, 0]);
        check(3, &[(0, 1), (1, 2), (2, 0)], &[1, 1, 1]);
        // The other way round, twice, and a loop: the same triangle.
        check(3, &[(0, 1), (1, 0), (1, 2), (1, 2), (0, 2), (2, 2)], &[1, 1, 1]);
        // All four vertices with each other, and one hanging on.
        check(
            5,
            &[(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 4)],
            &[3, 3, 3, 3, 0],
        );
        // Two triangles that share an edge.
        check(4, &[(0, 1), (1, 2), (2, 0), (1, 3), (3, 2)], &[1, 2, 2, 1]);
    }

    #[test]
    fn counts_are_those_of_looking_at_all_triples() {
        let mut seed = 7_u32;
        let mut next = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        for _ in 0..20 {
            let edges: Vec<(u32, u32)> = (0..60).map(|_| (next(14), next(14))).collect();
            let joined = |a: u32, b: u32| {
                edges
                    .iter()
                    .any(|(from, to)| (*from, *to) == (a, b) || (*from, *to) == (b, a))
            };
            let mut expected: Vec<u64> = vec![0; 14];
            for (a, b, c) in (0..14).flat_map(|a| (0..a).flat_map(move |b| (0..b).map(move |c| (a, b, c)))) {
                if joined(a, b) && joined(b, c) && joined(a, c) {
                    [a, b, c].into_iter().for_each(|corner| expected[corner as usize] += 1);
                }
            }
            check(14, &edges, &expected);
        }
    }
}
