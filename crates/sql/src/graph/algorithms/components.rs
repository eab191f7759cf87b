//! Connected components by union and find: R. E. Tarjan, "Efficiency of a good but not linear set union algorithm", 1975.

/// For each vertex the number of the first vertex that it hangs together with, whichever way the edges go.
pub(super) fn components(vertices: usize, edges: &[(u32, u32)]) -> Vec<u32> {
    let mut parents: Vec<u32> = (0..vertices as u32).collect();
    for (from, to) in edges {
        let (one, other) = (root(&mut parents, *from), root(&mut parents, *to));
        // The smaller number stays the root, so that a component is called by its first vertex.
        parents[one.max(other) as usize] = one.min(other);
    }
    (0..vertices as u32).map(|vertex| root(&mut parents, vertex)).collect()
}

/// The root of a vertex's tree; every vertex on the way comes half as far from it.
fn root(parents: &mut [u32], mut vertex: u32) -> u32 {
    while parents[vertex as usize] != vertex {
        let above = parents[parents[vertex as usize] as usize];
        parents[vertex as usize] = above;
        vertex = above;
    }
    vertex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vertices: usize, edges: &[(u32, u32)], expected: &[u32]) {
        assert_eq!(components(vertices, edges), expected, "{edges:?}");
    }

    #[test]
    fn what_hangs_together_has_one_number() {
        check(0, &[], &[]);
        check(3, &[], &[0, 1, 2]);
        check(4, &[(3, 1), (1, 1)], &[0, 1, 2, 1]);
        check(6, &[(5, 4), (4, 3), (0, 2), (3, 5)], &[0, 1, 0, 3, 3, 3]);
        check(5, &[(4, 3), (3, 2), (2, 1), (1, 0)], &[0; 5]);
    }
}
