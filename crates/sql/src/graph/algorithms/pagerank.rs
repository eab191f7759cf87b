//! PageRank: S. Brin and L. Page, "The anatomy of a large-scale hypertextual web search engine", 1998; by power iteration.

use crate::SqlError;

/// The rank of each vertex; together they are 1. Who comes to a vertex without edges out begins anew anywhere. Edges beside each other count
/// each. `wanted` is asked once a round, and ends it with its error.
pub(super) fn pagerank(
    vertices: usize,
    edges: &[(u32, u32)],
    damping: f64,
    iterations: u32,
    mut wanted: impl FnMut() -> Result<(), SqlError>,
) -> Result<Vec<f64>, SqlError> {
    if vertices == 0 {
        return Ok(Vec::new());
    }
    let mut out: Vec<u32> = vec![0; vertices];
    for (from, _) in edges {
        out[*from as usize] += 1;
    }
    let count = vertices as f64;
    let mut ranks: Vec<f64> = vec![1.0 / count; vertices];
    for _ in 0..iterations {
        wanted()?;
        let stuck: f64 = ranks
            .iter()
            .zip(&out)
            .filter(|(_, out)| **out == 0)
            .map(|(rank, _)| rank)
            .sum();
        let anywhere = (1.0 - damping + damping * stuck) / count;
        let mut next: Vec<f64> = vec![anywhere; vertices];
        for (from, to) in edges {
            let from = *from as usize;
            next[*to as usize] += damping * ranks[from] / f64::from(out[from]);
        }
        ranks = next;
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vertices: usize, edges: &[(u32, u32)], damping: f64, expected: &[f64]) {
        let ranks = pagerank(vertices, edges, damping, 200, || Ok(())).expect("ranks");
        let total: f64 = ranks.iter().sum();
        assert!(vertices == 0 || (total - 1.0).abs() < 1e-9, "{total}");
        for (found, expected) in ranks.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{ranks:?}, expected {expected}");
        }
        assert_eq!(ranks.len(), expected.len());
    }

    #[test]
    fn ranks_are_those_of_the_equation() {
        check(0, &[], 0.85, &[]);
        check(1, &[], 0.85, &[1.0]);
        check(3, &[(0, 1), (1, 2), (2, 0)], 0.85, &[1.0 / 3.0; 3]);
        // Vertex 1 is stuck: x0 = 0.15/2 + 0.85 * x1/2 and x0 + x1 = 1.
        check(2, &[(0, 1)], 0.85, &[0.5 / 1.425, 0.925 / 1.425]);
    }

    #[test]
    fn ranks_are_those_of_networkx() {
        // networkx 3.6.1, pagerank(graph, alpha, tol=1e-14, max_iter=5000); the second graph is a MultiDiGraph.
        check(
            6,
            &[(0, 1), (0, 2), (1, 2), (2, 0), (3, 2), (3, 4), (4, 3)],
            0.85,
            &[
                0.317773240360,
                0.164179840745,
                0.339584737374,
                0.084357722342,
                0.064978245587,
                0.029126213592,
            ],
        );
        check(
            4,
            &[(0, 1), (0, 1), (0, 2), (1, 3), (3, 3)],
            0.5,
            &[0.146341463415, 0.195121951220, 0.170731707317, 0.487804878049],
        );
    }
}
